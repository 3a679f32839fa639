// What was not seen, by the second of wall-clock time, so that any window can be told its own loss. Per table a ring of
// one-second buckets over the last hour, and what falls out of it by the minute for a day more, since windows may be that
// long; blind intervals beside it. Windows lie on whole seconds, so buckets fit them; a window on part of a bucket is told
// all of it: an upper bound, as every figure here.
import { NS_PER_SECOND } from '../model/time.ts';
import type { TimeNs } from '../model/time.ts';
import type { BlindInterval, WindowLoss } from '../model/loss.ts';

export type LossKind = 'eventsDropped' | 'exchangesLost' | 'bytesNotUnderstood' | 'rowsLate';

const KINDS: readonly LossKind[] = ['eventsDropped', 'exchangesLost', 'bytesNotUnderstood', 'rowsLate'];
const BUCKETS = 3600;
const MINUTE = 60;
/** The longest window, and the longest that one may wait to be read within an hour of its end. */
const MINUTES_KEPT = 25 * 60;
const BLIND_INTERVALS_MAX = 1024;

export interface LossLedger {
  /** Counts `amount` in the second of `time`. */
  add(table: string, kind: LossKind, time: TimeNs, amount: number): void;
  /** Counts `amount` in every second from `start` to `end`, both included: it happened somewhere in between. */
  addBetween(table: string, kind: LossKind, start: TimeNs, end: TimeNs, amount: number): void;
  addBlind(interval: BlindInterval): void;
  /** Sums over `tables` in [start, end). `rowsExpired` is the table store's to say. */
  window(tables: readonly string[], start: TimeNs, end: TimeNs): WindowLoss;
}

interface Ring {
  /** The second that each bucket now stands for. */
  readonly seconds: Float64Array;
  /** Four counters a bucket. */
  readonly counts: Float64Array;
  /** Four counters for each minute in which anything was lost, of seconds that have left their buckets. */
  readonly minutes: Map<number, Float64Array>;
}

const secondOf = (time: bigint): number => Number(time / NS_PER_SECOND);

export function createLossLedger(): LossLedger {
  const rings = new Map<string, Ring>();
  const blind: BlindInterval[] = [];

  const ringOf = (table: string): Ring => {
    let ring = rings.get(table);
    if (ring === undefined) {
      ring = {
        seconds: new Float64Array(BUCKETS).fill(-1),
        counts: new Float64Array(BUCKETS * KINDS.length),
        minutes: new Map(),
      };
      rings.set(table, ring);
    }
    return ring;
  };
  const addToMinute = ({ minutes }: Ring, second: number, counts: Float64Array): void => {
    const minute = Math.floor(second / MINUTE);
    let sums = minutes.get(minute);
    if (sums === undefined) minutes.set(minute, (sums = new Float64Array(KINDS.length)));
    for (let kind = 0; kind < KINDS.length; kind += 1) sums[kind] = (sums[kind] ?? 0) + (counts[kind] ?? 0);
  };
  const addAt = (ring: Ring, kind: number, second: number, amount: number): void => {
    const bucket = second % BUCKETS;
    const held = ring.seconds[bucket] ?? -1;
    if (held > second) {
      // older than the hour
      const counts = new Float64Array(KINDS.length);
      counts[kind] = amount;
      addToMinute(ring, second, counts);
      return;
    }
    if (held < second) {
      const own = ring.counts.subarray(bucket * KINDS.length, (bucket + 1) * KINDS.length);
      if (held >= 0) addToMinute(ring, held, own);
      ring.seconds[bucket] = second;
      own.fill(0);
      const oldest = Math.floor(second / MINUTE) - MINUTES_KEPT;
      if (ring.minutes.size > MINUTES_KEPT)
        for (const minute of ring.minutes.keys()) if (minute < oldest) ring.minutes.delete(minute);
    }
    const at = bucket * KINDS.length + kind;
    ring.counts[at] = (ring.counts[at] ?? 0) + amount;
  };
  const addBetween = (table: string, kind: LossKind, start: TimeNs, end: TimeNs, amount: number): void => {
    if (amount <= 0) return;
    const ring = ringOf(table);
    const last = secondOf(end);
    const first = Math.max(Math.min(secondOf(start), last), last - BUCKETS + 1);
    for (let second = first; second <= last; second += 1) addAt(ring, KINDS.indexOf(kind), second, amount);
  };

  return {
    addBetween,
    add: (table, kind, time, amount) => addBetween(table, kind, time, time, amount),
    addBlind(interval) {
      if (blind.length === BLIND_INTERVALS_MAX) {
        // The two oldest become one that covers both: coarser, never narrower.
        const [first, second] = blind.splice(0, 2);
        if (first !== undefined && second !== undefined) blind.unshift({ ...second, start: first.start });
      }
      blind.push(interval);
    },
    window(tables, start, end) {
      const sums = [0, 0, 0, 0];
      const [from, to] = [secondOf(start), secondOf(end - 1n)];
      for (const table of new Set(tables)) {
        const ring = rings.get(table);
        if (ring === undefined) continue;
        for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
          const second = ring.seconds[bucket] ?? -1;
          if (second < from || second > to) continue;
          for (let kind = 0; kind < KINDS.length; kind += 1) {
            sums[kind] = (sums[kind] ?? 0) + (ring.counts[bucket * KINDS.length + kind] ?? 0);
          }
        }
        for (const [minute, counts] of ring.minutes) {
          if (minute * MINUTE > to || (minute + 1) * MINUTE <= from) continue;
          for (let kind = 0; kind < KINDS.length; kind += 1) sums[kind] = (sums[kind] ?? 0) + (counts[kind] ?? 0);
        }
      }
      const [eventsDropped = 0, exchangesLost = 0, bytesNotUnderstood = 0, rowsLate = 0] = sums;
      return {
        eventsDropped,
        exchangesLost,
        bytesNotUnderstood,
        rowsLate,
        rowsExpired: 0,
        blind: blind.filter((interval) => interval.start < end && (interval.end === undefined || interval.end > start)),
      };
    },
  };
}
