// Rows by time: searching in sorted times, and sorting times that are nearly sorted already.

/** Index of the first time >= `time` in ascending `times`; the length where there is none. */
export function lowerBound(times: BigInt64Array, time: bigint): number {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (times[middle]! < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Index of the first time > `time` in ascending `times`; the length where there is none. */
export function upperBound(times: BigInt64Array, time: bigint): number {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (times[middle]! <= time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * The rows `start` to the end of `times` in ascending order of time, equal times in the order they have; undefined where
 * they are in order. Only the stretches that are out of order are sorted: rows that come from several processors
 * interleave by milliseconds, not by minutes.
 */
export function ascendingOrder(times: BigInt64Array, start = 0): Int32Array | undefined {
  const length = times.length - start;
  // Nanoseconds as numbers relative to the first row: exact within 104 days, and ordered anyway beyond.
  const base = times[start] ?? 0n;
  const relative = new Float64Array(length);
  let highest = -Infinity;
  let sorted = true;
  let exact = true;
  for (let i = 0; i < length; i++) {
    const time = Number(times[start + i]! - base);
    relative[i] = time;
    if (time < highest) sorted = false;
    else highest = time;
    if (time > Number.MAX_SAFE_INTEGER || time < Number.MIN_SAFE_INTEGER) exact = false;
  }
  if (sorted && exact) return undefined;
  const order = new Int32Array(length);
  for (let i = 0; i < length; i++) order[i] = start + i;
  if (!exact) return order.sort((a, b) => compare(times[a]!, times[b]!) || a - b);

  // A row begins a new stretch where nothing behind it is earlier than anything before it.
  const lowestBehind = new Float64Array(length + 1);
  lowestBehind[length] = Infinity;
  for (let i = length - 1; i >= 0; i--) lowestBehind[i] = Math.min(relative[i]!, lowestBehind[i + 1]!);
  highest = -Infinity;
  let begin = 0;
  for (let i = 0; i < length; i++) {
    highest = Math.max(highest, relative[i]!);
    if (highest > lowestBehind[i + 1]!) continue;
    if (i > begin) order.subarray(begin, i + 1).sort((a, b) => relative[a - start]! - relative[b - start]! || a - b);
    begin = i + 1;
  }
  return order;
}

const compare = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);
