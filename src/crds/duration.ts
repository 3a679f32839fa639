// Durations as Kubernetes users write them: Go's `time.ParseDuration` without signs (`10s`, `1m30s`, `500ms`), which CEL's
// `duration()` is, too. The arithmetic is Go's, to the nanosecond, so that both sides judge every text alike.

export const DURATION_PATTERN = '^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$';

const UNIT_NS: Readonly<Record<string, number>> = { ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };
/** Go's durations are 64-bit. */
const NS_MAX = 2n ** 63n - 1n;

const PATTERN = new RegExp(DURATION_PATTERN);

/** Digits after the point as Go reads them: as many as a 64-bit integer takes, the rest is cut. */
function fraction(digits: string): { value: bigint; scale: number } {
  let [value, scale] = [0n, 1];
  for (const digit of digits) {
    const next = value * 10n + BigInt(digit);
    if (value > NS_MAX / 10n || next > NS_MAX + 1n) break;
    [value, scale] = [next, scale * 10];
  }
  return { value, scale };
}

/** Nanoseconds of a duration such as `1m30s`; undefined where the text is none, or is more than 64 bits hold. */
export function parseDurationNs(text: string): bigint | undefined {
  if (!PATTERN.test(text)) return undefined;
  let total = 0n;
  for (const [, whole = '0', , digits = '', unit = ''] of text.matchAll(/([0-9]+)(\.([0-9]+))?(ms|s|m|h)/g)) {
    const unitNs = UNIT_NS[unit] ?? 0;
    const { value, scale } = fraction(digits);
    total += BigInt(whole) * BigInt(unitNs) + BigInt(Math.trunc(Number(value) * (unitNs / scale)));
  }
  return total > NS_MAX ? undefined : total;
}

/** Milliseconds of a duration such as `1m30s`; undefined where the text is none. */
export function parseDurationMs(text: string): number | undefined {
  const ns = parseDurationNs(text);
  return ns === undefined ? undefined : Number(ns) / 1e6;
}

/** Whether a duration lies in [min, max]; `min` and `max` are durations, too. */
export function isDurationWithin(text: string, min: string, max: string): boolean {
  const [ns, least = 0n, most = 0n] = [text, min, max].map(parseDurationNs);
  return ns !== undefined && ns >= least && ns <= most;
}

/** The same in CEL, about `self`. */
export const durationWithinCel = (min: string, max: string): string =>
  `duration(self) >= duration('${min}') && duration(self) <= duration('${max}')`;
