// Times and durations as scripts write them. Nanoseconds, bigint.
import { parseTime } from '../model/time.ts';

export const UNIT_NS = {
  days: 86_400_000_000_000n,
  hours: 3_600_000_000_000n,
  minutes: 60_000_000_000n,
  seconds: 1_000_000_000n,
  milliseconds: 1_000_000n,
  microseconds: 1000n,
} as const;

const SHORT: Readonly<Record<string, bigint>> = {
  d: UNIT_NS.days,
  h: UNIT_NS.hours,
  m: UNIT_NS.minutes,
  s: UNIT_NS.seconds,
  ms: UNIT_NS.milliseconds,
};

export const fitsInt64 = (value: bigint): boolean => BigInt.asIntN(64, value) === value;

/**
 * The signed duration that `text` contains: the first `-5m`, `90s`, `500ms`, … anywhere in it (an unanchored search:
 * scripts rely on it). The number must fit 32 bits. Undefined where there is none.
 */
export function relativeNs(text: string): bigint | undefined {
  const match = /(-?\d+)(ms|m|s|h|d)/.exec(text);
  if (match === null) return undefined;
  const amount = BigInt(match[1] ?? '0');
  if (BigInt.asIntN(32, amount) !== amount) return undefined;
  return amount * (SHORT[match[2] ?? ''] ?? 0n);
}

const DATE = /^(\d{4}-\d{2}-\d{2}) (\d{2}:\d{2}:\d{2})(\.\d{1,9})? ?([+-])(\d{2}):?(\d{2})$/;

/** `YYYY-MM-DD hh:mm:ss[.frac] ±zone`, or RFC 3339; undefined where the text is neither. */
export function absoluteNs(text: string): bigint | undefined {
  const trimmed = text.trim();
  const match = DATE.exec(trimmed);
  if (match === null) return parseTime(trimmed);
  const [, date = '', clock = '', fraction = '', sign = '', hours = '', minutes = ''] = match;
  return parseTime(`${date}T${clock}${fraction}${sign}${hours}:${minutes}`);
}

/** A time in any form; relative ones count from `now`. */
export const timeOf = (text: string, now: bigint): bigint | undefined => {
  const relative = relativeNs(text);
  const time = relative === undefined ? absoluteNs(text) : now + relative;
  return time !== undefined && fitsInt64(time) ? time : undefined;
};

/** The largest whole unit, truncated, sign kept: -90 s is `-1m`; below 1 ms `0ms`. */
export function formatDuration(ns: bigint): string {
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    const amount = ns / (SHORT[unit] ?? 1n);
    if (amount !== 0n) return `${amount}${unit}`;
  }
  return `${ns / UNIT_NS.milliseconds}ms`;
}

const PATTERNS: Readonly<Record<string, string>> = {
  Y: '(?<year>\\d{4})',
  m: '(?<month>\\d{1,2})',
  d: '(?<day>\\d{1,2})',
  H: '(?<hour>\\d{1,2})',
  M: '(?<minute>\\d{1,2})',
  S: '(?<second>\\d{1,2})',
  'E*S': '(?<second>\\d{1,2})(?:\\.(?<fraction>\\d{1,9}))?',
  z: '(?<zone>[+-]\\d{2}:?\\d{2}|Z)',
  Z: '(?:UTC|GMT)',
  b: '(?<monthName>[A-Za-z]{3})',
  '%': '%',
};
const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];

/** `px.strptime`: UTC unless the layout has a zone. `unknown` names a directive that is not supported. */
export function parseWithLayout(
  text: string,
  layout: string,
): { readonly ns: bigint } | { readonly unknown: string } | undefined {
  const expanded = layout.replaceAll('%F', '%Y-%m-%d').replaceAll('%T', '%H:%M:%S').replaceAll('%R', '%H:%M');
  let unknown: string | undefined;
  const seen = new Set<string>();
  const pattern = expanded.replaceAll(
    /%(E\*S|.)|([.*+?^${}()|[\]\\])|(\s+)/g,
    (_, directive?: string, special?: string, space?: string) => {
      if (directive === undefined) return space === undefined ? `\\${special ?? ''}` : '\\s*';
      const found = Object.hasOwn(PATTERNS, directive) ? PATTERNS[directive] : undefined;
      if (found === undefined || (seen.has(directive) && directive !== '%')) unknown ??= `%${directive}`;
      seen.add(directive);
      return found ?? '';
    },
  );
  if (unknown !== undefined || (seen.has('S') && seen.has('E*S'))) return { unknown: unknown ?? '%E*S' };
  const groups = new RegExp(`^\\s*${pattern}\\s*$`).exec(text)?.groups;
  if (groups === undefined) return /^[^%]*$/.test(layout) && text === layout ? { ns: 0n } : undefined;
  const part = (name: string, missing: string): string => (groups[name] ?? missing).padStart(2, '0');
  const named = MONTHS.indexOf((groups['monthName'] ?? '').toLowerCase());
  if (groups['monthName'] !== undefined && named < 0) return undefined;
  const month = named >= 0 ? String(named + 1).padStart(2, '0') : part('month', '1');
  const zone = (groups['zone'] ?? 'Z').replace(/^([+-]\d{2})(\d{2})$/, '$1:$2');
  const fraction = groups['fraction'] === undefined ? '' : `.${groups['fraction']}`;
  const ns = parseTime(
    `${part('year', '1970')}-${month}-${part('day', '1')}T${part('hour', '0')}:${part('minute', '0')}:${part('second', '0')}${fraction}${zone}`,
  );
  return ns === undefined ? undefined : { ns };
}
