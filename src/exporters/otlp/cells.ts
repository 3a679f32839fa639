// One encoded field per row, made column by column: first every column adds its sizes, then every column writes at its
// rows' cursors. A string is encoded once per distinct value of its dictionary and copied from there on.
import { isUtf8 } from 'node:buffer';
import type { StringColumn } from '../../columns/column.ts';
import type { AttributeValue } from '../../telemetry/batches.ts';
import {
  BYTES,
  concat,
  EMPTY,
  putBytes,
  putVarint,
  putVarint64,
  putWord,
  tagOf,
  textField,
  varint64Size,
  varintSize,
  wordsOf,
} from './protobuf.ts';

/**
 * A field of a message for many rows. `rows` lists which rows, in the order in which they are written; `sizes`,
 * `cursors` and `hashes` have one entry per position in it.
 */
export interface Cells {
  addSizes(rows: Int32Array, sizes: Int32Array): void;
  write(rows: Int32Array, out: Uint8Array, cursors: Int32Array): void;
  /** Mixes the values in; equal values of equal fields mix alike, whether they are literals or cells. */
  mixHashes(rows: Int32Array, hashes: Int32Array): void;
}

const mix = (hash: number, value: number): number => {
  const mixed = Math.imul(hash ^ value, 0x9e37_79b1);
  return mixed ^ (mixed >>> 15);
};

function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c_9dc5 | 0;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ (bytes[i] ?? 0), 0x0100_0193);
  return hash;
}

/** Every row has the same bytes, tag included. */
export function constantCells(field: Uint8Array): Cells {
  const hash = hashBytes(field, 0, field.length);
  return {
    addSizes: (_rows, sizes) => {
      for (let p = 0; p < sizes.length; p++) sizes[p] = (sizes[p] ?? 0) + field.length;
    },
    write: (_rows, out, cursors) => {
      for (let p = 0; p < cursors.length; p++) cursors[p] = putBytes(out, cursors[p] ?? 0, field, 0, field.length);
    },
    mixHashes: (_rows, hashes) => {
      for (let p = 0; p < hashes.length; p++) hashes[p] = mix(hashes[p] ?? 0, hash);
    },
  };
}

/** Rows refer to entries of a table of encoded fields: entry `code` is `bytes[offsets[code], offsets[code + 1])`. */
function tableCells(bytes: Uint8Array, offsets: Int32Array, codes: Int32Array | undefined): Cells {
  let entryHashes: Int32Array | undefined;
  const codeOf = (row: number): number => (codes === undefined ? row : (codes[row] ?? 0));
  return {
    addSizes: (rows, sizes) => {
      for (let p = 0; p < rows.length; p++) {
        const code = codeOf(rows[p] ?? 0);
        sizes[p] = (sizes[p] ?? 0) + (offsets[code + 1] ?? 0) - (offsets[code] ?? 0);
      }
    },
    write: (rows, out, cursors) => {
      for (let p = 0; p < rows.length; p++) {
        const code = codeOf(rows[p] ?? 0);
        cursors[p] = putBytes(out, cursors[p] ?? 0, bytes, offsets[code] ?? 0, offsets[code + 1] ?? 0);
      }
    },
    mixHashes: (rows, hashes) => {
      entryHashes ??= Int32Array.from({ length: offsets.length - 1 }, (_, code) =>
        hashBytes(bytes, offsets[code] ?? 0, offsets[code + 1] ?? 0),
      );
      for (let p = 0; p < rows.length; p++) hashes[p] = mix(hashes[p] ?? 0, entryHashes[codeOf(rows[p] ?? 0)] ?? 0);
    },
  };
}

/** Which dictionary entries `rows` refer to; the others are not encoded. */
function usedEntries(column: StringColumn, rows: Int32Array): Uint8Array {
  const used = new Uint8Array(column.dictionary.length);
  for (let p = 0; p < rows.length; p++) {
    const row = rows[p] ?? 0;
    used[column.codes === undefined ? row : (column.codes[row] ?? 0)] = 1;
  }
  return used;
}

/** The table of a string column: `frame` says the size of an entry's field and writes it. */
function stringCells(column: StringColumn, rows: Int32Array, frame: TextFrame): Cells {
  const used = usedEntries(column, rows);
  const offsets = new Int32Array(used.length + 1);
  for (let code = 0; code < used.length; code++) {
    offsets[code + 1] = (offsets[code] ?? 0) + (used[code] === 1 ? frame.size(column.dictionary.bytes(code)) : 0);
  }
  const bytes = new Uint8Array(offsets[used.length] ?? 0);
  for (let code = 0; code < used.length; code++) {
    if (used[code] === 1) frame.put(bytes, offsets[code] ?? 0, column.dictionary.bytes(code));
  }
  return tableCells(bytes, offsets, column.codes);
}

// AnyValue's members: string_value 1, bool_value 2, int_value 3, double_value 4, bytes_value 7.
const STRING_VALUE = 0x0a;
const BOOL_VALUE = 0x10;
const INT_VALUE = 0x18;
const DOUBLE_VALUE = 0x21;
const BYTES_VALUE = 0x3a;

/** What surrounds an AnyValue of `any` bytes: the field's tag and length and, for an attribute, the key. */
interface Frame {
  size(any: number): number;
  /** Writes all that precedes the AnyValue; returns where it goes. */
  put(out: Uint8Array, at: number, any: number): number;
}

function frameOf(field: number, key: string | undefined): Frame {
  const tag = tagOf(field, BYTES);
  // A KeyValue is key = 1 and value = 2; a bare AnyValue has neither.
  const head = key === undefined ? EMPTY : concat([textField(1, key), Uint8Array.of(0x12)]);
  const content = (any: number): number => (key === undefined ? any : head.length + varintSize(any) + any);
  return {
    size: (any) => varintSize(tag) + varintSize(content(any)) + content(any),
    put: (out, at, any) => {
      const end = putVarint(out, putVarint(out, at, tag), content(any));
      return key === undefined ? end : putVarint(out, putBytes(out, end, head, 0, head.length), any);
    },
  };
}

/** Frames the bytes of one string; text that is not valid UTF-8 becomes `bytes_value`. */
interface TextFrame {
  size(entry: Uint8Array): number;
  put(out: Uint8Array, at: number, entry: Uint8Array): void;
}

function textFrame(frame: Frame): TextFrame {
  const anySize = (entry: Uint8Array): number => 1 + varintSize(entry.length) + entry.length;
  return {
    size: (entry) => frame.size(anySize(entry)),
    put: (out, at, entry) => {
      const start = frame.put(out, at, anySize(entry));
      out[start] = isUtf8(entry) ? STRING_VALUE : BYTES_VALUE;
      out.set(entry, putVarint(out, start + 1, entry.length));
    },
  };
}

function doubleCells(frame: Frame, words: Uint32Array): Cells {
  const size = frame.size(9);
  return {
    addSizes: (_rows, sizes) => {
      for (let p = 0; p < sizes.length; p++) sizes[p] = (sizes[p] ?? 0) + size;
    },
    write: (rows, out, cursors) => {
      for (let p = 0; p < rows.length; p++) {
        const row = rows[p] ?? 0;
        const at = frame.put(out, cursors[p] ?? 0, 9);
        out[at] = DOUBLE_VALUE;
        cursors[p] = putWord(out, putWord(out, at + 1, words[2 * row] ?? 0), words[2 * row + 1] ?? 0);
      }
    },
    mixHashes: (rows, hashes) => mixWords(rows, hashes, words),
  };
}

function intCells(frame: Frame, words: Uint32Array): Cells {
  return {
    addSizes: (rows, sizes) => {
      for (let p = 0; p < rows.length; p++) {
        const row = rows[p] ?? 0;
        sizes[p] = (sizes[p] ?? 0) + frame.size(1 + varint64Size(words[2 * row] ?? 0, words[2 * row + 1] ?? 0));
      }
    },
    write: (rows, out, cursors) => {
      for (let p = 0; p < rows.length; p++) {
        const row = rows[p] ?? 0;
        const low = words[2 * row] ?? 0;
        const high = words[2 * row + 1] ?? 0;
        const at = frame.put(out, cursors[p] ?? 0, 1 + varint64Size(low, high));
        out[at] = INT_VALUE;
        cursors[p] = putVarint64(out, at + 1, low, high);
      }
    },
    mixHashes: (rows, hashes) => mixWords(rows, hashes, words),
  };
}

function booleanCells(frame: Frame, values: Uint8Array): Cells {
  const size = frame.size(2);
  const table = new Uint8Array(2 * size);
  for (const bit of [0, 1]) table.set([BOOL_VALUE, bit], frame.put(table, bit * size, 2));
  const codes = Int32Array.from(values, (bit) => (bit === 0 ? 0 : 1));
  return tableCells(table, Int32Array.of(0, size, 2 * size), codes);
}

function literalCells(frame: Frame, value: string | bigint | number | boolean): Cells {
  if (typeof value === 'bigint') return onFirstRow(intCells(frame, wordsOf(BigInt64Array.of(value))));
  if (typeof value === 'number') return onFirstRow(doubleCells(frame, wordsOf(Float64Array.of(value))));
  if (typeof value === 'boolean') return onFirstRow(booleanCells(frame, Uint8Array.of(value ? 1 : 0)));
  const text = textFrame(frame);
  const entry = encoder.encode(value);
  const out = new Uint8Array(text.size(entry));
  text.put(out, 0, entry);
  return constantCells(out);
}

/**
 * An AnyValue field per row (a log's body), or with `key` a KeyValue field (an attribute). `rows` are all rows that
 * will ever be asked for.
 */
export function valueCells(field: number, key: string | undefined, value: AttributeValue, rows: Int32Array): Cells {
  const frame = frameOf(field, key);
  if (value.kind === 'literal') return literalCells(frame, value.value);
  const { column } = value;
  if (column.type === 'STRING') return stringCells(column, rows, textFrame(frame));
  if (column.type === 'FLOAT64') return doubleCells(frame, wordsOf(column.values));
  if (column.type === 'BOOLEAN') return booleanCells(frame, column.values);
  return intCells(frame, wordsOf(column.values));
}

function mixWords(rows: Int32Array, hashes: Int32Array, words: Uint32Array): void {
  for (let p = 0; p < rows.length; p++) {
    const row = rows[p] ?? 0;
    hashes[p] = mix(mix(hashes[p] ?? 0, words[2 * row] ?? 0), words[2 * row + 1] ?? 0);
  }
}

/** A literal is a column of one row to which all rows refer. */
function onFirstRow(cells: Cells): Cells {
  const zeros = (length: number): Int32Array => new Int32Array(length);
  return {
    addSizes: (rows, sizes) => cells.addSizes(zeros(rows.length), sizes),
    write: (rows, out, cursors) => cells.write(zeros(rows.length), out, cursors),
    mixHashes: (rows, hashes) => cells.mixHashes(zeros(rows.length), hashes),
  };
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** A string field per row (a span's name), which must be valid UTF-8: what is not becomes U+FFFD. Empty text is left out. */
export function textCells(field: number, value: AttributeValue, rows: Int32Array): Cells {
  if (value.kind === 'literal') return constantCells(textField(field, String(value.value)));
  const { column } = value;
  if (column.type !== 'STRING') {
    const fields = Array.from<bigint | number, Uint8Array>(column.values, (cell) => textField(field, String(cell)));
    const offsets = new Int32Array(fields.length + 1);
    fields.forEach((bytes, i) => (offsets[i + 1] = (offsets[i] ?? 0) + bytes.length));
    return tableCells(concat(fields), offsets, undefined);
  }
  const valid = (entry: Uint8Array): Uint8Array => (isUtf8(entry) ? entry : encoder.encode(decoder.decode(entry)));
  const tag = tagOf(field, BYTES);
  return stringCells(column, rows, {
    size: (entry) => {
      const { length } = valid(entry);
      return length === 0 ? 0 : varintSize(tag) + varintSize(length) + length;
    },
    put: (out, at, entry) => {
      const text = valid(entry);
      if (text.length > 0) out.set(text, putVarint(out, putVarint(out, at, tag), text.length));
    },
  });
}

/** A 64-bit field with a one-byte tag per row: fixed64, sfixed64 or double by what the values are. */
export function fixed64Cells(field: number, values: BigInt64Array | Float64Array): Cells {
  const tag = tagOf(field, 1);
  const words = wordsOf(values);
  return {
    addSizes: (_rows, sizes) => {
      for (let p = 0; p < sizes.length; p++) sizes[p] = (sizes[p] ?? 0) + 9;
    },
    write: (rows, out, cursors) => {
      for (let p = 0; p < rows.length; p++) {
        const row = rows[p] ?? 0;
        const at = cursors[p] ?? 0;
        out[at] = tag;
        cursors[p] = putWord(out, putWord(out, at + 1, words[2 * row] ?? 0), words[2 * row + 1] ?? 0);
      }
    },
    mixHashes: (rows, hashes) => mixWords(rows, hashes, words),
  };
}
