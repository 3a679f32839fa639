// The presets over rows, through the engine, to telemetry.
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from '@jest/globals';
import { createExportSink } from '../../src/engine/export-sink.ts';
import type { IdentityLookup } from '../../src/model/identity.ts';
import { tableNamed, schemaOf } from '../../src/model/catalogue.ts';
import type { Cell, DataType } from '../../src/model/types.ts';
import { timeNs } from '../../src/model/time.ts';
import { packUpid } from '../../src/model/upid.ts';
import type { Operator } from '../../src/plan/plan.ts';
import { compile } from '../../src/pxl/compile.ts';
import type { MetricBatch } from '../../src/telemetry/batches.ts';
import { NO_IDENTITY, collect, contextOf, identityOf, tablesOf } from '../engine/support.ts';

const START = timeNs(1_700_000_000_000_000_000n);
const END = timeNs(START + 10_000_000_000n);
const FILES = globSync('src/presets/*.pxl').sort();

const ZERO: Readonly<Record<DataType, Cell>> = {
  BOOLEAN: false,
  INT64: 0n,
  UINT128: packUpid(7, 1, 5n),
  FLOAT64: 0,
  STRING: '',
  TIME64NS: START,
};

/** A row of a table: the given cells, zero values elsewhere. */
const rowOf = (table: string, cells: Readonly<Record<string, Cell>>): Cell[] => {
  const definition = tableNamed(table);
  if (definition === undefined) throw new Error(`no table ${table}`);
  return definition.columns.map(({ name, type }) => cells[name] ?? ZERO[type]);
};

const IDENTITY: IdentityLookup = {
  ...NO_IDENTITY,
  process: ({ low }) =>
    low === 5n ? identityOf({ pod: 'shop/cart-0', services: ['shop/cart'], namespace: 'shop', node: 'n1' }) : undefined,
};

const compiled = (name: string): ReturnType<typeof compile> =>
  compile(readFileSync(`src/presets/${name}.pxl`, 'utf8'), {
    now: END,
    window: { start: START, end: END },
    hasDefaultEndpoint: true,
  });

async function telemetryOf(preset: string, table: string, rows: readonly Cell[][]): Promise<readonly MetricBatch[]> {
  const [sink] = compiled(preset).plan?.sinks ?? [];
  const definition = tableNamed(table);
  if (sink?.kind !== 'otel' || definition === undefined) throw new Error('the preset exports nothing');
  const tables = tablesOf({ [table]: { schema: schemaOf(definition), rows } });
  const batches = await collect(sink.input, contextOf({ tables, identity: IDENTITY }));
  const run = {
    scriptUid: 'u',
    start: START,
    end: END,
    collectorStart: timeNs(5n),
    scope: { name: 's', version: '1', attributes: [] },
    resourceAttributes: {},
  };
  const made = createExportSink(sink.export, run);
  const telemetry = batches.flatMap((batch) => made.add(batch));
  expect(Object.values(made.counters).every((count) => count === 0)).toBe(true);
  return telemetry.filter((batch) => batch.signal === 'metrics');
}

const sum = (values: Iterable<bigint>): bigint => [...values].reduce((a, b) => a + b, 0n);

const totalOf = (batches: readonly MetricBatch[], name: string): bigint =>
  sum(
    batches
      .filter((batch) => batch.name === name)
      .flatMap(({ data }) => (data.kind === 'sum' && data.value.type === 'INT64' ? [sum(data.value.values)] : [])),
  );

function sourcesOf(operator: Operator): readonly Operator[] {
  if (operator.kind === 'source') return [operator];
  if ('input' in operator) return sourcesOf(operator.input);
  return [];
}

test.each(FILES.map((file) => [basename(file)]))(
  '%s compiles without a word, has a header and reads exactly its window',
  (file) => {
    const text = readFileSync(join('src/presets', file), 'utf8');
    const { plan, diagnostics } = compiled(file.replace(/\.pxl$/, ''));
    expect(diagnostics).toEqual([]);
    for (const word of ['reads', 'window', 'emits']) expect(text).toMatch(new RegExp(`^# ${word}\\s`, 'm'));
    for (const source of plan?.sinks.flatMap((sink) => sourcesOf(sink.input)) ?? [])
      expect(source).toMatchObject({ start: START, end: END });
  },
);

describe('http-metrics', () => {
  const row = fc
    .record({
      trace_role: fc.constantFrom(1n, 2n, 2n, 4n),
      latency: fc.bigInt({ min: 0n, max: 20_000_000_000n }),
      resp_status: fc.constantFrom(200n, 404n, 500n, 503n, -1n),
      req_method: fc.constantFrom('GET', 'POST'),
      req_path: fc.constantFrom('/', '/cart/17', '/cart/18?x=1', '/img/a.png'),
      upid: fc.constantFrom(packUpid(7, 1, 5n), packUpid(7, 2, 6n)),
      time_: fc.bigInt({ min: 0n, max: 9_999_999_999n }).map((offset) => START + offset),
    })
    .map((cells) => ({ cells, row: rowOf('http_events', cells) }));

  test('the counts of histogram, buckets and requests add up to the rows at servers, the errors to those above 499', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(row, { maxLength: 60 }), async (rows) => {
        const batches = await telemetryOf(
          'http-metrics',
          'http_events',
          rows.map((each) => each.row),
        );
        const servers = rows.filter(({ cells }) => cells.trace_role === 2n);
        const histograms = batches.flatMap(({ data }) => (data.kind === 'histogram' ? [data] : []));
        expect(sum(histograms.map(({ count }) => sum(count.values)))).toBe(BigInt(servers.length));
        expect(sum(histograms.map(({ bucketCounts }) => sum(bucketCounts)))).toBe(BigInt(servers.length));
        expect(totalOf(batches, 'http.server.request.count')).toBe(BigInt(servers.length));
        const failed = servers.filter(({ cells }) => cells.resp_status >= 500n);
        expect(totalOf(batches, 'http.server.request.errors')).toBe(BigInt(failed.length));
      }),
      { numRuns: 60 },
    );
  });

  test('paths with identifiers share a route; latencies fall into the bucket whose bound they do not exceed', async () => {
    const at = (req_path: string, ms: number): Cell[] =>
      rowOf('http_events', {
        trace_role: 2n,
        req_path,
        req_method: 'GET',
        resp_status: 200n,
        latency: BigInt(ms) * 1_000_000n,
        time_: START + 1n,
      });
    const batches = await telemetryOf('http-metrics', 'http_events', [
      at('/cart/17', 5),
      at('/cart/18?q=1', 6),
      at('/cart/18', 20_000),
    ]);
    const [histogram] = batches;
    if (histogram?.data.kind !== 'histogram') throw new Error('no histogram');
    expect(histogram.length).toBe(1);
    expect([...histogram.data.bucketCounts]).toEqual([1n, 1n, ...Array<bigint>(12).fill(0n), 1n]);
    expect(histogram.data.sum?.values[0]).toBeCloseTo(20.011, 9);
    expect(histogram.startTime?.[0]).toBe(START);
    expect(histogram.unit).toBe('s');
  });
});

describe('network-connections', () => {
  const row = (offset: bigint, pid: number, sent: bigint, cells: Readonly<Record<string, Cell>> = {}): Cell[] =>
    rowOf('conn_stats', {
      time_: START + offset,
      upid: packUpid(7, pid, 5n),
      remote_addr: '10.0.0.1',
      remote_port: 80n,
      trace_role: 1n,
      bytes_sent: sent,
      bytes_recv: sent * 2n,
      conn_open: 1n,
      ...cells,
    });

  test('sends the last counters of each process and endpoint, from the start of the collector', async () => {
    const batches = await telemetryOf('network-connections', 'conn_stats', [
      row(1n, 1, 10n),
      row(2n, 1, 25n),
      row(2n, 2, 100n),
      row(3n, 1, 30n, { protocol: 1n }),
      row(3n, 1, 7n, { remote_port: 443n }),
    ]);
    const sent = batches.filter((batch) => batch.name === 'network.connection.bytes_sent');
    expect(sent.map(({ length }) => length)).toEqual([3]);
    expect(totalOf(batches, 'network.connection.bytes_sent')).toBe(30n + 100n + 7n);
    expect(totalOf(batches, 'network.connection.bytes_received')).toBe(60n + 200n + 14n);
    expect(sent[0]?.data).toMatchObject({ kind: 'sum', temporality: 'cumulative', monotonic: true });
    expect([...(sent[0]?.startTime ?? [])]).toEqual([5n, 5n, 5n]);
  });
});
