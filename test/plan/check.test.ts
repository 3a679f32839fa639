import { expect, test } from '@jest/globals';
import { checkOperators, checkPlan } from '../../src/plan/check.ts';
import type { Expression } from '../../src/plan/expression.ts';
import type { Operator, OtelExport, SourceOperator } from '../../src/plan/plan.ts';
import type { DataType, Field } from '../../src/model/types.ts';

const field = (name: string, type: DataType): Field => ({ name, type, semanticType: 'ST_NONE' });
const column = (name: string, type: DataType): Expression => ({ kind: 'column', ...field(name, type) });

const A: SourceOperator = {
  kind: 'source',
  table: 't',
  columns: ['a', 's'],
  schema: [field('a', 'INT64'), field('s', 'STRING')],
};

const cases: readonly (readonly [string, Operator, RegExp])[] = [
  ['a source whose schema names other columns', { ...A, columns: ['a'] }, /columns and schema differ/],
  [
    'two columns of one name',
    { ...A, columns: ['a', 'a'], schema: [field('a', 'INT64'), field('a', 'INT64')] },
    /two columns are called 'a'/,
  ],
  [
    'a filter that is no condition',
    { kind: 'filter', input: A, predicate: column('a', 'INT64'), schema: A.schema },
    /predicate is INT64/,
  ],
  [
    'a filter with another schema',
    {
      kind: 'filter',
      input: A,
      predicate: { kind: 'literal', value: true, type: 'BOOLEAN', semanticType: 'ST_NONE' },
      schema: [],
    },
    /schema has 0 columns/,
  ],
  [
    'a map of a column that is not there',
    {
      kind: 'map',
      input: A,
      columns: [{ name: 'x', expression: column('b', 'INT64') }],
      schema: [field('x', 'INT64')],
    },
    /no column 'b'/,
  ],
  [
    'a map of a column under another type',
    {
      kind: 'map',
      input: A,
      columns: [{ name: 'x', expression: column('s', 'INT64') }],
      schema: [field('x', 'INT64')],
    },
    /'s' is STRING, not INT64/,
  ],
  [
    'a literal of another type',
    {
      kind: 'map',
      input: A,
      columns: [{ name: 'x', expression: { kind: 'literal', value: 1, type: 'INT64', semanticType: 'ST_NONE' } }],
      schema: [field('x', 'INT64')],
    },
    /number literal has type INT64/,
  ],
  [
    'an aggregate by a key that is not there',
    { kind: 'aggregate', input: A, keys: ['k'], aggregates: [], mode: 'full', schema: [field('k', 'STRING')] },
    /no column 'k'/,
  ],
  [
    'a final aggregate over states that are no text',
    {
      kind: 'aggregate',
      input: A,
      keys: [],
      aggregates: [
        {
          name: 'a',
          function: 'sum',
          args: [column('x', 'INT64')],
          literals: [],
          type: 'INT64',
          semanticType: 'ST_NONE',
        },
      ],
      mode: 'final',
      schema: [field('a', 'INT64')],
    },
    /state 'a' is not STRING/,
  ],
  [
    'a join of keys that differ in type',
    { kind: 'join', left: A, right: A, how: 'inner', leftKeys: ['a'], rightKeys: ['s'], columns: [], schema: [] },
    /differ in type/,
  ],
  [
    'a join without keys',
    { kind: 'join', left: A, right: A, how: 'inner', leftKeys: [], rightKeys: [], columns: [], schema: [] },
    /differ in number/,
  ],
  ['a union of other columns', { kind: 'union', inputs: [A], schema: [field('a', 'INT64')] }, /other columns/],
  ['a union of nothing', { kind: 'union', inputs: [], schema: [] }, /no input/],
];

test.each(cases)('%s is found', (_, operator, message) => {
  expect(checkOperators([operator]).join('\n')).toMatch(message);
});

test('an export of columns that are not there, or of a wrong type, is found', () => {
  const otel: OtelExport = {
    resource: [{ key: 'k', value: { kind: 'column', column: 'x' } }],
    fanOut: ['service.name'],
    metrics: [{ kind: 'gauge', name: 'm', description: '', unit: '', attributes: [], time: 'a', value: 's' }],
    spans: [{ name: { kind: 'column', column: 'a' }, startTime: 'a', endTime: 'a', attributes: [], spanKind: 2 }],
  };
  const problems = checkPlan({ sinks: [{ kind: 'otel', name: 'o', input: A, export: otel }] }).join('\n');
  for (const wanted of [
    /no column 'x'/,
    /'service.name' is no resource attribute/,
    /'a' is INT64, wanted TIME64NS/,
    /'s' is STRING, wanted INT64/,
    /'a' is INT64, wanted STRING/,
  ])
    expect(problems).toMatch(wanted);
});

test('a plan that fits has no problems', () => {
  expect(checkPlan({ sinks: [{ kind: 'table', name: 't', input: A, rowsMax: 1 }] })).toEqual([]);
});
