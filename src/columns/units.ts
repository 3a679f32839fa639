// Numbers as people read them: sizes, durations, rates, shares. For eyes only; nothing reads these texts back.

const SIZE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];
const TIME_UNITS = ['ns', 'µs', 'ms', 's'];

/** Scales a value >= 0 to the largest unit that leaves at least 1 of it, with one decimal while that is short. */
function scale(value: number, base: number, units: readonly string[]): string {
  if (value < 10) return `${Math.trunc(value)} ${units[0]}`;
  let exponent = 0;
  let scaled = value;
  while (scaled >= base && exponent < units.length - 1) {
    scaled /= base;
    exponent++;
  }
  const tenths = Math.floor(scaled * 10 + 0.5) / 10;
  return `${tenths < base / 10 ? tenths.toFixed(1) : Math.floor(scaled + 0.5)} ${units[exponent]}`;
}

const signed = (value: number, text: (magnitude: number) => string): string => {
  if (!Number.isFinite(value)) return `${value}`;
  return value < 0 ? `-${text(-value)}` : text(value);
};

/** Bytes, e.g. `1.5 KiB`. */
export const formatBytes = (bytes: number): string => signed(bytes, (magnitude) => scale(magnitude, 1024, SIZE_UNITS));

/** Nanoseconds, e.g. `1.5 ms`, `2 min 5 s`, `3 days 1 hours`. */
export const formatDuration = (ns: number): string =>
  signed(ns, (magnitude) => {
    const seconds = Math.round(magnitude / 1e9);
    const minutes = Math.round(magnitude / 6e10);
    const hours = Math.round(magnitude / 3.6e12);
    if (hours > 24) return `${Math.floor(hours / 24)} days ${hours % 24} hours`;
    if (minutes > 60) return `${Math.floor(minutes / 60)} hours ${minutes % 60} min`;
    if (seconds > 60) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
    return scale(magnitude, 1000, TIME_UNITS);
  });

/** Events per nanosecond as events per second. */
export const formatRate = (perNs: number): string =>
  Number.isFinite(perNs) ? `${(perNs * 1e9).toFixed(6)}/sec` : `${perNs}`;

/** Bytes per nanosecond as bytes per second. */
export const formatByteRate = (bytesPerNs: number): string =>
  Number.isFinite(bytesPerNs) ? `${formatBytes(bytesPerNs * 1e9)}/sec` : `${bytesPerNs}`;

/** 1 is 100 %. */
export const formatPercent = (share: number): string =>
  Number.isFinite(share) ? `${(share * 100).toFixed(2)} %` : `${share}`;

/** Six significant digits, exponents below -4 and from 6 on, no zeros at the end: C's `%g`. */
export function formatFloat(value: number): string {
  if (!Number.isFinite(value)) return `${value}`;
  if (value === 0) return '0';
  const [mantissa = '', exponentText = '0'] = value.toExponential(5).split('e');
  const exponent = Number(exponentText);
  if (exponent >= -4 && exponent < 6) return trimZeros(value.toFixed(5 - exponent));
  const digits = Math.abs(exponent).toString().padStart(2, '0');
  return `${trimZeros(mantissa)}e${exponent < 0 ? '-' : '+'}${digits}`;
}

const trimZeros = (text: string): string => (text.includes('.') ? text.replace(/\.?0+$/, '') : text);
