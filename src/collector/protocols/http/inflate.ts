// Inflates the beginning of a gzip member (RFC 1952, RFC 1951) whose rest may be missing, up to a few bytes of output.
// node:zlib sets up a stream of tens of kilobytes for each call and cannot stop at a length; a cell needs 512 bytes.

export type InflateEnd =
  /** The member ended. */
  | 'end'
  /** The output is full; there may be more. */
  | 'full'
  /** The input ended first. */
  | 'short'
  /** The input is no gzip or is damaged. */
  | 'damaged';

export interface Inflated {
  /** A view of a shared buffer, valid until the next call. */
  readonly output: Uint8Array;
  readonly end: InflateEnd;
}

/** Most output that one call gives. */
export const INFLATED_BYTES_MAX = 1024;

const MAX_BITS = 15;
const LENGTH_BASE = [
  3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258,
];
const LENGTH_EXTRA = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const DISTANCE_BASE = [
  1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145,
  8193, 12289, 16385, 24577,
];
const CODE_LENGTH_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/** A canonical Huffman code: how many codes of each length, and the symbols in the order of their codes. */
interface Code {
  readonly counts: Uint16Array;
  readonly symbols: Uint16Array;
}

const newCode = (symbols: number): Code => ({
  counts: new Uint16Array(MAX_BITS + 1),
  symbols: new Uint16Array(symbols),
});

const at = (values: Uint8Array | Uint16Array, index: number): number => values[index] ?? 0;

const offsets = new Uint16Array(MAX_BITS + 2);

/** Fills `code` from the lengths of its symbols; false if they claim more codes than there are. */
function setCode(code: Code, lengths: Uint8Array, from: number, count: number): boolean {
  code.counts.fill(0);
  for (let i = 0; i < count; i++) {
    const bits = lengths[from + i] ?? 0;
    code.counts[bits] = at(code.counts, bits) + 1;
  }
  let left = 1;
  offsets[1] = 0;
  for (let bits = 1; bits <= MAX_BITS; bits++) {
    left = (left << 1) - at(code.counts, bits);
    if (left < 0) return false;
    offsets[bits + 1] = at(offsets, bits) + at(code.counts, bits);
  }
  for (let i = 0; i < count; i++) {
    const bits = lengths[from + i] ?? 0;
    if (bits === 0) continue;
    const index = at(offsets, bits);
    code.symbols[index] = i;
    offsets[bits] = index + 1;
  }
  code.counts[0] = 0;
  return true;
}

const fixedLiterals = newCode(288);
const fixedDistances = newCode(30);
{
  const lengths = new Uint8Array(288).fill(8);
  lengths.fill(9, 144, 256).fill(7, 256, 280);
  setCode(fixedLiterals, lengths, 0, 288);
  setCode(fixedDistances, new Uint8Array(30).fill(5), 0, 30);
}

// One call at a time and none of it is kept, so the working memory is shared.
const literals = newCode(288);
const distances = newCode(32);
const codeLengths = newCode(19);
const lengths = new Uint8Array(320);
const output = new Uint8Array(INFLATED_BYTES_MAX);

const SHORT = -1;
const DAMAGED = -2;

/** Bits of the input, least significant first. */
class BitReader {
  readonly bytes: Uint8Array;
  readonly to: number;
  at: number;
  #bits = 0;
  #count = 0;

  constructor(bytes: Uint8Array, from: number, to: number) {
    this.bytes = bytes;
    this.at = from;
    this.to = to;
  }

  /** The next `count` (at most 16) bits as a number, or SHORT. */
  take(count: number): number {
    while (this.#count < count) {
      if (this.at >= this.to) return SHORT;
      this.#bits |= at(this.bytes, this.at++) << this.#count;
      this.#count += 8;
    }
    const value = this.#bits & ((1 << count) - 1);
    this.#bits >>>= count;
    this.#count -= count;
    return value;
  }

  /** The next symbol of `code`, or SHORT, or DAMAGED. */
  symbol(code: Code): number {
    let value = 0;
    let first = 0;
    let index = 0;
    for (let bits = 1; bits <= MAX_BITS; bits++) {
      const bit = this.take(1);
      if (bit < 0) return SHORT;
      value |= bit;
      const count = at(code.counts, bits);
      if (value - count < first) return at(code.symbols, index + (value - first));
      index += count;
      first = (first + count) << 1;
      value <<= 1;
    }
    return DAMAGED;
  }

  toByteBoundary(): void {
    this.#bits = 0;
    this.#count = 0;
  }
}

/** Position of the deflate data of the gzip member at `from`; SHORT or DAMAGED (RFC 1952 section 2.3). */
function skipGzipHeader(bytes: Uint8Array, from: number, to: number): number {
  const expected = [0x1f, 0x8b, 8];
  for (let i = 0; i < 3; i++) if (from + i < to && bytes[from + i] !== expected[i]) return DAMAGED;
  if (to - from < 10) return SHORT;
  const flags = bytes[from + 3] ?? 0;
  let start = from + 10;
  if (flags & 4) start += 2 + (bytes[start] ?? 0) + ((bytes[start + 1] ?? 0) << 8);
  for (const flag of [8, 16]) {
    if (!(flags & flag)) continue;
    while (start < to && bytes[start] !== 0) start++;
    start++;
  }
  if (flags & 2) start += 2;
  return start < to ? start : SHORT;
}

/** Inflates the gzip member at the beginning of `bytes[from, to)`, up to `limit` (at most INFLATED_BYTES_MAX) bytes. */
export function inflatePrefix(bytes: Uint8Array, from: number, to: number, limit: number): Inflated {
  const start = skipGzipHeader(bytes, from, to);
  if (start < 0) return { output: output.subarray(0, 0), end: start === SHORT ? 'short' : 'damaged' };
  const input = new BitReader(bytes, start, to);
  let length = 0;
  reached = 0;
  for (;;) {
    const isLast = input.take(1);
    const kind = input.take(2);
    const result =
      isLast < 0 || kind < 0 ? SHORT : kind === 0 ? stored(input, length, limit) : coded(input, kind, length, limit);
    if (result < 0) {
      return { output: output.subarray(0, Math.max(length, reached)), end: result === SHORT ? 'short' : 'damaged' };
    }
    length = result;
    if (length >= limit) return { output: output.subarray(0, limit), end: 'full' };
    if (isLast === 1) return { output: output.subarray(0, length), end: 'end' };
  }
}

/** How much of `output` is written, also by a block that could not be finished. */
let reached = 0;

/** Copies a stored block; gives the new length of the output, SHORT or DAMAGED. */
function stored(input: BitReader, start: number, limit: number): number {
  reached = start;
  input.toByteBoundary();
  const size = input.take(16);
  const check = input.take(16);
  if (size < 0 || check < 0) return SHORT;
  if ((size ^ check) !== 0xffff) return DAMAGED;
  const wanted = Math.min(size, limit - start);
  const there = Math.min(wanted, input.to - input.at);
  output.set(input.bytes.subarray(input.at, input.at + there), start);
  input.at += there;
  reached = start + there;
  return there < wanted ? SHORT : reached;
}

/** Decodes a block with fixed (kind 1) or own (kind 2) codes; gives the new length of the output, SHORT or DAMAGED. */
function coded(input: BitReader, kind: number, start: number, limit: number): number {
  reached = start;
  if (kind === 3) return DAMAGED;
  if (kind === 2) {
    const status = readCodes(input);
    if (status < 0) return status;
  }
  const literalCode = kind === 1 ? fixedLiterals : literals;
  const distanceCode = kind === 1 ? fixedDistances : distances;
  while (reached < limit) {
    const symbol = input.symbol(literalCode);
    if (symbol < 0) return symbol;
    if (symbol === 256) return reached;
    if (symbol < 256) {
      output[reached++] = symbol;
      continue;
    }
    const base = LENGTH_BASE[symbol - 257];
    if (base === undefined) return DAMAGED;
    const extra = input.take(LENGTH_EXTRA[symbol - 257] ?? 0);
    const distanceSymbol = input.symbol(distanceCode);
    if (extra < 0) return SHORT;
    if (distanceSymbol < 0) return distanceSymbol;
    const distanceBase = DISTANCE_BASE[distanceSymbol];
    if (distanceBase === undefined) return DAMAGED;
    const distanceExtra = input.take(distanceSymbol < 4 ? 0 : (distanceSymbol >> 1) - 1);
    if (distanceExtra < 0) return SHORT;
    const distance = distanceBase + distanceExtra;
    if (distance > reached) return DAMAGED;
    for (let left = Math.min(base + extra, limit - reached); left > 0; left--, reached++) {
      output[reached] = at(output, reached - distance);
    }
  }
  return reached;
}

/** Reads the code lengths of a block of kind 2 into `literals` and `distances` (RFC 1951 section 3.2.7). */
function readCodes(input: BitReader): number {
  const literalCount = input.take(5) + 257;
  const distanceCount = input.take(5) + 1;
  const lengthCount = input.take(4) + 4;
  if (literalCount < 257 || distanceCount < 1 || lengthCount < 4) return SHORT;
  if (literalCount > 286 || distanceCount > 30) return DAMAGED;
  lengths.fill(0, 0, 19);
  for (let i = 0; i < lengthCount; i++) {
    const bits = input.take(3);
    if (bits < 0) return SHORT;
    lengths[CODE_LENGTH_ORDER[i] ?? 0] = bits;
  }
  if (!setCode(codeLengths, lengths, 0, 19)) return DAMAGED;
  for (let i = 0; i < literalCount + distanceCount;) {
    const symbol = input.symbol(codeLengths);
    if (symbol < 0) return symbol;
    if (symbol < 16) {
      lengths[i++] = symbol;
      continue;
    }
    if (symbol === 16 && i === 0) return DAMAGED;
    const value = symbol === 16 ? at(lengths, i - 1) : 0;
    const more = input.take(symbol === 16 ? 2 : symbol === 17 ? 3 : 7);
    if (more < 0) return SHORT;
    const repeat = more + (symbol === 18 ? 11 : 3);
    if (i + repeat > literalCount + distanceCount) return DAMAGED;
    lengths.fill(value, i, i + repeat);
    i += repeat;
  }
  const isComplete =
    setCode(literals, lengths, 0, literalCount) && setCode(distances, lengths, literalCount, distanceCount);
  return isComplete ? 0 : DAMAGED;
}
