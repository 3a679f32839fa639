// The ledger's tables. Times are integer nanoseconds. A window is here exactly once: as a row of `windows` while it is
// recent or has batches to send, later as part of an interval.
import type { DatabaseSync } from 'node:sqlite';
import { LedgerError } from './error.ts';

/** Each entry brings a file from version i to i + 1; `user_version` says where a file stands. Append only. */
const MIGRATIONS: readonly string[] = [
  `CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;

   -- Committed windows. pending: batches that are not final yet; 0 is delivered.
   CREATE TABLE windows (
     uid TEXT NOT NULL, start INTEGER NOT NULL, "end" INTEGER NOT NULL,
     plugin TEXT NOT NULL, pending INTEGER NOT NULL, outcome TEXT NOT NULL,
     PRIMARY KEY (uid, start), CHECK (start < "end"), CHECK (pending >= 0)
   ) STRICT, WITHOUT ROWID;

   -- Delivered windows that are no longer kept one by one, joined where they touch.
   CREATE TABLE intervals (
     uid TEXT NOT NULL, start INTEGER NOT NULL, "end" INTEGER NOT NULL,
     PRIMARY KEY (uid, start), CHECK (start < "end")
   ) STRICT, WITHOUT ROWID;

   -- The spool: encoded requests in the order of their commit, until they are final.
   CREATE TABLE batches (
     id INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT NOT NULL, start INTEGER NOT NULL, "end" INTEGER NOT NULL,
     seq INTEGER NOT NULL, destination TEXT NOT NULL, signal TEXT NOT NULL, committed INTEGER NOT NULL,
     points INTEGER NOT NULL, spans INTEGER NOT NULL, logs INTEGER NOT NULL,
     attempts INTEGER NOT NULL, size INTEGER NOT NULL, bytes BLOB NOT NULL
   ) STRICT;
   CREATE INDEX batches_of_destination ON batches (destination, id);

   -- What destinations said and nobody has taken note of yet.
   CREATE TABLE deliveries (seq INTEGER PRIMARY KEY AUTOINCREMENT, delivery TEXT NOT NULL) STRICT;`,

  // Attempts of batches beside them: a change of their own row writes its bytes again. unanswered: one may have been taken without
  // our knowing. repeated: batches that were taken after such a one.
  `CREATE TABLE attempts (
     id INTEGER PRIMARY KEY, attempts INTEGER NOT NULL, unanswered INTEGER NOT NULL
   ) STRICT;
   INSERT INTO attempts SELECT id, attempts, 0 FROM batches WHERE attempts > 0;
   ALTER TABLE batches DROP COLUMN attempts;
   ALTER TABLE windows ADD COLUMN repeated INTEGER NOT NULL DEFAULT 0;`,
];

/**
 * Creates or updates the tables in one transaction.
 * @throws LedgerError StateTooNew where the file was written by a version that knows more tables than this one.
 */
export function migrate(database: DatabaseSync, path: string): void {
  const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version'] ?? 0);
  if (version > MIGRATIONS.length) {
    throw new LedgerError(
      'StateTooNew',
      `ledger ${path}: written by a newer version (schema ${version}, this one knows ${MIGRATIONS.length}); use that version`,
    );
  }
  if (version === MIGRATIONS.length) return;
  database.exec('BEGIN IMMEDIATE');
  try {
    for (const migration of MIGRATIONS.slice(version)) database.exec(migration);
    database.exec(`PRAGMA user_version = ${MIGRATIONS.length}`);
    database.exec('COMMIT');
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}
