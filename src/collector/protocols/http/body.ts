// The kept beginning of a body -> the cell of `req_body` or `resp_body`.
import { byteCell } from '../cell.ts';
import type { Head } from './head.ts';
import { inflatePrefix } from './inflate.ts';

/** Bytes of a body that are looked at; the rest is counted and passed over. */
export const BODY_BYTES_KEPT = 1024;
/** Limit of a body cell in bytes. */
export const BODY_CELL_BYTES_MAX = 512;

/** Buffers for kept beginnings that nobody uses now: to make one costs more than all else that is done with a body. */
const spare: Uint8Array[] = [];
const SPARE_MAX = 64;

export const takeKeptBuffer = (): Uint8Array => spare.pop() ?? new Uint8Array(BODY_BYTES_KEPT);

/** Takes back a buffer that `takeKeptBuffer` gave; its bytes may be overwritten at once. */
export function giveBackKeptBuffer(buffer: Uint8Array): void {
  if (spare.length < SPARE_MAX) spare.push(buffer);
}

const UNKNOWN_TYPE = '<removed: unknown content-type>';
const NOT_TEXT = '<removed: non-text content-type>';
const NOT_INFLATED = '<Failed to gunzip body>';

/** Whether any byte of the body is needed for its cell. */
export const keepsBody = (head: Head): boolean => head.body !== 'untyped' && head.body !== 'binary';

/**
 * The cell of a body of `size` bytes of which `bytes[from, to)` are the beginning. Placeholders stand for what is not
 * text; gzip shows what its beginning inflates to; anything that is not all of the body is marked as truncated.
 */
export function bodyCell(head: Head, bytes: Uint8Array, from: number, to: number, size: number): string | Uint8Array {
  if (size === 0) return '';
  const isWhole = to - from === size;
  switch (head.body) {
    case 'untyped':
      return UNKNOWN_TYPE;
    case 'binary':
      return NOT_TEXT;
    case 'gzip': {
      const { output, end } = inflatePrefix(bytes, from, to, BODY_CELL_BYTES_MAX + 1);
      if (end === 'damaged' || (end === 'short' && (output.length === 0 || isWhole))) return NOT_INFLATED;
      return byteCell(output, 0, output.length, BODY_CELL_BYTES_MAX, end !== 'short');
    }
    case 'form': {
      const decoded = urlDecoded(bytes, from, to);
      return byteCell(decoded, 0, decoded.length, BODY_CELL_BYTES_MAX, isWhole);
    }
    case 'plain':
      return byteCell(bytes, from, to, BODY_CELL_BYTES_MAX, isWhole);
    default:
      return head.body satisfies never;
  }
}

const hexValue = (byte: number | undefined): number => {
  if (byte === undefined) return -1;
  if (byte >= 48 && byte <= 57) return byte - 48;
  const letter = byte | 0x20;
  return letter >= 97 && letter <= 102 ? letter - 87 : -1;
};

/** `+` and `%XX` decoded; anything else, a broken escape too, as it is. */
function urlDecoded(bytes: Uint8Array, from: number, to: number): Uint8Array {
  const decoded = new Uint8Array(to - from);
  let length = 0;
  for (let i = from; i < to; i++) {
    const byte = bytes[i] ?? 0;
    const high = byte === 0x25 && i + 2 < to ? hexValue(bytes[i + 1]) : -1;
    const low = high < 0 ? -1 : hexValue(bytes[i + 2]);
    if (low >= 0) i += 2;
    decoded[length++] = low >= 0 ? high * 16 + low : byte === 0x2b ? 0x20 : byte;
  }
  return decoded.subarray(0, length);
}
