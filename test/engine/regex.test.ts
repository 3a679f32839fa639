// Regular expressions beside DuckDB's, which are RE2 itself.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { assemble, run } from '../../src/engine/functions/regex/automaton.ts';
import { compileRegex } from '../../src/engine/functions/regex/matcher.ts';
import { parseRegex, RegexError } from '../../src/engine/functions/regex/syntax.ts';
import { openOracle, type Oracle } from './duckdb.ts';
import { call, literal, valueOf } from './support.ts';

let oracle: Oracle;
beforeAll(async () => {
  oracle = await openOracle();
});
afterAll(() => oracle.close());

const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;

const atom = fc.constantFrom(
  'a',
  'b',
  'é',
  '.',
  '[ab]',
  '[^a]',
  '\\d',
  '\\w',
  '\\b',
  '^',
  '$',
  '(a|b)',
  '(ab)',
  '(?:a|ab)',
  '(?i:A)',
  '(a*)',
  '',
);
const repeat = fc.constantFrom('', '', '*', '+', '?', '*?', '+?', '{2}', '{1,2}', '{0,2}?');
const pattern: fc.Arbitrary<string> = fc.letrec<{ node: string; part: string }>((tie) => ({
  node: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    tie('part'),
    fc.tuple(tie('part'), tie('node')).map(([a, b]) => a + b),
  ),
  part: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.tuple(atom, repeat).map(([a, r]) => (a === '' || a === '^' || a === '$' || a === '\\b' ? a : a + r)),
    fc.tuple(tie('node'), repeat).map(([node, r]) => `(${node})${node === '' ? '' : r}`),
    fc.tuple(tie('node'), tie('node')).map(([a, b]) => `(?:${a}|${b})`),
  ),
})).node;
const subject = fc.string({ unit: fc.constantFrom('a', 'b', 'A', 'é', '1', '-', '😀'), maxLength: 8 });

const ours = async (name: string, ...args: string[]): Promise<unknown> =>
  valueOf(call(name, ...args.map((arg) => literal(arg, 'STRING'))));

test('full matches are those of RE2', async () => {
  await fc.assert(
    fc.asyncProperty(pattern, subject, async (regex, text) => {
      const [row] = await oracle.query(`SELECT regexp_full_match(${quoted(text)}, ${quoted(regex)})`);
      expect(await ours('regex_match', regex, text)).toBe(row?.[0]);
    }),
    { numRuns: 400 },
  );
}, 30_000);

test('replacements are those of RE2, groups and empty matches included', async () => {
  await fc.assert(
    fc.asyncProperty(pattern, subject, async (regex, text) => {
      const [row] = await oracle.query(`SELECT regexp_replace(${quoted(text)}, ${quoted(regex)}, '<\\0>', 'g')`);
      expect(await ours('replace', regex, text, '<\\0>')).toBe(row?.[0]);
    }),
    { numRuns: 400 },
  );
}, 30_000);

test('groups hold what they hold in RE2', async () => {
  await fc.assert(
    fc.asyncProperty(pattern, subject, async (inner, text) => {
      const regex = `(${inner})b?`;
      const [row] = await oracle.query(`SELECT regexp_replace(${quoted(text)}, ${quoted(regex)}, '[\\1]', 'g')`);
      expect(await ours('replace', regex, text, '[\\1]')).toBe(row?.[0]);
    }),
    { numRuns: 300 },
  );
}, 30_000);

test('the automaton and the runtime’s own engine agree wherever both may be used', () => {
  fc.assert(
    fc.property(pattern, subject, (regex, text) => {
      const points = Int32Array.from(Array.from(text, (char) => char.codePointAt(0) ?? 0));
      const program = assemble(parseRegex(regex, true).root);
      const slow = run(program, points, { from: 0, isFull: true, groups: 0 }) !== undefined;
      expect(compileRegex(regex, true).matchesAll(text)).toBe(slow);
    }),
    { numRuns: 1000 },
  );
});

test.each(['(a+)+$', '(a|a)*$', '(a|aa)+$', '(.*)*x', 'a?'.repeat(40) + 'a'.repeat(40), '.*.*.*.*=.*;'])(
  '%s does not make a long text slow',
  (regex) => {
    const text = 'a'.repeat(2000) + '!';
    const matcher = compileRegex(regex, true);
    // Backtracking would need more steps than there are atoms; that this line is passed is the proof.
    expect(matcher.matchesAll(text)).toBe(false);
    matcher.find(text, 0);
  },
);

test.each([
  ['(a)\\1', 'back-references'],
  ['(?=a)', 'group'],
  ['(?<!a)', 'group'],
  ['a**', 'repetition'],
  ['*a', 'repetition'],
  ['(a', 'closing )'],
  ['a)', 'unexpected )'],
  ['[a', 'closing ]'],
  ['[b-a]', 'range'],
  ['a{2,1}', 'repetition'],
  ['a{1001}', 'repetition'],
  ['((a{1000}){1000}){1000}', 'too large'],
  ['\\q', 'escape'],
  ['\\', 'trailing'],
  ['\\p{Nope}', 'range'],
  ['('.repeat(200) + ')'.repeat(200), 'deep'],
])('%s is refused with a reason', (regex, reason) => {
  expect(() => compileRegex(regex, true)).toThrow(RegexError);
  expect(() => compileRegex(regex, true)).toThrow(reason);
});

test.each([
  ['[[:alpha:]_]+', 'ab_', true],
  ['[^[:space:]]+', 'a b', false],
  ['\\p{Greek}+', 'αβ', true],
  ['\\PL', '1', true],
  ['\\Qa.b\\E', 'a.b', true],
  ['\\x41\\x{1F600}\\101', 'A😀A', true],
  ['(?i)straße', 'STRAßE', true],
  ['(?m)^a$\\n^b$', 'a\nb', true],
  ['(?-s).', '\n', false],
  ['(?P<name>a)(?<other>b)', 'ab', true],
  ['(?U)a+?b', 'aab', true],
  ['[]a]+', ']a', true],
  ['[a\\-z]+', 'a-z', true],
  ['a{,2}', 'a{,2}', true],
])('%s on %j: %s', (regex, text, expected) => {
  expect(compileRegex(regex, true).matchesAll(text)).toBe(expected);
});

test('no pattern ends in anything but a matcher or a reason', () => {
  const piece = fc.constantFrom(
    '(',
    ')',
    '[',
    ']',
    '{',
    '}',
    '*',
    '+',
    '?',
    '\\',
    '|',
    '^',
    '$',
    '.',
    '-',
    ',',
    ':',
    '<',
    'P',
    'Q',
    'E',
    'p',
    'x',
    'd',
    'a',
    '0',
    '1',
    'é',
    '😀',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), subject, (pieces, text) => {
      try {
        compileRegex(pieces.join(''), false).find(text, 0);
      } catch (error) {
        expect(error).toBeInstanceOf(RegexError);
      }
    }),
    { numRuns: 1500 },
  );
});
