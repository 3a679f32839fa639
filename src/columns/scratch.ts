// One cell on its way into a column: its bytes, cut at the limit of the column, aligned so that hashing and comparing go by
// four bytes at a time (of a little-endian machine, as all that Node 24 runs on are). One buffer for all builders; nothing
// is kept in it between calls.

/** What a cell that is longer than its column's limit ends with, after the cut. */
export const TRUNCATED = '... [TRUNCATED]';

/** Texts up to this length are written by a loop, longer ones by the runtime: a call costs more than a few stores. */
const LOOP_LENGTH_MAX = 12;

const suffix = Buffer.from(TRUNCATED);

export let scratch = Buffer.alloc(0);
export let scratchWords = new Int32Array(0);

function reserveScratch(bytes: number): void {
  if (bytes <= scratch.length) return;
  const buffer = new ArrayBuffer(Math.max(4096, 2 ** Math.ceil(Math.log2(bytes))));
  scratch = Buffer.from(buffer);
  scratchWords = new Int32Array(buffer);
}
reserveScratch(4096);

/** Writes a cell into the scratch buffer, cut at `bytesMax` and marked if it is longer; returns its length in bytes. */
export function writeScratch(cell: string | Uint8Array, bytesMax: number): number {
  let length: number;
  if (typeof cell === 'string') {
    const text = cell.length > bytesMax ? cell.slice(0, bytesMax + 1) : cell;
    reserveScratch(text.length * 3 + 4 + suffix.length);
    length = writeText(text);
  } else {
    const bytes = cell.length > bytesMax ? cell.subarray(0, bytesMax + 1) : cell;
    reserveScratch(bytes.length + 4 + suffix.length);
    scratch.set(bytes);
    length = bytes.length;
  }
  if (length <= bytesMax) return length;
  scratch.set(suffix, bytesMax);
  return bytesMax + suffix.length;
}

function writeText(text: string): number {
  const length = text.length;
  if (length > LOOP_LENGTH_MAX) return scratch.write(text, 0, 'utf8');
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 0x7f) return scratch.write(text, 0, 'utf8');
    scratch[i] = unit;
  }
  return length;
}

/** A hash of the first `length` bytes of the scratch buffer. Clears up to three bytes behind them. */
export function hashScratch(length: number): number {
  scratch[length] = 0;
  scratch[length + 1] = 0;
  scratch[length + 2] = 0;
  const words = (length + 3) >>> 2;
  let hash = length;
  for (let i = 0; i < words; i++) {
    hash = Math.imul(hash ^ (scratchWords[i] ?? 0), 0x9e37_79b1);
    hash ^= hash >>> 15;
  }
  hash = Math.imul(hash ^ (hash >>> 13), 0x85eb_ca6b);
  return hash ^ (hash >>> 16);
}
