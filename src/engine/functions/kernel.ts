// How scalar functions are written: a kernel takes columns and gives a column. Number functions loop over typed arrays;
// all others are computed once per distinct combination of arguments in a batch (`perDistinct`).
import type { Column, StringColumn } from '../../columns/column.ts';
import type { LiteralValue } from '../../plan/expression.ts';
import type { Uint128 } from '../../model/types.ts';
import { createInterner, rowReader, type ByteString } from '../byte-string.ts';
import { EngineError, type ExecutionContext } from '../context.ts';
import { createPairTable, type Words } from '../operators/pair-table.ts';
import { halves } from '../operators/key-table.ts';

/** All columns have `length` rows; so has the result. Kernels never change their arguments. */
export type Kernel = (args: readonly Column[], length: number) => Column;

/** Where a function is called: its arguments that are literals (undefined for the others), and the run's context. */
export interface CallSite {
  readonly literals: readonly (LiteralValue | undefined)[];
  readonly context: ExecutionContext;
}

/** Makes the kernel of one call. */
export type Implementation = (site: CallSite) => Kernel;

/** Implementations by `name:LETTERS` of the argument types, e.g. `add:II`. */
export type Implementations = Readonly<Record<string, Implementation>>;

const mismatch = (column: Column | undefined, wanted: string): Error =>
  new Error(`argument is ${column?.type ?? 'missing'} where the overload takes ${wanted}`);

export function int64s(column: Column | undefined): BigInt64Array {
  if (column?.type === 'INT64' || column?.type === 'TIME64NS') return column.values;
  throw mismatch(column, 'INT64 or TIME64NS');
}

export function booleans(column: Column | undefined): Uint8Array {
  if (column?.type === 'BOOLEAN') return column.values;
  throw mismatch(column, 'BOOLEAN');
}

export function strings(column: Column | undefined): StringColumn {
  if (column?.type === 'STRING') return column;
  throw mismatch(column, 'STRING');
}

export function uint128s(column: Column | undefined): BigUint64Array {
  if (column?.type === 'UINT128') return column.values;
  throw mismatch(column, 'UINT128');
}

/**
 * FLOAT64 values as they are, INT64 values rounded to the nearest double. Goes by 32-bit halves, 25 times faster than
 * Number(bigint); the high half times 2^32 is exact, so there is one rounding, in the addition.
 */
export function float64s(column: Column | undefined): Float64Array {
  if (column?.type === 'FLOAT64') return column.values;
  const words = halves(int64s(column));
  const unsigned = new Uint32Array(words.buffer, words.byteOffset, words.length);
  const out = new Float64Array(words.length / 2);
  for (let i = 0; i < out.length; i++) out[i] = (words[2 * i + 1] ?? 0) * 0x1_0000_0000 + (unsigned[2 * i] ?? 0);
  return out;
}

const TWO_63 = 2 ** 63;

/** Doubles that are whole numbers, as INT64: out of range saturates, NaN is 0. By halves, as above. */
export function toInt64s(values: Float64Array): BigInt64Array {
  const out = new BigInt64Array(values.length);
  const words = halves(out);
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? 0;
    if (value >= TWO_63) out[i] = 0x7fff_ffff_ffff_ffffn;
    else if (value < -TWO_63) out[i] = -0x8000_0000_0000_0000n;
    else if (value === value) {
      const high = Math.floor(value / 0x1_0000_0000);
      words[2 * i] = value - high * 0x1_0000_0000;
      words[2 * i + 1] = high;
    }
  }
  return out;
}

/** Reads one argument of a row function. */
type Reader<T> = (column: Column | undefined) => (row: number) => T;

export const S: Reader<ByteString> = (column) => rowReader(strings(column));

export const I: Reader<bigint> = (column) => {
  const values = int64s(column);
  return (row) => values[row] ?? 0n;
};

export const F: Reader<number> = (column) => {
  const values = float64s(column);
  return (row) => values[row] ?? 0;
};

export const U: Reader<Uint128> = (column) => {
  const values = uint128s(column);
  return (row) => ({ high: values[2 * row] ?? 0n, low: values[2 * row + 1] ?? 0n });
};

/** Puts results of distinct arguments into rows: row i gets `results[ids[i]]`; without ids row i gets `results[i]`. */
type Writer<T> = (results: readonly T[], ids: Int32Array | undefined) => Column;

export const toS: Writer<ByteString> = (results, ids) => {
  const interner = createInterner();
  const codeOf = Int32Array.from(results, (result) => interner.intern(result));
  const codes = ids === undefined ? codeOf : new Int32Array(ids.length);
  if (ids !== undefined) for (let i = 0; i < ids.length; i++) codes[i] = codeOf[ids[i] ?? 0] ?? 0;
  return { type: 'STRING', length: codes.length, codes, dictionary: interner.dictionary() };
};

export const toB: Writer<boolean> = (results, ids) => {
  const of = Uint8Array.from(results, Number);
  const values = ids === undefined ? of : new Uint8Array(ids.length);
  if (ids !== undefined) for (let i = 0; i < ids.length; i++) values[i] = of[ids[i] ?? 0] ?? 0;
  return { type: 'BOOLEAN', length: values.length, values };
};

const toBigInts =
  (type: 'INT64' | 'TIME64NS'): Writer<bigint> =>
  (results, ids) => {
    const of = BigInt64Array.from(results);
    const values = ids === undefined ? of : new BigInt64Array(ids.length);
    if (ids !== undefined) for (let i = 0; i < ids.length; i++) values[i] = of[ids[i] ?? 0] ?? 0n;
    return { type, length: values.length, values };
  };

export const toI = toBigInts('INT64');
export const toT = toBigInts('TIME64NS');

export const toF: Writer<number> = (results, ids) => {
  const of = Float64Array.from(results);
  const values = ids === undefined ? of : new Float64Array(ids.length);
  if (ids !== undefined) for (let i = 0; i < ids.length; i++) values[i] = of[ids[i] ?? 0] ?? 0;
  return { type: 'FLOAT64', length: values.length, values };
};

export const toU: Writer<Uint128> = (results, ids) => {
  const length = ids?.length ?? results.length;
  const values = new BigUint64Array(length * 2);
  for (let i = 0; i < length; i++) {
    const result = results[ids?.[i] ?? i];
    values[2 * i] = result?.high ?? 0n;
    values[2 * i + 1] = result?.low ?? 0n;
  }
  return { type: 'UINT128', length, values };
};

type CellsOf<Readers> = { [K in keyof Readers]: Readers[K] extends Reader<infer T> ? T : never };

/** Text that one function may make of the distinct rows of one batch. */
const TEXT_BYTES_MAX = 256 * 1024 * 1024;

const tooMuchText = (): EngineError =>
  new EngineError(
    'MEMORY_LIMIT',
    `a function makes more than ${TEXT_BYTES_MAX} bytes of text of one batch; shorten its arguments`,
  );

/** Columns with one value in all rows, which need not be looked at to tell rows apart. */
const constants = new WeakSet<Column>();

export function markConstant(column: Column): Column {
  constants.add(column);
  return column;
}

/**
 * A kernel that computes `compute` once per distinct combination of the first arguments, as many as there are readers.
 * `compute` must depend on them alone.
 */
export const perDistinct =
  <const Readers extends readonly Reader<unknown>[], T>(
    readers: Readers,
    write: Writer<T>,
    compute: (...cells: CellsOf<Readers>) => T,
  ): Kernel =>
  (args, length) => {
    const cells = readers.map((read, i) => read(args[i]));
    let bytes = 0;
    const at = (row: number): T => {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- map keeps the tuple's order, its type does not say so
      const result = compute(...(cells.map((cell) => cell(row)) as CellsOf<Readers>));
      if (typeof result === 'string' && (bytes += result.length) > TEXT_BYTES_MAX) throw tooMuchText();
      return result;
    };
    const ids = distinctIds(args.slice(0, readers.length), length);
    const results: T[] = [];
    if (ids === undefined) for (let row = 0; row < length; row++) results.push(at(row));
    else for (let row = 0; row < length; row++) if (ids[row] === results.length) results.push(at(row));
    return write(results, ids);
  };

/**
 * Dense ids, in order of first sight, of the distinct combinations of the columns' cells; undefined where looking for
 * repeats does not pay: a plain column has few, and there is nothing to tell apart without columns.
 */
export function distinctIds(columns: readonly Column[], length: number): Int32Array | undefined {
  let ids: Int32Array | undefined;
  let count = 0;
  for (const column of columns) {
    if (constants.has(column)) continue;
    const words = wordsOf(column);
    if (words === undefined) return undefined;
    for (const [xs, ys] of words) {
      const table = createPairTable();
      const own = table.encode(xs, ys, length);
      if (ids === undefined) ids = own;
      else {
        const both = createPairTable();
        ids = both.encode({ words: ids, ...DENSE, bound: count }, { words: own, ...DENSE, bound: table.size }, length);
        count = both.size;
        continue;
      }
      count = table.size;
    }
  }
  return ids;
}

const DENSE = { offset: 0, stride: 1 };
const ZERO: Words = { words: new Int32Array(1), offset: 0, stride: 0, bound: 1 };

/** The pairs of 32-bit words that tell cells of a column apart. */
function wordsOf(column: Column): readonly (readonly [Words, Words])[] | undefined {
  switch (column.type) {
    case 'STRING':
      if (column.codes === undefined) return undefined;
      return [[{ words: column.codes, ...DENSE, bound: column.dictionary.length }, ZERO]];
    case 'BOOLEAN':
      return [[{ words: Int32Array.from(column.values), ...DENSE, bound: 256 }, ZERO]];
    case 'UINT128': {
      const words = halves(column.values);
      const at = (offset: number): Words => ({ words, offset, stride: 4 });
      return [
        [at(1), at(0)],
        [at(3), at(2)],
      ];
    }
    case 'INT64':
    case 'TIME64NS':
    case 'FLOAT64': {
      const words = halves(column.values);
      return [
        [
          { words, offset: 1, stride: 2 },
          { words, offset: 0, stride: 2 },
        ],
      ];
    }
  }
}
