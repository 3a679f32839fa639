// Several columns as one. Dictionaries are merged: equal bytes get one code, whichever column they came from.
import type { Schema } from '../model/types.ts';
import { emptyBatch } from './batch.ts';
import type { Batch, Column, StringColumn } from './column.ts';
import { dictionaryOf } from './dictionary.ts';
import { StringBuilder } from './string-builder.ts';

const DATA_BYTES_MAX = 0x7fff_ffff;

/** Columns of one type, one after the other. At least one; a single one is returned as it is. */
export function concatColumns(columns: readonly Column[]): Column {
  const first = columns[0];
  if (first === undefined) throw new TypeError('no columns to put together');
  if (columns.length === 1) return first;
  for (const column of columns) {
    if (column.type !== first.type)
      throw new TypeError(`cannot append a ${column.type} column to one of ${first.type}`);
  }
  const length = columns.reduce((rows, column) => rows + column.length, 0);
  switch (first.type) {
    case 'BOOLEAN': {
      const values = new Uint8Array(length);
      place(columns, (column, row) => column.type === 'BOOLEAN' && values.set(column.values, row));
      return { type: first.type, length, values };
    }
    case 'INT64':
    case 'TIME64NS': {
      const { type } = first;
      const values = new BigInt64Array(length);
      place(columns, (column, row) => column.type === type && values.set(column.values, row));
      return { type, length, values };
    }
    case 'FLOAT64': {
      const values = new Float64Array(length);
      place(columns, (column, row) => column.type === 'FLOAT64' && values.set(column.values, row));
      return { type: first.type, length, values };
    }
    case 'UINT128': {
      const values = new BigUint64Array(length * 2);
      place(columns, (column, row) => column.type === 'UINT128' && values.set(column.values, row * 2));
      return { type: first.type, length, values };
    }
    case 'STRING':
      return concatStrings(
        columns.filter((column) => column.type === 'STRING'),
        length,
      );
  }
}

/** Calls `put` with each column and the row at which it goes. */
function place(columns: readonly Column[], put: (column: Column, row: number) => void): void {
  let row = 0;
  for (const column of columns) {
    put(column, row);
    row += column.length;
  }
}

function concatStrings(columns: readonly StringColumn[], length: number): StringColumn {
  const dictionary = columns[0]?.dictionary;
  if (dictionary !== undefined && columns.every((c) => c.codes !== undefined && c.dictionary === dictionary)) {
    const codes = new Int32Array(length);
    let row = 0;
    for (const column of columns) {
      if (column.codes !== undefined) codes.set(column.codes, row);
      row += column.length;
    }
    return { type: 'STRING', length, codes, dictionary };
  }
  if (columns.every((column) => column.codes === undefined || column.length === 0)) return concatPlain(columns, length);
  return mergeDictionaries(columns, length);
}

function concatPlain(columns: readonly StringColumn[], length: number): StringColumn {
  const pieces = columns.filter((column) => column.length > 0);
  const bytes = pieces.reduce((sum, column) => sum + column.dictionary.byteLength, 0);
  if (bytes > DATA_BYTES_MAX) throw new RangeError('a STRING column holds at most 2 GiB; use smaller batches');
  const offsets = new Int32Array(length + 1);
  const data = new Uint8Array(bytes);
  let row = 0;
  let end = 0;
  for (const { length: rows, dictionary } of pieces) {
    const start = dictionary.offsets[0] ?? 0;
    data.set(dictionary.data.subarray(start, start + dictionary.byteLength), end);
    for (let i = 1; i <= rows; i++) offsets[row + i] = end + (dictionary.offsets[i]! - start);
    row += rows;
    end += dictionary.byteLength;
  }
  return { type: 'STRING', length, codes: undefined, dictionary: dictionaryOf(offsets, data) };
}

/** Each dictionary entry that is used is looked up once; rows then go by code. */
function mergeDictionaries(columns: readonly StringColumn[], length: number): StringColumn {
  const merged = new StringBuilder();
  for (const { codes, dictionary, length: rows } of columns) {
    if (codes === undefined) {
      for (let i = 0; i < rows; i++) merged.append(dictionary.bytes(i));
      continue;
    }
    const firstRow = new Int32Array(dictionary.length).fill(-1);
    for (let i = 0; i < rows; i++) {
      const code = codes[i]!;
      const row = firstRow[code]!;
      if (row >= 0) {
        merged.repeat(row);
      } else {
        firstRow[code] = merged.length;
        merged.append(dictionary.bytes(code));
      }
    }
  }
  if (merged.length !== length) throw new Error(`concatenation made ${merged.length} rows of ${length}`);
  return merged.finish();
}

/** Batches of one schema as one batch; none: an empty batch. */
export function concatBatches(schema: Schema, batches: readonly Batch[]): Batch {
  const [first] = batches;
  if (first === undefined) return emptyBatch(schema);
  if (batches.length === 1) return first;
  return {
    schema,
    columns: schema.map((_, i) => concatColumns(batches.flatMap((batch) => batch.columns[i] ?? []))),
    length: batches.reduce((rows, batch) => rows + batch.length, 0),
  };
}
