import fc from 'fast-check';
import { describe, expect, test } from '@jest/globals';
import { PlanFormatError, decodeFragment, decodePlan, encodeFragment, encodePlan } from '../../src/plan/codec.ts';
import type { Expression, LiteralValue } from '../../src/plan/expression.ts';
import type { MapOperator, Operator, Plan, SourceOperator } from '../../src/plan/plan.ts';
import { timeNs } from '../../src/model/time.ts';
import type { DataType } from '../../src/model/types.ts';

const SOURCE: SourceOperator = {
  kind: 'source',
  table: 't',
  columns: ['a'],
  start: timeNs(-5n),
  end: timeNs(9_223_372_036_854_775_807n),
  schema: [{ name: 'a', type: 'INT64', semanticType: 'ST_BYTES' }],
};

const literalMap = (value: LiteralValue, type: DataType): MapOperator => {
  const expression: Expression = { kind: 'literal', value, type, semanticType: 'ST_NONE' };
  return {
    kind: 'map',
    input: SOURCE,
    columns: [{ name: 'x', expression }],
    schema: [{ name: 'x', type, semanticType: 'ST_NONE' }],
  };
};

const PLAN: Plan = {
  sinks: [
    { kind: 'table', name: 'o', input: literalMap(1n, 'INT64'), rowsMax: 5 },
    { kind: 'table', name: 'p', input: SOURCE, rowsMax: 5 },
  ],
};

const values = fc.oneof(
  fc.tuple(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.constantFrom<DataType>('INT64', 'TIME64NS')),
  fc.tuple(fc.double(), fc.constant<DataType>('FLOAT64')),
  fc.tuple(
    fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0),
    fc.constant<DataType>('FLOAT64'),
  ),
  fc.tuple(fc.string({ unit: 'binary' }), fc.constant<DataType>('STRING')),
  fc.tuple(fc.boolean(), fc.constant<DataType>('BOOLEAN')),
  fc.tuple(
    fc.record(
      { high: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), low: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) },
      { noNullPrototype: true },
    ),
    fc.constant<DataType>('UINT128'),
  ),
);

test('literals of every type keep their value', () => {
  fc.assert(
    fc.property(values, ([value, type]) => {
      const operator = literalMap(value, type);
      expect(decodeFragment(encodeFragment(operator))).toEqual(operator);
    }),
    { numRuns: 300 },
  );
});

test('shared operators stay shared', () => {
  const [first, second] = decodePlan(encodePlan(PLAN)).sinks;
  expect(first?.input.kind === 'map' && first.input.input).toBe(second?.input);
});

test('nothing that is sent shares state with what was encoded', () => {
  expect(decodeFragment(encodeFragment(SOURCE))).not.toBe(SOURCE);
});

/** The JSON of PLAN with one change. */
const changed = (
  change: (document: {
    version: number;
    operators: Record<string, unknown>[];
    sinks: Record<string, unknown>[];
  }) => void,
): string => {
  const document = JSON.parse(encodePlan(PLAN)) as Parameters<typeof change>[0];
  change(document);
  return JSON.stringify(document);
};

describe('refuses', () => {
  test.each<[string, string]>([
    ['text that is no JSON', '{'],
    ['an empty document', '{}'],
    ['another version', changed((d) => void (d.version = 2))],
    ['a kind of operator that there is not', changed((d) => void (d.operators[0] = { kind: 'sort' }))],
    ['a field that there is not', changed((d) => void (d.operators[0] = { ...d.operators[0], secret: 1 }))],
    ['an input that comes later', changed((d) => void (d.operators[1] = { ...d.operators[1], input: 1 }))],
    ['an input that is not there', changed((d) => void (d.sinks[0] = { ...d.sinks[0], input: 77 }))],
    ['a time that is no number', changed((d) => void (d.operators[0] = { ...d.operators[0], start: 'now' }))],
    [
      'a schema that is not that of the operator',
      changed((d) => void (d.operators[1] = { ...d.operators[1], schema: [] })),
    ],
    ['a negative limit', changed((d) => void (d.sinks[0] = { ...d.sinks[0], rowsMax: -1 }))],
    [
      'a literal that does not fit',
      changed(
        (d) =>
          void (d.operators[1] = {
            ...d.operators[1],
            columns: [
              {
                name: 'x',
                expression: {
                  kind: 'literal',
                  value: { int: '99999999999999999999' },
                  type: 'INT64',
                  semanticType: 'ST_NONE',
                },
              },
            ],
          }),
      ),
    ],
    [
      'a column that is not there',
      changed(
        (d) =>
          void (d.operators[1] = {
            ...d.operators[1],
            columns: [{ name: 'x', expression: { kind: 'column', name: 'b', type: 'INT64', semanticType: 'ST_NONE' } }],
          }),
      ),
    ],
    ['brackets without end', '['.repeat(5000) + ']'.repeat(5000)],
    [
      'a prototype',
      '{"version":1,"operators":[{"kind":"source","table":"t","columns":[],"schema":[]}],"sinks":[],"__proto__":{"x":1}}',
    ],
  ])('%s', (_, text) => {
    expect(() => decodePlan(text)).toThrow(PlanFormatError);
  });

  test('a text that is too long', () => {
    expect(() => decodePlan(' '.repeat(9_000_000))).toThrow(PlanFormatError);
  });

  test('whatever else, with that one error', () => {
    const json = encodePlan(PLAN);
    const edit = fc.record({
      at: fc.nat(json.length),
      remove: fc.integer({ min: 0, max: 5 }),
      insert: fc.constantFrom('', '"', '{', '}', '0', '-1', 'null', '[', ',', 'x'),
    });
    fc.assert(
      fc.property(
        fc.oneof(
          fc.json(),
          edit.map(({ at, remove, insert }) => json.slice(0, at) + insert + json.slice(at + remove)),
        ),
        (text) => {
          try {
            decodePlan(text);
          } catch (error) {
            expect(error).toBeInstanceOf(PlanFormatError);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

test('a deep expression survives', () => {
  let expression: Expression = { kind: 'column', name: 'a', type: 'INT64', semanticType: 'ST_NONE' };
  for (let i = 0; i < 250; i++)
    expression = { kind: 'call', function: 'negate', args: [expression], type: 'INT64', semanticType: 'ST_NONE' };
  const operator: Operator = {
    kind: 'map',
    input: SOURCE,
    columns: [{ name: 'x', expression }],
    schema: [{ name: 'x', type: 'INT64', semanticType: 'ST_NONE' }],
  };
  expect(encodeFragment(decodeFragment(encodeFragment(operator)))).toBe(encodeFragment(operator));
});
