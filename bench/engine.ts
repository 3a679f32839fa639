// How fast is a group-by over http_events, beside DuckDB? One thread each, the same 2 million rows in memory, the two run
// in turns; results are compared before anything is timed, and both are warmed up.
//   node bench/engine.ts [rows] [pairs]
import { DuckDBInstance } from '@duckdb/node-api';
import { fieldOf, type Batch, type Column } from '../src/columns/column.ts';
import { rowsOf } from '../src/columns/batch.ts';
import { dictionaryFrom } from '../src/columns/dictionary.ts';
import { DEFAULT_LIMITS, type ExecutionContext } from '../src/engine/context.ts';
import { execute } from '../src/engine/execute.ts';
import type { DataType, Schema } from '../src/model/types.ts';
import type { Expression } from '../src/plan/expression.ts';
import type { AggregateOperator, Operator } from '../src/plan/plan.ts';

const ROWS = Number(process.argv[2] ?? 2_000_000);
const PAIRS = Number(process.argv[3] ?? 7);
const SEGMENT_ROWS = 65_536;

const SCHEMA: Schema = [
  fieldOf('time_', 'TIME64NS'),
  fieldOf('upid', 'UINT128', 'ST_UPID'),
  fieldOf('service', 'STRING'),
  fieldOf('req_path', 'STRING'),
  fieldOf('resp_status', 'INT64'),
  fieldOf('latency', 'INT64'),
];

/** The same rows by arithmetic on the row number, here and in SQL. */
const SQL_ROWS = `SELECT 1700000000000000000 + i * 5000 AS time_, (7::UHUGEINT << 96) + (i * 31 % 200)::UHUGEINT AS upid,
  'shop/service-' || (i * 7919 % 20) AS service, '/api/v1/items/' || (i * 104729 % 1000) || '/reviews' AS req_path,
  200 + (i * 13 % 6) * 50 AS resp_status, i * 48271 % 10000019 AS latency FROM range(${ROWS}) r(i)`;

/** Segments as the table store keeps them: each with its own dictionaries. */
function segments(): Batch[] {
  const batches: Batch[] = [];
  for (let start = 0; start < ROWS; start += SEGMENT_ROWS) {
    const length = Math.min(SEGMENT_ROWS, ROWS - start);
    const ints = (of: (i: number) => bigint): BigInt64Array =>
      BigInt64Array.from({ length }, (_, row) => of(start + row));
    const upid = new BigUint64Array(length * 2);
    for (let row = 0; row < length; row++) {
      upid[row * 2] = 7n << 32n;
      upid[row * 2 + 1] = BigInt(((start + row) * 31) % 200);
    }
    const columns: Column[] = [
      { type: 'TIME64NS', length, values: ints((i) => 1_700_000_000_000_000_000n + BigInt(i) * 5000n) },
      { type: 'UINT128', length, values: upid },
      strings(length, (row) => `shop/service-${((start + row) * 7919) % 20}`),
      strings(length, (row) => `/api/v1/items/${((start + row) * 104_729) % 1000}/reviews`),
      { type: 'INT64', length, values: ints((i) => BigInt(200 + ((i * 13) % 6) * 50)) },
      { type: 'INT64', length, values: ints((i) => BigInt((i * 48_271) % 10_000_019)) },
    ];
    batches.push({ schema: SCHEMA, columns, length });
  }
  return batches;
}

function strings(length: number, of: (row: number) => string): Column {
  const codeOf = new Map<string, number>();
  const codes = Int32Array.from({ length }, (_, row) => {
    const text = of(row);
    const code = codeOf.get(text) ?? codeOf.size;
    codeOf.set(text, code);
    return code;
  });
  return { type: 'STRING', length, codes, dictionary: dictionaryFrom([...codeOf.keys()]) };
}

const column = (name: string, type: DataType): Expression => ({ kind: 'column', name, type, semanticType: 'ST_NONE' });
const aggregate = (name: string, fn: string, arg: Expression, type: DataType) =>
  ({ name, function: fn, args: [arg], literals: [], type, semanticType: 'ST_NONE' }) as const;

const read: Operator = {
  kind: 'source',
  table: 'http_events',
  columns: SCHEMA.map(({ name }) => name),
  schema: SCHEMA,
};
const latency = column('latency', 'INT64');
const AGGREGATES = [
  aggregate('n', 'count', latency, 'INT64'),
  aggregate('total', 'sum', latency, 'INT64'),
  aggregate('worst', 'max', latency, 'INT64'),
  aggregate('mean', 'mean', latency, 'FLOAT64'),
] as const;

const groupBy = (input: Operator, ...keys: string[]): AggregateOperator => ({
  kind: 'aggregate',
  input,
  keys,
  aggregates: AGGREGATES,
  mode: 'full',
  schema: [
    ...keys.flatMap((key) => input.schema.find(({ name }) => name === key) ?? []),
    ...AGGREGATES.map(({ name, type }) => fieldOf(name, type)),
  ],
});

const VALUES = 'count(*), sum(latency)::BIGINT, max(latency), avg(latency)';

/** As the compiler leaves it: only columns that are used. */
const USED = SCHEMA.filter(({ name }) => ['req_path', 'resp_status', 'latency'].includes(name));
const errors: Operator = {
  kind: 'filter',
  input: { kind: 'source', table: 'http_events', columns: USED.map(({ name }) => name), schema: USED },
  schema: USED,
  predicate: {
    kind: 'call',
    function: 'greaterThanEqual',
    args: [column('resp_status', 'INT64'), { kind: 'literal', value: 400n, type: 'INT64', semanticType: 'ST_NONE' }],
    type: 'BOOLEAN',
    semanticType: 'ST_NONE',
  },
};
const routed: Operator = {
  kind: 'map',
  input: read,
  columns: [
    {
      name: 'route',
      expression: {
        kind: 'call',
        function: 'http_route',
        args: [column('req_path', 'STRING')],
        type: 'STRING',
        semanticType: 'ST_NONE',
      },
    },
    { name: 'latency', expression: latency },
  ],
  schema: [fieldOf('route', 'STRING'), fieldOf('latency', 'INT64')],
};
const ROUTE_SQL = `regexp_replace(req_path, '/[0-9]+(/|$)', '/{id}\\1')`;

const QUESTIONS: readonly { readonly name: string; readonly plan: Operator; readonly sql: string }[] = [
  { name: 'by service', plan: groupBy(read, 'service'), sql: `SELECT service, ${VALUES} FROM http_events GROUP BY 1` },
  {
    name: 'by service, path, status',
    plan: groupBy(read, 'service', 'req_path', 'resp_status'),
    sql: `SELECT service, req_path, resp_status, ${VALUES} FROM http_events GROUP BY 1, 2, 3`,
  },
  { name: 'by upid', plan: groupBy(read, 'upid'), sql: `SELECT upid, ${VALUES} FROM http_events GROUP BY 1` },
  {
    name: 'status >= 400, by path',
    plan: groupBy(errors, 'req_path'),
    sql: `SELECT req_path, ${VALUES} FROM http_events WHERE resp_status >= 400 GROUP BY 1`,
  },
  {
    name: 'by route of path',
    plan: groupBy(routed, 'route'),
    sql: `SELECT ${ROUTE_SQL}, ${VALUES} FROM http_events GROUP BY 1`,
  },
];

const batches = segments();
const context = (): ExecutionContext => ({
  tables: {
    *snapshot(_, { columns }) {
      const positions = columns.map((name) => SCHEMA.findIndex((field) => field.name === name));
      for (const batch of batches) yield { ...batch, columns: positions.flatMap((at) => batch.columns[at] ?? []) };
    },
  },
  identity: {
    process: () => undefined,
    podByIp: () => undefined,
    podByName: () => undefined,
    podById: () => undefined,
  },
  asid: 1,
  scope: '*',
  node: 'bench',
  signal: new AbortController().signal,
  clock: () => performance.now(),
  limits: DEFAULT_LIMITS,
  stats: { rowsRead: 0, bytesRead: 0 },
});

const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
const connection = await instance.connect();
await connection.run(`CREATE TABLE http_events AS ${SQL_ROWS}`);

const runOurs = async (plan: Operator): Promise<unknown[][]> => {
  const rows: unknown[][] = [];
  for await (const batch of execute(plan, context())) rows.push(...rowsOf(batch));
  return rows;
};
const runTheirs = async (sql: string): Promise<unknown[][]> => (await connection.runAndReadAll(sql)).getRows();

const text = (rows: readonly (readonly unknown[])[]): string =>
  rows
    .map((row) =>
      row
        .map((cell) => {
          if (typeof cell === 'number') return cell.toPrecision(12);
          return typeof cell === 'object' && cell !== null && 'high' in cell && 'low' in cell
            ? String((BigInt(String(cell.high)) << 64n) | BigInt(String(cell.low)))
            : String(cell);
        })
        .join('|'),
    )
    .sort()
    .join('\n');

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
const spread = (values: readonly number[]): string =>
  `${Math.min(...values).toFixed(1)}-${Math.max(...values).toFixed(1)}`;
/** Million rows per second of processor time: on a shared machine, wall time tells more about the neighbours. */
const timed = async (work: () => Promise<unknown>): Promise<number> => {
  const start = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(start);
  return ROWS / (user + system);
};

console.log(
  `group-by with count, sum, max, mean over ${ROWS} rows; M rows per CPU second, median of ${PAIRS} interleaved runs (least-most)\n`,
);
console.log(
  [
    'question'.padEnd(28),
    'groups'.padStart(7),
    'sluice'.padStart(20),
    'duckdb, 1 thread'.padStart(20),
    'ratio'.padStart(7),
  ].join(' '),
);
for (const { name, plan, sql } of QUESTIONS) {
  const ours = await runOurs(plan);
  if (text(ours) !== text(await runTheirs(sql))) throw new Error(`${name}: results differ`);
  for (let i = 0; i < 3; i++) await runOurs(plan);
  const [a, b]: [number[], number[]] = [[], []];
  for (let i = 0; i < PAIRS; i++) {
    a.push(await timed(() => runOurs(plan)));
    b.push(await timed(() => runTheirs(sql)));
  }
  const cell = (values: number[]): string => `${median(values).toFixed(1)} (${spread(values)})`.padStart(20);
  console.log(
    [
      name.padEnd(28),
      String(ours.length).padStart(7),
      cell(a),
      cell(b),
      (median(a) / median(b)).toFixed(2).padStart(7),
    ].join(' '),
  );
}
connection.closeSync();
