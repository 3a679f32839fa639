// STRING cells inside the engine are byte strings: JavaScript strings whose characters are bytes (0 to 255). So lengths
// count bytes, `<` compares bytes, any byte survives, and V8's string maps and searches do the work.
import type { StringColumn } from '../columns/column.ts';
import type { StringDictionary } from '../columns/dictionary.ts';
import { dictionaryOf } from '../columns/dictionary.ts';

declare const brand: unique symbol;

/** Text in which each character is one byte of the cell. */
export type ByteString = string & { readonly [brand]: 'ByteString' };

// eslint-disable-next-line no-control-regex -- ASCII is exactly this range
const NOT_ASCII = /[^\x00-\x7f]/;

/** The brand is a claim of the caller: every character is at most U+00FF. */
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- this is where the brand is given
export const asByteString = (bytes: string): ByteString => bytes as ByteString;

/** UTF-8 bytes of `text`. */
export const toBytes = (text: string): ByteString =>
  asByteString(NOT_ASCII.test(text) ? Buffer.from(text, 'utf8').toString('latin1') : text);

/** Text of UTF-8 bytes; invalid sequences read as U+FFFD. */
export const toText = (bytes: ByteString): string =>
  NOT_ASCII.test(bytes) ? Buffer.from(bytes, 'latin1').toString('utf8') : bytes;

/** Whether the bytes are valid UTF-8. */
export function isUtf8(bytes: ByteString): boolean {
  if (!NOT_ASCII.test(bytes)) return true;
  return toBytes(toText(bytes)) === bytes;
}

/** Reads entries of a dictionary as byte strings. */
export function entryReader({ data, offsets }: StringDictionary): (code: number) => ByteString {
  const buffer = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return (code) => asByteString(buffer.toString('latin1', offsets[code] ?? 0, offsets[code + 1] ?? 0));
}

/** Reads rows of a column as byte strings. */
export function rowReader(column: StringColumn): (row: number) => ByteString {
  const { codes } = column;
  const read = entryReader(column.dictionary);
  return codes === undefined ? read : (row) => read(codes[row] ?? 0);
}

/** A growing set of distinct byte strings with dense ids in order of first sight. */
export interface Interner {
  readonly size: number;
  /** Bytes of all entries, with the table's overhead estimated. */
  readonly byteSize: number;
  intern(bytes: ByteString): number;
  /** The entry with an id that `intern` gave. */
  entry(id: number): ByteString;
  /** The entries with ids [0, size) as a dictionary. */
  dictionary(): StringDictionary;
}

const ENTRY_OVERHEAD_BYTES = 64;

export function createInterner(): Interner {
  const ids = new Map<ByteString, number>();
  const entries: ByteString[] = [];
  let bytesTotal = 0;
  return {
    get size() {
      return ids.size;
    },
    get byteSize() {
      return bytesTotal + ids.size * ENTRY_OVERHEAD_BYTES;
    },
    intern(bytes) {
      const known = ids.get(bytes);
      if (known !== undefined) return known;
      const id = ids.size;
      ids.set(bytes, id);
      entries.push(bytes);
      bytesTotal += bytes.length;
      return id;
    },
    entry: (id) => entries[id] ?? asByteString(''),
    dictionary: () => packed(entries, bytesTotal),
  };
}

function packed(entries: readonly ByteString[], bytesTotal: number): StringDictionary {
  const offsets = new Int32Array(entries.length + 1);
  const data = Buffer.allocUnsafeSlow(bytesTotal);
  let end = 0;
  for (const [i, entry] of entries.entries()) {
    end += data.write(entry, end, 'latin1');
    offsets[i + 1] = end;
  }
  return dictionaryOf(offsets, new Uint8Array(data.buffer, data.byteOffset, bytesTotal));
}

/** A plain column of the given cells, repeats kept. */
export function plainColumn(cells: readonly ByteString[]): StringColumn {
  const bytesTotal = cells.reduce((sum, cell) => sum + cell.length, 0);
  return { type: 'STRING', length: cells.length, codes: undefined, dictionary: packed(cells, bytesTotal) };
}
