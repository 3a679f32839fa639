// Windows: half-open [start, end) in UTC nanoseconds on the epoch grid. Where a boundary lies depends on the window's
// length and on nothing else; only the moment of execution is spread.
import { createHash } from 'node:crypto';
import { NS_PER_SECOND, timeNs, type TimeNs } from '../model/time.ts';

/** Half-open [start, end), start < end. */
export interface Interval {
  readonly start: TimeNs;
  readonly end: TimeNs;
}

const SPREAD_MAX_NS = 30n * NS_PER_SECOND;

/** The last boundary at or before `time`. */
export function boundaryBefore(time: TimeNs, windowNs: bigint): TimeNs {
  const past = ((time % windowNs) + windowNs) % windowNs;
  return timeNs(time - past);
}

/** The first boundary after `time`. */
export const boundaryAfter = (time: TimeNs, windowNs: bigint): TimeNs =>
  timeNs(boundaryBefore(time, windowNs) + windowNs);

/**
 * How long after its window's end a script runs: less than half a window and less than 30 s, by a hash of its uid, so
 * that scripts of equal windows do not start together and each keeps its place over restarts.
 */
export function spreadNs(uid: string, windowNs: bigint): bigint {
  const range = windowNs / 2n < SPREAD_MAX_NS ? windowNs / 2n : SPREAD_MAX_NS;
  if (range === 0n) return 0n;
  return createHash('sha256').update(uid).digest().readBigUInt64BE(0) % range;
}

export const earlier = (a: TimeNs, b: TimeNs): TimeNs => (a < b ? a : b);
export const later = (a: TimeNs, b: TimeNs): TimeNs => (a > b ? a : b);

/** `set` with `added` joined in. Sets are sorted, disjoint, and neighbours do not touch. */
export function addInterval(set: readonly Interval[], added: Interval): readonly Interval[] {
  const before = set.filter((one) => one.end < added.start);
  const after = set.filter((one) => one.start > added.end);
  const touching = set.slice(before.length, set.length - after.length);
  const start = earlier(added.start, touching[0]?.start ?? added.start);
  const end = later(added.end, touching.at(-1)?.end ?? added.end);
  return [...before, { start, end }, ...after];
}

export const overlapsAny = (set: readonly Interval[], { start, end }: Interval): boolean =>
  set.some((one) => one.start < end && one.end > start);

/** What of `set` is not in `removed`. */
export const subtractInterval = (set: readonly Interval[], removed: Interval): readonly Interval[] =>
  set.flatMap((one) =>
    [
      { start: one.start, end: earlier(one.end, removed.start) },
      { start: later(one.start, removed.end), end: one.end },
    ].filter(({ start, end }) => start < end),
  );
