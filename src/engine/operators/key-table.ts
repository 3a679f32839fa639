// Rows to dense key ids: one encoder per key column, several columns folded pairwise. Group-by, join and the
// once-per-distinct-value evaluation of functions stand on it.
import type { Column, StringColumn, Uint128Column } from '../../columns/column.ts';
import type { DataType } from '../../model/types.ts';
import { createInterner, entryReader, rowReader } from '../byte-string.ts';
import { createPairTable } from './pair-table.ts';

/** Distinct keys with dense ids in order of first sight. */
export interface KeyTable {
  readonly size: number;
  readonly byteSize: number;
  /**
   * The key ids of rows [0, length) of the key columns; new keys get the next ids. The array is the table's own and
   * holds until the next call.
   */
  encode(columns: readonly Column[], length: number): Int32Array;
  /** The key columns of keys [0, size), one row a key. */
  columns(): Column[];
}

interface ColumnEncoder {
  readonly size: number;
  readonly byteSize: number;
  encode(column: Column, length: number): Int32Array;
  /** One row per given id. */
  take(ids: Int32Array): Column;
}

/** Keys of the given column types. Without columns there is exactly one key. */
export function createKeyTable(types: readonly DataType[]): KeyTable {
  const encoders = types.map(createColumnEncoder);
  const [first, ...rest] = encoders;
  if (first === undefined) return NO_KEYS;
  const pairs = rest.map((encoder) => ({ encoder, table: createPairTable() }));
  const last = pairs.at(-1)?.table;
  return {
    get size() {
      return last?.size ?? first.size;
    },
    get byteSize() {
      const encoded = encoders.reduce((sum, encoder) => sum + encoder.byteSize, 0);
      return pairs.reduce((sum, { table }) => sum + table.byteSize, encoded);
    },
    encode(columns, length) {
      let ids = first.encode(columnAt(columns, 0), length);
      let bound = first.size;
      for (const [i, { encoder, table }] of pairs.entries()) {
        const next = encoder.encode(columnAt(columns, i + 1), length);
        ids = table.encode(
          { words: ids, offset: 0, stride: 1, bound },
          { words: next, offset: 0, stride: 1, bound: encoder.size },
          length,
        );
        bound = table.size;
      }
      return ids;
    },
    columns() {
      let ids = Int32Array.from({ length: last?.size ?? first.size }, (_, i) => i);
      const out: Column[] = [];
      for (const { encoder, table } of pairs.toReversed()) {
        const { xs, ys } = table;
        out.push(encoder.take(ids.map((id) => ys[id] ?? 0)));
        ids = ids.map((id) => xs[id] ?? 0);
      }
      out.push(first.take(ids));
      return out.reverse();
    },
  };
}

const NO_KEYS: KeyTable = {
  size: 1,
  byteSize: 0,
  encode: (_, length) => new Int32Array(length),
  columns: () => [],
};

function columnAt(columns: readonly Column[], i: number): Column {
  const column = columns[i];
  if (column === undefined) throw new Error(`key column ${i} is missing`);
  return column;
}

function createColumnEncoder(type: DataType): ColumnEncoder {
  switch (type) {
    case 'STRING':
      return stringEncoder();
    case 'UINT128':
      return uint128Encoder();
    case 'BOOLEAN':
      return booleanEncoder();
    case 'FLOAT64':
      return floatEncoder();
    case 'INT64':
    case 'TIME64NS':
      return int64Encoder(type);
  }
}

const wrongType = (column: Column, expected: string): Error =>
  new Error(`a column of type ${column.type} stands where ${expected} is expected`);

/** The 32-bit halves of 64-bit values: low at 2i, high at 2i + 1 (little-endian hosts only, as Arrow's buffers here). */
export const halves = (values: BigInt64Array | Float64Array | BigUint64Array): Int32Array =>
  new Int32Array(values.buffer, values.byteOffset, values.length * 2);

function int64Encoder(type: 'INT64' | 'TIME64NS'): ColumnEncoder {
  const table = createPairTable();
  return {
    get size() {
      return table.size;
    },
    get byteSize() {
      return table.byteSize;
    },
    encode(column, length) {
      if (column.type !== 'INT64' && column.type !== 'TIME64NS') throw wrongType(column, type);
      const words = halves(column.values);
      return table.encode({ words, offset: 1, stride: 2 }, { words, offset: 0, stride: 2 }, length);
    },
    take(ids) {
      const values = new BigInt64Array(ids.length);
      const words = halves(values);
      const { xs, ys } = table;
      for (let i = 0; i < ids.length; i++) {
        words[2 * i] = ys[ids[i] ?? 0] ?? 0;
        words[2 * i + 1] = xs[ids[i] ?? 0] ?? 0;
      }
      return { type, length: ids.length, values };
    },
  };
}

/** 0.0 and -0.0 are one key, and so are all NaN. */
function floatEncoder(): ColumnEncoder {
  const table = createPairTable();
  return {
    get size() {
      return table.size;
    },
    get byteSize() {
      return table.byteSize;
    },
    encode(column, length) {
      if (column.type !== 'FLOAT64') throw wrongType(column, 'FLOAT64');
      // Adding 0 turns -0 into 0; writing NaN through Number.NaN gives all NaN one bit pattern.
      const canonical = Float64Array.from(column.values.subarray(0, length), (v) =>
        Number.isNaN(v) ? Number.NaN : v + 0,
      );
      const words = halves(canonical);
      return table.encode({ words, offset: 1, stride: 2 }, { words, offset: 0, stride: 2 }, length);
    },
    take(ids) {
      const values = new Float64Array(ids.length);
      const words = halves(values);
      const { xs, ys } = table;
      for (let i = 0; i < ids.length; i++) {
        words[2 * i] = ys[ids[i] ?? 0] ?? 0;
        words[2 * i + 1] = xs[ids[i] ?? 0] ?? 0;
      }
      return { type: 'FLOAT64', length: ids.length, values };
    },
  };
}

function booleanEncoder(): ColumnEncoder {
  const values: number[] = [];
  const ids = [-1, -1];
  return {
    get size() {
      return values.length;
    },
    byteSize: 0,
    encode(column, length) {
      if (column.type !== 'BOOLEAN') throw wrongType(column, 'BOOLEAN');
      const out = new Int32Array(length);
      for (let i = 0; i < length; i++) {
        const value = column.values[i] === 0 ? 0 : 1;
        let id = ids[value] ?? -1;
        if (id < 0) {
          id = values.push(value) - 1;
          ids[value] = id;
        }
        out[i] = id;
      }
      return out;
    },
    take: (taken) => ({
      type: 'BOOLEAN',
      length: taken.length,
      values: Uint8Array.from(taken, (id) => values[id] ?? 0),
    }),
  };
}

function uint128Encoder(): ColumnEncoder {
  const highs = createPairTable();
  const lows = createPairTable();
  const both = createPairTable();
  return {
    get size() {
      return both.size;
    },
    get byteSize() {
      return highs.byteSize + lows.byteSize + both.byteSize;
    },
    encode(column, length) {
      if (column.type !== 'UINT128') throw wrongType(column, 'UINT128');
      const words = halves(column.values);
      const high = highs.encode({ words, offset: 1, stride: 4 }, { words, offset: 0, stride: 4 }, length);
      const low = lows.encode({ words, offset: 3, stride: 4 }, { words, offset: 2, stride: 4 }, length);
      return both.encode(
        { words: high, offset: 0, stride: 1, bound: highs.size },
        { words: low, offset: 0, stride: 1, bound: lows.size },
        length,
      );
    },
    take(ids): Uint128Column {
      const values = new BigUint64Array(ids.length * 2);
      const words = halves(values);
      for (let i = 0; i < ids.length; i++) {
        const high = both.xs[ids[i] ?? 0] ?? 0;
        const low = both.ys[ids[i] ?? 0] ?? 0;
        words[4 * i] = highs.ys[high] ?? 0;
        words[4 * i + 1] = highs.xs[high] ?? 0;
        words[4 * i + 2] = lows.ys[low] ?? 0;
        words[4 * i + 3] = lows.xs[low] ?? 0;
      }
      return { type: 'UINT128', length: ids.length, values };
    },
  };
}

/** Codes of each dictionary are mapped once per distinct code that occurs. */
function stringEncoder(): ColumnEncoder {
  const interner = createInterner();
  let scratch = new Int32Array(0);
  /** Ids by code of the last dictionary, -1 where the code did not occur yet. */
  let mapped:
    { readonly dictionary: StringColumn['dictionary']; readonly ids: Int32Array; unmapped: number } | undefined;
  return {
    get size() {
      return interner.size;
    },
    get byteSize() {
      return interner.byteSize;
    },
    encode(column, length) {
      if (column.type !== 'STRING') throw wrongType(column, 'STRING');
      const { codes, dictionary } = column;
      if (scratch.length < length) scratch = new Int32Array(length);
      const out = scratch.subarray(0, length);
      if (codes === undefined) {
        const read = rowReader(column);
        for (let i = 0; i < length; i++) out[i] = interner.intern(read(i));
        return out;
      }
      if (mapped?.dictionary !== dictionary) {
        mapped = { dictionary, ids: new Int32Array(dictionary.length).fill(-1), unmapped: dictionary.length };
      }
      const { ids } = mapped;
      const read = entryReader(dictionary);
      // Most dictionaries are complete after a fraction of their rows; what follows has no branch.
      for (let i = 0; i < length && mapped.unmapped > 0; i++) {
        const code = codes[i]!;
        if (ids[code]! >= 0) continue;
        ids[code] = interner.intern(read(code));
        mapped.unmapped--;
      }
      for (let i = 0; i < length; i++) out[i] = ids[codes[i]!]!;
      return out;
    },
    take: (ids) => ({ type: 'STRING', length: ids.length, codes: ids.slice(), dictionary: interner.dictionary() }),
  };
}
