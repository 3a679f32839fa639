import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { batchFrom, cellAt } from '../../src/columns/batch.ts';
import { sliceBatch } from '../../src/columns/select.ts';
import { createExportSink } from '../../src/engine/export-sink.ts';
import type { ExportRun } from '../../src/engine/export/run.ts';
import { timeNs } from '../../src/model/time.ts';
import type { Cell, Schema } from '../../src/model/types.ts';
import type { MetricSpec, OtelExport, SpanSpec } from '../../src/plan/plan.ts';
import type { AttributeValue, MetricBatch, SpanBatch, TelemetryBatch } from '../../src/telemetry/batches.ts';
import { schema } from './support.ts';

const RUN: ExportRun = {
  scriptUid: 'uid-1',
  start: timeNs(1_000n),
  end: timeNs(2_000n),
  collectorStart: timeNs(500n),
  scope: { name: 'sluice/demo', version: '1.0', attributes: [] },
  resourceAttributes: {},
};

const GAUGE: MetricSpec = {
  kind: 'gauge',
  name: 'g',
  description: '',
  unit: '',
  attributes: [],
  time: 'time_',
  value: 'n',
};
const SPAN: SpanSpec = {
  name: { kind: 'literal', value: 'GET' },
  startTime: 'time_',
  endTime: 'end',
  attributes: [],
  spanKind: 2,
};

const exportOf = (parts: Partial<OtelExport>): OtelExport => ({
  resource: [{ key: 'service.name', value: { kind: 'column', column: 'service' } }],
  fanOut: ['service.name'],
  metrics: [],
  spans: [],
  ...parts,
});

const COLUMNS = schema({
  time_: 'TIME64NS',
  end: 'TIME64NS',
  service: 'STRING',
  zone: 'STRING',
  n: 'INT64',
  f: 'FLOAT64',
});
type Row = readonly [bigint, bigint, string, string, bigint, number];
const ROW: Row = [1_500n, 1_600n, 'shop/cart', 'z', 7n, 0.5];
const rowOf = (changes: Partial<Record<'time' | 'end' | 'service' | 'zone', string | bigint>>): Cell[] => [
  changes.time ?? ROW[0],
  changes.end ?? ROW[1],
  changes.service ?? ROW[2],
  changes.zone ?? ROW[3],
  ROW[4],
  ROW[5],
];

const sinkOver = (spec: OtelExport, rows: readonly (readonly Cell[])[], run = RUN, columns: Schema = COLUMNS) => {
  const sink = createExportSink(spec, run);
  return { batches: sink.add(batchFrom(columns, rows)), counters: sink.counters };
};

const textOf = (value: AttributeValue | undefined): unknown[] => {
  if (value === undefined) return [];
  const { kind } = value;
  return kind === 'literal'
    ? [value.value]
    : Array.from({ length: value.column.length }, (_, i) => cellAt(value.column, i));
};
const resourceOf = (batch: TelemetryBatch | undefined, key: string): unknown[] =>
  textOf(batch?.resource.find((attribute) => attribute.key === key)?.value);
const metric = (batch: TelemetryBatch | undefined): MetricBatch => {
  if (batch?.signal !== 'metrics') throw new Error('no metric');
  return batch;
};
const span = (batch: TelemetryBatch | undefined): SpanBatch => {
  if (batch?.signal !== 'traces') throw new Error('no span');
  return batch;
};
const hex = (ids: Uint8Array, width: number): string[] =>
  Array.from({ length: ids.length / width }, (_, i) =>
    Buffer.from(ids.subarray(i * width, (i + 1) * width)).toString('hex'),
  );

test('a gauge has the row’s time, value and attributes, and no start', () => {
  const attributes = [
    { key: 'zone', value: { kind: 'column', column: 'zone' } },
    { key: 'env', value: { kind: 'literal', value: 'prod' } },
  ] as const;
  const { batches } = sinkOver(exportOf({ metrics: [{ ...GAUGE, attributes }] }), [rowOf({})]);
  const point = metric(batches[0]);
  expect(point).toMatchObject({ name: 'g', length: 1, data: { kind: 'gauge' }, scope: RUN.scope });
  expect(point.startTime).toBeUndefined();
  expect([...point.time]).toEqual([1_500n]);
  expect(point.attributes.flatMap(({ key, value }) => [key, ...textOf(value)])).toEqual(['zone', 'z', 'env', 'prod']);
  expect(resourceOf(point, 'service.name')).toEqual(['shop/cart']);
});

test('no rows make no telemetry', () => {
  expect(sinkOver(exportOf({ metrics: [GAUGE], spans: [SPAN] }), []).batches).toEqual([]);
});

test('points at time 0 or before 1970 are left out and counted', () => {
  const { batches, counters } = sinkOver(exportOf({ metrics: [GAUGE] }), [
    rowOf({ time: 0n }),
    rowOf({ time: -5n }),
    rowOf({}),
  ]);
  expect(metric(batches[0]).length).toBe(1);
  expect(counters.timeRejected).toBe(2);
});

test('several services of a row become a row each; an empty list is one empty name, counted', () => {
  const services = ['["ns/a","ns/b"]', 'shop/cart', '[]', '["ns/c", 5, "ns/d"]', '[broken', '{"a":1}'];
  const { batches, counters } = sinkOver(
    exportOf({ metrics: [GAUGE] }),
    services.map((service) => rowOf({ service })),
  );
  expect(resourceOf(batches[0], 'service.name')).toEqual([
    'ns/a',
    'ns/b',
    'shop/cart',
    '',
    'ns/c',
    'ns/d',
    '[broken',
    '{"a":1}',
  ]);
  expect(counters.emptyServiceLists).toBe(1);
  expect([...metric(batches[0]).time]).toHaveLength(8);
});

test('two lists give all combinations, those with the first value of the second before the others', () => {
  const spec = exportOf({
    metrics: [GAUGE],
    resource: [
      { key: 'a', value: { kind: 'column', column: 'service' } },
      { key: 'b', value: { kind: 'column', column: 'zone' } },
    ],
    fanOut: ['a', 'b'],
  });
  const { batches } = sinkOver(spec, [rowOf({ service: '["a","b"]', zone: '["1","2","3"]' })]);
  const pairs = resourceOf(batches[0], 'a').map((a, i) => `${String(a)}${String(resourceOf(batches[0], 'b')[i])}`);
  expect(pairs).toEqual(['a1', 'b1', 'a2', 'a3', 'b2', 'b3']);
});

test('a row with very many services is cut, and what is cut is counted', () => {
  const list = (count: number): string => JSON.stringify(Array.from({ length: count }, (_, i) => `s${i}`));
  const { batches, counters } = sinkOver(exportOf({ metrics: [GAUGE] }), [rowOf({ service: list(1000) })]);
  expect(metric(batches[0]).length + counters.servicesRejected).toBe(1000);
  expect(counters.servicesRejected).toBe(744);
});

test('resource attributes of the destination replace those of the script, before services are split', () => {
  const run = { ...RUN, resourceAttributes: { 'service.name': 'mine', 'k8s.cluster.name': 'prod' } };
  const { batches } = sinkOver(exportOf({ metrics: [GAUGE] }), [rowOf({ service: '["a","b"]' })], run);
  expect(metric(batches[0]).length).toBe(1);
  expect(metric(batches[0]).resource.map(({ key }) => key)).toEqual(['service.name', 'k8s.cluster.name']);
  expect(resourceOf(batches[0], 'service.name')).toEqual(['mine']);
});

test('sums start with the window, the collector or a column; a start after the time is cut and counted', () => {
  const sum = { ...GAUGE, kind: 'sum', temporality: 'delta', monotonic: true } as const;
  const startOf = (metricSpec: MetricSpec, rows: Cell[][] = [rowOf({})]) => {
    const { batches, counters } = sinkOver(exportOf({ metrics: [metricSpec] }), rows);
    return [[...(metric(batches[0]).startTime ?? [])], counters.timesClamped];
  };
  expect(startOf({ ...sum, startTime: { kind: 'window' } })).toEqual([[1_000n], 0]);
  expect(startOf({ ...sum, startTime: { kind: 'collector' } })).toEqual([[500n], 0]);
  expect(startOf({ ...sum, startTime: { kind: 'column', column: 'end' } }, [rowOf({ end: 900n })])).toEqual([
    [900n],
    0,
  ]);
  expect(startOf({ ...sum, startTime: { kind: 'column', column: 'end' } })).toEqual([[1_500n], 1]);
  const summary = {
    ...GAUGE,
    kind: 'summary',
    count: 'n',
    sum: 'f',
    quantiles: [{ quantile: 0.5, column: 'f' }],
  } as const;
  expect(startOf(summary)).toEqual([[1_000n], 0]);
});

const HISTOGRAM: MetricSpec = {
  ...GAUGE,
  kind: 'histogram',
  temporality: 'delta',
  startTime: { kind: 'window' },
  explicitBounds: [1, 2],
  bucketCounts: 'zone',
  count: 'n',
  sum: 'f',
};

test('a histogram has its bucket counts; other texts are left out, a wrong count is corrected, both counted', () => {
  const zones = ['[1,2,4]', '[1,2]', '[1,-2,4]', '[1,2.0,4]', 'x', '[3,0,0]', '[1,2,4]'];
  const { batches, counters } = sinkOver(
    exportOf({ metrics: [HISTOGRAM] }),
    zones.map((zone) => rowOf({ zone })),
  );
  const { data } = metric(batches[0]);
  if (data.kind !== 'histogram') throw new Error('no histogram');
  expect([...data.bucketCounts]).toEqual([1n, 2n, 4n, 3n, 0n, 0n, 1n, 2n, 4n]);
  expect([...data.count.values]).toEqual([7n, 3n, 7n]);
  expect(counters).toMatchObject({ bucketsRejected: 4, countsCorrected: 1 });
});

test('a span that ends before it begins has no length, and is counted', () => {
  const { batches, counters } = sinkOver(exportOf({ spans: [SPAN] }), [rowOf({}), rowOf({ end: 1n })]);
  expect([...span(batches[0]).endTime]).toEqual([1_600n, 1_500n]);
  expect(counters.timesClamped).toBe(1);
});

const IDS = schema({
  time_: 'TIME64NS',
  end: 'TIME64NS',
  service: 'STRING',
  trace: 'STRING',
  span: 'STRING',
  parent: 'STRING',
});
const idSpan: SpanSpec = { ...SPAN, traceId: 'trace', spanId: 'span', parentSpanId: 'parent' };
const TRACE = '0AF7651916cd43dd8448eb211c80319c';
const SPAN_ID = 'b7ad6b7169203331';

test.each([
  [
    'all given',
    TRACE,
    SPAN_ID,
    'a000000000000001',
    { trace: TRACE.toLowerCase(), span: SPAN_ID, parent: 'a000000000000001' },
    0,
    0,
  ],
  [
    'a short trace id is padded',
    SPAN_ID,
    SPAN_ID,
    '',
    { trace: `0000000000000000${SPAN_ID}`, span: SPAN_ID, parent: '0'.repeat(16) },
    0,
    0,
  ],
  [
    'a trace id of odd length is replaced, and the parent left out',
    'abc',
    SPAN_ID,
    SPAN_ID,
    { span: SPAN_ID, parent: '0'.repeat(16) },
    1,
    1,
  ],
  ['no trace id, so no parent', '', SPAN_ID, SPAN_ID, { span: SPAN_ID, parent: '0'.repeat(16) }, 0, 1],
  ['zeros are no id', '0'.repeat(32), '0'.repeat(16), '0'.repeat(16), { parent: '0'.repeat(16) }, 3, 0],
  [
    'a span id of 16 bytes is replaced',
    TRACE,
    TRACE,
    TRACE,
    { trace: TRACE.toLowerCase(), parent: '0'.repeat(16) },
    2,
    0,
  ],
  ['signs are no digits', TRACE, '+1 1-1 1+1 1-1 1', '', { trace: TRACE.toLowerCase() }, 1, 0],
])('ids: %s', (_, trace, spanId, parent, expected, idsReplaced, parentsDropped) => {
  const { batches, counters } = sinkOver(
    exportOf({ spans: [idSpan] }),
    [[1n, 2n, 's', trace, spanId, parent]],
    RUN,
    IDS,
  );
  const out = span(batches[0]);
  const [traceHex, spanHex, parentHex] = [hex(out.traceId, 16)[0], hex(out.spanId, 8)[0], hex(out.parentSpanId, 8)[0]];
  expect({ trace: traceHex, span: spanHex, parent: parentHex }).toMatchObject(expected);
  expect(traceHex).not.toBe('0'.repeat(32));
  expect(spanHex).not.toBe('0'.repeat(16));
  expect(counters).toMatchObject({ idsReplaced, parentsDropped });
});

const idsOf = (batches: readonly TelemetryBatch[]): string[] => batches.flatMap((batch) => hex(span(batch).spanId, 8));

test('ids that are made are the same for the same rows, in any order and in any batches, and all differ', () => {
  const row = fc.tuple(
    fc.bigInt({ min: 1n, max: 3n }),
    fc.constant(5n),
    fc.constantFrom('a', 'b'),
    fc.constantFrom('', 'x'),
    fc.constant(0n),
    fc.constantFrom(0.5, NaN),
  );
  fc.assert(
    fc.property(fc.array(row, { minLength: 1, maxLength: 20 }), fc.integer({ min: 1, max: 20 }), (rows, size) => {
      const spec = exportOf({ spans: [SPAN] });
      const once = idsOf(sinkOver(spec, rows).batches);
      expect(new Set(once).size).toBe(rows.length);
      expect(idsOf(sinkOver(spec, rows.toReversed()).batches).sort()).toEqual([...once].sort());
      const sink = createExportSink(spec, RUN);
      const all = batchFrom(COLUMNS, rows);
      const pieces = Array.from({ length: Math.ceil(rows.length / size) }, (_, i) =>
        sliceBatch(all, i * size, Math.min(rows.length, (i + 1) * size)),
      );
      expect(idsOf(pieces.flatMap((piece) => sink.add(piece)))).toEqual(once);
      const later = { ...RUN, start: timeNs(3_000n) };
      expect(idsOf(sinkOver(spec, rows, later).batches)).not.toEqual(once);
    }),
  );
});

test('copies of a span for several services have ids of their own in one trace, and two spans of a row share the trace', () => {
  const { batches } = sinkOver(exportOf({ spans: [SPAN, { ...SPAN, spanKind: 3 }] }), [
    rowOf({ service: '["a","b"]' }),
    rowOf({}),
  ]);
  const ids = idsOf(batches);
  expect(new Set(ids).size).toBe(6);
  const traces = batches.map((batch) => hex(span(batch).traceId, 16));
  expect(traces[0]).toEqual(traces[1]);
  expect(traces[0]?.[0]).toBe(traces[0]?.[1]);
  expect(traces[0]?.[0]).not.toBe(traces[0]?.[2]);
});

test('only errors have a message; codes that are none are unset and counted', () => {
  const columns = schema({ time_: 'TIME64NS', end: 'TIME64NS', service: 'STRING', code: 'INT64', message: 'STRING' });
  const spec = {
    ...SPAN,
    statusCode: { kind: 'column', column: 'code' },
    statusMessage: { kind: 'column', column: 'message' },
  } as const;
  const rows = [0n, 1n, 2n, 7n].map((code): Cell[] => [1n, 2n, 's', code, `m${code}`]);
  const { batches, counters } = sinkOver(exportOf({ spans: [spec] }), rows, RUN, columns);
  const out = span(batches[0]);
  expect([...out.statusCode]).toEqual([0, 1, 2, 0]);
  const message = out.statusMessage;
  expect(message === undefined ? [] : rows.map((_, i) => cellAt(message, i))).toEqual(['', '', 'm2', '']);
  expect(counters.statusesReset).toBe(1);
});
