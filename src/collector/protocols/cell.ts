// STRING cells from captured bytes: text where the bytes are text, else the bytes themselves, cut to a column's limit.
import { Buffer, isAscii, isUtf8 } from 'node:buffer';

/** Ends every cell that does not show all there was. */
export const TRUNCATED = '... [TRUNCATED]';

/** The limit of a STRING cell in bytes where its column has none of its own; the mark comes on top. */
export const CELL_BYTES_MAX = 1024;

/** A view of `bytes[from, to)` with Buffer's methods; no copy. */
export const bufferOf = (bytes: Uint8Array, from: number, to: number): Buffer =>
  Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from);

/**
 * The cell of `bytes[from, to)`: at most `limit` bytes of them, marked if that is not all or if the caller knows of more
 * (`isWhole` false). The cut is by bytes and may split a character. The result owns its memory.
 */
export function byteCell(
  bytes: Uint8Array,
  from: number,
  to: number,
  limit: number,
  isWhole: boolean,
): string | Uint8Array {
  const isCut = !isWhole || to - from > limit;
  const kept = bufferOf(bytes, from, Math.min(to, from + limit));
  if (kept.length === 0) return isCut ? TRUNCATED : '';
  if (isAscii(kept)) return isCut ? kept.toString('latin1') + TRUNCATED : kept.toString('latin1');
  if (isUtf8(kept)) return isCut ? kept.toString() + TRUNCATED : kept.toString();
  return isCut ? Buffer.concat([kept, Buffer.from(TRUNCATED)]) : new Uint8Array(kept);
}

/** `text` within `limit` bytes of UTF-8, marked if it was cut; here the cut never splits a character. */
export function textCell(text: string, limit: number = CELL_BYTES_MAX): string {
  // A character is at most three bytes a UTF-16 unit, so most texts need no count.
  if (text.length * 3 <= limit || Buffer.byteLength(text) <= limit) return text;
  const bytes = Buffer.from(text);
  let end = limit;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.toString('utf8', 0, end) + TRUNCATED;
}
