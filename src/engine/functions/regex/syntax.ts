// Regular expressions of the RE2 dialect as a tree. Back-references and look-around are not part of it, so matching
// time can be bounded by length of pattern times length of text.
import { classRanges, foldRanges, negateRanges, perlRanges, propertyRanges, type Ranges } from './ranges.ts';

export type Regex =
  | { readonly kind: 'empty' }
  | { readonly kind: 'set'; readonly ranges: Ranges }
  | { readonly kind: 'assert'; readonly what: Assertion }
  | { readonly kind: 'group'; readonly index: number; readonly body: Regex }
  | { readonly kind: 'sequence'; readonly items: readonly Regex[] }
  | { readonly kind: 'choice'; readonly items: readonly Regex[] }
  | {
      readonly kind: 'repeat';
      readonly body: Regex;
      readonly min: number;
      readonly max: number;
      readonly isGreedy: boolean;
    };

export type Assertion = 'begin' | 'end' | 'beginLine' | 'endLine' | 'word' | 'notWord';

export interface ParsedRegex {
  readonly root: Regex;
  readonly groups: number;
}

/** Why a pattern is none of the dialect. */
export class RegexError extends Error {}

const PATTERN_LENGTH_MAX = 10_000;
const DEPTH_MAX = 100;
const REPEAT_MAX = 1000;
/** Tables of Unicode properties take a tenth of a second each to make. */
const PROPERTIES_MAX = 8;

interface Flags {
  readonly i: boolean;
  readonly m: boolean;
  readonly s: boolean;
  readonly U: boolean;
}

const CONTROL: Readonly<Record<string, number>> = { a: 7, f: 12, n: 10, r: 13, t: 9, v: 11 };

/** `dotAll`: `.` also matches a newline, unless the pattern says otherwise. */
export function parseRegex(pattern: string, dotAll: boolean): ParsedRegex {
  if (pattern.length > PATTERN_LENGTH_MAX)
    throw new RegexError(`pattern is longer than ${PATTERN_LENGTH_MAX} characters`);
  const chars = Array.from(pattern);
  let at = 0;
  let groups = 0;
  let properties = 0;
  let flags: Flags = { i: false, m: false, s: dotAll, U: false };

  const peek = (text: string): boolean => chars.slice(at, at + text.length).join('') === text;
  const accept = (text: string): boolean => {
    if (!peek(text)) return false;
    at += text.length;
    return true;
  };
  const rest = (): string => chars.slice(at).join('');
  const set = (ranges: Ranges): Regex => ({ kind: 'set', ranges: flags.i ? foldRanges(ranges) : ranges });
  const code = (point: number): Ranges => [[point, point]];

  function choice(depth: number): Regex {
    if (depth > DEPTH_MAX) throw new RegexError('nesting is too deep');
    // Flags set inside a group end with it.
    const outer = flags;
    const items = [sequence(depth)];
    while (accept('|')) items.push(sequence(depth));
    flags = outer;
    const [only, ...more] = items;
    return only !== undefined && more.length === 0 ? only : { kind: 'choice', items };
  }

  function sequence(depth: number): Regex {
    const items: Regex[] = [];
    while (at < chars.length && !peek('|') && !peek(')')) {
      const item = atom(depth);
      if (item !== undefined) items.push(repeated(item));
    }
    const [only, ...more] = items;
    if (only === undefined) return { kind: 'empty' };
    return more.length === 0 ? only : { kind: 'sequence', items };
  }

  function repeated(item: Regex): Regex {
    const bounds = quantifier();
    if (bounds === undefined) return item;
    const isGreedy = accept('?') === flags.U;
    if (quantifier() !== undefined) throw new RegexError('bad repetition operator: two in a row');
    return { kind: 'repeat', body: item, ...bounds, isGreedy };
  }

  function quantifier(): { readonly min: number; readonly max: number } | undefined {
    if (accept('*')) return { min: 0, max: Infinity };
    if (accept('+')) return { min: 1, max: Infinity };
    if (accept('?')) return { min: 0, max: 1 };
    const [whole, low, comma, high] = /^\{(\d+)(,(\d*))?\}/.exec(rest())?.slice(0, 4) ?? [];
    if (whole === undefined) return undefined;
    at += whole.length;
    const min = Number(low);
    const max = comma === undefined ? min : high === '' ? Infinity : Number(high);
    if (min > REPEAT_MAX || (max !== Infinity && (max > REPEAT_MAX || max < min))) {
      throw new RegexError(`bad repetition: ${whole}`);
    }
    return { min, max };
  }

  /** Undefined for what stands for nothing, such as flags. */
  function atom(depth: number): Regex | undefined {
    const char = chars[at++] ?? '';
    switch (char) {
      case '(':
        return group(depth);
      case '[':
        return set(bracket());
      case '.':
        return { kind: 'set', ranges: flags.s ? [[0, 0x10ffff]] : negateRanges(code(10)) };
      case '^':
        return { kind: 'assert', what: flags.m ? 'beginLine' : 'begin' };
      case '$':
        return { kind: 'assert', what: flags.m ? 'endLine' : 'end' };
      case '\\':
        return escape();
      case '*':
      case '+':
      case '?':
        throw new RegexError(`no argument for repetition operator: ${char}`);
      default:
        return set(code(char.codePointAt(0) ?? 0));
    }
  }

  function group(depth: number): Regex | undefined {
    if (!accept('?')) return captured(depth);
    const name = /^P?<([A-Za-z_][A-Za-z0-9_]*)>/.exec(rest())?.[0];
    if (name !== undefined) {
      at += name.length;
      return captured(depth);
    }
    const [written, on = '', off = '', end] = /^([imsU]*)(?:-([imsU]+))?([:)])/.exec(rest()) ?? [];
    if (written === undefined) throw new RegexError(`invalid or unsupported group: (?${rest().slice(0, 2)}`);
    at += written.length;
    const has = (flag: keyof Flags): boolean => (flags[flag] || on.includes(flag)) && !off.includes(flag);
    const inner: Flags = { i: has('i'), m: has('m'), s: has('s'), U: has('U') };
    const outer = flags;
    flags = inner;
    if (end === ')') return undefined;
    const body = closed(depth);
    flags = outer;
    return body;
  }

  function captured(depth: number): Regex {
    const index = ++groups;
    return { kind: 'group', index, body: closed(depth) };
  }

  function closed(depth: number): Regex {
    const body = choice(depth + 1);
    if (!accept(')')) throw new RegexError('missing closing )');
    return body;
  }

  function escape(): Regex {
    const char = chars[at++];
    if (char === undefined) throw new RegexError('trailing \\');
    if (char === 'A') return { kind: 'assert', what: 'begin' };
    if (char === 'z') return { kind: 'assert', what: 'end' };
    if (char === 'b') return { kind: 'assert', what: 'word' };
    if (char === 'B') return { kind: 'assert', what: 'notWord' };
    if (char === 'Q') return quoted();
    at--;
    return set(classEscape() ?? code(charEscape()));
  }

  function quoted(): Regex {
    const text = rest();
    const end = text.indexOf('\\E');
    const literal = Array.from(end < 0 ? text : text.slice(0, end));
    at += literal.length + (end < 0 ? 0 : 2);
    return { kind: 'sequence', items: literal.map((char) => set(code(char.codePointAt(0) ?? 0))) };
  }

  /** `\d`, `\pL` and the like, behind the backslash. */
  function classEscape(): Ranges | undefined {
    const [written, letter = '', property, short] = /^([dDsSwWpP])(?:\{(\^?\w+)\}|([A-Za-z]))?/.exec(rest()) ?? [];
    if (written === undefined) return undefined;
    if (letter !== 'p' && letter !== 'P') {
      at++;
      return perlRanges(letter);
    }
    at += written.length;
    const name = property ?? short;
    if (++properties > PROPERTIES_MAX) throw new RegexError(`more than ${PROPERTIES_MAX} Unicode classes`);
    const ranges = name === undefined ? undefined : propertyRanges(name.replace('^', ''));
    if (ranges === undefined) throw new RegexError(`invalid character class range: \\${written}`);
    return (letter === 'P') === (name?.startsWith('^') ?? false) ? ranges : negateRanges(ranges);
  }

  /** One character behind the backslash. */
  function charEscape(): number {
    const [written, hex, braced, octal] =
      /^(?:x([0-9A-Fa-f]{2})|x\{([0-9A-Fa-f]{1,6})\}|(0[0-7]{0,2}|[1-7][0-7]{2}))/.exec(rest()) ?? [];
    if (written !== undefined) {
      at += written.length;
      const point = Number.parseInt(hex ?? braced ?? octal ?? '', octal === undefined ? 16 : 8);
      if (point > 0x10ffff) throw new RegexError(`invalid escape sequence: \\${written}`);
      return point;
    }
    const char = chars[at++] ?? '';
    const control = CONTROL[char];
    if (control !== undefined) return control;
    if (/[1-9]/.test(char)) throw new RegexError(`back-references are not supported: \\${char}`);
    if (char === '' || /[A-Za-z0-9]/.test(char)) throw new RegexError(`invalid escape sequence: \\${char}`);
    return char.codePointAt(0) ?? 0;
  }

  /** The members of `[…]`, behind the opening bracket. */
  function bracket(): Ranges {
    const isNegated = accept('^');
    const ranges: (readonly [number, number])[] = [];
    for (let isFirst = true; isFirst || !peek(']'); isFirst = false) {
      if (at >= chars.length) throw new RegexError('missing closing ]');
      const [posix, not, name = ''] = /^\[:(\^?)([a-z]+):\]/.exec(rest()) ?? [];
      if (posix !== undefined) {
        const named = classRanges(name);
        if (named === undefined) throw new RegexError(`invalid character class range: ${posix}`);
        at += posix.length;
        ranges.push(...(not === '' ? named : negateRanges(named)));
        continue;
      }
      if (peek('\\')) {
        at++;
        const escaped = classEscape();
        if (escaped !== undefined) {
          ranges.push(...escaped);
          continue;
        }
        at--;
      }
      const low = member();
      if (peek('-') && chars[at + 1] !== ']' && at + 1 < chars.length) {
        at++;
        const high = member();
        if (high < low) throw new RegexError('invalid character class range');
        ranges.push([low, high]);
      } else ranges.push([low, low]);
    }
    at++;
    const folded = flags.i ? foldRanges(ranges) : ranges;
    return isNegated ? negateRanges(folded) : folded;
  }

  function member(): number {
    if (accept('\\')) return charEscape();
    return (chars[at++] ?? '').codePointAt(0) ?? 0;
  }

  const root = choice(0);
  if (at < chars.length) throw new RegexError('unexpected )');
  return { root, groups };
}
