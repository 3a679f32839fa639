// Rows that share a resource, found by the codes of their cells, and the bytes of each resource.
import type { Attribute, AttributeValue } from '../../telemetry/batches.ts';
import { valueCells, type Cells } from './cells.ts';
import { wordsOf } from './protobuf.ts';

/** `rows` lists all rows group by group, in order within; group g is `rows[starts[g], starts[g + 1])`. */
export interface RowGroups {
  readonly rows: Int32Array;
  readonly starts: Int32Array;
  readonly count: number;
}

const iota = (length: number): Int32Array => Int32Array.from({ length }, (_, i) => i);

/** A small number per row, equal only where the cells are equal. The reverse need not hold. */
function codesOf(value: AttributeValue, length: number): { codes: Int32Array; count: number } | undefined {
  if (value.kind === 'literal') return undefined;
  const { column } = value;
  if (column.type === 'STRING') {
    const codes = column.codes ?? iota(length);
    return { codes, count: Math.max(column.dictionary.length, 1) };
  }
  if (column.type === 'BOOLEAN')
    return { codes: Int32Array.from(column.values, (bit) => (bit === 0 ? 0 : 1)), count: 2 };
  const words = wordsOf(column.values);
  const seen = new Map<number, Map<number, number>>();
  const codes = new Int32Array(length);
  let count = 0;
  for (let i = 0; i < length; i++) {
    const low = words[2 * i] ?? 0;
    let highs = seen.get(low);
    if (highs === undefined) seen.set(low, (highs = new Map()));
    let code = highs.get(words[2 * i + 1] ?? 0);
    if (code === undefined) highs.set(words[2 * i + 1] ?? 0, (code = count++));
    codes[i] = code;
  }
  return { codes, count };
}

/**
 * Groups rows whose attributes are the same; groups stand in the order of their first rows. Two groups may still have
 * equal attributes (a plain column repeats an entry): their bytes tell.
 */
export function groupRows(attributes: readonly Attribute[], length: number): RowGroups {
  let groups = new Int32Array(length);
  let count = length === 0 ? 0 : 1;
  for (const attribute of attributes) {
    const cells = codesOf(attribute.value, length);
    if (cells === undefined) continue;
    const next = new Int32Array(length);
    const ids = new Map<number, number>();
    for (let i = 0; i < length; i++) {
      const pair = (groups[i] ?? 0) * cells.count + (cells.codes[i] ?? 0);
      let id = ids.get(pair);
      if (id === undefined) ids.set(pair, (id = ids.size));
      next[i] = id;
    }
    groups = next;
    count = ids.size;
  }
  if (count <= 1) return { rows: iota(length), starts: Int32Array.of(0, length), count };
  const starts = new Int32Array(count + 1);
  for (let i = 0; i < length; i++) starts[(groups[i] ?? 0) + 1] = (starts[(groups[i] ?? 0) + 1] ?? 0) + 1;
  for (let g = 0; g < count; g++) starts[g + 1] = (starts[g + 1] ?? 0) + (starts[g] ?? 0);
  const next = starts.slice();
  const rows = new Int32Array(length);
  for (let i = 0; i < length; i++) {
    const group = groups[i] ?? 0;
    rows[next[group] ?? 0] = i;
    next[group] = (next[group] ?? 0) + 1;
  }
  return { rows, starts, count };
}

/** The content of each group's Resource message (`attributes` = 1); views of one buffer. */
export function encodeResources(attributes: readonly Attribute[], groups: RowGroups): Uint8Array[] {
  const rows = Int32Array.from({ length: groups.count }, (_, g) => groups.rows[groups.starts[g] ?? 0] ?? 0);
  const cells: Cells[] = attributes.map(({ key, value }) => valueCells(1, key, value, rows));
  const sizes = new Int32Array(groups.count);
  for (const column of cells) column.addSizes(rows, sizes);
  const starts = new Int32Array(groups.count + 1);
  for (let g = 0; g < groups.count; g++) starts[g + 1] = (starts[g] ?? 0) + (sizes[g] ?? 0);
  const bytes = new Uint8Array(starts[groups.count] ?? 0);
  const cursors = starts.slice(0, groups.count);
  for (const column of cells) column.write(rows, bytes, cursors);
  return Array.from({ length: groups.count }, (_, g) => bytes.subarray(starts[g] ?? 0, starts[g + 1] ?? 0));
}
