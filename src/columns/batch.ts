// Batches from rows and rows from batches, for tests, files and people; the engine never goes through rows.
import type { Cell, DataType, Schema } from '../model/types.ts';
import { columnBuilder } from './builder.ts';
import { codeAt, type Batch, type Column } from './column.ts';
import { dictionaryFrom } from './dictionary.ts';

/** What a missing cell reads as. */
export function zeroOf(type: DataType): Cell {
  switch (type) {
    case 'BOOLEAN':
      return false;
    case 'INT64':
    case 'TIME64NS':
      return 0n;
    case 'FLOAT64':
      return 0;
    case 'UINT128':
      return { high: 0n, low: 0n };
    case 'STRING':
      return '';
  }
}

/** A column of `length` zero values. */
export function zeroColumn(type: DataType, length: number): Column {
  switch (type) {
    case 'BOOLEAN':
      return { type, length, values: new Uint8Array(length) };
    case 'INT64':
    case 'TIME64NS':
      return { type, length, values: new BigInt64Array(length) };
    case 'FLOAT64':
      return { type, length, values: new Float64Array(length) };
    case 'UINT128':
      return { type, length, values: new BigUint64Array(length * 2) };
    case 'STRING': {
      return { type, length, codes: new Int32Array(length), dictionary: dictionaryFrom(['']) };
    }
  }
}

/** A batch over finished columns. Throws where they disagree with the schema or in length: a fault of the caller. */
export function batchOf(schema: Schema, columns: readonly Column[]): Batch {
  const length = columns[0]?.length ?? 0;
  schema.forEach((field, i) => {
    const column = columns[i];
    if (column?.type !== field.type || column.length !== length) {
      const got = column === undefined ? 'nothing' : `${column.type} x ${column.length}`;
      throw new TypeError(`column ${field.name} should be ${field.type} x ${length}, is ${got}`);
    }
  });
  if (columns.length !== schema.length) throw new TypeError(`${columns.length} columns for ${schema.length} fields`);
  return { schema, columns, length };
}

export const emptyBatch = (schema: Schema): Batch =>
  batchOf(
    schema,
    schema.map((field) => zeroColumn(field.type, 0)),
  );

/** A batch from rows of cells in column order. Throws a TypeError that names row and column of a cell that does not fit. */
export function batchFrom(schema: Schema, rows: readonly (readonly Cell[])[]): Batch {
  const builders = schema.map((field) => columnBuilder(field.type));
  rows.forEach((row, i) => {
    if (row.length !== schema.length) {
      throw new TypeError(`row ${i} has ${row.length} cells for ${schema.length} columns`);
    }
    row.forEach((cell, at) => {
      try {
        builders[at]?.append(cell);
      } catch (cause) {
        throw new TypeError(`row ${i}, column ${schema[at]?.name}: ${String(cause)}`, { cause });
      }
    });
  });
  return {
    schema,
    columns: builders.map((builder) => builder.finish()),
    length: rows.length,
  };
}

/** Row `i` of a column: bigint for INT64 and TIME64NS, `{ high, low }` for UINT128, text (U+FFFD for bad bytes) for STRING. */
export function cellAt(column: Column, i: number): Exclude<Cell, Uint8Array> {
  switch (column.type) {
    case 'BOOLEAN':
      return column.values[i] === 1;
    case 'INT64':
    case 'TIME64NS':
      return column.values[i] ?? 0n;
    case 'FLOAT64':
      return column.values[i] ?? 0;
    case 'UINT128':
      return { high: column.values[i * 2] ?? 0n, low: column.values[i * 2 + 1] ?? 0n };
    case 'STRING':
      return column.dictionary.text(codeAt(column, i));
  }
}

/** All rows, as `cellAt` reads them. */
export const rowsOf = (batch: Batch): Exclude<Cell, Uint8Array>[][] =>
  Array.from({ length: batch.length }, (_, i) => batch.columns.map((column) => cellAt(column, i)));

/** Position of a column by name; undefined where the schema has none. */
export function positionOf(schema: Schema, name: string): number | undefined {
  const position = schema.findIndex((field) => field.name === name);
  return position < 0 ? undefined : position;
}

/** The named columns, in that order. Throws for a name that the batch does not have. */
export function selectColumns(batch: Batch, names: readonly string[]): Batch {
  const positions = names.map((name) => {
    const position = positionOf(batch.schema, name);
    if (position === undefined) {
      throw new Error(`no column ${name}; there are ${batch.schema.map((field) => field.name).join(', ')}`);
    }
    return position;
  });
  return {
    schema: positions.flatMap((position) => batch.schema[position] ?? []),
    columns: positions.flatMap((position) => batch.columns[position] ?? []),
    length: batch.length,
  };
}

/** Bytes that the rows of a column take; of a dictionary-encoded one the codes and the whole dictionary. */
export function columnBytes(column: Column): number {
  if (column.type !== 'STRING') return column.values.byteLength;
  const { codes, dictionary } = column;
  return (codes?.byteLength ?? 0) + dictionary.offsets.byteLength + dictionary.byteLength;
}

export const batchBytes = (batch: Batch): number =>
  batch.columns.reduce((bytes, column) => bytes + columnBytes(column), 0);

/** Bytes of the buffers that a column keeps in memory: whole buffers, also where the column is a slice of them. */
export function allocatedBytes(column: Column): number {
  if (column.type !== 'STRING') return column.values.buffer.byteLength;
  const { codes, dictionary } = column;
  const codeBytes = codes === undefined ? 0 : codes.buffer.byteLength;
  return codeBytes + dictionary.offsets.buffer.byteLength + dictionary.data.buffer.byteLength;
}
