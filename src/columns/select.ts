// Rows out of columns: by range (no copy), by index, by mask.
import type { Batch, Column, StringColumn } from './column.ts';
import { dictionaryOf } from './dictionary.ts';

/** Rows [start, end) over the same buffers. */
export function sliceColumn(column: Column, start: number, end: number): Column {
  const length = end - start;
  switch (column.type) {
    case 'BOOLEAN':
      return { type: column.type, length, values: column.values.subarray(start, end) };
    case 'INT64':
    case 'TIME64NS':
      return { type: column.type, length, values: column.values.subarray(start, end) };
    case 'FLOAT64':
      return { type: column.type, length, values: column.values.subarray(start, end) };
    case 'UINT128':
      return { type: column.type, length, values: column.values.subarray(start * 2, end * 2) };
    case 'STRING': {
      const { codes, dictionary } = column;
      if (codes !== undefined) return { type: 'STRING', length, codes: codes.subarray(start, end), dictionary };
      const offsets = dictionary.offsets.subarray(start, end + 1);
      return { type: 'STRING', length, codes, dictionary: dictionaryOf(offsets, dictionary.data) };
    }
  }
}

export function sliceBatch(batch: Batch, start: number, end: number): Batch {
  if (start === 0 && end === batch.length) return batch;
  return {
    schema: batch.schema,
    columns: batch.columns.map((column) => sliceColumn(column, start, end)),
    length: end - start,
  };
}

/** Row `i` of the result is row `indices[i]`; rows may repeat and come in any order. */
export function takeColumn(column: Column, indices: Int32Array): Column {
  const length = indices.length;
  switch (column.type) {
    case 'BOOLEAN': {
      const values = new Uint8Array(length);
      for (let i = 0; i < length; i++) values[i] = column.values[indices[i]!]!;
      return { type: column.type, length, values };
    }
    case 'INT64':
    case 'TIME64NS': {
      const values = new BigInt64Array(length);
      for (let i = 0; i < length; i++) values[i] = column.values[indices[i]!]!;
      return { type: column.type, length, values };
    }
    case 'FLOAT64': {
      const values = new Float64Array(length);
      for (let i = 0; i < length; i++) values[i] = column.values[indices[i]!]!;
      return { type: column.type, length, values };
    }
    case 'UINT128': {
      const values = new BigUint64Array(length * 2);
      for (let i = 0; i < length; i++) {
        const from = indices[i]! * 2;
        values[i * 2] = column.values[from]!;
        values[i * 2 + 1] = column.values[from + 1]!;
      }
      return { type: column.type, length, values };
    }
    case 'STRING':
      return takeStrings(column, indices);
  }
}

function takeStrings({ codes, dictionary }: StringColumn, indices: Int32Array): StringColumn {
  const length = indices.length;
  if (codes !== undefined) {
    const taken = new Int32Array(length);
    for (let i = 0; i < length; i++) taken[i] = codes[indices[i]!]!;
    return { type: 'STRING', length, codes: taken, dictionary };
  }
  // Entries of a plain column may repeat, so its rows cannot become codes: the bytes move.
  const from = dictionary.offsets;
  const offsets = new Int32Array(length + 1);
  let end = 0;
  for (let i = 0; i < length; i++) {
    const row = indices[i]!;
    end += from[row + 1]! - from[row]!;
    offsets[i + 1] = end;
  }
  const data = new Uint8Array(end);
  for (let i = 0; i < length; i++) data.set(dictionary.bytes(indices[i]!), offsets[i]);
  return { type: 'STRING', length, codes, dictionary: dictionaryOf(offsets, data) };
}

export const takeBatch = (batch: Batch, indices: Int32Array): Batch => ({
  schema: batch.schema,
  columns: batch.columns.map((column) => takeColumn(column, indices)),
  length: indices.length,
});

/** The rows whose byte in `mask` is not 0, as indices. */
export function indicesOf(mask: Uint8Array, length = mask.length): Int32Array {
  const indices = new Int32Array(length);
  let count = 0;
  for (let i = 0; i < length; i++) {
    indices[count] = i;
    count += mask[i] === 0 ? 0 : 1;
  }
  return indices.subarray(0, count);
}

/** The rows whose byte in `mask` is not 0. The batch itself where that is all of them. */
export function filterBatch(batch: Batch, mask: Uint8Array): Batch {
  const indices = indicesOf(mask, batch.length);
  return indices.length === batch.length ? batch : takeBatch(batch, indices);
}
