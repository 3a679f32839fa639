// A split plan gives the rows of the whole plan, however the rows lie on nodes.
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { fieldOf } from '../../src/columns/column.ts';
import type { ExecutionContext } from '../../src/engine/context.ts';
import { createExportSink } from '../../src/engine/export-sink.ts';
import type { Cell } from '../../src/model/types.ts';
import { timeNs } from '../../src/model/time.ts';
import type { JoinOperator, OtelExport, Operator, Plan } from '../../src/plan/plan.ts';
import { split, type SplitOptions } from '../../src/runtime/split.ts';
import {
  aggregateOf,
  asSet,
  call,
  collect,
  column,
  contextOf,
  groupBy,
  identityOf,
  literal,
  map,
  NO_IDENTITY,
  rowsFrom,
  schema,
  source,
  tablesOf,
  type Table,
} from '../engine/support.ts';

const PLAIN = schema({ time_: 'TIME64NS', k: 'STRING', n: 'INT64', f: 'FLOAT64' });
const ROWS = [...PLAIN, fieldOf('upid', 'UINT128', 'ST_UPID')];
const [time, k, n, f] = [
  column('time_', 'TIME64NS'),
  column('k', 'STRING'),
  column('n', 'INT64'),
  column('f', 'FLOAT64'),
];
const upid = { kind: 'column', name: 'upid', type: 'UINT128', semanticType: 'ST_UPID' } as const;

type Row = readonly [bigint, string, bigint, number, { high: bigint; low: bigint }];

/** Rows of one node: its processes carry its agent id. */
const node = (asid: number): fc.Arbitrary<Row[]> =>
  fc
    .array(
      fc.tuple(
        fc.bigInt({ min: 0n, max: 30n }),
        fc.constantFrom('a', 'b', 'c'),
        fc.bigInt({ min: -5n, max: 5n }),
        fc.integer({ min: -80, max: 80 }).map((i) => i / 8),
        fc.bigInt({ min: 0n, max: 2n }).map((pid) => ({ high: (BigInt(asid) << 32n) | pid, low: 1n })),
      ),
      { maxLength: 25 },
    )
    .map((rows) => rows.sort(([a], [b]) => Number(a - b)));

const cluster = fc
  .integer({ min: 1, max: 4 })
  .chain((count) => fc.tuple(...Array.from({ length: count }, (_, i) => node(i + 1))));

const identity = {
  ...NO_IDENTITY,
  process: ({ high }: { high: bigint }) =>
    identityOf({ pod: `ns/pod-${high & 0xffff_ffffn}`, node: `n${high >> 32n}` }),
};

const tableOf = (rows: readonly Row[]): Table => ({ schema: ROWS, rows });
const nodeContext = (rows: readonly Row[], more: Partial<ExecutionContext> = {}) =>
  contextOf({ tables: tablesOf({ t: tableOf(rows) }, 7), identity, ...more });

const planOf = (input: Operator): Plan => ({ sinks: [{ kind: 'table', name: 'out', input, rowsMax: 10_000 }] });

/** What the nodes' fragments and the merging side make of the plan. */
async function rowsOfSplit(
  input: Operator,
  nodes: readonly (readonly Row[])[],
  options: SplitOptions = {},
): Promise<Cell[][]> {
  const { fragments, merge } = split(planOf(input), options);
  const answers = await Promise.all(
    fragments.map(async (fragment) =>
      (await Promise.all(nodes.map((rows) => collect(fragment, nodeContext(rows))))).flat(),
    ),
  );
  const root = merge.sinks[0]?.input;
  if (root === undefined) throw new Error('no sink');
  return rowsFrom(
    root,
    contextOf({
      remote: async function* remote(fragment) {
        yield* answers[fragment] ?? [];
      },
    }),
  );
}

const read = source('t', ROWS);
const filtered: Operator = {
  kind: 'filter',
  input: read,
  predicate: call('greaterThan', n, literal(-3n, 'INT64')),
  schema: ROWS,
};
const named = map(filtered, { time_: time, k, n, f, upid, pod: call('upid_to_pod_name', upid) });
const statistics = [
  aggregateOf('rows', 'count', [n]),
  aggregateOf('sum', 'sum', [n]),
  aggregateOf('mean', 'mean', [f]),
  aggregateOf('low', 'min', [f]),
  aggregateOf('last', 'max', [time]),
  aggregateOf('quantiles', 'quantiles', [f]),
  aggregateOf('buckets', 'bucket_counts', [f], [-1, 0, 2.5]),
];
const grouped = groupBy(named, ['k', 'pod'], statistics);

const joinOn = (key: string, left: Operator, right: Operator, how: JoinOperator['how']): JoinOperator => {
  const columns = [
    ...left.schema.map(({ name }) => ({ name: `${name}_x`, side: 'left' as const, column: name })),
    ...right.schema.map(({ name }) => ({ name: `${name}_y`, side: 'right' as const, column: name })),
  ];
  return {
    kind: 'join',
    left,
    right,
    how,
    leftKeys: [key],
    rightKeys: [key],
    columns,
    schema: [...left.schema, ...right.schema].map((field, i) => ({ ...field, name: columns[i]?.name ?? '' })),
  };
};

const byKey = groupBy(read, ['k'], [aggregateOf('rows', 'count', [n])]);
const byProcess = groupBy(read, ['upid'], [aggregateOf('rows', 'count', [n])]);
const processJoin = joinOn('upid', byProcess, groupBy(filtered, ['upid'], [aggregateOf('sum', 'sum', [n])]), 'left');

const PLANS: Readonly<Record<string, Operator>> = {
  'a filter and a map with names': named,
  'an aggregate': grouped,
  'an aggregate without keys': groupBy(named, [], statistics),
  'a map over an aggregate': map(grouped, { k, per: call('divide', column('sum', 'INT64'), literal(10n, 'INT64')) }),
  'an aggregate of an aggregate': groupBy(grouped, ['k'], [aggregateOf('pods', 'count', [column('pod', 'STRING')])]),
  'names after grouping by process': map(byProcess, {
    pod: call('upid_to_pod_name', upid),
    rows: column('rows', 'INT64'),
  }),
  'a join of two aggregates': joinOn('k', byKey, groupBy(filtered, ['k'], [aggregateOf('sum', 'sum', [n])]), 'outer'),
  'a join of rows with an aggregate': joinOn('k', named, byKey, 'inner'),
  'names after a join by process': map(processJoin, {
    pod: call('upid_to_pod_name', { ...upid, name: 'upid_x' }),
    rows: column('rows_x', 'INT64'),
    sum: column('sum_y', 'INT64'),
  }),
  'a union': { kind: 'union', inputs: [read, filtered], schema: ROWS },
  'names over a union': map(
    { kind: 'union', inputs: [read, filtered], schema: ROWS },
    { time_: time, pod: call('upid_to_pod_name', upid) },
  ),
  'an aggregate of a union': groupBy({ kind: 'union', inputs: [read, filtered], schema: ROWS }, ['k'], statistics),
};

test.each(Object.entries(PLANS))('%s gives the same rows over any nodes', async (_, plan) => {
  await fc.assert(
    fc.asyncProperty(cluster, async (nodes) => {
      const all = nodes.flat().sort(([a], [b]) => Number(a - b));
      const whole = await rowsFrom(plan, nodeContext(all));
      expect(asSet(await rowsOfSplit(plan, nodes))).toEqual(asSet(whole));
      const [first = []] = nodes;
      expect(asSet(await rowsOfSplit(plan, [first], { oneNode: true }))).toEqual(
        asSet(await rowsFrom(plan, nodeContext(first))),
      );
    }),
    { numRuns: 20 },
  );
});

test('a union over nodes is in the order of time_', async () => {
  await fc.assert(
    fc.asyncProperty(cluster, async (nodes) => {
      const out = await rowsOfSplit({ kind: 'union', inputs: [read, filtered], schema: ROWS }, nodes);
      const times = out.map(([at]) => at as bigint);
      expect(times).toEqual([...times].sort((a, b) => Number(a - b)));
    }),
    { numRuns: 20 },
  );
});

test('a limit is on the nodes and on the merging side, and what follows it counts the limited rows', async () => {
  const limited: Operator = { kind: 'limit', input: read, rows: 3, schema: ROWS };
  const { fragments, merge } = split(planOf(map(limited, { pod: call('upid_to_pod_name', upid) })));
  expect(fragments[0]).toMatchObject({ kind: 'map', input: { kind: 'limit', rows: 3, input: { kind: 'source' } } });
  expect(merge.sinks[0]?.input).toMatchObject({ kind: 'limit', rows: 3, input: { kind: 'remote', fragment: 0 } });
  const count = groupBy(limited, [], [aggregateOf('rows', 'count', [n])]);
  await fc.assert(
    fc.asyncProperty(cluster, async (nodes) => {
      const rows = Math.min(3, nodes.flat().length);
      expect(await rowsOfSplit(limited, nodes)).toHaveLength(rows);
      expect(await rowsOfSplit(count, nodes)).toEqual([[BigInt(rows)]]);
    }),
    { numRuns: 20 },
  );
});

test('only partial states leave the nodes where a plan aggregates', () => {
  const { fragments, merge } = split(planOf(grouped));
  expect(fragments).toHaveLength(1);
  expect(fragments[0]).toMatchObject({ kind: 'aggregate', mode: 'partial' });
  expect(merge.sinks[0]?.input).toMatchObject({
    kind: 'aggregate',
    mode: 'final',
    input: { kind: 'remote', fragment: 0 },
  });
});

test('sinks that share an input share its fragment', () => {
  const { fragments, merge } = split({ sinks: [...planOf(grouped).sinks, ...planOf(grouped).sinks] });
  expect(fragments).toHaveLength(1);
  expect(merge.sinks[0]?.input).toBe(merge.sinks[1]?.input);
});

test('asking who a process is after rows of several nodes were merged is an error with advice', () => {
  const merged = groupBy(read, ['k'], [aggregateOf('upid', 'any', [upid])]);
  const plan = planOf(map(merged, { pod: call('upid_to_pod_name', upid) }));
  expect(() => split(plan)).toThrow(/px\.upid_to_pod_name must run on the node/);
  expect(() => split(plan, { oneNode: true })).not.toThrow();
  expect(() => split(plan, { mergeHasIdentity: true })).not.toThrow();
  expect(() => split(planOf(map(merged, { pid: call('upid_to_pid', upid) })))).not.toThrow();
});

test('each cumulative stream starts with the latest start of the collectors that it counts', async () => {
  const exported: OtelExport = {
    resource: [{ key: 'service.name', value: { kind: 'column', column: 'k' } }],
    fanOut: [],
    spans: [],
    metrics: [
      {
        kind: 'sum',
        name: 'bytes',
        description: '',
        unit: 'By',
        attributes: [],
        time: 'time_',
        value: 'n',
        temporality: 'cumulative',
        monotonic: true,
        startTime: { kind: 'collector' },
      },
    ],
  };
  const totals = groupBy(read, ['k'], [aggregateOf('n', 'sum', [n]), aggregateOf('time_', 'max', [time])]);
  const { fragments, merge } = split({ sinks: [{ kind: 'otel', name: 'x', input: totals, export: exported }] });
  const process = { high: 1n << 32n, low: 1n };
  const nodes: readonly (readonly [bigint, readonly Row[]])[] = [
    [100n, [[500n, 'a', 1n, 0, process]]],
    [
      200n,
      [
        [600n, 'a', 2n, 0, process],
        [601n, 'b', 4n, 0, process],
      ],
    ],
    [300n, [[700n, 'c', 8n, 0, process]]],
  ];
  const fragment = fragments[0];
  const sink = merge.sinks[0];
  if (fragment === undefined || sink?.kind !== 'otel') throw new Error('no export');
  const answers = await Promise.all(
    nodes.map(([start, rows]) => collect(fragment, nodeContext(rows, { collectorStart: timeNs(start) }))),
  );
  const remote = async function* remote() {
    yield* answers.flat();
  };
  const [batch] = await collect(sink.input, contextOf({ remote }));
  const run = {
    scriptUid: 'u',
    start: timeNs(0n),
    end: timeNs(1000n),
    collectorStart: timeNs(1n),
    scope: { name: 's', version: '1', attributes: [] },
    resourceAttributes: {},
  };
  const [points] = batch === undefined ? [] : createExportSink(sink.export, run).add(batch);
  if (points?.signal !== 'metrics' || points.data.kind !== 'sum') throw new Error('no sum');
  expect([...(points.startTime ?? [])]).toEqual([200n, 200n, 300n]);
  expect([...points.data.value.values]).toEqual([3n, 4n, 8n]);
});
