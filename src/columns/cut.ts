// Batches cut by rows until they fit messages of a bounded size. A dictionary is a message of its own and must fit as
// well: one that does not is cut down to the entries that the rows need.
import type { Batch, Column, StringColumn } from './column.ts';
import { dictionaryOf } from './dictionary.ts';
import { sliceBatch } from './select.ts';

const ROWS_MAX = 65_536;

/** Parts of `batch` in order, each with columns and dictionaries below `bytesMax` bytes unless it is one row. */
export function* cutBatch(batch: Batch, bytesMax: number): Generator<Batch> {
  const rest: [number, number][] = [[0, batch.length]];
  for (let range = rest.pop(); range !== undefined; range = rest.pop()) {
    const [start, end] = range;
    if (end - start === 0) continue;
    const part = end - start > ROWS_MAX ? undefined : fitted(sliceBatch(batch, start, end), bytesMax);
    if (part !== undefined) yield part;
    else {
      const middle = (start + end) >>> 1;
      rest.push([middle, end], [start, middle]);
    }
  }
}

/** The batch with dictionaries that fit; undefined where it has to be cut. */
function fitted(batch: Batch, bytesMax: number): Batch | undefined {
  const isOne = batch.length === 1;
  if (!isOne && rowBytes(batch.columns) * batch.length > bytesMax) return undefined;
  const columns: Column[] = [];
  for (const column of batch.columns) {
    const isLarge = column.type === 'STRING' && dictionaryBytes(column) > bytesMax;
    const own = isLarge && column.codes !== undefined ? compacted(column, column.codes) : column;
    if (!isOne && isLarge && own.type === 'STRING' && dictionaryBytes(own) > bytesMax) return undefined;
    columns.push(own);
  }
  return { ...batch, columns };
}

const dictionaryBytes = ({ dictionary }: StringColumn): number => dictionary.byteLength + dictionary.length * 4 + 4;

const WIDTHS: Readonly<Record<Column['type'], number>> = {
  BOOLEAN: 1,
  INT64: 8,
  TIME64NS: 8,
  FLOAT64: 8,
  UINT128: 16,
  STRING: 4,
};

/** Bytes of one row in a record batch; of a STRING its code. */
const rowBytes = (columns: readonly Column[]): number => columns.reduce((sum, { type }) => sum + WIDTHS[type], 0);

/** The same rows over a dictionary of only the entries that they have, in the order of the old one. */
function compacted({ dictionary, length }: StringColumn, codes: Int32Array): StringColumn {
  const isUsed = new Uint8Array(dictionary.length);
  for (let i = 0; i < length; i++) isUsed[codes[i]!] = 1;
  const next = new Int32Array(dictionary.length);
  const kept: number[] = [];
  let bytes = 0;
  for (let code = 0; code < isUsed.length; code++) {
    if (isUsed[code] !== 1) continue;
    next[code] = kept.length;
    kept.push(code);
    bytes += dictionary.offsets[code + 1]! - dictionary.offsets[code]!;
  }
  const offsets = new Int32Array(kept.length + 1);
  const data = new Uint8Array(bytes);
  kept.forEach((code, i) => {
    const entry = dictionary.bytes(code);
    data.set(entry, offsets[i]);
    offsets[i + 1] = offsets[i]! + entry.length;
  });
  return {
    type: 'STRING',
    length,
    codes: codes.subarray(0, length).map((code) => next[code]!),
    dictionary: dictionaryOf(offsets, data),
  };
}
