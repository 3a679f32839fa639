// Committed time of a script as disjoint intervals: `windows` rows while they are recent or wait for their delivery,
// `intervals` rows for all before. A script that never failed has one interval, however old it is.
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { CommittedInterval } from '../model/run.ts';
import { corruptValue } from './error.ts';
import { timeNs, type TimeNs } from '../model/time.ts';

/** A time as SQLite gave it. */
export function timeOf(value: unknown): TimeNs {
  if (typeof value !== 'bigint') throw corruptValue(`a time is ${typeof value}`);
  return timeNs(value);
}

const optionalTimeOf = (value: unknown): TimeNs | undefined => (value === undefined ? undefined : timeOf(value));

/** Intervals kept per script. Beyond, the two oldest become one: nothing that old is ever run again. */
const INTERVALS_MAX = 64;

const SQL = {
  endBefore: (table: string) => `SELECT "end" FROM ${table} WHERE uid = ? AND start < ? ORDER BY start DESC LIMIT 1`,
  windows: 'SELECT start, "end", pending FROM windows WHERE uid = ? ORDER BY start',
  intervals: 'SELECT start, "end" FROM intervals WHERE uid = ? ORDER BY start',
  delivered: 'SELECT start, "end" FROM windows WHERE uid = ? AND pending = 0 ORDER BY start DESC LIMIT -1 OFFSET ?',
  removeWindow: 'DELETE FROM windows WHERE uid = ? AND start = ?',
  endingAt: 'SELECT start FROM intervals WHERE uid = ? AND start < ? AND "end" = ? ORDER BY start DESC LIMIT 1',
  startingAt: 'SELECT "end" FROM intervals WHERE uid = ? AND start = ?',
  removeInterval: 'DELETE FROM intervals WHERE uid = ? AND start = ?',
  addInterval: 'INSERT INTO intervals VALUES (?, ?, ?)',
  oldest: 'SELECT start, "end" FROM intervals WHERE uid = ? ORDER BY start LIMIT 2',
  between: 'SELECT 1 FROM windows WHERE uid = ? AND start >= ? AND start < ? LIMIT 1',
  count: 'SELECT count(*) AS n FROM intervals WHERE uid = ?',
} as const;

const cache = new WeakMap<DatabaseSync, Map<string, StatementSync>>();

function statement(database: DatabaseSync, sql: string): StatementSync {
  let prepared = cache.get(database);
  if (prepared === undefined) cache.set(database, (prepared = new Map<string, StatementSync>()));
  let found = prepared.get(sql);
  if (found === undefined) {
    found = database.prepare(sql);
    found.setReadBigInts(true);
    prepared.set(sql, found);
  }
  return found;
}

/** Whether [start, end) touches committed time of `uid`. Rows are disjoint, so the last one before `end` decides. */
export function overlaps(database: DatabaseSync, uid: string, start: TimeNs, end: TimeNs): boolean {
  return ['windows', 'intervals'].some((table) => {
    const last = statement(database, SQL.endBefore(table)).get(uid, end)?.['end'];
    return typeof last === 'bigint' && last > start;
  });
}

/**
 * All committed time of `uid`, in order, joined where neighbours touch and are equally delivered. `isJoined` false: each
 * window that the ledger still has by itself is an interval by itself.
 */
export function intervalsOf(database: DatabaseSync, uid: string, isJoined = true): CommittedInterval[] {
  const rows = [
    ...statement(database, SQL.intervals)
      .all(uid)
      .map((row) => ({ ...row, pending: 0n })),
    ...statement(database, SQL.windows).all(uid),
  ].map((row: Record<string, unknown>) => ({
    start: timeOf(row['start']),
    end: timeOf(row['end']),
    delivered: row['pending'] === 0n,
  }));
  rows.sort((a, b) => (a.start < b.start ? -1 : 1));
  if (!isJoined) return rows;
  const joined: CommittedInterval[] = [];
  for (const row of rows) {
    const last = joined.at(-1);
    if (last !== undefined && last.end === row.start && last.delivered === row.delivered) {
      joined[joined.length - 1] = { ...last, end: row.end };
    } else joined.push(row);
  }
  return joined;
}

/** Joins all delivered windows of `uid` but the `kept` newest into intervals. Within the caller's transaction. */
export function compact(database: DatabaseSync, uid: string, kept: number): void {
  for (const row of statement(database, SQL.delivered).all(uid, kept)) {
    const [start, end] = [timeOf(row['start']), timeOf(row['end'])];
    statement(database, SQL.removeWindow).run(uid, start);
    addInterval(database, uid, start, end);
  }
  while (Number(statement(database, SQL.count).get(uid)?.['n']) > INTERVALS_MAX) {
    const [first, second] = statement(database, SQL.oldest).all(uid);
    if (first === undefined || second === undefined) return;
    // An old window between them that still waits for its delivery keeps them apart.
    if (statement(database, SQL.between).get(uid, timeOf(first['end']), timeOf(second['start'])) !== undefined) return;
    statement(database, SQL.removeInterval).run(uid, timeOf(first['start']));
    statement(database, SQL.removeInterval).run(uid, timeOf(second['start']));
    statement(database, SQL.addInterval).run(uid, timeOf(first['start']), timeOf(second['end']));
  }
}

function addInterval(database: DatabaseSync, uid: string, start: bigint, end: bigint): void {
  const left = optionalTimeOf(statement(database, SQL.endingAt).get(uid, start, start)?.['start']);
  const right = optionalTimeOf(statement(database, SQL.startingAt).get(uid, end)?.['end']);
  if (left !== undefined) statement(database, SQL.removeInterval).run(uid, left);
  if (right !== undefined) statement(database, SQL.removeInterval).run(uid, end);
  statement(database, SQL.addInterval).run(uid, left ?? start, right ?? end);
}
