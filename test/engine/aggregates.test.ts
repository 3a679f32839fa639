// Aggregates that SQL does not have, against a naive reading of the rows; partial and final forms; bounds.
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { rowsOf } from '../../src/columns/batch.ts';
import { DEFAULT_LIMITS } from '../../src/engine/context.ts';
import { createPairTable } from '../../src/engine/operators/pair-table.ts';
import { fieldOf } from '../../src/columns/column.ts';
import type { Cell } from '../../src/model/types.ts';
import type { AggregateExpression, LiteralValue } from '../../src/plan/expression.ts';
import type { AggregateOperator, Operator } from '../../src/plan/plan.ts';
import {
  aggregateOf,
  asSet,
  collect,
  column,
  contextOf,
  groupBy,
  rowsFrom,
  schema,
  source,
  tablesOf,
  type Table,
} from './support.ts';

const ROWS = schema({
  time_: 'TIME64NS',
  k: 'STRING',
  i: 'INT64',
  f: 'FLOAT64',
  s: 'STRING',
  b: 'BOOLEAN',
  u: 'UINT128',
});

type Row = readonly [bigint, string, bigint, number, Uint8Array, boolean, { high: bigint; low: bigint }];

const row: fc.Arbitrary<Row> = fc.tuple(
  fc.bigInt({ min: -3n, max: 3n }),
  fc.constantFrom('a', 'b', 'c'),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.oneof(fc.double({ noNaN: true }), fc.constantFrom(NaN, -0, 0, Infinity, -Infinity)),
  fc.uint8Array({ maxLength: 3 }),
  fc.boolean(),
  fc.record({ high: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), low: fc.constant(1n) }),
);
const rows = fc.array(row, { maxLength: 40 });
const batchRows = fc.integer({ min: 1, max: 41 });

const BOUNDS: LiteralValue[] = [-1.5, 0n, 10n];
const bytesOf = (name: string) => column(name, 'STRING');

const AGGREGATES: readonly AggregateExpression[] = [
  aggregateOf('rows', 'count', [column('u', 'UINT128')]),
  aggregateOf('sum_i', 'sum', [column('i', 'INT64')]),
  aggregateOf('sum_f', 'sum', [column('f', 'FLOAT64')]),
  aggregateOf('min_f', 'min', [column('f', 'FLOAT64')]),
  aggregateOf('max_f', 'max', [column('f', 'FLOAT64')]),
  aggregateOf('max_t', 'max', [column('time_', 'TIME64NS')]),
  ...(['any', 'last'] as const).flatMap((fn) => [
    aggregateOf(`${fn}_i`, fn, [column('i', 'INT64')]),
    aggregateOf(`${fn}_f`, fn, [column('f', 'FLOAT64')]),
    aggregateOf(`${fn}_s`, fn, [bytesOf('s')]),
    aggregateOf(`${fn}_b`, fn, [column('b', 'BOOLEAN')]),
    aggregateOf(`${fn}_u`, fn, [column('u', 'UINT128')]),
    aggregateOf(`${fn}_t`, fn, [column('time_', 'TIME64NS')]),
  ]),
  aggregateOf('buckets_f', 'bucket_counts', [column('f', 'FLOAT64')], BOUNDS),
  aggregateOf('buckets_i', 'bucket_counts', [column('i', 'INT64')], BOUNDS),
  aggregateOf('quantiles', 'quantiles', [column('f', 'FLOAT64')]),
  aggregateOf('mean', 'mean', [column('f', 'FLOAT64')]),
];

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** What the aggregates above are for one group, row by row, but for quantiles and mean. */
function naive(key: string, group: readonly Row[]): unknown[] {
  const [first] = group;
  const last = group.reduce((best, one) => (one[0] >= best[0] ? one : best));
  const numbers = group.map(([, , , f]) => f).filter((f) => !Number.isNaN(f));
  const buckets = (values: readonly number[]): string =>
    `[${[
      values.filter((v) => v <= -1.5),
      values.filter((v) => v > -1.5 && v <= 0),
      values.filter((v) => v > 0 && v <= 10),
      values.filter((v) => v > 10),
    ]
      .map(({ length }) => length)
      .join(',')}]`;
  const chosen = ([t, , i, f, s, b, u]: Row): unknown[] => [i, f, text(s), b, u, t];
  return [
    key,
    BigInt(group.length),
    group.reduce((sum, [, , i]) => BigInt.asIntN(64, sum + i), 0n),
    group.reduce((sum, [, , , f]) => sum + f, 0),
    numbers.length === 0 ? Number.MAX_VALUE : numbers.reduce((best, one) => (one < best ? one : best)),
    numbers.length === 0 ? -Number.MAX_VALUE : numbers.reduce((best, one) => (one > best ? one : best)),
    group.reduce((max, [t]) => (t > max ? t : max), -10n),
    ...(first === undefined ? [] : chosen(first)),
    ...chosen(last),
    buckets(numbers),
    buckets(group.map(([, , i]) => Number(i))),
  ];
}

const read = source('t', ROWS);

test('each group has what a row-by-row reading gives, wherever batches end', async () => {
  await fc.assert(
    fc.asyncProperty(rows, batchRows, async (all, size) => {
      const table: Table = { schema: ROWS, rows: all };
      const exact = AGGREGATES.slice(0, -2);
      const ours = await rowsFrom(groupBy(read, ['k'], exact), contextOf({ tables: tablesOf({ t: table }, size) }));
      const groups = Map.groupBy(all, ([, k]) => k);
      expect(ours).toEqual([...groups].map(([key, group]) => naive(key, group)));
    }),
    { numRuns: 200 },
  );
});

const partialOf = (plan: AggregateOperator): AggregateOperator => ({
  ...plan,
  mode: 'partial',
  schema: [...plan.schema.slice(0, plan.keys.length), ...plan.aggregates.map(({ name }) => fieldOf(name, 'STRING'))],
});

/** Partial results of several nodes, merged in node order. */
async function merged(plan: AggregateOperator, nodes: readonly (readonly Row[])[], size: number): Promise<Cell[][]> {
  const partial = partialOf(plan);
  const batches = await Promise.all(
    nodes.map((part) => collect(partial, contextOf({ tables: tablesOf({ t: { schema: ROWS, rows: part } }, size) }))),
  );
  const final: Operator = { ...plan, mode: 'final', input: { kind: 'remote', fragment: 0, schema: partial.schema } };
  return rowsFrom(
    final,
    contextOf({
      remote: async function* remote() {
        yield* batches.flat();
      },
    }),
  );
}

test.each([[['k']], [[]]])('partial states of nodes merge to what all rows together give: keys %j', async (keys) => {
  const plan = groupBy(read, keys, AGGREGATES);
  await fc.assert(
    fc.asyncProperty(rows, batchRows, fc.array(fc.nat(40), { maxLength: 3 }), async (all, size, cuts) => {
      // `last` among equal times, and `any`, depend on the order of rows: nodes hold stretches of it.
      const edges = [0, ...cuts.map((cut) => Math.min(cut, all.length)).sort((a, b) => a - b), all.length];
      const nodes = edges.slice(1).map((edge, i) => all.slice(edges[i], edge));
      const whole = await rowsFrom(plan, contextOf({ tables: tablesOf({ t: { schema: ROWS, rows: all } }) }));
      // Sums of doubles of very different size depend on the order of addition.
      const inexact = ['sum_f', 'mean'].map((name) => plan.schema.findIndex((field) => field.name === name));
      const rounded = (out: Cell[][]): Cell[][] =>
        out.map((cells) => cells.map((cell, i) => (inexact.includes(i) ? 0 : cell)));
      expect(asSet(rounded(await merged(plan, nodes, size)))).toEqual(asSet(rounded(whole)));
    }),
    { numRuns: 150 },
  );
});

const quantilesOf = async (values: readonly number[], size = 65_536): Promise<Record<string, number>> => {
  const columns = schema({ f: 'FLOAT64' });
  const plan = groupBy(source('t', columns), [], [aggregateOf('q', 'quantiles', [column('f', 'FLOAT64')])]);
  const table: Table = { schema: columns, rows: values.map((value) => [value]) };
  const [cells] = await rowsFrom(plan, contextOf({ tables: tablesOf({ t: table }, size) }));
  return JSON.parse(cells?.[0] as string) as Record<string, number>;
};

test('quantiles of few values are the reference figures', async () => {
  expect(await quantilesOf([1.04, 1.234, 2.442, 5.322, 6.333])).toMatchObject({
    p01: 1.04,
    p10: 1.04,
    p50: 2.442,
    p90: 6.333,
    p99: 6.333,
  });
  expect(await quantilesOf([1, 1, 1, 2, 2, 5, 6])).toMatchObject({ p50: 2, p90: 5.8, p99: 6 });
  expect(await quantilesOf([-3, -2, -1])).toMatchObject({ p99: -1 });
});

test('quantiles without rows are valid JSON without numbers, and whole numbers keep their fraction', async () => {
  expect(await quantilesOf([])).toEqual({
    p01: null,
    p10: null,
    p25: null,
    p50: null,
    p75: null,
    p90: null,
    p99: null,
  });
  const columns = schema({ f: 'FLOAT64' });
  const plan = groupBy(source('t', columns), [], [aggregateOf('q', 'quantiles', [column('f', 'FLOAT64')])]);
  const tables = tablesOf({ t: { schema: columns, rows: [[5]] } });
  expect(await rowsFrom(plan, contextOf({ tables }))).toEqual([
    ['{"p01":5.0,"p10":5.0,"p25":5.0,"p50":5.0,"p75":5.0,"p90":5.0,"p99":5.0}'],
  ]);
});

test('quantiles of many values stay within a thousandth of their rank, in any batches', async () => {
  const values = Array.from({ length: 40_000 }, (_, i) => ((i * 7919) % 40_000) ** 2);
  const found = await quantilesOf(values);
  expect(await quantilesOf(values, 977)).toEqual(found);
  const sorted = [...values].sort((a, b) => a - b);
  for (const [key, q] of Object.entries({ p01: 0.01, p10: 0.1, p50: 0.5, p90: 0.9, p99: 0.99 })) {
    const rank = sorted.findIndex((value) => value >= (found[key] ?? NaN));
    expect(Math.abs(rank / values.length - q)).toBeLessThan(0.001);
  }
});

test('more groups than the limit end the query with a sentence', async () => {
  const tables = tablesOf({ t: { schema: ROWS, rows: [] } });
  const many = tablesOf({
    t: { schema: schema({ i: 'INT64' }), rows: Array.from({ length: 100 }, (_, i) => [BigInt(i)]) },
  });
  const plan = groupBy(source('t', schema({ i: 'INT64' })), ['i'], []);
  const bounded = (limits: Partial<typeof DEFAULT_LIMITS>) =>
    contextOf({ tables: many, limits: { ...DEFAULT_LIMITS, ...limits } });
  await expect(rowsFrom(plan, bounded({ groupsMax: 99 }))).rejects.toMatchObject({ code: 'GROUPS_LIMIT' });
  await expect(rowsFrom(plan, bounded({ bytesMax: 100 }))).rejects.toMatchObject({ code: 'MEMORY_LIMIT' });
  expect(await rowsFrom(plan, bounded({ groupsMax: 100 }))).toHaveLength(100);
  expect(await rowsFrom(groupBy(read, ['k'], []), contextOf({ tables }))).toEqual([]);
});

test.each([
  ['an empty list', []],
  ['bounds that fall', [2n, 1n]],
  ['equal bounds', [1n, 1.0]],
  ['a bound that is no number', [NaN]],
])('bucket_counts refuses %s', async (_, bounds: LiteralValue[]) => {
  const plan = groupBy(read, [], [aggregateOf('b', 'bucket_counts', [column('f', 'FLOAT64')], bounds)]);
  await expect(
    rowsFrom(plan, contextOf({ tables: tablesOf({ t: { schema: ROWS, rows: [] } }) })),
  ).rejects.toMatchObject({ code: 'BAD_BUCKET_BOUNDS' });
});

test('states that are no states are refused, not read', async () => {
  const plan = groupBy(read, [], AGGREGATES);
  const partial = partialOf(plan);
  const [states] = await collect(partial, contextOf({ tables: tablesOf({ t: { schema: ROWS, rows: [] } }) }));
  expect(states === undefined ? [] : rowsOf(states)).toHaveLength(1);
  await fc.assert(
    fc.asyncProperty(fc.nat(AGGREGATES.length - 1), fc.uint8Array({ maxLength: 60 }), async (at, bytes) => {
      const one = groupBy(read, [], AGGREGATES.slice(at, at + 1));
      const input = source('t', schema({ [AGGREGATES[at]?.name ?? '']: 'STRING' }));
      const tables = tablesOf({
        t: { schema: input.schema, rows: [[Buffer.concat([Buffer.of(bytes.length % 3), bytes])]] },
      });
      // Bytes may happen to be a state; anything else must end as this error, never as another.
      await rowsFrom({ ...one, mode: 'final', input }, contextOf({ tables })).catch((error: unknown) => {
        expect(error).toMatchObject({ code: 'BAD_PARTIAL_STATE' });
      });
    }),
    { numRuns: 300 },
  );
});

test('pairs whose hashes collide stay apart, dense or hashed', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(30), fc.integer()), { maxLength: 300 }), fc.boolean(), (pairs, isBounded) => {
      const table = createPairTable(() => 3);
      const known = new Map<string, number>();
      const words = (which: 0 | 1): Int32Array =>
        Int32Array.from(pairs, (pair) => (isBounded ? pair[which] & 31 : pair[which]));
      const [x, y] = [words(0), words(1)];
      const bound = isBounded ? { bound: 32 } : {};
      const ids = table.encode(
        { words: x, offset: 0, stride: 1, ...bound },
        { words: y, offset: 0, stride: 1, ...bound },
        pairs.length,
      );
      ids.forEach((id, i) => {
        const key = `${x[i]},${y[i]}`;
        if (!known.has(key)) known.set(key, known.size);
        expect(id).toBe(known.get(key));
      });
      expect(table.size).toBe(known.size);
      expect(table.find(99, 99)).toBe(-1);
    }),
  );
});

test('a dense pair table that outgrows its bounds keeps the ids it gave', () => {
  const table = createPairTable();
  const encode = (xs: number[], ys: number[], bound: number): number[] => [
    ...table.encode(
      { words: Int32Array.from(xs), offset: 0, stride: 1, bound },
      { words: Int32Array.from(ys), offset: 0, stride: 1, bound },
      xs.length,
    ),
  ];
  expect(encode([0, 1, 0], [1, 0, 1], 2)).toEqual([0, 1, 0]);
  expect(encode([0, 200, 1], [1, 100, 0], 201)).toEqual([0, 2, 1]);
  expect(encode([0, 5000, 200], [1, 5000, 100], 5001)).toEqual([0, 3, 2]);
  expect(encode([5000, 1], [5000, 0], 5001)).toEqual([3, 1]);
});
