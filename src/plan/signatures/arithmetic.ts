// Arithmetic, logic, comparison and selection.
import type { FunctionSignature } from '../signature.ts';
import { ALL_SEMANTIC_TYPES, inherited, scalar } from './build.ts';

const QUANTITIES = ['ST_BYTES', 'ST_THROUGHPUT_PER_NS', 'ST_THROUGHPUT_BYTES_PER_NS', 'ST_DURATION_NS'] as const;
const COMPARED = 'II>B FF>B SS>B TT>B IF>B FI>B';
const EQUATED = 'II>B SS>B BB>B TT>B UU>B BI>B IB>B IF>B FI>B FF>B';
const TO_DOUBLE = 'I>F F>F';
const PAIR_TO_DOUBLE = 'II>F IF>F FI>F FF>F';

export const ARITHMETIC: readonly FunctionSignature[] = [
  scalar('add', 'II>I FF>F IF>F FI>F TI>T IT>T SS>S', 'Sum; INT64 wraps, strings are joined. Operator +', {
    rules: inherited(QUANTITIES, 2),
  }),
  scalar('subtract', 'II>I FF>F IF>F FI>F TI>T TT>I IT>I', 'Difference; INT64 wraps. Operator -', {
    rules: inherited(QUANTITIES, 2),
  }),
  scalar('multiply', 'II>I FF>F IF>F FI>F', 'Product; INT64 wraps. Operator *'),
  scalar('divide', 'II>F IF>F FI>F FF>F', 'Quotient, always FLOAT64; x/0 is infinite, 0/0 is NaN. Operator /', {
    rules: [
      { args: ['ST_BYTES', 'ST_DURATION_NS'], result: 'ST_THROUGHPUT_BYTES_PER_NS' },
      { args: ['ST_NONE', 'ST_DURATION_NS'], result: 'ST_THROUGHPUT_PER_NS' },
    ],
  }),
  scalar('modulo', 'II>I TI>I TT>I IT>I', 'Remainder with the sign of the dividend. Operator %'),
  scalar('negate', 'I>I F>F', 'The value with its sign changed. Unary -'),
  scalar('invert', 'I>I', 'Bitwise complement. Operator ~'),
  scalar('abs', 'I>I F>F', 'Absolute value', { rules: inherited([...QUANTITIES, 'ST_PERCENT']) }),
  scalar('ceil', 'F>I', 'The smallest integer that is not below the value'),
  scalar('floor', 'F>I', 'The largest integer that is not above the value'),
  scalar('round', 'FI>S', 'Text of the value with a number of decimals'),
  scalar('sqrt', TO_DOUBLE, 'Square root'),
  scalar('exp', TO_DOUBLE, 'e to the power of the value'),
  scalar('ln', TO_DOUBLE, 'Natural logarithm'),
  scalar('log2', TO_DOUBLE, 'Logarithm to base 2'),
  scalar('log10', TO_DOUBLE, 'Logarithm to base 10'),
  scalar('log', PAIR_TO_DOUBLE, 'Logarithm of the second argument to the base of the first'),
  scalar('pow', PAIR_TO_DOUBLE, 'The first argument to the power of the second'),
  scalar('bin', 'II>I TT>T IT>I TI>T FI>I', 'The value rounded toward zero to a multiple of the size'),
  scalar('time_to_int64', 'T>I', 'Nanoseconds since the epoch'),
  scalar('int64_to_time', 'I>T', 'The time that is so many nanoseconds after the epoch'),
  scalar('logicalAnd', 'BB>B II>B', 'Whether both are true. Operator and'),
  scalar('logicalOr', 'BB>B II>B', 'Whether one is true. Operator or'),
  scalar('logicalNot', 'B>B I>B', 'Whether the value is false. Operator not'),
  scalar('equal', EQUATED, 'Equality, approximate between FLOAT64. Operator =='),
  scalar('notEqual', EQUATED, 'Inequality, approximate between FLOAT64. Operator !='),
  scalar('approxEqual', 'FF>B', 'Whether two values differ by less than 2.22e-16'),
  scalar('lessThan', COMPARED, 'Order; strings by their bytes. Operator <'),
  scalar('lessThanEqual', COMPARED, 'Order; strings by their bytes. Operator <='),
  scalar('greaterThan', COMPARED, 'Order; strings by their bytes. Operator >'),
  scalar('greaterThanEqual', COMPARED, 'Order; strings by their bytes. Operator >='),
  scalar('select', 'BBB>B BII>I BFF>F BTT>T BSS>S', 'The second argument where the first is true, else the third', {
    rules: inherited(ALL_SEMANTIC_TYPES, 3, 2),
  }),
];
