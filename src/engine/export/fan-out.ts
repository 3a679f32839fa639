// A row whose resource names several services becomes one row per service. A cell that is no JSON
// array is one value; of an array only the strings count; several such attributes give all combinations.
import type { Batch, StringColumn } from '../../columns/column.ts';
import { takeBatch } from '../../columns/select.ts';
import { asByteString, createInterner, entryReader, type ByteString } from '../byte-string.ts';
import { parseJson } from '../functions/json-parse.ts';
import { strings } from '../functions/kernel.ts';
import { columnOf } from '../evaluate.ts';
import type { ExportCounters } from './run.ts';

/** Combinations of one row; further ones are counted, not exported. */
const COPIES_MAX = 256;

export interface FannedOut {
  readonly batch: Batch;
  /** Which copy of its row each row is; undefined where every row is there once. */
  readonly copies: Int32Array | undefined;
}

/** `columns` are the positions of the STRING columns whose cells may be lists. */
export function fanOut(batch: Batch, columns: readonly number[], counters: ExportCounters): FannedOut {
  const lists = columns.map((at) => listsOf(strings(columnOf(batch, at))));
  if (lists.every(({ isSingle }) => isSingle)) return { batch, copies: undefined };

  const rows: number[] = [];
  const copies: number[] = [];
  const cells = lists.map(() => ({ codes: new Array<number>(), interner: createInterner() }));
  for (let row = 0; row < batch.length; row++) {
    const values = lists.map(({ at }) => at(row));
    if (values.some((list) => list.length === 0)) counters.emptyServiceLists++;
    const combinations = combined(values.map((list) => (list.length === 0 ? [asByteString('')] : list)));
    counters.servicesRejected += combinations.rejected;
    for (const [copy, combination] of combinations.kept.entries()) {
      rows.push(row);
      copies.push(copy);
      combination.forEach((value, i) => cells[i]?.codes.push(cells[i].interner.intern(value)));
    }
  }

  const taken = takeBatch(batch, Int32Array.from(rows));
  const replaced = new Map(
    columns.map((at, i): [number, StringColumn] => [
      at,
      {
        type: 'STRING',
        length: rows.length,
        codes: Int32Array.from(cells[i]?.codes ?? []),
        dictionary: (cells[i]?.interner ?? createInterner()).dictionary(),
      },
    ]),
  );
  return {
    batch: { ...taken, columns: taken.columns.map((column, at) => replaced.get(at) ?? column) },
    copies: Int32Array.from(copies),
  };
}

/** The values of each cell, parsed once per distinct cell. */
function listsOf(column: StringColumn): {
  readonly isSingle: boolean;
  readonly at: (row: number) => readonly ByteString[];
} {
  const { codes, dictionary } = column;
  const read = entryReader(dictionary);
  let isSingle = true;
  const parsed = Array.from({ length: dictionary.length }, (_, code): readonly ByteString[] => {
    const cell = read(code);
    // Only text that begins like an array is worth parsing.
    const json = /^[ \t\n\r]*\[/.test(cell) ? parseJson(cell) : undefined;
    if (json?.kind !== 'array') return [cell];
    isSingle = false;
    return json.items.flatMap((item) => (item.kind === 'string' ? [item.value] : []));
  });
  return { isSingle, at: (row) => parsed[codes === undefined ? row : (codes[row] ?? 0)] ?? [] };
}

/** All combinations, first those with the first value of each further attribute, then per combination the others. */
function combined(lists: readonly (readonly ByteString[])[]): {
  readonly kept: readonly (readonly ByteString[])[];
  readonly rejected: number;
} {
  const all = lists.reduce((product, list) => product * list.length, 1);
  let kept: ByteString[][] = [[]];
  for (const [first, ...others] of lists) {
    if (first === undefined) continue;
    const heads = kept;
    kept = heads.map((head) => [...head, first]);
    for (const head of heads) {
      for (const value of others) if (kept.length < COPIES_MAX) kept.push([...head, value]);
    }
  }
  kept = kept.slice(0, COPIES_MAX);
  return { kept, rejected: all - kept.length };
}
