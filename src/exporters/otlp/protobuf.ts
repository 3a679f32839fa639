// Protobuf's wire format, only what OTLP needs, written straight into byte arrays. `put…` functions write at `at` and
// return the position behind. 64-bit values travel as two 32-bit words, so that no bigint is made per cell.
// https://protobuf.dev/programming-guides/encoding/

export const VARINT = 0;
export const FIXED64 = 1;
export const BYTES = 2;
export const FIXED32 = 5;

export const EMPTY = new Uint8Array(0);

/** The tag of a field; one byte on the wire for fields up to 15. */
export const tagOf = (field: number, wireType: number): number => field * 8 + wireType;

/** Bytes of an unsigned varint below 2^32. */
export const varintSize = (value: number): number =>
  value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : value < 0x1000_0000 ? 4 : 5;

export function putVarint(out: Uint8Array, at: number, value: number): number {
  let rest = value;
  while (rest >= 0x80) {
    out[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  out[at++] = rest;
  return at;
}

/** Bytes of a 64-bit varint given as unsigned words. A negative int64 takes ten. */
export function varint64Size(low: number, high: number): number {
  if (high === 0) return varintSize(low);
  if (high < 8) return 5;
  let size = 5;
  for (let rest = high >>> 3; rest > 0; rest >>>= 7) size++;
  return size;
}

export function putVarint64(out: Uint8Array, at: number, low: number, high: number): number {
  if (high === 0) return putVarint(out, at, low);
  out[at++] = (low & 0x7f) | 0x80;
  out[at++] = ((low >>> 7) & 0x7f) | 0x80;
  out[at++] = ((low >>> 14) & 0x7f) | 0x80;
  out[at++] = ((low >>> 21) & 0x7f) | 0x80;
  const middle = (low >>> 28) | ((high & 7) << 4);
  if (high < 8) {
    out[at++] = middle;
    return at;
  }
  out[at++] = middle | 0x80;
  return putVarint(out, at, high >>> 3);
}

export function putWord(out: Uint8Array, at: number, word: number): number {
  out[at] = word;
  out[at + 1] = word >>> 8;
  out[at + 2] = word >>> 16;
  out[at + 3] = word >>> 24;
  return at + 4;
}

/** The 32-bit words of 64-bit values, low first (every platform that Node runs on is little-endian); a view. */
export const wordsOf = (values: BigInt64Array | Float64Array): Uint32Array =>
  new Uint32Array(values.buffer, values.byteOffset, values.length * 2);

/** A copy that does not call into the runtime for the few bytes that most cells have. */
export function putBytes(out: Uint8Array, at: number, from: Uint8Array, start: number, end: number): number {
  if (end - start > 48) {
    out.set(from.subarray(start, end), at);
    return at + end - start;
  }
  for (let i = start; i < end; i++) out[at++] = from[i] ?? 0;
  return at;
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** A length-delimited field: tag, length, content. */
export function bytesField(field: number, content: Uint8Array): Uint8Array {
  const tag = tagOf(field, BYTES);
  const out = new Uint8Array(varintSize(tag) + varintSize(content.length) + content.length);
  out.set(content, putVarint(out, putVarint(out, 0, tag), content.length));
  return out;
}

const encoder = new TextEncoder();

/** A string field; lone surrogates become U+FFFD, so the bytes are always valid UTF-8. Nothing for the empty string. */
export const textField = (field: number, text: string): Uint8Array =>
  text === '' ? EMPTY : bytesField(field, encoder.encode(text));

/** A varint field below 2^32; nothing for 0. */
export function varintField(field: number, value: number): Uint8Array {
  if (value === 0) return EMPTY;
  const tag = tagOf(field, VARINT);
  const out = new Uint8Array(varintSize(tag) + varintSize(value));
  putVarint(out, putVarint(out, 0, tag), value);
  return out;
}
