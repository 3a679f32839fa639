// Typed columns over flat buffers. Layouts are Arrow's but for BOOLEAN (a byte a value, packed at the IPC edge) and
// UINT128 (two 64-bit words a value). A column is immutable once it is in a batch; slices share buffers.
import type { DataType, Field, Schema } from '../model/types.ts';
import type { StringDictionary } from './dictionary.ts';

export interface BooleanColumn {
  readonly type: 'BOOLEAN';
  readonly length: number;
  /** 0 or 1 per row. */
  readonly values: Uint8Array;
}

export interface Int64Column {
  readonly type: 'INT64' | 'TIME64NS';
  readonly length: number;
  readonly values: BigInt64Array;
}

export interface Float64Column {
  readonly type: 'FLOAT64';
  readonly length: number;
  readonly values: Float64Array;
}

export interface Uint128Column {
  readonly type: 'UINT128';
  readonly length: number;
  /** Two words a row: high at 2i, low at 2i + 1. */
  readonly values: BigUint64Array;
}

/**
 * A STRING column: row i is dictionary entry `codes[i]`. A plain column (more than half distinct) has no codes: row i
 * is entry i. Entries may repeat only in plain columns, and may hold any bytes.
 */
export interface StringColumn {
  readonly type: 'STRING';
  readonly length: number;
  readonly codes: Int32Array | undefined;
  readonly dictionary: StringDictionary;
}

export type Column = BooleanColumn | Int64Column | Float64Column | Uint128Column | StringColumn;

/** Rows as columns: `columns[i]` has type `schema[i].type` and exactly `length` rows. */
export interface Batch {
  readonly schema: Schema;
  readonly columns: readonly Column[];
  readonly length: number;
}

/** The dictionary entry of row `i`. */
export const codeAt = (column: StringColumn, i: number): number =>
  column.codes === undefined ? i : (column.codes[i] ?? 0);

export const fieldOf = (name: string, type: DataType, semanticType: Field['semanticType'] = 'ST_NONE'): Field => ({
  name,
  type,
  semanticType,
});
