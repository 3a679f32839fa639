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
  /** The ids of rows [0, length); pairs not seen before get the next ids. */
  encode(xs: Words, ys: Words, length: number): Int32Array;
  /** The id of a pair, or -1. */
  find(x: number, y: number): number;
  /** Words of the pairs with ids [0, size). */
  readonly xs: Int32Array;
  readonly ys: Int32Array;
}

const DENSE_CELLS_MAX = 1 << 20;

const powerOfTwoFrom = (n: number): number => 1 << Math.max(4, 32 - Math.clz32(Math.max(1, n) - 1));

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

  function encodeHashed(a: Words, b: Words, out: Int32Array): void {
    insertKnown();
    let mask = slots.length - 1;
    let previousX = 0;
    let previousY = 0;
    let previousId = -1;
    for (let i = 0; i < out.length; i++) {
      const x = a.words[a.offset + i * a.stride] ?? 0;
      const y = b.words[b.offset + i * b.stride] ?? 0;
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
    for (let i = 0; i < out.length; i++) {
      const x = a.words[a.offset + i * a.stride] ?? 0;
      const y = b.words[b.offset + i * b.stride] ?? 0;
      const cell = x * height + y;
      let id = (ids[cell] ?? 0) - 1;
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
      return xs.byteLength + ys.byteLength + slots.byteLength + (dense?.ids.byteLength ?? 0);
    },
    get xs() {
      return xs.subarray(0, size);
    },
    get ys() {
      return ys.subarray(0, size);
    },
    find,
    encode(a, b, length) {
      const out = new Int32Array(length);
      const bounded = a.bound !== undefined && b.bound !== undefined;
      // Bounds only grow, so once the dense array is left it is not entered again.
      const isDense = bounded && hashed === 0 && denseFits(a.bound, b.bound);
      if (isDense && dense !== undefined) encodeDense(a, b, out, dense.ids, dense.height);
      else {
        dense = undefined;
        encodeHashed(a, b, out);
      }
      return out;
    },
  };
}

function grown(array: Int32Array): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(array.length * 2);
  larger.set(array);
  return larger;
}
