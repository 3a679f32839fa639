// Sets of characters as sorted or unsorted lists of code point ranges.

export type Ranges = readonly (readonly [number, number])[];

const LAST = 0x10ffff;

const between = (...pairs: readonly string[]): Ranges =>
  pairs.map((pair) => [pair.charCodeAt(0), pair.charCodeAt(pair.length - 1)] as const);

const DIGIT = between('09');
const SPACE: Ranges = [
  [9, 10],
  [12, 13],
  [32, 32],
];
const WORD = between('09', 'AZ', '__', 'az');

/** `\d \s \w` and their opposites; ASCII only. */
export function perlRanges(letter: string): Ranges {
  const ranges = { d: DIGIT, s: SPACE, w: WORD }[letter.toLowerCase()] ?? [];
  return letter === letter.toLowerCase() ? ranges : negateRanges(ranges);
}

const CLASSES: Readonly<Record<string, Ranges>> = {
  alnum: between('09', 'AZ', 'az'),
  alpha: between('AZ', 'az'),
  ascii: [[0, 127]],
  blank: between('\t\t', '  '),
  cntrl: [
    [0, 31],
    [127, 127],
  ],
  digit: DIGIT,
  graph: between('!~'),
  lower: between('az'),
  print: between(' ~'),
  punct: between('!/', ':@', '[`', '{~'),
  space: [
    [9, 13],
    [32, 32],
  ],
  upper: between('AZ'),
  word: WORD,
  xdigit: between('09', 'AF', 'af'),
};

/** `[:name:]` of a bracket. */
export const classRanges = (name: string): Ranges | undefined =>
  Object.hasOwn(CLASSES, name) ? CLASSES[name] : undefined;

const properties = new Map<string, Ranges>();

/** `\p{name}`: a general category or a script, as this runtime's Unicode tables have it. */
export function propertyRanges(name: string): Ranges | undefined {
  const known = properties.get(name);
  if (known !== undefined) return known;
  const test = propertyTest(name);
  if (test === undefined) return undefined;
  const ranges: [number, number][] = [];
  for (let point = 0; point <= LAST; point++) {
    if (!test.test(String.fromCodePoint(point))) continue;
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === point - 1) last[1] = point;
    else ranges.push([point, point]);
  }
  properties.set(name, ranges);
  return ranges;
}

function propertyTest(name: string): RegExp | undefined {
  for (const property of [`gc=${name}`, `sc=${name}`]) {
    try {
      return new RegExp(`^\\p{${property}}$`, 'u');
    } catch {
      // Not of this kind; the next may know it.
    }
  }
  return undefined;
}

export function normalRanges(ranges: Ranges): Ranges {
  const sorted = [...ranges].sort(([a], [b]) => a - b);
  const out: [number, number][] = [];
  for (const [low, high] of sorted) {
    const last = out.at(-1);
    if (last !== undefined && low <= last[1] + 1) last[1] = Math.max(last[1], high);
    else out.push([low, high]);
  }
  return out;
}

export function negateRanges(ranges: Ranges): Ranges {
  const out: [number, number][] = [];
  let next = 0;
  for (const [low, high] of normalRanges(ranges)) {
    if (low > next) out.push([next, low - 1]);
    next = high + 1;
  }
  if (next <= LAST) out.push([next, LAST]);
  return out;
}

/** Wider ranges are folded in their ASCII part alone. */
const FOLD_MAX = 4096;

/** The set with the other case of each letter. */
export function foldRanges(ranges: Ranges): Ranges {
  const added: [number, number][] = [];
  for (const [low, high] of ranges) {
    const last = high - low > FOLD_MAX ? Math.min(high, 127) : high;
    for (let point = low; point <= last; point++) {
      const char = String.fromCodePoint(point);
      for (const other of [char.toLowerCase(), char.toUpperCase()]) {
        const otherPoint = other.codePointAt(0) ?? 0;
        if (otherPoint !== point && String.fromCodePoint(otherPoint) === other) added.push([otherPoint, otherPoint]);
      }
    }
  }
  return normalRanges([...ranges, ...added]);
}

/** Whether a set (normal form) has the code point. */
export function hasPoint(ranges: Ranges, point: number): boolean {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ranges[middle]?.[1] ?? 0) < point) low = middle + 1;
    else high = middle;
  }
  return (ranges[low]?.[0] ?? Infinity) <= point;
}
