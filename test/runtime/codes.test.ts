import { globSync, readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { RUN_CODES, RUNTIME_DIAGNOSTICS } from '../../src/runtime/codes.ts';

const source = globSync('src/runtime/*.ts')
  .filter((file) => !file.endsWith('/codes.ts'))
  .map((file) => readFileSync(file, 'utf8'))
  .join('\n');

test('every code that the runtime gives is in its table, and every code of the table is given', () => {
  const given = [...source.matchAll(/'([A-Z]+(?:_[A-Z]+)+|CANCELLED|SUPERSEDED|STOPPING)'/g)].map(
    ([, code]) => code ?? '',
  );
  const others = new Set([
    'COMPILE_TIMEOUT',
    'PLAN_TOO_LARGE',
    'ERR_WORKER_OUT_OF_MEMORY',
    'DESTINATION_TYPE_UNAVAILABLE',
  ]);
  const known = new Set([...Object.keys(RUN_CODES), ...Object.keys(RUNTIME_DIAGNOSTICS)]);
  expect(new Set(given.filter((code) => !others.has(code) && !code.startsWith('ST_')))).toEqual(known);
});
