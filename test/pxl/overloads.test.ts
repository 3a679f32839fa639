import { expect, test } from '@jest/globals';
import type { SemanticType } from '../../src/model/types.ts';
import type { FunctionSignature } from '../../src/plan/signature.ts';
import { findOverload, inferSemanticType } from '../../src/pxl/overloads.ts';
import { closest } from '../../src/pxl/suggest.ts';

const DIVIDE: FunctionSignature = {
  name: 'divide',
  kind: 'scalar',
  overloads: [
    { args: ['INT64', 'INT64'], result: 'FLOAT64' },
    { args: ['FLOAT64', 'INT64'], result: 'FLOAT64' },
  ],
  semanticRules: [
    { args: ['ST_NONE', 'ST_DURATION_NS'], result: 'ST_THROUGHPUT_PER_NS' },
    { args: ['ST_BYTES', 'ST_DURATION_NS'], result: 'ST_THROUGHPUT_BYTES_PER_NS' },
  ],
  description: '',
  available: true,
};

const semantic = (...types: readonly SemanticType[]): SemanticType =>
  inferSemanticType(
    DIVIDE,
    types.map((semanticType) => ({ type: 'INT64', semanticType })),
  );

test('the rule with the fewest wildcards wins, in any order of the rules', () => {
  expect(semantic('ST_BYTES', 'ST_DURATION_NS')).toBe('ST_THROUGHPUT_BYTES_PER_NS');
  expect(semantic('ST_PORT', 'ST_DURATION_NS')).toBe('ST_THROUGHPUT_PER_NS');
  expect(semantic('ST_DURATION_NS', 'ST_BYTES')).toBe('ST_NONE');
  expect(semantic('ST_BYTES')).toBe('ST_NONE');
});

test('an overload has exactly the types asked for', () => {
  expect(findOverload(DIVIDE, ['FLOAT64', 'INT64'])).toBe(DIVIDE.overloads[1]);
  expect(findOverload(DIVIDE, ['INT64', 'FLOAT64'])).toBeUndefined();
  expect(findOverload(DIVIDE, ['INT64'])).toBeUndefined();
});

test.each([
  ['latncy', 'latency'],
  ['lantecy', 'latency'],
  ['LATENCY', 'latency'],
  ['resp_stauts', 'resp_status'],
  ['upidd', 'upid'],
  ['completely_else', undefined],
  ['x'.repeat(100), undefined],
])('of %s the nearest name is %s', (name, wanted) => {
  expect(closest(name, ['upid', 'resp_status', 'latency', 'req_path'])).toBe(wanted);
});
