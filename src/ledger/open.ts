// Opens the ledger's file: one process only, checked, migrated, with settings that survive `kill -9` and power loss.
import { accessSync, constants, existsSync, mkdirSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { LedgerError, ledgerErrorOf } from './error.ts';
import { migrate } from './schema.ts';

export const LEDGER_FILE = 'ledger.db';

export interface OpenedLedger<Prepared> {
  readonly database: DatabaseSync;
  readonly path: string;
  /** `<id of the file>.<times it was opened>`: a new number after each restart, a new id where the file was lost. */
  readonly incarnation: string;
  readonly prepared: Prepared;
}

/**
 * Opens or creates `directory/ledger.db`. `prepare` makes and tries the statements, so that a file that is not as we
 * wrote it is refused here.
 *
 * Write-ahead logging: a commit is one append, so a killed process leaves either all of a transaction or nothing of it,
 * and readers of the file's pages never see half. Exclusive locking keeps a second process out for as long as this one
 * lives (the kernel releases the lock however the process ends) and needs no shared-memory file.
 * @throws LedgerError
 */
export function openLedger<Prepared>(
  directory: string,
  pagesMax: number | undefined,
  prepare: (database: DatabaseSync) => Prepared,
): OpenedLedger<Prepared> {
  const path = join(directory, LEDGER_FILE);
  makeFolder(directory, path);
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { timeout: 0 });
    database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA auto_vacuum = INCREMENTAL');
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 4194304');
    database.exec('PRAGMA cache_size = -4096; PRAGMA foreign_keys = ON; PRAGMA cell_size_check = ON');
    if (pagesMax !== undefined) database.exec(`PRAGMA max_page_count = ${Math.trunc(pagesMax)}`);
    check(database, path);
    migrate(database, path);
    const prepared = prepare(database);
    return { database, path, incarnation: countOpening(database), prepared };
  } catch (error) {
    if (database?.isOpen === true) database.close();
    throw ledgerErrorOf(error, path);
  }
}

function makeFolder(directory: string, path: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    accessSync(directory, constants.W_OK | constants.X_OK);
    if (existsSync(path)) accessSync(path, constants.R_OK | constants.W_OK);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    const full = code === 'ENOSPC' || code === 'EDQUOT';
    const notFolder = code === 'EEXIST' || code === 'ENOTDIR';
    const what = full
      ? 'no space is left for it'
      : notFolder
        ? 'a part of its path is not a folder'
        : 'it cannot be created or written';
    const message = error instanceof Error ? error.message : String(error);
    throw new LedgerError(full ? 'StateFull' : 'StateReadOnly', `ledger ${path}: ${what} (${message})`, {
      cause: error,
    });
  }
}

/** Reads every page once. A ledger is at most the spool's size, so this is well under a second. */
function check(database: DatabaseSync, path: string): void {
  const found = database.prepare('PRAGMA quick_check(1)').get()?.['quick_check'];
  if (found !== 'ok') {
    throw new LedgerError(
      'StateCorrupt',
      `ledger ${path}: it is damaged (${String(found).replace(/\s*\n\s*/g, ' ')}); move it away to start with an empty ledger, and keep it for a report`,
    );
  }
}

function countOpening(database: DatabaseSync): string {
  const put = database.prepare(
    'INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
  );
  const get = database.prepare('SELECT value FROM meta WHERE key = ?');
  const id = String(get.get('id')?.['value'] ?? randomUUID());
  const opened = Number(get.get('opened')?.['value'] ?? 0) + 1;
  database.exec('BEGIN IMMEDIATE');
  put.run('id', id);
  put.run('opened', opened);
  database.exec('COMMIT');
  return `${id}.${opened}`;
}
