// Wall-clock time as branded bigint nanoseconds, and its text form (RFC 3339, always UTC on output).

declare const brand: unique symbol;
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** Wall-clock time, nanoseconds since the Unix epoch. bigint, because 2^53 ns is only 104 days. */
export type TimeNs = Brand<bigint, 'TimeNs'>;

export const timeNs = (value: bigint): TimeNs => value as TimeNs;

export const NS_PER_SECOND = 1_000_000_000n;
export const NS_PER_MS = 1_000_000n;

/** The current wall-clock time with the resolution that the host gives (microseconds). */
export const now = (): TimeNs =>
  timeNs(BigInt(Math.trunc((performance.timeOrigin + performance.now()) * 1000)) * 1000n);

/** RFC 3339 text in UTC. `digits` of the fraction are kept (0, 3 or 9); the rest is cut, not rounded. */
export function formatTime(time: TimeNs, digits: 0 | 3 | 9 = 9): string {
  const seconds = time / NS_PER_SECOND - (time % NS_PER_SECOND < 0n ? 1n : 0n);
  const nanos = time - seconds * NS_PER_SECOND;
  const whole = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  const fraction = digits === 0 ? '' : `.${nanos.toString().padStart(9, '0').slice(0, digits)}`;
  return `${whole}${fraction}Z`;
}

const RFC_3339 = /^(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?([Zz]|[+-]\d{2}:\d{2})$/;

/** Parses RFC 3339 (section 5.6) with up to nine fractional digits; undefined where the text is not such a time. */
export function parseTime(text: string): TimeNs | undefined {
  const match = RFC_3339.exec(text);
  if (match === null) return undefined;
  const [, date = '', clock = '', fraction = '', zone = ''] = match;
  const ms = Date.parse(`${date}T${clock}${zone.toUpperCase()}`);
  if (Number.isNaN(ms)) return undefined;
  return timeNs(BigInt(ms) * NS_PER_MS + BigInt(fraction.padEnd(9, '0')));
}

const DURATION = /^(-?)(\d+)(ns|us|ms|s|m|h|d)$/;
const UNIT_NS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1000n,
  ms: NS_PER_MS,
  s: NS_PER_SECOND,
  m: 60n * NS_PER_SECOND,
  h: 3600n * NS_PER_SECOND,
  d: 86_400n * NS_PER_SECOND,
};

/** Parses a duration such as `10s`, `-5m`, `500ms` into nanoseconds; undefined where the text is none. */
export function parseDuration(text: string): bigint | undefined {
  const match = DURATION.exec(text);
  if (match === null) return undefined;
  const [, sign, digits = '0', unit = ''] = match;
  const value = BigInt(digits) * (UNIT_NS[unit] ?? 0n);
  return sign === '-' ? -value : value;
}
