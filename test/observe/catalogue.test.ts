import { execFileSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { CATALOGUE } from '../../src/observe/catalogue.ts';

/** Every instrument that the sources make: `metrics.counter('name')`. */
const used = globSync('src/**/*.ts').flatMap((file) =>
  [...readFileSync(file, 'utf8').matchAll(/\.(counter|gauge|histogram)\(\s*'([^']+)'/g)].map(([, kind, name]) => ({
    file,
    kind,
    name,
  })),
);

test('each instrument that is made is in the catalogue, as what it is', () => {
  expect(used.length).toBeGreaterThan(20);
  const unknown = used.filter(({ kind, name }) => !CATALOGUE.some((one) => one.name === name && one.kind === kind));
  expect(unknown).toEqual([]);
});

test('each metric of the catalogue is made somewhere, once', () => {
  const names = CATALOGUE.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  const made = new Set(used.map(({ name }) => name));
  expect(names.filter((name) => !made.has(name))).toEqual([]);
});

test('names end in their unit, and counters in _total', () => {
  for (const { name, kind } of CATALOGUE) {
    expect(name.endsWith('_total')).toBe(kind === 'counter');
    expect(name).toMatch(/^[a-z][a-z0-9_]*$/);
    expect(name).not.toMatch(/_(ms|milliseconds|kb|mb)(_|$)/);
  }
});

test('docs/metrics.md is what the catalogue makes', () => {
  execFileSync(process.execPath, [
    '--disable-warning=ExperimentalWarning',
    'scripts/generate-metrics-doc.ts',
    '--check',
  ]);
});
