// Compiled patterns. JavaScript's own engine does the work where its backtracking is known to stay small for the text at
// hand; otherwise, and for patterns on which the two could disagree, our automaton does, in linear time.
import { assemble, run, type Program } from './automaton.ts';
import { normalRanges } from './ranges.ts';
import { parseRegex, type Assertion, type Regex } from './syntax.ts';

export interface Match {
  readonly start: number;
  readonly end: number;
  /** Text of groups 0, 1, …; empty where a group took no part. */
  readonly groups: readonly string[];
}

export interface Matcher {
  /** Number of capturing groups. */
  readonly groups: number;
  matchesAll(text: string): boolean;
  /** The first match at or after `from` (in UTF-16 units). */
  find(text: string, from: number): Match | undefined;
}

/** Steps that backtracking may take in the worst case before the automaton is used instead. */
const STEPS_MAX = 1_000_000;

/** @throws RegexError where the pattern is not of the RE2 dialect. `dotAll`: `.` matches a newline too. */
export function compileRegex(pattern: string, dotAll: boolean): Matcher {
  const { root, groups } = parseRegex(pattern, dotAll);
  const program = assemble(root);
  const cost = costOf(root, false);
  const native = cost === undefined ? undefined : nativeOf(root);
  const isCheap = (length: number, degree: number): boolean =>
    cost !== undefined && cost.factor * Math.max(2, length) ** (cost.degree + degree) <= STEPS_MAX;

  let decoded: Decoded | undefined;

  return {
    groups,
    matchesAll(text) {
      if (native !== undefined && isCheap(text.length, 0)) return native.full.test(text);
      return run(program, pointsOf(text), { from: 0, isFull: true, groups: 0 }) !== undefined;
    },
    find(text, from) {
      if (native === undefined || !isCheap(text.length, 1)) {
        if (decoded?.text !== text) decoded = decode(text);
        return findSlowly(program, decoded, from, groups);
      }
      native.search.lastIndex = from;
      const found = native.search.exec(text);
      if (found === null) return undefined;
      return {
        start: found.index,
        end: found.index + found[0].length,
        groups: Array.from(found, (group) => group ?? ''),
      };
    },
  };
}

/** A text as the automaton takes it; kept for the last text, as replacing asks for one match after the other. */
interface Decoded {
  readonly text: string;
  readonly points: Int32Array;
  /** Position in UTF-16 units of each code point, and of the end. */
  readonly offsets: Int32Array;
}

function decode(text: string): Decoded {
  const points = pointsOf(text);
  const offsets = new Int32Array(points.length + 1);
  for (let i = 0; i < points.length; i++) offsets[i + 1] = (offsets[i] ?? 0) + ((points[i] ?? 0) > 0xffff ? 2 : 1);
  return { text, points, offsets };
}

function findSlowly(
  program: Program,
  { text, points, offsets }: Decoded,
  from: number,
  groups: number,
): Match | undefined {
  // Without characters of two units, positions are the same.
  const start = points.length === text.length ? from : offsets.indexOf(from);
  const saved = run(program, points, { from: start, isFull: false, groups });
  if (saved === undefined) return undefined;
  const at = (slot: number): number => offsets[saved[slot] ?? 0] ?? 0;
  return {
    start: at(0),
    end: at(1),
    groups: Array.from({ length: groups + 1 }, (_, i) =>
      (saved[i * 2] ?? -1) < 0 || (saved[i * 2 + 1] ?? -1) < 0 ? '' : text.slice(at(i * 2), at(i * 2 + 1)),
    ),
  };
}

function pointsOf(text: string): Int32Array {
  const points = new Int32Array(text.length);
  let length = 0;
  for (let i = 0; i < text.length; length++) {
    const point = text.codePointAt(i) ?? 0;
    points[length] = point;
    i += point > 0xffff ? 2 : 1;
  }
  return points.subarray(0, length);
}

/** Backtracking takes at most `factor * length ** degree` steps. */
interface Cost {
  readonly degree: number;
  readonly factor: number;
}

/**
 * Undefined where backtracking may be exponential, or where JavaScript forgets groups that RE2 keeps: repetitions,
 * choices and groups inside a repetition.
 */
function costOf(node: Regex, isRepeated: boolean): Cost | undefined {
  switch (node.kind) {
    case 'empty':
    case 'set':
    case 'assert':
      return { degree: 0, factor: 1 };
    case 'group':
      return isRepeated ? undefined : costOf(node.body, false);
    case 'sequence':
    case 'choice': {
      if (isRepeated && node.kind === 'choice') return undefined;
      let total: Cost = { degree: 0, factor: node.items.length };
      for (const item of node.items) {
        const cost = costOf(item, isRepeated);
        if (cost === undefined) return undefined;
        total = { degree: total.degree + cost.degree, factor: total.factor * cost.factor };
      }
      return total;
    }
    case 'repeat': {
      const body = isRepeated ? undefined : costOf(node.body, true);
      if (body === undefined) return undefined;
      const { min, max } = node;
      return max === Infinity
        ? { degree: 1, factor: body.factor * Math.max(1, min) }
        : { degree: 0, factor: body.factor * Math.max(1, max) * (max - min + 1) };
    }
  }
}

function nativeOf(root: Regex): { readonly full: RegExp; readonly search: RegExp } {
  const source = sourceOf(root);
  return { full: new RegExp(`^(?:${source})$`, 'u'), search: new RegExp(source, 'gu') };
}

const ASSERTIONS: Readonly<Record<Assertion, string>> = {
  begin: '^',
  end: '$',
  beginLine: '(?:^|(?<=\\n))',
  endLine: '(?:$|(?=\\n))',
  word: '\\b',
  notWord: '\\B',
};

const point = (code: number): string => `\\u{${code.toString(16)}}`;

/** The same pattern for JavaScript: flags and named classes are already in the sets. */
function sourceOf(node: Regex): string {
  switch (node.kind) {
    case 'empty':
      return '';
    case 'set': {
      const ranges = normalRanges(node.ranges);
      return `[${ranges.map(([low, high]) => (low === high ? point(low) : `${point(low)}-${point(high)}`)).join('')}]`;
    }
    case 'assert':
      return ASSERTIONS[node.what];
    case 'group':
      return `(${sourceOf(node.body)})`;
    case 'sequence':
      return node.items.map(sourceOf).join('');
    case 'choice':
      return `(?:${node.items.map(sourceOf).join('|')})`;
    case 'repeat':
      return `(?:${sourceOf(node.body)}){${node.min},${node.max === Infinity ? '' : node.max}}${node.isGreedy ? '' : '?'}`;
  }
}
