// Arbitrary and mutated texts: compiling never throws, always ends, and points into the text.
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from '@jest/globals';
import { checkPlan } from '../../src/plan/check.ts';
import { CODES } from '../../src/pxl/codes.ts';
import { compile } from '../../src/pxl/compile.ts';
import { NOW, WINDOW, readCases } from './case-file.ts';

const SCRIPTS = [
  ...globSync(join(import.meta.dirname, '*.txt'))
    .sort()
    .flatMap(readCases)
    .map((each) => each.source),
  ...globSync('src/presets/*.pxl')
    .sort()
    .map((file) => readFileSync(file, 'utf8')),
];

function mustHold(source: string): void {
  const { plan, diagnostics } = compile(source, {
    now: NOW,
    window: WINDOW,
    hasDefaultEndpoint: true,
    limits: { timeMs: 2000 },
  });
  const lines = source.split('\n');
  for (const { code, line, column } of diagnostics) {
    expect(Object.hasOwn(CODES, code)).toBe(true);
    expect(line).toBeGreaterThanOrEqual(1);
    expect(line).toBeLessThanOrEqual(lines.length);
    expect(column).toBeGreaterThanOrEqual(1);
    expect(column).toBeLessThanOrEqual((lines[line - 1]?.length ?? 0) + 1);
    expect(code).not.toBe('INTERNAL_ERROR');
  }
  if (plan === undefined) expect(diagnostics.some(({ severity }) => severity === 'error')).toBe(true);
  else expect(checkPlan(plan)).toEqual([]);
}

const PUNCTUATION = ". ( ) [ ] { } , = == <> : ' \" ''' # \\".split(' ');
const WORDS = [
  'import px',
  'def f(x):',
  'return',
  'if',
  'lambda',
  'and',
  'not',
  '1',
  '1.',
  '0x',
  '1e9',
  'ur',
  'px',
  'df',
  'None',
];
const PIECES = [
  "'http_events'",
  '.agg',
  '.groupby',
  '.ctx',
  'DataFrame',
  '\n',
  '\n    ',
  ' ',
  '\t',
  '\r\n',
  'é',
  '\u2028',
  '\ud800',
];
const token = fc.constantFrom(...PUNCTUATION, ...WORDS, ...PIECES);

test('arbitrary text', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), mustHold), { numRuns: 300 });
});

test('arbitrary tokens', () => {
  fc.assert(
    fc.property(
      fc.array(token, { maxLength: 60 }).map((parts) => parts.join('')),
      mustHold,
    ),
    { numRuns: 800 },
  );
});

const mutation = fc.record({
  script: fc.constantFrom(...SCRIPTS),
  edits: fc.array(
    fc.record({
      at: fc.double({ min: 0, max: 1, noNaN: true }),
      remove: fc.integer({ min: 0, max: 12 }),
      insert: fc.oneof(fc.constant(''), token, fc.string({ maxLength: 4 })),
    }),
    { minLength: 1, maxLength: 4 },
  ),
});

test('scripts with a few changes', () => {
  const run = ({
    script,
    edits,
  }: {
    script: string;
    edits: readonly { at: number; remove: number; insert: string }[];
  }): void => {
    const text = edits.reduce((source, { at, remove, insert }) => {
      const start = Math.floor(at * source.length);
      return source.slice(0, start) + insert + source.slice(start + remove);
    }, script);
    mustHold(text);
  };
  fc.assert(fc.property(mutation, run), { numRuns: 800 });
});

test.each([
  ['an f-string that holds a string', 'x = f\'{"a"}\''],
  ['a comment without an end', 'x = 1 #'],
  ['a backslash at the end', 'x = 1 \\'],
  ['a decorator alone', '@px.vis.vega'],
  ['a def without a body', 'def f():'],
  ['an import of nothing', 'import'],
  ['a lone surrogate', "x = '\ud800'"],
  ['nul bytes', 'x\0= 1'],
  ['only a bracket', '('],
])('%s', (_, source) => {
  mustHold(source);
});
