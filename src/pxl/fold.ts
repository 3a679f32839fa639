// Operators over literals, evaluated while compiling.
import type { DataType } from '../model/types.ts';
import type { LiteralValue } from '../plan/expression.ts';

export interface Constant {
  readonly value: LiteralValue;
  readonly type: DataType;
}

const EQUAL_WITHIN = 2.220446049250313e-16;

const int = (value: bigint): Constant => ({ value: BigInt.asIntN(64, value), type: 'INT64' });
const time = (value: bigint): Constant => ({ value: BigInt.asIntN(64, value), type: 'TIME64NS' });
const float = (value: number): Constant => ({ value, type: 'FLOAT64' });
const bool = (value: boolean): Constant => ({ value, type: 'BOOLEAN' });

const isNumeric = (type: DataType): boolean => type === 'INT64' || type === 'FLOAT64';

function arithmetic(name: string, a: Constant, b: Constant): Constant | undefined {
  const types = `${a.type} ${b.type}`;
  if (typeof a.value === 'string' && typeof b.value === 'string') {
    return name === 'add' ? { value: a.value + b.value, type: 'STRING' } : undefined;
  }
  if (typeof a.value === 'bigint' && typeof b.value === 'bigint') {
    const [x, y] = [a.value, b.value];
    const instants = types !== 'INT64 INT64';
    if (name === 'add' && types !== 'TIME64NS TIME64NS') return instants ? time(x + y) : int(x + y);
    if (name === 'subtract' && types !== 'TIME64NS INT64') return int(x - y);
    if (name === 'subtract') return time(x - y);
    if (name === 'modulo') return y === 0n ? undefined : int(x % y);
    if (instants) return undefined;
    if (name === 'multiply') return int(x * y);
    if (name === 'divide') return float(Number(x) / Number(y));
    return undefined;
  }
  if (!isNumeric(a.type) || !isNumeric(b.type)) return undefined;
  const [x, y] = [Number(a.value), Number(b.value)];
  if (name === 'add') return float(x + y);
  if (name === 'subtract') return float(x - y);
  if (name === 'multiply') return float(x * y);
  if (name === 'divide') return float(x / y);
  return undefined;
}

function isEqual(a: Constant, b: Constant): boolean | undefined {
  if (a.type === 'FLOAT64' || b.type === 'FLOAT64') {
    if (!isNumeric(a.type) || !isNumeric(b.type)) return undefined;
    return Math.abs(Number(a.value) - Number(b.value)) < EQUAL_WITHIN;
  }
  const mixed = `${a.type} ${b.type}`;
  if (mixed === 'BOOLEAN INT64' || mixed === 'INT64 BOOLEAN')
    return BigInt(Number(a.value)) === BigInt(Number(b.value));
  if (a.type !== b.type) return undefined;
  if (typeof a.value === 'object' && typeof b.value === 'object') {
    return a.value.high === b.value.high && a.value.low === b.value.low;
  }
  return a.value === b.value;
}

/** Negative, 0, positive; NaN where nothing can be said. Strings by their bytes. */
function compare(a: LiteralValue, b: LiteralValue): number {
  if (typeof a === 'string' && typeof b === 'string') return Buffer.compare(Buffer.from(a), Buffer.from(b));
  if (typeof a === 'bigint' && typeof b === 'bigint') return a < b ? -1 : a > b ? 1 : 0;
  return Number(a) - Number(b);
}

function comparison(name: string, a: Constant, b: Constant): Constant | undefined {
  if (name === 'equal' || name === 'notEqual') {
    const equal = isEqual(a, b);
    return equal === undefined ? undefined : bool(equal === (name === 'equal'));
  }
  if (a.type !== b.type && !(isNumeric(a.type) && isNumeric(b.type))) return undefined;
  if (a.type === 'BOOLEAN' || a.type === 'UINT128') return undefined;
  const order = compare(a.value, b.value);
  if (name === 'lessThan') return bool(order < 0);
  if (name === 'lessThanEqual') return bool(order <= 0);
  if (name === 'greaterThan') return bool(order > 0);
  if (name === 'greaterThanEqual') return bool(order >= 0);
  return undefined;
}

function logic(name: string, args: readonly Constant[]): Constant | undefined {
  const types = new Set(args.map((arg) => arg.type));
  const [type] = types;
  if (types.size !== 1 || (type !== 'BOOLEAN' && type !== 'INT64')) return undefined;
  const truths = args.map((arg) => arg.value !== false && arg.value !== 0n);
  if (name === 'logicalAnd') return bool(truths.every(Boolean));
  if (name === 'logicalOr') return bool(truths.some(Boolean));
  return name === 'logicalNot' ? bool(truths[0] === false) : undefined;
}

/** The value of operator function `name` over constants; undefined where no overload fits (or nothing can be folded). */
export function fold(name: string, args: readonly Constant[]): Constant | undefined {
  const [a, b] = args;
  if (a === undefined) return undefined;
  if (name.startsWith('logical')) return logic(name, args);
  if (b !== undefined) return arithmetic(name, a, b) ?? comparison(name, a, b);
  if (name === 'negate' && a.type === 'INT64' && typeof a.value === 'bigint') return int(-a.value);
  if (name === 'negate' && a.type === 'FLOAT64') return float(-Number(a.value));
  if (name === 'invert' && a.type === 'INT64' && typeof a.value === 'bigint') return int(~a.value);
  return undefined;
}
