// The ledger's work, synchronous, inside the ledger's thread. Every change is one transaction; what a caller was told is
// on disk.
import type { CommittedInterval } from '../model/run.ts';
import type { Delivery } from '../model/outcome.ts';
import type { TimeNs } from '../model/time.ts';
import { ledgerErrorOf } from './error.ts';
import { compact, intervalsOf, overlaps, timeOf } from './intervals.ts';
import { openLedger } from './open.ts';
import {
  deliveryOf,
  outcomeOf,
  toText,
  type CommitResult,
  type NewBatch,
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

/** What a batch costs beside its bytes: its row, its part of the index and of its window. */
const BATCH_OVERHEAD_BYTES = 1024;

/** A destination may hold this many times what is still free, so that a dead one leaves room for the living. */
const SHARE_OF_FREE = 4;

/** Free pages (4 KiB each) after which the file is shortened. */
const FREE_PAGES_KEPT = 1024;

interface Cost {
  readonly destination: string;
  readonly count: number;
  readonly cost: number;
}

function costsOf(batches: readonly NewBatch[]): Cost[] {
  const byDestination = Map.groupBy(batches, ({ destination }) => destination);
  return [...byDestination].map(([destination, own]) => ({
    destination,
    count: own.length,
    cost: own.reduce((sum, { bytes }) => sum + bytes.length + BATCH_OVERHEAD_BYTES, 0),
  }));
}

function signalOf(value: unknown): Signal {
  if (value === 'metrics' || value === 'traces' || value === 'logs') return value;
  throw new TypeError(`unknown signal ${String(value)}`);
}

function bytesOf(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  throw new TypeError(`expected bytes, got ${typeof value}`);
}

export type LedgerStore = ReturnType<typeof createStore>;

interface Held {
  batches: number;
  bytes: number;
}

/**
 * Opens the ledger in `directory` and returns its operations. Not for the main thread: it blocks on the disk.
 * @throws LedgerError from here and from every operation.
 */
export function createStore(directory: string, limits: LedgerLimits) {
  const { database, path, incarnation } = openLedger(directory, limits.pagesMax);
  const sql = {
    epoch: database.prepare(`SELECT value FROM meta WHERE key = 'epoch'`),
    setEpoch: database.prepare(
      `INSERT INTO meta (key, value) VALUES ('epoch', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
    ),
    addWindow: database.prepare('INSERT INTO windows VALUES (?, ?, ?, ?, ?, ?)'),
    window: database.prepare('SELECT outcome, pending FROM windows WHERE uid = ? AND start = ? AND "end" = ?'),
    addBatch: database.prepare(
      `INSERT INTO batches (uid, start, "end", seq, destination, signal, committed, points, spans, logs, attempts, size, bytes)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?)`,
    ),
    batches: database.prepare('SELECT * FROM batches WHERE destination = ? AND id > ? ORDER BY id LIMIT ?'),
    sizes: database.prepare('SELECT id, size FROM batches WHERE destination = ? AND id > ? ORDER BY id LIMIT ?'),
    batch: database.prepare(
      'SELECT uid, start, "end", seq, destination, points, spans, logs, attempts, size FROM batches WHERE id = ?',
    ),
    removeBatch: database.prepare('DELETE FROM batches WHERE id = ?'),
    attempted: database.prepare('UPDATE batches SET attempts = max(attempts, ?) WHERE id = ?'),
    settle: database.prepare('UPDATE windows SET pending = pending - 1 WHERE uid = ? AND start = ? RETURNING pending'),
    held: database.prepare(
      'SELECT destination, count(*) AS batches, sum(size) AS bytes FROM batches GROUP BY destination',
    ),
    addDelivery: database.prepare('INSERT INTO deliveries (delivery) VALUES (?)'),
    deliveries: database.prepare('SELECT seq, delivery FROM deliveries WHERE seq > ? ORDER BY seq LIMIT ?'),
    takeDeliveries: database.prepare('DELETE FROM deliveries WHERE seq <= ?'),
    bounds: database.prepare('SELECT count(*) AS rows, max(seq) AS last FROM deliveries'),
    freePages: database.prepare('PRAGMA freelist_count'),
  };
  for (const name of ['window', 'batches', 'batch', 'deliveries'] as const) sql[name].setReadBigInts(true);

  const held = new Map<string, Held>();
  let heldBytes = 0;
  let refusedCommits = 0;
  let deliveriesDropped = 0;
  const hold = (destination: string, batches: number, bytes: number): void => {
    const entry = held.get(destination) ?? { batches: 0, bytes: 0 };
    entry.batches += batches;
    entry.bytes += bytes;
    heldBytes += bytes;
    if (entry.batches === 0) held.delete(destination);
    else held.set(destination, entry);
  };
  for (const row of sql.held.all()) {
    const batches = Number(row['batches']);
    hold(String(row['destination']), batches, Number(row['bytes']) + batches * BATCH_OVERHEAD_BYTES);
  }
  let highestEpoch = Number(sql.epoch.get()?.['value'] ?? 0);
  let waitingDeliveries = Number(sql.bounds.get()?.['rows'] ?? 0);

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

  /** Whether `destination` may hold `cost` more bytes, when all that `costs` says is added. */
  function fits(destination: string, cost: number, costs: readonly Cost[]): boolean {
    const freeBytes = limits.spoolBytesMax - heldBytes - costs.reduce((sum, one) => sum + one.cost, 0);
    const own = (held.get(destination)?.bytes ?? 0) + cost;
    return freeBytes >= 0 && own <= SHARE_OF_FREE * freeBytes;
  }

  function commit(window: WindowCommit): CommitResult {
    const { outcome, batches, pluginUid } = window;
    if (window.epoch < highestEpoch) return { status: 'stale', highestEpoch };
    if (read(() => overlaps(database, outcome.uid, outcome.start, outcome.end))) {
      return { status: 'overlap', committed: read(() => intervalsOf(database, outcome.uid)) };
    }
    const costs = costsOf(batches);
    const full = costs.find(({ destination, cost }) => !fits(destination, cost, costs));
    if (full !== undefined) {
      refusedCommits += 1;
      const { destination } = full;
      const own = held.get(destination)?.bytes ?? 0;
      return { status: 'spool-full', destination, heldBytes: own, freeBytes: limits.spoolBytesMax - heldBytes };
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
    for (const { destination, count, cost } of costs) hold(destination, count, cost);
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
        committedAt: timeOf(row['committed']),
      }));
    });
  }

  /** Remembers how often a batch was tried, over restarts too. */
  function attempted(id: number, attempts: number): void {
    transaction(false, () => sql.attempted.run(attempts, id));
  }

  function settle(id: number, verdict: Verdict): { readonly destination: string; readonly size: number } | undefined {
    const row = sql.batch.get(id);
    if (row === undefined) return undefined;
    sql.removeBatch.run(id);
    const uid = String(row['uid']);
    const left = Number(sql.settle.get(uid, timeOf(row['start']))?.['pending'] ?? 0);
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
    for (const { destination, size } of settled) hold(destination, -1, -(size + BATCH_OVERHEAD_BYTES));
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
  const hasRoom = (destination: string): boolean => fits(destination, BATCH_OVERHEAD_BYTES, []);

  const committed = (uids: readonly string[]): Map<string, readonly CommittedInterval[]> =>
    read(() => new Map(uids.map((uid) => [uid, intervalsOf(database, uid)])));

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

  const spool = (): SpoolState => ({
    bytes: heldBytes,
    bytesMax: limits.spoolBytesMax,
    destinations: [...held].map(([destination, { batches, bytes }]) => ({ destination, batches, bytes })),
    refusedCommits,
    deliveriesDropped,
  });

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
