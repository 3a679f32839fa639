// Plans beside SQL over random tables, in random batches.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { fieldOf } from '../../src/columns/column.ts';
import type { Cell } from '../../src/model/types.ts';
import type { JoinOperator, Operator } from '../../src/plan/plan.ts';
import { asText, flat, openOracle, type Oracle } from './duckdb.ts';
import {
  aggregateOf,
  call,
  column,
  contextOf,
  groupBy,
  literal,
  map,
  rowsFrom,
  schema,
  source,
  tablesOf,
  type Table,
} from './support.ts';

const COLUMNS = schema({
  time_: 'TIME64NS',
  k: 'STRING',
  n: 'INT64',
  i: 'INT64',
  f: 'FLOAT64',
  b: 'BOOLEAN',
  u: 'UINT128',
});

const INT64_EDGES = [0n, 1n, -1n, 2n ** 31n, -(2n ** 32n), 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)];

/** Doubles are multiples of 1/8 of moderate size, so that sums are exact in any order. */
const row = fc.tuple(
  fc.bigInt({ min: 0n, max: 20n }),
  fc.constantFrom('', 'a', 'b', 'é', 'long enough to have no inline form', 'a\0b'.replace('\0', ' ')),
  fc.bigInt({ min: -50n, max: 50n }),
  fc.oneof(fc.constantFrom(...INT64_EDGES), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
  fc.integer({ min: -8000, max: 8000 }).map((n) => n / 8),
  fc.boolean(),
  fc.record({ high: fc.constantFrom(0n, 1n, 2n ** 64n - 1n), low: fc.constantFrom(0n, 5n, 2n ** 63n) }),
);

const table = fc
  .array(row, { maxLength: 60 })
  .map((rows): Table => ({ schema: COLUMNS, rows: rows.sort(([a], [b]) => Number(a - b)) }));

const batchRows = fc.integer({ min: 1, max: 61 });

let oracle: Oracle;
beforeAll(async () => {
  oracle = await openOracle();
});
afterAll(() => oracle.close());

const run = (plan: Operator, tables: Record<string, Table>, rows: number): Promise<Cell[][]> =>
  rowsFrom(plan, contextOf({ tables: tablesOf(tables, rows) }));

/** Rows of the plan and of the SQL, over the same tables. */
async function both(
  plan: Operator,
  sql: string,
  tables: Record<string, Table>,
  rows: number,
): Promise<[string[], string[]]> {
  for (const [name, one] of Object.entries(tables)) await oracle.load(name, one);
  return [asText(flat(await run(plan, tables, rows))), asText(await oracle.query(sql))];
}

const read = source('t', COLUMNS);
const RUNS = { numRuns: 60 };

test('filters keep the same rows in the same order', async () => {
  const predicate = call(
    'logicalOr',
    call('logicalAnd', call('greaterThan', column('i', 'INT64'), literal(2n ** 31n, 'INT64')), column('b', 'BOOLEAN')),
    call('lessThanEqual', column('k', 'STRING'), literal('a', 'STRING')),
  );
  const sql = `SELECT * FROM t WHERE (i > 2147483648 AND b) OR k <= 'a'`;
  await fc.assert(
    fc.asyncProperty(table, batchRows, async (t, rows) => {
      const [ours, theirs] = await both({ kind: 'filter', input: read, predicate, schema: COLUMNS }, sql, { t }, rows);
      expect(ours).toEqual(theirs);
    }),
    RUNS,
  );
});

test('maps compute the same values', async () => {
  const [n, f, k] = [column('n', 'INT64'), column('f', 'FLOAT64'), column('k', 'STRING')];
  const plan = map(read, {
    sum: call('add', call('multiply', n, n), literal(7n, 'INT64')),
    mixed: call('subtract', n, f),
    ratio: call('divide', f, literal(8n, 'INT64')),
    rest: call('modulo', n, literal(7n, 'INT64')),
    bin: call('bin', column('time_', 'TIME64NS'), literal(5n, 'INT64')),
    text: call('add', k, call('itoa', n)),
    less: call('lessThan', n, f),
    chosen: call('select', column('b', 'BOOLEAN'), k, literal('no', 'STRING')),
    length: call('length', k),
    low: call('floor', f),
  });
  const sql = `SELECT n * n + 7, n - f, f / 8, n % 7, time_ - time_ % 5, k || n::VARCHAR, n < f,
    CASE WHEN b THEN k ELSE 'no' END, strlen(k), floor(f)::BIGINT FROM t`;
  await fc.assert(
    fc.asyncProperty(table, batchRows, async (t, rows) => {
      const [ours, theirs] = await both(plan, sql, { t }, rows);
      expect(ours).toEqual(theirs);
    }),
    RUNS,
  );
});

const KEYS = [['k'], ['b'], ['u'], ['i'], ['f'], ['time_', 'k'], ['u', 'k', 'b'], []] as const;

test('aggregates of every key type agree', async () => {
  const aggregates = [
    aggregateOf('rows', 'count', [column('k', 'STRING')]),
    aggregateOf('total', 'sum', [column('n', 'INT64')]),
    aggregateOf('trues', 'sum', [column('b', 'BOOLEAN')]),
    aggregateOf('sum', 'sum', [column('f', 'FLOAT64')]),
    aggregateOf('mean', 'mean', [column('f', 'FLOAT64')]),
    aggregateOf('low', 'min', [column('i', 'INT64')]),
    aggregateOf('high', 'max', [column('i', 'INT64')]),
    aggregateOf('top', 'max', [column('f', 'FLOAT64')]),
    aggregateOf('first', 'min', [column('time_', 'TIME64NS')]),
  ];
  const values = `count(*), coalesce(sum(n), 0)::BIGINT, coalesce(sum(b::INT), 0)::BIGINT, coalesce(sum(f), 0), coalesce(avg(f), 'nan'),
    coalesce(min(i), 9223372036854775807), coalesce(max(i), -9223372036854775808), coalesce(max(f), -1.7976931348623157e308),
    coalesce(min(time_), 9223372036854775807)`;
  await fc.assert(
    fc.asyncProperty(table, batchRows, fc.constantFrom(...KEYS), async (t, rows, keys) => {
      const plan = groupBy(read, keys, aggregates);
      const sql =
        keys.length === 0
          ? `SELECT ${values} FROM t`
          : `SELECT ${keys.join(', ')}, ${values} FROM t GROUP BY ${keys.join(', ')}`;
      const [ours, theirs] = await both(plan, sql, { t }, rows);
      expect(ours.sort()).toEqual(theirs.sort());
    }),
    { numRuns: 100 },
  );
});

const HOWS = ['inner', 'left', 'right', 'outer'] as const;
const SQL_HOW = { inner: 'INNER', left: 'LEFT', right: 'RIGHT', outer: 'FULL OUTER' };

const join = (how: JoinOperator['how'], keys: readonly string[], withTime: boolean): JoinOperator => {
  const side = how === 'right' ? 'right' : 'left';
  const columns = [
    ...(withTime ? [{ name: 'time_', side, column: 'time_' } as const] : []),
    { name: 'k_x', side: 'left', column: 'k' },
    { name: 'n', side: 'left', column: 'n' },
    { name: 'u', side: 'left', column: 'u' },
    { name: 'k_y', side: 'right', column: 'k' },
    { name: 'f', side: 'right', column: 'f' },
    { name: 'b', side: 'right', column: 'b' },
  ] as const;
  return {
    kind: 'join',
    left: read,
    right: source('s', COLUMNS),
    how,
    leftKeys: keys,
    rightKeys: keys,
    columns,
    schema: columns.map(({ name, column: from }) =>
      fieldOf(name, COLUMNS.find((field) => field.name === from)?.type ?? 'STRING'),
    ),
  };
};

test.each(HOWS)('%s joins agree, with zero values where SQL has NULL', async (how) => {
  await fc.assert(
    fc.asyncProperty(
      table,
      table,
      batchRows,
      fc.constantFrom(['k'], ['k', 'b'], ['u'], ['i']),
      async (t, s, rows, keys) => {
        const on = keys.map((key) => `t.${key} = s.${key}`).join(' AND ');
        const sql = `SELECT coalesce(t.k, ''), coalesce(t.n, 0), coalesce(t.u, 0), coalesce(s.k, ''), coalesce(s.f, 0), coalesce(s.b, false)
        FROM t ${SQL_HOW[how]} JOIN s ON ${on}`;
        const [ours, theirs] = await both(join(how, keys, false), sql, { t, s }, rows);
        expect(ours.sort()).toEqual(theirs.sort());
      },
    ),
    RUNS,
  );
});

test.each(['inner', 'left', 'right'] as const)(
  'a %s join keeps the order of the side that gives time_',
  async (how) => {
    await fc.assert(
      fc.asyncProperty(table, table, batchRows, async (t, s, rows) => {
        const out = await run(join(how, ['k'], true), { t, s }, rows);
        const times = out.map(([time]) => time as bigint);
        expect(times).toEqual([...times].sort((a, b) => Number(a - b)));
      }),
      RUNS,
    );
  },
);

test('a union is ordered by time_, equal times by input and arrival, whatever the column order', async () => {
  const swapped = [...COLUMNS].reverse();
  const plan: Operator = { kind: 'union', inputs: [read, source('s', swapped), read], schema: COLUMNS };
  await fc.assert(
    fc.asyncProperty(table, table, batchRows, async (t, s, rows) => {
      const reversed = { schema: swapped, rows: s.rows.map((cells) => [...cells].reverse()) };
      const ours = await run(plan, { t, s: reversed }, rows);
      const expected = [...t.rows, ...s.rows, ...t.rows]
        .map((cells, i) => ({ cells, i }))
        .sort((a, b) => Number((a.cells[0] as bigint) - (b.cells[0] as bigint)) || a.i - b.i)
        .map(({ cells }) => cells);
      expect(asText(flat(ours))).toEqual(asText(flat(expected)));
    }),
    RUNS,
  );
});

test('a limit gives the first rows and reads no further', async () => {
  await fc.assert(
    fc.asyncProperty(table, batchRows, fc.integer({ min: 0, max: 70 }), async (t, rows, limit) => {
      const context = contextOf({ tables: tablesOf({ t }, rows) });
      const ours = await rowsFrom({ kind: 'limit', input: read, rows: limit, schema: COLUMNS }, context);
      expect(asText(flat(ours))).toEqual(asText(flat(t.rows.slice(0, limit))));
      expect(context.stats.rowsRead).toBeLessThanOrEqual(Math.min(t.rows.length, Math.ceil(limit / rows) * rows));
    }),
    RUNS,
  );
});
