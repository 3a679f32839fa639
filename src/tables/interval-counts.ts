// How many rows of which interval are gone: a bounded list that gets coarser at its old end, never smaller.

const INTERVALS_MAX = 256;

interface Interval {
  readonly first: bigint;
  readonly last: bigint;
  readonly rows: number;
}

export interface IntervalCounts {
  /** Rows with first <= time_ <= last. */
  add(first: bigint, last: bigint, rows: number): void;
  /** At most this many of the counted rows lie in [start, end). */
  within(start: bigint | undefined, end: bigint | undefined): number;
}

export function createIntervalCounts(): IntervalCounts {
  const intervals: Interval[] = [];
  return {
    add(first, last, rows) {
      if (intervals.length === INTERVALS_MAX) {
        const [a, b] = intervals.splice(0, 2);
        if (a !== undefined && b !== undefined) {
          intervals.unshift({
            first: a.first < b.first ? a.first : b.first,
            last: a.last > b.last ? a.last : b.last,
            rows: a.rows + b.rows,
          });
        }
      }
      intervals.push({ first, last, rows });
    },
    within: (start, end) =>
      intervals
        .filter(({ first, last }) => (end === undefined || first < end) && (start === undefined || last >= start))
        .reduce((sum, { rows }) => sum + rows, 0),
  };
}
