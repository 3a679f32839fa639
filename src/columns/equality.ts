// Whether two batches say the same, however they are laid out. For tests and checks: it says where they differ.
import type { Batch, Column } from './column.ts';
import { codeAt } from './column.ts';

/** Whether row `i` of `a` equals row `j` of `b`; STRING by bytes, FLOAT64 by identity (NaN equals NaN, 0 is not -0). */
export function cellsEqual(a: Column, i: number, b: Column, j: number): boolean {
  if (a.type === 'STRING') {
    return (
      b.type === 'STRING' && Buffer.compare(a.dictionary.bytes(codeAt(a, i)), b.dictionary.bytes(codeAt(b, j))) === 0
    );
  }
  if (a.type === 'UINT128') {
    if (b.type !== 'UINT128') return false;
    return a.values[i * 2] === b.values[j * 2] && a.values[i * 2 + 1] === b.values[j * 2 + 1];
  }
  return a.type === b.type && Object.is(a.values[i], b.values[j]);
}

/** The first difference in words, e.g. `row 3, column latency`; undefined where there is none. */
export function firstDifference(a: Batch, b: Batch): string | undefined {
  if (a.schema.length !== b.schema.length) return `${a.schema.length} and ${b.schema.length} columns`;
  for (const [at, field] of a.schema.entries()) {
    const other = b.schema[at];
    if (field.name !== other?.name || field.type !== other.type || field.semanticType !== other.semanticType) {
      return `column ${at} is ${describe(field)} and ${other === undefined ? 'nothing' : describe(other)}`;
    }
  }
  if (a.length !== b.length) return `${a.length} and ${b.length} rows`;
  for (let row = 0; row < a.length; row++) {
    for (const [at, column] of a.columns.entries()) {
      const other = b.columns[at];
      if (other === undefined || !cellsEqual(column, row, other, row))
        return `row ${row}, column ${a.schema[at]?.name}`;
    }
  }
  return undefined;
}

const describe = ({ name, type, semanticType }: Batch['schema'][number]): string => `${name} ${type} ${semanticType}`;
