// The ledger's work, synchronous, inside the ledger's thread. Every change is one transaction; what a caller was told is
// on disk.
import type { CommittedInterval } from '../model/run.ts';
import type { Delivery } from '../model/outcome.ts';
import type { TimeNs } from '../model/time.ts';
import { corruptValue, ledgerErrorOf } from './error.ts';
import { compact, intervalsOf, overlaps, timeOf } from './intervals.ts';
import { openLedger } from './open.ts';
import { createSpoolRoom } from './spool-room.ts';
import { prepareAll } from './statements.ts';
import {
  deliveryOf,
  outcomeOf,
  toText,
  type CommitResult,
  type Signal,
  type SpoolState,
  type StoredBatch,
  type StoredDelivery,
  type StoredWindow,
  type Verdict,
  type WindowCommit,
} from './record.ts';

export interface LedgerLimits {
  /** Bytes that batches may hold, all destinations together. */
  readonly spoolBytesMax: number;
  /** Delivered windows of a script that keep their outcome; older ones are joined into intervals. */
  readonly windowsKept: number;
  readonly deliveriesMax: number;
  /** The file's own limit in pages of 4 KiB; the disk's where absent. */
  readonly pagesMax?: number;
}

export const DEFAULT_LIMITS: LedgerLimits = {
  spoolBytesMax: 256 * 1024 * 1024,
  windowsKept: 16,
  deliveriesMax: 100_000,
};

/** Free pages (4 KiB each) after which the file is shortened. */
const FREE_PAGES_KEPT = 1024;

const NOTHING = new Uint8Array(0);

function signalOf(value: unknown): Signal {
  if (value === 'metrics' || value === 'traces' || value === 'logs') return value;
  throw corruptValue('a batch has no signal that we know');
}

function bytesOf(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  throw corruptValue(`the bytes of a batch are ${typeof value}`);
}

export type LedgerStore = ReturnType<typeof createStore>;

/**
 * Opens the ledger in `directory` and returns its operations. Not for the main thread: it blocks on the disk.
 * @throws LedgerError from here and from every operation.
 */
export function createStore(directory: string, limits: LedgerLimits) {
  const { database, path, incarnation, prepared } = openLedger(directory, limits.pagesMax, (opened) => {
    const sql = prepareAll(opened);
    const epoch = Number(sql.epoch.get()?.['value'] ?? 0);
    return { sql, held: sql.held.all(), epoch, deliveries: Number(sql.bounds.get()?.['rows'] ?? 0) };
  });
  const { sql } = prepared;
  const room = createSpoolRoom(limits.spoolBytesMax);
  for (const row of prepared.held) {
    room.hold(String(row['destination']), Number(row['batches']), Number(row['bytes']));
  }
  let refusedCommits = 0;
  let deliveriesDropped = 0;
  let highestEpoch = prepared.epoch;
  let waitingDeliveries = prepared.deliveries;

  /** `durable`: on the disk before it returns. Else a power loss may take it back, a killed process does not. */
  function transaction<T>(durable: boolean, work: () => T): T {
    try {
      database.exec(`PRAGMA synchronous = ${durable ? 'FULL' : 'NORMAL'}`);
      database.exec('BEGIN IMMEDIATE');
      try {
        const result = work();
        database.exec('COMMIT');
        return result;
      } catch (error) {
        if (database.isTransaction) database.exec('ROLLBACK');
        throw error;
      }
    } catch (error) {
      throw ledgerErrorOf(error, path);
    }
  }

  function read<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw ledgerErrorOf(error, path);
    }
  }

  function hello(epoch: number): number {
    if (epoch > highestEpoch) {
      transaction(true, () => sql.setEpoch.run(epoch));
      highestEpoch = epoch;
    }
    return highestEpoch;
  }

  function commit(window: WindowCommit): CommitResult {
    const { outcome, batches, pluginUid } = window;
    if (window.epoch < highestEpoch) return { status: 'stale', highestEpoch };
    if (read(() => overlaps(database, outcome.uid, outcome.start, outcome.end))) {
      return { status: 'overlap', committed: read(() => intervalsOf(database, outcome.uid, false)) };
    }
    const full = room.refusing(batches);
    if (full !== undefined) {
      refusedCommits += 1;
      return { status: 'spool-full', ...full };
    }
    // Synced to the disk: a delivered window that a power loss made the ledger forget would be queried and sent again.
    transaction(true, () => {
      const { uid, start, end } = outcome;
      sql.addWindow.run(uid, start, end, pluginUid, batches.length, toText(outcome));
      batches.forEach(({ destination, signal, bytes, metricPoints, spans, logs }, seq) => {
        const counts = [metricPoints, spans, logs, bytes.length];
        sql.addBatch.run(uid, start, end, seq, destination, signal, window.committedAt, ...counts, bytes);
      });
      if (batches.length === 0) compact(database, uid, limits.windowsKept);
    });
    for (const batch of batches) room.hold(batch.destination, 1, batch.bytes.length);
    return { status: 'committed', delivered: batches.length === 0 };
  }

  function findWindow(uid: string, start: TimeNs, end: TimeNs): StoredWindow | undefined {
    const row = read(() => sql.window.get(uid, start, end));
    return row === undefined
      ? undefined
      : { outcome: outcomeOf(String(row['outcome'])), delivered: Number(row['pending']) === 0 };
  }

  /** Batches of a destination after `afterId`, oldest first: at least one if there is any, else up to the limits. */
  function pending(destination: string, afterId: number, countMax: number, bytesMax: number): StoredBatch[] {
    return read(() => {
      let bytes = 0;
      const fitting = sql.sizes.all(destination, afterId, countMax).filter((row, i) => {
        bytes += Number(row['size']);
        return i === 0 || bytes <= bytesMax;
      });
      return sql.batches.all(destination, afterId, fitting.length).map((row) => ({
        id: Number(row['id']),
        uid: String(row['uid']),
        start: timeOf(row['start']),
        end: timeOf(row['end']),
        seq: Number(row['seq']),
        destination: String(row['destination']),
        signal: signalOf(row['signal']),
        bytes: bytesOf(row['bytes']),
        metricPoints: Number(row['points']),
        spans: Number(row['spans']),
        logs: Number(row['logs']),
        attempts: Number(row['attempts']),
        isUnanswered: Number(row['unanswered']) !== 0,
        committedAt: timeOf(row['committed']),
      }));
    });
  }

  /**
   * Remembers over restarts how often a batch was tried, and whether an attempt of it may be without an answer. Not synced: a
   * process that is killed leaves it; a power loss may take the last ones back.
   */
  function attempted(id: number, attempts: number, isUnanswered: boolean): void {
    transaction(false, () => sql.attempted.run(attempts, isUnanswered ? 1 : 0, id));
  }

  function settle(id: number, verdict: Verdict): { readonly destination: string; readonly size: number } | undefined {
    const row = sql.batch.get(id);
    if (row === undefined) return undefined;
    sql.removeBatch.run(id);
    sql.removeAttempts.run(id);
    const uid = String(row['uid']);
    const isRepeated = verdict.isRepeated === true;
    const settled = sql.settle.get(isRepeated ? 1 : 0, uid, timeOf(row['start']));
    const left = Number(settled?.['pending'] ?? 0);
    const delivery: Delivery = {
      uid,
      start: timeOf(row['start']),
      end: timeOf(row['end']),
      batch: Number(row['seq']),
      outcome: verdict.outcome,
      metricPoints: Number(row['points']),
      spans: Number(row['spans']),
      logs: Number(row['logs']),
      rejected: verdict.rejected,
      bytes: Number(row['size']),
      attempts: Math.max(verdict.attempts, Number(row['attempts'])),
      windowDelivered: left === 0,
      // once a window, however many of its batches it befalls
      windowRepeated: isRepeated && Number(settled?.['repeated'] ?? 1) === 1,
      ...(verdict.code === undefined ? {} : { code: verdict.code }),
      ...(verdict.message === undefined ? {} : { message: verdict.message }),
    };
    sql.addDelivery.run(toText(delivery));
    if (left === 0) compact(database, uid, limits.windowsKept);
    return { destination: String(row['destination']), size: Number(row['size']) };
  }

  /** Makes batches final; ids that are final already are passed over. Returns how many were not. */
  function finish(verdicts: readonly { readonly id: number; readonly verdict: Verdict }[]): number {
    // Not synced: after a power loss the batch is sent again, which at-least-once delivery allows.
    const settled = transaction(false, () => {
      const done = verdicts.map(({ id, verdict }) => settle(id, verdict)).filter((one) => one !== undefined);
      waitingDeliveries += done.length;
      const over = waitingDeliveries - limits.deliveriesMax;
      if (over > 0) {
        database
          .prepare('DELETE FROM deliveries WHERE seq IN (SELECT seq FROM deliveries ORDER BY seq LIMIT ?)')
          .run(over);
        waitingDeliveries -= over;
        deliveriesDropped += over;
      }
      return done;
    });
    for (const { destination, size } of settled) room.hold(destination, -1, -size);
    shorten();
    return settled.length;
  }

  /** Gives up all that waits for a destination. Returns how many batches that was. */
  function dropDestination(destination: string, message: string): number {
    const ids = read(() => sql.sizes.all(destination, 0, -1).map((row) => Number(row['id'])));
    return finish(ids.map((id) => ({ id, verdict: { outcome: 'dropped', rejected: 0, attempts: 0, message } })));
  }

  /** A backlog that was sent leaves free pages behind; they go back to the disk. */
  function shorten(): void {
    if (Number(sql.freePages.get()?.['freelist_count'] ?? 0) <= FREE_PAGES_KEPT) return;
    read(() => database.exec('PRAGMA incremental_vacuum(512)'));
  }

  /** Whether another batch for `destination` could be committed: spares a query whose result could not. */
  const hasRoom = (destination: string): boolean => room.refusing([{ destination, bytes: NOTHING }]) === undefined;

  /** See `intervalsOf`. */
  const committed = (uids: readonly string[], isJoined = true): Map<string, readonly CommittedInterval[]> =>
    read(() => new Map(uids.map((uid) => [uid, intervalsOf(database, uid, isJoined)])));

  const deliveries = (afterSeq: number, countMax: number): StoredDelivery[] =>
    read(() =>
      sql.deliveries
        .all(afterSeq, countMax)
        .map((row) => ({ seq: Number(row['seq']), delivery: deliveryOf(String(row['delivery'])) })),
    );

  /** Forgets deliveries up to and including `seq`: somebody has taken note of them. */
  function takeDeliveries(seq: number): void {
    const removed = transaction(false, () => sql.takeDeliveries.run(seq).changes);
    waitingDeliveries -= Number(removed);
  }

  const spool = (): SpoolState => ({ ...room.state(), refusedCommits, deliveriesDropped });

  function close(): void {
    if (!database.isOpen) return;
    read(() => {
      database.exec('PRAGMA optimize; PRAGMA wal_checkpoint(TRUNCATE)');
      database.close();
    });
  }

  return {
    incarnation: () => incarnation,
    hello,
    commit,
    hasRoom,
    findWindow,
    committed,
    pending,
    attempted,
    finish,
    dropDestination,
    deliveries,
    takeDeliveries,
    spool,
    close,
  };
}
