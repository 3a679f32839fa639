// How execution behaves beside its rows: turns of the event loop, aborts, bounds, errors.
import { expect, test } from '@jest/globals';
import { DEFAULT_LIMITS } from '../../src/engine/context.ts';
import { execute } from '../../src/engine/execute.ts';
import type { JoinOperator, Operator } from '../../src/plan/plan.ts';
import {
  aggregateOf,
  call,
  collect,
  column,
  contextOf,
  groupBy,
  literal,
  map,
  rowsFrom,
  schema,
  source,
  tablesOf,
} from './support.ts';

const COLUMNS = schema({ time_: 'TIME64NS', n: 'INT64' });
const rows = Array.from({ length: 100 }, (_, i) => [BigInt(i), BigInt(i % 10)] as const);
const tables = tablesOf({ t: { schema: COLUMNS, rows } }, 10);
const read = source('t', COLUMNS);

test('the event loop gets a turn after each 10 ms of work', async () => {
  let now = 0;
  let turns = 0;
  let isRunning = true;
  const spin = (): void => {
    turns++;
    if (isRunning) setImmediate(spin);
  };
  setImmediate(spin);
  // Each look at the clock is 4 ms after the one before: every third piece of work gives a turn.
  await collect(read, contextOf({ tables, clock: () => (now += 4) }));
  isRunning = false;
  expect(turns).toBeGreaterThanOrEqual(3);
});

test.each<[string, Operator]>([
  ['a source', read],
  ['an aggregate', groupBy(read, ['n'], [])],
  ['a union', { kind: 'union', inputs: [read, read], schema: COLUMNS }],
])('an abort ends %s with its reason', async (_, plan) => {
  const controller = new AbortController();
  const reason = new Error('deadline passed');
  let batches = 0;
  const counting = {
    *snapshot(...args: Parameters<typeof tables.snapshot>) {
      for (const batch of tables.snapshot(...args)) {
        if (++batches === 3) controller.abort(reason);
        yield batch;
      }
    },
  };
  await expect(collect(plan, contextOf({ tables: counting, signal: controller.signal }))).rejects.toBe(reason);
  expect(batches).toBe(3);
});

test('a consumer that stops early closes the table’s reader', async () => {
  let isClosed = false;
  const closing = {
    *snapshot(...args: Parameters<typeof tables.snapshot>) {
      try {
        yield* tables.snapshot(...args);
      } finally {
        isClosed = true;
      }
    },
  };
  for await (const batch of execute(read, contextOf({ tables: closing }))) {
    expect(batch.length).toBe(10);
    break;
  }
  expect(isClosed).toBe(true);
});

const selfJoin: JoinOperator = {
  kind: 'join',
  left: read,
  right: read,
  how: 'inner',
  leftKeys: ['n'],
  rightKeys: ['n'],
  columns: [{ name: 'n', side: 'left', column: 'n' }],
  schema: schema({ n: 'INT64' }),
};

test('a join that would be larger than the limit ends with a sentence, and one that is as large does not', async () => {
  const limits = (joinRowsMax: number) => ({ ...DEFAULT_LIMITS, joinRowsMax });
  await expect(rowsFrom(selfJoin, contextOf({ tables, limits: limits(999) }))).rejects.toMatchObject({
    code: 'JOIN_LIMIT',
  });
  expect(await rowsFrom(selfJoin, contextOf({ tables, limits: limits(1000) }))).toHaveLength(1000);
  const bytes = { ...DEFAULT_LIMITS, bytesMax: 100 };
  await expect(rowsFrom(selfJoin, contextOf({ tables, limits: bytes }))).rejects.toMatchObject({
    code: 'MEMORY_LIMIT',
  });
  const union: Operator = { kind: 'union', inputs: [read], schema: COLUMNS };
  await expect(rowsFrom(union, contextOf({ tables, limits: bytes }))).rejects.toMatchObject({ code: 'MEMORY_LIMIT' });
});

test('a product of one key on both sides comes in batches of bounded size', async () => {
  const one = { t: { schema: COLUMNS, rows: Array.from({ length: 500 }, (_, i) => [BigInt(i), 1n] as const) } };
  const batches = await collect(selfJoin, contextOf({ tables: tablesOf(one) }));
  expect(batches.reduce((sum, { length }) => sum + length, 0)).toBe(250_000);
  expect(Math.max(...batches.map(({ length }) => length))).toBe(65_536);
});

test('a plan that does not fit its tables says what is wrong', async () => {
  const context = contextOf({ tables });
  const filter = (name: string, type: 'BOOLEAN' | 'INT64'): Operator => ({
    kind: 'filter',
    input: read,
    predicate: call('logicalNot', column(name, type)),
    schema: COLUMNS,
  });
  await expect(collect(filter('nope', 'BOOLEAN'), context)).rejects.toMatchObject({ code: 'UNKNOWN_COLUMN' });
  await expect(collect(filter('n', 'BOOLEAN'), context)).rejects.toMatchObject({ code: 'COLUMN_TYPE' });
  await expect(collect(source('t', schema({ n: 'STRING' })), context)).rejects.toMatchObject({ code: 'COLUMN_TYPE' });
  const unknown = map(read, {
    x: { kind: 'call', function: 'nope', args: [], type: 'INT64', semanticType: 'ST_NONE' },
  });
  await expect(collect(unknown, context)).rejects.toMatchObject({ code: 'UNKNOWN_FUNCTION' });
  const aggregate = groupBy(read, [], [{ ...aggregateOf('x', 'count', [column('n', 'INT64')]), function: 'toString' }]);
  await expect(collect(aggregate, context)).rejects.toMatchObject({ code: 'UNKNOWN_FUNCTION' });
  await expect(collect({ kind: 'remote', fragment: 0, schema: COLUMNS }, context)).rejects.toMatchObject({
    code: 'NO_REMOTE',
  });
});

test('equal sub-expressions and constants are computed once, not per row', async () => {
  let lookups = 0;
  const identity = {
    process: () => {
      lookups++;
      return undefined;
    },
    podByIp: () => undefined,
    podByName: () => undefined,
    podById: () => undefined,
  };
  const upid = literal({ high: 1n, low: 2n }, 'UINT128');
  const pod = call('upid_to_pod_name', upid);
  await collect(map(read, { a: pod, b: call('add', pod, pod) }), contextOf({ tables, identity }));
  expect(lookups).toBe(1);
  const columns = schema({ upid: 'UINT128' });
  const many = tablesOf({
    t: { schema: columns, rows: Array.from({ length: 50 }, (_, i) => [{ high: 1n, low: BigInt(i % 3) }]) },
  });
  await collect(
    map(source('t', columns), { a: call('upid_to_pod_name', column('upid', 'UINT128')) }),
    contextOf({ tables: many, identity }),
  );
  expect(lookups).toBe(4);
});

test('an aggregate that both sides of a join read is executed once, and again where it is too large to keep', async () => {
  const total = groupBy(read, ['n'], [aggregateOf('rows', 'count', [column('n', 'INT64')])]);
  const plan: JoinOperator = { ...selfJoin, left: total, right: total };
  for (const [bytesMax, reads] of [
    [DEFAULT_LIMITS.bytesMax, 1],
    [1200, 2],
  ] as const) {
    let snapshots = 0;
    const counting = {
      snapshot(...args: Parameters<typeof tables.snapshot>) {
        snapshots++;
        return tables.snapshot(...args);
      },
    };
    const context = contextOf({ tables: counting, limits: { ...DEFAULT_LIMITS, bytesMax } });
    expect(await rowsFrom(plan, context)).toHaveLength(10);
    expect(snapshots).toBe(reads);
  }
});

test('texts that double with every step end the query, not the process', async () => {
  const text = column('s', 'STRING');
  const start: Operator = map(read, { s: call('itoa', column('n', 'INT64')) });
  const doubled = Array.from({ length: 40 }).reduce(
    (input: Operator) => map(input, { s: call('add', text, text) }),
    start,
  );
  await expect(collect(doubled, contextOf({ tables }))).rejects.toMatchObject({ code: 'MEMORY_LIMIT' });
});
