// Random schemas, cells and batches for property tests, and the plain reading that results are compared with.
import fc from 'fast-check';
import { batchFrom } from '../../src/columns/batch.ts';
import { codeAt, fieldOf, type Batch, type Column } from '../../src/columns/column.ts';
import type { Cell, DataType, Schema } from '../../src/model/types.ts';

export const DATA_TYPES: readonly DataType[] = ['BOOLEAN', 'INT64', 'UINT128', 'FLOAT64', 'STRING', 'TIME64NS'];

/** Texts that repeat often, texts of every kind (lone surrogates too), and bytes that need not be UTF-8. */
export const stringCell: fc.Arbitrary<string | Uint8Array> = fc.oneof(
  fc.constantFrom('', 'GET', '/cart', 'a longer text that repeats, é€😀', '\uFEFFmark'),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.uint8Array({ maxLength: 20 }),
);

const int64 = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.maxSafeInteger(),
  fc.constantFrom(0, -1, 2 ** 32, -(2 ** 32), 2 ** 53 - 1),
);
const word = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

export const cellOf: Readonly<Record<DataType, fc.Arbitrary<Cell>>> = {
  BOOLEAN: fc.boolean(),
  INT64: int64,
  TIME64NS: int64,
  FLOAT64: fc.double(),
  UINT128: fc.record({ high: word, low: word }),
  STRING: stringCell,
};

export const schemaArbitrary: fc.Arbitrary<Schema> = fc
  .array(fc.constantFrom(...DATA_TYPES), { minLength: 1, maxLength: 7 })
  .map((types) => types.map((type, i) => fieldOf(`c${i}`, type)));

export const rowsArbitrary = (schema: Schema, maxLength = 60): fc.Arbitrary<Cell[][]> =>
  fc.array(fc.tuple(...schema.map((field) => cellOf[field.type])), { maxLength });

export const tableArbitrary: fc.Arbitrary<{ schema: Schema; rows: Cell[][]; batch: Batch }> = schemaArbitrary.chain(
  (schema) => rowsArbitrary(schema).map((rows) => ({ schema, rows, batch: batchFrom(schema, rows) })),
);

/** A cell as text that is equal exactly where cells are equal: numbers in full, strings as hexadecimal bytes. */
export function plain(cell: Cell): string {
  if (typeof cell === 'number')
    return Number.isSafeInteger(cell) && !Object.is(cell, -0) ? `${cell}` : `f${Object.is(cell, -0) ? '-0' : cell}`;
  if (typeof cell === 'string') return `s${Buffer.from(cell).toString('hex')}`;
  if (cell instanceof Uint8Array) return `s${Buffer.from(cell).toString('hex')}`;
  if (typeof cell === 'object') return `u${cell.high}:${cell.low}`;
  return `${cell}`;
}

function plainAt(column: Column, i: number): string {
  if (column.type === 'STRING') return plain(column.dictionary.bytes(codeAt(column, i)));
  if (column.type === 'UINT128') return plain({ high: column.values[i * 2]!, low: column.values[i * 2 + 1]! });
  if (column.type === 'BOOLEAN') return plain(column.values[i] === 1);
  return plain(column.values[i]!);
}

export const plainRows = (batch: Batch): string[][] =>
  Array.from({ length: batch.length }, (_, i) => batch.columns.map((column) => plainAt(column, i)));

/** Dictionary entries of coded columns must differ, or group-by over codes would split groups. */
export const hasRepeatedEntries = (batch: Batch): boolean =>
  batch.columns.some((column) => {
    if (column.type !== 'STRING' || column.codes === undefined) return false;
    const entries = Array.from({ length: column.dictionary.length }, (_, i) => plain(column.dictionary.bytes(i)));
    return new Set(entries).size < entries.length;
  });
