// Cells from parsed JSON, for people who write rows by hand: strict about types, generous about notation.
import { zeroOf } from '../columns/batch.ts';
import { parseTime } from '../model/time.ts';
import type { Cell, DataType, Uint128 } from '../model/types.ts';
import { parseUpid } from '../model/upid.ts';

/** What a JSON value of each type may be, in words for messages. */
export const ALLOWED_JSON: Readonly<Record<DataType, string>> = {
  BOOLEAN: 'true or false',
  INT64: 'a whole number, or its digits as a string',
  FLOAT64: 'a number, or "NaN", "Infinity", "-Infinity"',
  TIME64NS: 'whole nanoseconds since 1970, or an RFC 3339 time such as "2026-11-21T08:00:00.5Z"',
  UINT128: '"asid:pid:start_ticks" (decimal), or a UUID',
  STRING: 'a string',
};

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

/** The cell that `value` stands for; null and undefined are the zero value. Undefined where it is no cell of `type`. */
export function cellFromJson(type: DataType, value: unknown): Cell | undefined {
  if (value === null || value === undefined) return zeroOf(type);
  switch (type) {
    case 'BOOLEAN':
      return typeof value === 'boolean' ? value : undefined;
    case 'INT64':
      return wholeNumber(value);
    case 'TIME64NS':
      return wholeNumber(value) ?? (typeof value === 'string' ? inRange(parseTime(value)) : undefined);
    case 'FLOAT64':
      return float(value);
    case 'UINT128':
      return typeof value === 'string' ? (parseUpid(value) ?? parseUuid(value)) : undefined;
    case 'STRING':
      return typeof value === 'string' ? value : undefined;
  }
}

const inRange = (value: bigint | undefined): bigint | undefined =>
  value !== undefined && value >= INT64_MIN && value <= INT64_MAX ? value : undefined;

function wholeNumber(value: unknown): bigint | undefined {
  if (typeof value === 'bigint') return inRange(value);
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : undefined;
  if (typeof value === 'string' && /^-?\d{1,19}$/.test(value)) return inRange(BigInt(value));
  return undefined;
}

function float(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return Number(value);
  return value === 'NaN' || value === 'Infinity' || value === '-Infinity' ? Number(value) : undefined;
}

const UUID = /^([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})$/i;

function parseUuid(text: string): Uint128 | undefined {
  const match = UUID.exec(text);
  if (match === null) return undefined;
  const [, a = '', b = '', c = '', d = '', e = ''] = match;
  return { high: BigInt(`0x${a}${b}${c}`), low: BigInt(`0x${d}${e}`) };
}
