// Two points of one metric with the same attributes, start and time are one point of one stream; most receivers refuse
// or mangle such a pair. The later one wins.
import type { EncodedItems } from './items.ts';
import type { ItemRange } from './requests.ts';

function isSamePoint(a: EncodedItems, p: number, b: EncodedItems, q: number): boolean {
  const start = a.keyStarts[p] ?? 0;
  const length = (a.keyEnds[p] ?? 0) - start;
  const other = b.keyStarts[q] ?? 0;
  if ((b.keyEnds[q] ?? 0) - other !== length) return false;
  for (let i = 0; i < length; i++) if (a.bytes[start + i] !== b.bytes[other + i]) return false;
  return true;
}

/** The ranges without points that a later one replaces, and how many those were. Empty items (oversize) are skipped. */
export function withoutDuplicates(ranges: readonly ItemRange[]): { ranges: ItemRange[]; duplicates: number } {
  const total = ranges.reduce((sum, { from, to }) => sum + to - from, 0);
  if (total < 2) return { ranges: [...ranges], duplicates: 0 };

  // Open addressing over all points, at most half full; a slot holds the number of a point + 1.
  const rangeOf = new Int32Array(total);
  const positionOf = new Int32Array(total);
  const slots = new Int32Array(2 ** Math.ceil(Math.log2(total * 2)));
  const mask = slots.length - 1;
  const replaced = new Uint8Array(total);
  let duplicates = 0;
  let point = 0;
  for (let r = 0; r < ranges.length; r++) {
    const range = ranges[r];
    if (range === undefined) continue;
    const { items } = range;
    for (let p = range.from; p < range.to; p++, point++) {
      rangeOf[point] = r;
      positionOf[point] = p;
      if (items.starts[p] === items.starts[p + 1]) continue;
      const hash = items.hashes[p] ?? 0;
      for (let slot = (hash ^ (hash >>> 16)) & mask; ; slot = (slot + 1) & mask) {
        const holder = (slots[slot] ?? 0) - 1;
        if (holder < 0) {
          slots[slot] = point + 1;
          break;
        }
        const earlier = ranges[rangeOf[holder] ?? 0]?.items;
        const at = positionOf[holder] ?? 0;
        if (earlier?.hashes[at] === hash && isSamePoint(earlier, at, items, p)) {
          replaced[holder] = 1;
          slots[slot] = point + 1;
          duplicates++;
          break;
        }
      }
    }
  }
  if (duplicates === 0) return { ranges: [...ranges], duplicates };
  return { ranges: cutOut(ranges, replaced), duplicates };
}

function cutOut(ranges: readonly ItemRange[], replaced: Uint8Array): ItemRange[] {
  const kept: ItemRange[] = [];
  let point = 0;
  for (const range of ranges) {
    let from = range.from;
    for (let p = range.from; p < range.to; p++, point++) {
      if (replaced[point] === 0) continue;
      if (p > from) kept.push({ ...range, from, to: p });
      from = p + 1;
    }
    if (range.to > from) kept.push({ ...range, from, to: range.to });
  }
  return kept;
}
