// What was finished and what arrived, window by window.
import { DatabaseSync } from 'node:sqlite';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { localUid } from '../../src/crds/manifest.ts';
import type { ExportScriptStatus } from '../../src/crds/status.ts';
import { pointsOf } from './received.ts';

/** A delta sum's points of `metric`: window start (ns), path, value. */
export interface ReceivedWindow {
  readonly start: bigint;
  readonly path: string;
  readonly value: number;
}

export const windowsOf = (requests: readonly unknown[], metric = 'requests'): ReceivedWindow[] =>
  pointsOf(requests)
    .filter((one) => one.metric === metric)
    .map(({ point, attributes, value }) => ({
      start: BigInt(point.startTimeUnixNano ?? 0),
      path: attributes.get('path') ?? '',
      value,
    }));

/** The sum of each second, by the second's start; throws where a window came twice. */
export function sumsOf(windows: readonly ReceivedWindow[]): Map<bigint, number> {
  const seen = new Set<string>();
  const sums = new Map<bigint, number>();
  for (const { start, path, value } of windows) {
    const key = `${start} ${path}`;
    if (seen.has(key)) throw new Error(`the window ${key} came twice`);
    seen.add(key);
    sums.set(start, (sums.get(start) ?? 0) + value);
  }
  return sums;
}

/** The finished intervals of a script in the ledger's file, read by SQLite; the process must have ended. */
export function ledgerOf(state: string, script: string, namespace = 'test'): { start: bigint; end: bigint }[] {
  const ledger = new DatabaseSync(join(state, 'ledger.db'), { readOnly: true });
  try {
    const query = ledger.prepare(
      'SELECT start, "end" FROM windows WHERE uid = $uid UNION ALL SELECT start, "end" FROM intervals WHERE uid = $uid ORDER BY 1',
    );
    query.setReadBigInts(true);
    return query
      .all({ $uid: localUid('ExportScript', namespace, script) })
      .map((row) => ({ start: BigInt(String(row['start'])), end: BigInt(String(row['end'])) }));
  } finally {
    ledger.close();
  }
}

/** Where an interval does not begin at the end of the one before. */
export const gapsOf = (intervals: readonly { start: bigint; end: bigint }[]): bigint[] =>
  intervals.flatMap(({ start }, i) => (i > 0 && start !== intervals[i - 1]?.end ? [start] : []));

/** Bytes of all files below a folder. */
export function filesBelow(folder: string): Buffer[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((file) => statSync(file).isFile())
    .map((file) => readFileSync(file));
}

/** A value, and what it looks like in base64 at each alignment and in a URL. */
export const disguises = (secret: string): string[] => [
  secret,
  encodeURIComponent(secret),
  ...[0, 1, 2].map((pad) =>
    Buffer.from('x'.repeat(pad) + secret)
      .toString('base64')
      // whole groups of the secret's own bytes only
      .slice(pad === 0 ? 0 : 4, -4),
  ),
];

export const conditionOf = (status: ExportScriptStatus | undefined, type: string) =>
  status?.conditions.find((condition) => condition.type === type);
