// Distinct pairs of 32-bit words with dense ids in order of first sight. Every key of a group-by or a join is folded
// into ids by this one table: an INT64 is a pair of halves, a UINT128 a pair of pairs, several keys pairs of ids.
//
// While both sides are known to be small, ids live in a dense array indexed by the pair; above that in an open-addressing
// hash table. Equality is always decided on the words themselves, so hash collisions cost time, never a wrong group.

/** A strided view of 32-bit words: word i is `words[offset + i * stride]`. */
export interface Words {
  readonly words: Int32Array;
  readonly offset: number;
  readonly stride: number;
  /** All words are in [0, bound) where given. */
  readonly bound?: number;
}

export interface PairTable {
  readonly size: number;
  readonly byteSize: number;
  /**
   * The ids of rows [0, length); pairs not seen before get the next ids. The array is the table's own and holds until
   * the next call.
   */
  encode(xs: Words, ys: Words, length: number): Int32Array;
  /** The id of a pair, or -1. */
  find(x: number, y: number): number;
  /** Words of the pairs with ids [0, size). */
  readonly xs: Int32Array;
  readonly ys: Int32Array;
}

const DENSE_CELLS_MAX = 1 << 20;

interface Range {
  readonly x: number;
  /** The y at position 0. */
  readonly base: number;
  /** id + 1 by y - base; 0 where it was not looked up yet. */
  readonly ids: Int32Array;
}

/** Ranges of one batch up to this many values are looked up by position. */
const RANGE_MAX = 1 << 16;

const powerOfTwoFrom = (n: number): number => 1 << (32 - Math.clz32(Math.max(1, n) - 1));

/** Mixes two words into 32 bits, so that regular keys (addresses, times on a grid) spread over the slots. */
export function mixWords(x: number, y: number): number {
  let h = Math.imul(x ^ Math.imul(y, 0x9e3779b1), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 15), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** `hash` is a parameter so that tests can make every pair collide. */
export function createPairTable(hash: (x: number, y: number) => number = mixWords): PairTable {
  let xs = new Int32Array(16);
  let ys = new Int32Array(16);
  let size = 0;
  /** id + 1 per slot, 0 where empty. */
  let slots = new Int32Array(64);
  /** id + 1 per pair, or undefined once the pairs do not fit. */
  let dense: { readonly ids: Int32Array; readonly width: number; readonly height: number } | undefined;
  let range: Range | undefined;
  let scratch = new Int32Array(0);
  /** Ids below this are in `slots`. */
  let hashed = 0;

  function append(x: number, y: number): number {
    if (size === xs.length) {
      xs = grown(xs);
      ys = grown(ys);
    }
    xs[size] = x;
    ys[size] = y;
    return size++;
  }

  function insertKnown(): void {
    if ((size + 1) * 2 > slots.length) {
      slots = new Int32Array(powerOfTwoFrom((size + 1) * 4));
      hashed = 0;
    }
    const mask = slots.length - 1;
    for (; hashed < size; hashed++) {
      let slot = hash(xs[hashed] ?? 0, ys[hashed] ?? 0) & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = hashed + 1;
    }
  }

  function find(x: number, y: number): number {
    insertKnown();
    const mask = slots.length - 1;
    for (let slot = hash(x, y) & mask; ; slot = (slot + 1) & mask) {
      const id = (slots[slot] ?? 0) - 1;
      if (id < 0 || (xs[id] === x && ys[id] === y)) return id;
    }
  }

  function idOf(x: number, y: number): number {
    const known = find(x, y);
    return known < 0 ? append(x, y) : known;
  }

  /** Where all x are one and the y lie close together, as with codes, ports and process ids: no hashing a row. */
  function encodeRange(a: Words, b: Words, out: Int32Array): boolean {
    const { words, offset, stride } = b;
    const x = a.words[a.offset] ?? 0;
    const low = lowest(words, offset, stride, out.length);
    if (!isOneWord(a, x, out.length)) return false;
    const span = highest(words, offset, stride, out.length) - low;
    if (span >= RANGE_MAX) return false;
    const { ids, base } = rangeFor(x, low, low + span);
    let missing = 0;
    for (let i = 0; i < out.length; i++) {
      const id = (ids[words[offset + i * stride]! - base]! - 1) | 0;
      out[i] = id;
      missing |= id;
    }
    if (missing >= 0) return true;
    for (let i = 0; i < out.length; i++) {
      if (out[i]! >= 0) continue;
      const y = words[offset + i * stride]!;
      let id = ids[y - base]! - 1;
      if (id < 0) {
        id = idOf(x, y);
        ids[y - base] = id + 1;
      }
      out[i] = id;
    }
    return true;
  }

  /** The lookup by position for pairs of x with y in [low, high]; that of the batch before where it covers them. */
  function rangeFor(x: number, low: number, high: number): Range {
    if (range?.x === x && low >= range.base && high < range.base + range.ids.length) return range;
    const isWorthGrowing = range?.x === x && Math.abs(range.base - low) + range.ids.length < RANGE_MAX;
    const base = isWorthGrowing ? Math.min(low, range?.base ?? low) : low;
    const end = isWorthGrowing ? Math.max(high + 1, base + (range?.ids.length ?? 0)) : high + 1;
    range = { x, base, ids: new Int32Array(end - base) };
    return range;
  }

  function encodeHashed(a: Words, b: Words, out: Int32Array): void {
    insertKnown();
    const { words: xWords, offset: xOffset, stride: xStride } = a;
    const { words: yWords, offset: yOffset, stride: yStride } = b;
    let mask = slots.length - 1;
    let previousX = 0;
    let previousY = 0;
    let previousId = -1;
    for (let i = 0; i < out.length; i++) {
      const x = xWords[xOffset + i * xStride]!;
      const y = yWords[yOffset + i * yStride]!;
      if (x !== previousX || y !== previousY || previousId < 0) {
        let slot = hash(x, y) & mask;
        let id = (slots[slot] ?? 0) - 1;
        while (id >= 0 && (xs[id] !== x || ys[id] !== y)) {
          slot = (slot + 1) & mask;
          id = (slots[slot] ?? 0) - 1;
        }
        if (id < 0) {
          id = append(x, y);
          insertKnown();
          mask = slots.length - 1;
        }
        previousX = x;
        previousY = y;
        previousId = id;
      }
      out[i] = previousId;
    }
  }

  /** Grows the dense array to the bounds; false where it would be too large. */
  function denseFits(boundX: number, boundY: number): boolean {
    if (boundX > DENSE_CELLS_MAX || boundY > DENSE_CELLS_MAX) return false;
    const width = Math.max(powerOfTwoFrom(boundX), dense?.width ?? 0);
    const height = Math.max(powerOfTwoFrom(boundY), dense?.height ?? 0);
    if (width * height > DENSE_CELLS_MAX) return false;
    if (dense?.width !== width || dense.height !== height) {
      const ids = new Int32Array(width * height);
      for (let id = 0; id < size; id++) ids[(xs[id] ?? 0) * height + (ys[id] ?? 0)] = id + 1;
      dense = { ids, width, height };
    }
    return true;
  }

  function encodeDense(a: Words, b: Words, out: Int32Array, ids: Int32Array, height: number): void {
    const { words: xs, offset: xOffset, stride: xStride } = a;
    const { words: ys, offset: yOffset, stride: yStride } = b;
    // First without a branch; only batches that bring new pairs are gone through again.
    let missing = 0;
    for (let i = 0; i < out.length; i++) {
      const cell = Math.imul(xs[xOffset + i * xStride]!, height) + ys[yOffset + i * yStride]!;
      const id = (ids[cell]! - 1) | 0;
      out[i] = id;
      missing |= id;
    }
    if (missing >= 0) return;
    for (let i = 0; i < out.length; i++) {
      const x = xs[xOffset + i * xStride]!;
      const y = ys[yOffset + i * yStride]!;
      const cell = x * height + y;
      let id = ids[cell]! - 1;
      if (id < 0) {
        id = append(x, y);
        ids[cell] = id + 1;
      }
      out[i] = id;
    }
  }

  return {
    get size() {
      return size;
    },
    get byteSize() {
      return (
        xs.byteLength + ys.byteLength + slots.byteLength + (dense?.ids.byteLength ?? 0) + (range?.ids.byteLength ?? 0)
      );
    },
    get xs() {
      return xs.subarray(0, size);
    },
    get ys() {
      return ys.subarray(0, size);
    },
    find,
    encode(a, b, length) {
      if (scratch.length < length) scratch = new Int32Array(length);
      const out = scratch.subarray(0, length);
      const bounded = a.bound !== undefined && b.bound !== undefined;
      // Bounds only grow, so once the dense array is left it is not entered again.
      const isDense = bounded && hashed === 0 && denseFits(a.bound, b.bound);
      if (isDense && dense !== undefined) encodeDense(a, b, out, dense.ids, dense.height);
      else {
        dense = undefined;
        if (!encodeRange(a, b, out)) encodeHashed(a, b, out);
      }
      return out;
    },
  };
}

function isOneWord({ words, offset, stride }: Words, word: number, length: number): boolean {
  let difference = 0;
  for (let i = 0; i < length; i++) difference |= words[offset + i * stride]! ^ word;
  return difference === 0;
}

function lowest(words: Int32Array, offset: number, stride: number, length: number): number {
  let low = words[offset] ?? 0;
  for (let i = 0; i < length; i++) low = Math.min(low, words[offset + i * stride]!);
  return low;
}

function highest(words: Int32Array, offset: number, stride: number, length: number): number {
  let high = words[offset] ?? 0;
  for (let i = 0; i < length; i++) high = Math.max(high, words[offset + i * stride]!);
  return high;
}

function grown(array: Int32Array): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(array.length * 2);
  larger.set(array);
  return larger;
}
