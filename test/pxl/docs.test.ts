// The documents say what the code does: every code is listed, every example compiles (or fails as it says).
import { globSync, readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { SIGNATURES } from '../../src/plan/signatures/index-of-functions.ts';
import { CODES } from '../../src/pxl/codes.ts';
import { compile } from '../../src/pxl/compile.ts';
import { NOW, WINDOW } from './case-file.ts';

const [errors = '', runs = ''] = readFileSync('docs/errors.md', 'utf8').split('## Runs');
const language = readFileSync('docs/pxl.md', 'utf8');

test('docs/errors.md lists every code with its severity and meaning, and no other', () => {
  const rows = [...errors.matchAll(/^\| `([A-Z_]+)` \| (error|warning) \| (.*) \|$/gm)].map(
    ([, code, severity, when]) => ({ code, severity, when }),
  );
  const wanted = Object.entries(CODES).map(([code, { severity, when }]) => ({
    code,
    severity,
    when: when.replaceAll('|', '\\|'),
  }));
  expect(rows.filter(({ code }) => code !== undefined && code in CODES)).toEqual(wanted);
  const documented = new Set(rows.map(({ code }) => code));
  expect(documented.size).toBe(rows.length);
  expect(rows.filter(({ code }) => code === undefined || !(code in CODES))).toEqual([]);
});

test('docs/errors.md lists every code that a run can end with', () => {
  const files = [...globSync('src/engine/**/*.ts'), ...globSync('src/runtime/*.ts')];
  const thrown = files.flatMap((file) => [
    ...readFileSync(file, 'utf8').matchAll(/new (?:EngineError|RunFailure)\(\s*(?:'[A-Z][a-z]+',\s*)?'([A-Z_]+)'/g),
  ]);
  const codes = new Set(thrown.map(([, code = '']) => code));
  expect(codes.size).toBeGreaterThan(10);
  expect([...codes].filter((code) => !runs.includes(`\`${code}\``))).toEqual([]);
});

const examples = [...language.matchAll(/^```python(?: (error [A-Z_]+))?\n([\s\S]*?)^```$/gm)].map(
  ([, expected, source = ''], i) => [`example ${i + 1}: ${source.split('\n')[0] ?? ''}`, expected, source] as const,
);

test('docs/pxl.md has examples', () => {
  expect(examples.length).toBeGreaterThan(5);
});

test.each(examples)('%s does what the page says', (_, expected, source) => {
  const { diagnostics } = compile(source, { now: NOW, window: WINDOW, hasDefaultEndpoint: true });
  const found = diagnostics.filter(({ severity }) => severity === 'error').map(({ code }) => `error ${code}`);
  expect(found).toEqual(expected === undefined ? [] : [expected]);
});

test('functions that docs/pxl.md calls our additions exist', () => {
  const section = /## Additions[\s\S]*?(?=\n## )/.exec(language)?.[0] ?? '';
  const names = [...section.matchAll(/^\| `px\.([a-z_]+)\(/gm)].map(([, name]) => name ?? '');
  expect(names.length).toBeGreaterThan(0);
  for (const name of names) expect(SIGNATURES.get(name)?.available).toBe(true);
});
