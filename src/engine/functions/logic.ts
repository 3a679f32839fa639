// Logic, comparison and selection. FLOAT64 equality is approximate; strings compare by their bytes.
import type { Column } from '../../columns/column.ts';
import { createInterner, rowReader } from '../byte-string.ts';
import { halves } from '../operators/key-table.ts';
import {
  booleans,
  float64s,
  int64s,
  perDistinct,
  S,
  strings,
  toB,
  uint128s,
  type Implementation,
  type Implementations,
} from './kernel.ts';

/** Doubles closer than this are equal: the distance from 1 to the next double. */
const EPSILON = 2.220446049250313e-16;

type Loop<A> = (a: A, b: A, out: Uint8Array) => void;

const column = (values: Uint8Array): Column => ({ type: 'BOOLEAN', length: values.length, values });

const comparing =
  <A>(read: (column: Column | undefined) => A, loop: Loop<A>): Implementation =>
  () =>
  ([a, b], length) => {
    const out = new Uint8Array(length);
    loop(read(a), read(b), out);
    return column(out);
  };

const swapped =
  <A>(loop: Loop<A>): Loop<A> =>
  (a, b, out) =>
    loop(b, a, out);

const negated =
  <A>(loop: Loop<A>): Loop<A> =>
  (a, b, out) => {
    loop(a, b, out);
    for (let i = 0; i < out.length; i++) out[i] = 1 - (out[i] ?? 0);
  };

// 64-bit integers are compared by their halves: as bigint it is twice as fast at best, but seven times slower wherever V8
// has not (or not again) compiled the loop with its last compiler, and leaves a heap number a row behind.

/** a < b, or a <= b where `orEqual` is 1. */
function compareHalves(a: Int32Array, b: Int32Array, out: Uint8Array, orEqual: 0 | 1): void {
  for (let i = 0; i < out.length; i++) {
    const high = a[2 * i + 1]!;
    const otherHigh = b[2 * i + 1]!;
    const low = a[2 * i]! >>> 0;
    const otherLow = b[2 * i]! >>> 0;
    out[i] =
      high < otherHigh || (high === otherHigh && (low < otherLow || (low === otherLow && orEqual === 1))) ? 1 : 0;
  }
}
const intsLess: Loop<BigInt64Array> = (a, b, out) => compareHalves(halves(a), halves(b), out, 0);
const intsLessEqual: Loop<BigInt64Array> = (a, b, out) => compareHalves(halves(a), halves(b), out, 1);
const intsEqual: Loop<BigInt64Array> = (a, b, out) => {
  const [x, y] = [halves(a), halves(b)];
  for (let i = 0; i < out.length; i++)
    out[i] = ((x[2 * i]! ^ y[2 * i]!) | (x[2 * i + 1]! ^ y[2 * i + 1]!)) === 0 ? 1 : 0;
};
const floatsLess: Loop<Float64Array> = (a, b, out) => {
  for (let i = 0; i < out.length; i++) out[i] = (a[i] ?? 0) < (b[i] ?? 0) ? 1 : 0;
};
const floatsLessEqual: Loop<Float64Array> = (a, b, out) => {
  for (let i = 0; i < out.length; i++) out[i] = (a[i] ?? 0) <= (b[i] ?? 0) ? 1 : 0;
};
const floatsEqual: Loop<Float64Array> = (a, b, out) => {
  for (let i = 0; i < out.length; i++) out[i] = (a[i] ?? 0) === (b[i] ?? 0) ? 1 : 0;
};
const floatsClose: Loop<Float64Array> = (a, b, out) => {
  for (let i = 0; i < out.length; i++) out[i] = Math.abs((a[i] ?? 0) - (b[i] ?? 0)) < EPSILON ? 1 : 0;
};
/** Not the opposite of the above: NaN, and equal infinities, are neither close nor apart. */
const floatsApart: Loop<Float64Array> = (a, b, out) => {
  for (let i = 0; i < out.length; i++) out[i] = Math.abs((a[i] ?? 0) - (b[i] ?? 0)) > EPSILON ? 1 : 0;
};
const wordsEqual: Loop<BigUint64Array> = (a, b, out) => {
  for (let i = 0; i < out.length; i++) out[i] = a[2 * i] === b[2 * i] && a[2 * i + 1] === b[2 * i + 1] ? 1 : 0;
};

/** Truth of BOOLEAN and INT64 arguments as 0 or 1. */
function truths(argument: Column | undefined): Uint8Array {
  if (argument?.type === 'BOOLEAN') return argument.values;
  const values = int64s(argument);
  const out = new Uint8Array(values.length);
  const words = halves(values);
  for (let i = 0; i < out.length; i++) out[i] = (words[2 * i]! | words[2 * i + 1]!) === 0 ? 0 : 1;
  return out;
}

/** BOOLEAN against INT64 compares numbers: true is 1. */
function widened(argument: Column | undefined): BigInt64Array {
  return argument?.type === 'BOOLEAN' ? BigInt64Array.from(argument.values, BigInt) : int64s(argument);
}

const bothTrue: Loop<Uint8Array> = (a, b, out) => {
  for (let i = 0; i < out.length; i++) out[i] = (a[i] ?? 0) & (b[i] ?? 0);
};
const oneTrue: Loop<Uint8Array> = (a, b, out) => {
  for (let i = 0; i < out.length; i++) out[i] = (a[i] ?? 0) | (b[i] ?? 0);
};
const sameTruth: Loop<Uint8Array> = (a, b, out) => {
  for (let i = 0; i < out.length; i++) out[i] = a[i] === b[i] ? 1 : 0;
};

const not: Implementation =
  () =>
  ([a], length) => {
    const values = truths(a);
    const out = new Uint8Array(length);
    for (let i = 0; i < length; i++) out[i] = 1 - (values[i] ?? 0);
    return column(out);
  };

/** One ordering under all its argument types. */
const ordering = (
  name: string,
  ints: Loop<BigInt64Array>,
  floats: Loop<Float64Array>,
  texts: (a: string, b: string) => boolean,
): Implementations => ({
  [`${name}:II`]: comparing(int64s, ints),
  [`${name}:TT`]: comparing(int64s, ints),
  [`${name}:FF`]: comparing(float64s, floats),
  [`${name}:IF`]: comparing(float64s, floats),
  [`${name}:FI`]: comparing(float64s, floats),
  [`${name}:SS`]: () => perDistinct([S, S], toB, texts),
});

const selectStrings: Implementation =
  () =>
  ([condition, a, b], length) => {
    const truth = booleans(condition);
    const [yes, no] = [strings(a), strings(b)];
    const interner = createInterner();
    const sides = [no, yes].map((side) => ({
      codes: side.codes,
      read: rowReader(side),
      ids: side.codes === undefined ? undefined : new Int32Array(side.dictionary.length).fill(-1),
    }));
    const out = new Int32Array(length);
    for (let i = 0; i < length; i++) {
      const side = sides[truth[i] === 0 ? 0 : 1];
      if (side === undefined) continue;
      const code = side.codes?.[i] ?? 0;
      let id = side.ids?.[code] ?? -1;
      if (id < 0) {
        id = interner.intern(side.read(i));
        if (side.ids !== undefined) side.ids[code] = id;
      }
      out[i] = id;
    }
    return { type: 'STRING', length, codes: out, dictionary: interner.dictionary() };
  };

const selectInts =
  (type: 'INT64' | 'TIME64NS'): Implementation =>
  () =>
  ([condition, a, b], length) => {
    const [truth, yes, no] = [booleans(condition), int64s(a), int64s(b)];
    const values = new BigInt64Array(length);
    for (let i = 0; i < length; i++) values[i] = (truth[i] === 0 ? no[i] : yes[i]) ?? 0n;
    return { type, length, values };
  };

const selectFloats: Implementation =
  () =>
  ([condition, a, b], length) => {
    const [truth, yes, no] = [booleans(condition), float64s(a), float64s(b)];
    const values = new Float64Array(length);
    for (let i = 0; i < length; i++) values[i] = (truth[i] === 0 ? no[i] : yes[i]) ?? 0;
    return { type: 'FLOAT64', length, values };
  };

const selectBooleans: Implementation =
  () =>
  ([condition, a, b], length) => {
    const [truth, yes, no] = [booleans(condition), booleans(a), booleans(b)];
    const values = new Uint8Array(length);
    for (let i = 0; i < length; i++) values[i] = (truth[i] === 0 ? no[i] : yes[i]) ?? 0;
    return column(values);
  };

export const LOGIC: Implementations = {
  'logicalAnd:BB': comparing(truths, bothTrue),
  'logicalAnd:II': comparing(truths, bothTrue),
  'logicalOr:BB': comparing(truths, oneTrue),
  'logicalOr:II': comparing(truths, oneTrue),
  'logicalNot:B': not,
  'logicalNot:I': not,
  'equal:II': comparing(int64s, intsEqual),
  'equal:TT': comparing(int64s, intsEqual),
  'equal:SS': () => perDistinct([S, S], toB, (a, b) => a === b),
  'equal:BB': comparing(booleans, sameTruth),
  'equal:UU': comparing(uint128s, wordsEqual),
  'equal:BI': comparing(widened, intsEqual),
  'equal:IB': comparing(widened, intsEqual),
  'equal:IF': comparing(float64s, floatsEqual),
  'equal:FI': comparing(float64s, floatsEqual),
  'equal:FF': comparing(float64s, floatsClose),
  'notEqual:II': comparing(int64s, negated(intsEqual)),
  'notEqual:TT': comparing(int64s, negated(intsEqual)),
  'notEqual:SS': () => perDistinct([S, S], toB, (a, b) => a !== b),
  'notEqual:BB': comparing(booleans, negated(sameTruth)),
  'notEqual:UU': comparing(uint128s, negated(wordsEqual)),
  'notEqual:BI': comparing(widened, negated(intsEqual)),
  'notEqual:IB': comparing(widened, negated(intsEqual)),
  'notEqual:IF': comparing(float64s, negated(floatsEqual)),
  'notEqual:FI': comparing(float64s, negated(floatsEqual)),
  'notEqual:FF': comparing(float64s, floatsApart),
  'approxEqual:FF': comparing(float64s, floatsClose),
  ...ordering('lessThan', intsLess, floatsLess, (a, b) => a < b),
  ...ordering('lessThanEqual', intsLessEqual, floatsLessEqual, (a, b) => a <= b),
  ...ordering('greaterThan', swapped(intsLess), swapped(floatsLess), (a, b) => a > b),
  ...ordering('greaterThanEqual', swapped(intsLessEqual), swapped(floatsLessEqual), (a, b) => a >= b),
  'select:BBB': selectBooleans,
  'select:BII': selectInts('INT64'),
  'select:BTT': selectInts('TIME64NS'),
  'select:BFF': selectFloats,
  'select:BSS': selectStrings,
};
