// Cells and rows as JSON text, written by hand because JSON.stringify cannot write a bigint: INT64 and TIME64NS keep all
// their digits as JSON numbers. UINT128 is the text `asid:pid:start_ticks`.
import { formatUpid } from '../model/upid.ts';
import type { Schema } from '../model/types.ts';
import { codeAt, type Batch, type Column } from './column.ts';

/** Row `i` as JSON. Floats that JSON has no number for are the texts "NaN", "Infinity" and "-Infinity". */
export function jsonCell(column: Column, i: number): string {
  switch (column.type) {
    case 'BOOLEAN':
      return column.values[i] === 1 ? 'true' : 'false';
    case 'INT64':
    case 'TIME64NS':
      return `${column.values[i] ?? 0n}`;
    case 'FLOAT64': {
      const value = column.values[i] ?? 0;
      return Number.isFinite(value) ? JSON.stringify(value) : `"${value}"`;
    }
    case 'UINT128':
      return `"${formatUpid({ high: column.values[i * 2] ?? 0n, low: column.values[i * 2 + 1] ?? 0n })}"`;
    case 'STRING':
      return JSON.stringify(column.dictionary.text(codeAt(column, i)));
  }
}

/** Each row as a JSON array in column order. */
export function* jsonRows({ columns, length }: Batch): Generator<string> {
  for (let i = 0; i < length; i++) yield `[${columns.map((column) => jsonCell(column, i)).join(',')}]`;
}

/** Each row as a JSON object, the form that `<table>.ndjson` files have; no line break. */
export function* jsonObjects({ schema, columns, length }: Batch): Generator<string> {
  const keys = schema.map(({ name }) => JSON.stringify(name));
  for (let i = 0; i < length; i++) {
    yield `{${columns.map((column, at) => `${keys[at]}:${jsonCell(column, i)}`).join(',')}}`;
  }
}

/** Names and types as `sluice run` prints them: `[{"name","type","semanticType"}]`. */
export const jsonColumns = (schema: Schema): string =>
  JSON.stringify(schema.map(({ name, type, semanticType }) => ({ name, type, semanticType })));
