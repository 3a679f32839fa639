import { expect, test } from '@jest/globals';
import { encodeOtlp } from '../../../src/exporters/otlp/encode.ts';
import { requestsToJson } from '../../../src/exporters/otlp/json.ts';
import { countItems } from '../../../src/exporters/otlp/split.ts';
import { attribute, bools, column, floats, ints, literal, metric, spans, T0, texts } from '../telemetry.ts';
import { EVERY_KIND, EVERY_KIND_LOGS, EVERY_KIND_METRICS, EVERY_KIND_SPANS } from './every-kind.ts';

const pointsOf = (metrics: readonly { gauge?: { dataPoints: unknown[] } }[]): unknown[] =>
  metrics.flatMap((one) => one.gauge?.dataPoints ?? []);

/** Decoded freely: the shape is what the tests compare. */
const decoded = (...args: Parameters<typeof encodeOtlp>) =>
  JSON.parse(JSON.stringify(requestsToJson(encodeOtlp(...args).requests)));

test('every kind of item, attribute type and unit arrives as it was', () => {
  const { requests, oversize, duplicatePoints } = encodeOtlp(EVERY_KIND);
  expect(requestsToJson(requests)).toEqual({
    resourceMetrics: EVERY_KIND_METRICS,
    resourceSpans: EVERY_KIND_SPANS,
    resourceLogs: EVERY_KIND_LOGS,
  });
  expect(requests.map(({ signal, metricPoints, spans, logs }) => ({ signal, metricPoints, spans, logs }))).toEqual([
    { signal: 'metrics', metricPoints: 8, spans: 0, logs: 0 },
    { signal: 'traces', metricPoints: 0, spans: 2, logs: 0 },
    { signal: 'logs', metricPoints: 0, spans: 0, logs: 2 },
  ]);
  expect({ oversize, duplicatePoints }).toEqual({
    oversize: { metricPoints: 0, spans: 0, logs: 0 },
    duplicatePoints: 0,
  });
});

test('the same batches give the same bytes', () => {
  expect(encodeOtlp(EVERY_KIND).requests).toEqual(encodeOtlp(EVERY_KIND).requests);
});

test('no rows give no request', () => {
  expect(encodeOtlp([]).requests).toEqual([]);
  expect(encodeOtlp([metric(0), spans(0)]).requests).toEqual([]);
});

test('rows of one resource share it across batches, rows of one metric share it, whatever the order of attributes', () => {
  const service = attribute('service.name', column(texts(['a', 'b', 'a'])));
  const pod = attribute('k8s.pod.name', literal('p'));
  const json = decoded([
    metric(3, { resource: [service, pod], name: 'm' }),
    metric(3, { resource: [pod, service], name: 'n' }),
    metric(3, { resource: [service, pod], name: 'm', attributes: [attribute('x', literal('second'))] }),
  ]);
  expect(json.resourceMetrics).toHaveLength(2);
  for (const { scopeMetrics } of json.resourceMetrics) {
    expect(scopeMetrics).toHaveLength(1);
    expect(scopeMetrics[0].metrics.map(({ name }: { name: string }) => name)).toEqual(['m', 'n']);
  }
  expect(pointsOf(json.resourceMetrics[0].scopeMetrics[0].metrics)).toHaveLength(6);
});

test.each([
  ['name', { name: 'other' }],
  ['unit', { unit: 'By' }],
  ['description', { description: 'other' }],
  ['kind', { data: { kind: 'sum', value: floats(1), temporality: 'delta', monotonic: true } }],
  ['monotonicity', { data: { kind: 'sum', value: floats(1), temporality: 'delta', monotonic: false } }],
  ['temporality', { data: { kind: 'sum', value: floats(1), temporality: 'cumulative', monotonic: true } }],
] as const)('batches that differ in %s are different metrics', (_what, changes) => {
  const same = metric(1, { data: { kind: 'sum', value: floats(1), temporality: 'delta', monotonic: true } });
  const base = 'data' in changes && changes.data.temporality === 'delta' && changes.data.monotonic ? metric(1) : same;
  const json = decoded([base, { ...base, ...changes, time: BigInt64Array.of(T0 + 5n) }]);
  expect(json.resourceMetrics[0].scopeMetrics[0].metrics).toHaveLength(2);
});

test('resources are told apart by type: 1, 1.0, "1" and true are four', () => {
  const resources = [literal(1n), literal(1), literal('1'), literal(true)].map((value) => [attribute('x', value)]);
  expect(decoded(resources.map((resource) => metric(1, { resource }))).resourceMetrics).toHaveLength(4);
});

test.each([
  ['STRING', column(texts(['a', 'b', 'a', 'c']))],
  ['plain STRING', column(texts(['a', 'b', 'a', 'c'], true))],
  ['INT64', column(ints(1n, -1n, 1n, 1n << 40n))],
  ['FLOAT64', column(floats(1, 2, 1, Number.NaN))],
])('a resource attribute of type %s makes one resource per distinct value, in order of appearance', (_type, value) => {
  const json = decoded([metric(4, { resource: [attribute('x', value)] })]);
  expect(
    json.resourceMetrics.map(
      ({ scopeMetrics }: { scopeMetrics: { metrics: [] }[] }) => pointsOf(scopeMetrics[0]?.metrics ?? []).length,
    ),
  ).toEqual([2, 1, 1]);
});

test("the destination's resource attributes win over the script's and stand on every signal", () => {
  const json = decoded(
    [
      metric(1, {
        resource: [attribute('service.name', literal('cart')), attribute('k8s.cluster.name', literal('stolen'))],
      }),
      spans(1),
    ],
    {
      resourceAttributes: { 'k8s.cluster.name': 'prod' },
    },
  );
  const attributes = [
    { key: 'service.name', value: { stringValue: 'cart' } },
    { key: 'k8s.cluster.name', value: { stringValue: 'prod' } },
  ];
  expect(json.resourceMetrics[0].resource.attributes).toEqual(attributes);
  expect(json.resourceSpans[0].resource.attributes).toEqual(attributes);
});

test('of points of one stream with the same time the last wins and the others are counted', () => {
  const attributes = (...values: string[]) => [attribute('path', column(texts(values))), attribute('n', literal(1n))];
  const time = BigInt64Array.of(T0, T0, T0, T0 + 1n);
  const first = metric(4, {
    time,
    attributes: attributes('/a', '/a', '/b', '/a'),
    data: { kind: 'gauge', value: floats(1, 2, 3, 4) },
  });
  const later = metric(1, {
    time: BigInt64Array.of(T0),
    // The same set in another order, the column as a literal and the literal as a column.
    attributes: [attribute('n', column(ints(1n))), attribute('path', literal('/b'))],
    data: { kind: 'gauge', value: floats(9) },
  });
  const json = decoded([first, later]);
  const points = pointsOf(json.resourceMetrics[0].scopeMetrics[0].metrics) as { asDouble: number }[];
  expect(points.map(({ asDouble }) => asDouble)).toEqual([2, 4, 9]);
  expect(encodeOtlp([first, later])).toMatchObject({ duplicatePoints: 2, requests: [{ metricPoints: 3 }] });
});

test('duplicates are found among many points, and only they', () => {
  const rows = Array.from({ length: 3000 }, (_, i) => i);
  const batch = metric(3000, {
    time: new BigInt64Array(3000).fill(T0),
    resource: [attribute('service.name', column(texts(rows.map((i) => `s${i % 3}`))))],
    attributes: [
      attribute('path', column(texts(rows.map((i) => `/p${(i - (i % 3)) % 900}`)))),
      attribute('n', column(ints(...rows.map((i) => BigInt(i % 3))))),
    ],
    data: { kind: 'gauge', value: ints(...rows.map((i) => BigInt(i))) },
  });
  const values = [...JSON.stringify(decoded([batch])).matchAll(/"asInt":"(\d+)"/g)].map((match) => Number(match[1]));
  expect(values.toSorted((a, b) => a - b)).toEqual(rows.slice(2100));
  expect(encodeOtlp([batch]).duplicatePoints).toBe(2100);
});

test('points that differ in start, attribute type or bool are not duplicates', () => {
  const time = BigInt64Array.of(T0, T0);
  const data = { kind: 'sum', value: ints(1n, 2n), temporality: 'delta', monotonic: true } as const;
  const twoStarts = metric(2, { data, time, startTime: BigInt64Array.of(T0 - 1n, T0 - 2n) });
  const twoBools = metric(2, { time, attributes: [attribute('x', column(bools(true, false)))] });
  const oneInt = metric(1, { time, attributes: [attribute('x', literal(1n))] });
  const oneText = metric(1, { time, attributes: [attribute('x', literal('1'))] });
  expect(encodeOtlp([twoStarts, twoBools, oneInt, oneText]).duplicatePoints).toBe(0);
});

test('a request holds at most the given number of items and nothing is lost', () => {
  const { requests } = encodeOtlp([
    metric(25_000, {
      resource: [attribute('s', column(ints(...Array.from({ length: 25_000 }, (_, i) => BigInt(i % 3)))))],
    }),
  ]);
  expect(requests.length).toBeGreaterThan(3);
  for (const { bytes, metricPoints } of requests) {
    expect(metricPoints).toBeLessThanOrEqual(8192);
    expect(countItems('metrics', bytes)).toBe(metricPoints);
  }
  expect(requests.reduce((sum, { metricPoints }) => sum + metricPoints, 0)).toBe(25_000);
});

test('a resource that fits into a request of its own is not split over two', () => {
  const resource = (name: string) => [attribute('service.name', literal(name))];
  const { requests } = encodeOtlp(
    ['a', 'b', 'c'].map((name) => metric(4, { resource: resource(name) })),
    { requestItemsMax: 6 },
  );
  expect(requests.map(({ metricPoints }) => metricPoints)).toEqual([4, 4, 4]);
});

test('bytes limit a request too, and an item that exceeds the limit alone is left out and counted', () => {
  const big = 'x'.repeat(2000);
  const batch = spans(6, { attributes: [attribute('body', column(texts(['a', big, 'b', big, 'c', 'd'])))] });
  const { requests, oversize } = encodeOtlp([batch, metric(1, { attributes: [attribute('body', literal(big))] })], {
    requestBytesMax: 300,
  });
  expect(oversize).toEqual({ metricPoints: 1, spans: 2, logs: 0 });
  expect(requests.every(({ bytes }) => bytes.length <= 300)).toBe(true);
  expect(requests.length).toBeGreaterThan(1);
  const values = JSON.parse(JSON.stringify(requestsToJson(requests))).resourceSpans.flatMap(
    ({ scopeSpans }: { scopeSpans: { spans: { attributes: { value: { stringValue: string } }[] }[] }[] }) =>
      scopeSpans.flatMap((scope) => scope.spans.map((span) => span.attributes[0]?.value.stringValue)),
  );
  expect(values).toEqual(['a', 'b', 'c', 'd']);
});

test('what a resource, a scope and a metric say of themselves counts against the limit', () => {
  const resource = [
    attribute('service.name', column(texts(Array.from({ length: 40 }, (_, i) => `${i}${'s'.repeat(200)}`)))),
  ];
  const { requests } = encodeOtlp([metric(40, { resource, description: 'd'.repeat(100) }), spans(40, { resource })], {
    requestBytesMax: 1500,
  });
  for (const { bytes } of requests) expect(bytes.length).toBeLessThanOrEqual(1500);
  expect(requests.reduce((sum, { metricPoints, spans: count }) => sum + metricPoints + count, 0)).toBe(80);

  // Resources that do not fit into one request share requests with their neighbours.
  const large = [
    attribute('service.name', column(texts(Array.from({ length: 600 }, (_, i) => `${i % 6}${'s'.repeat(500)}`)))),
  ];
  const shared = encodeOtlp([metric(600, { resource: large })], { requestBytesMax: 1500 }).requests;
  for (const { bytes } of shared) expect(bytes.length).toBeLessThanOrEqual(1500);
  expect(shared.reduce((sum, { metricPoints }) => sum + metricPoints, 0)).toBe(600);
});

test('rows that encode to more than a process may hold are refused with a way out', () => {
  const batch = metric(1100, { attributes: [attribute('x', literal('y'.repeat(1000)))] });
  expect(() => encodeOtlp([batch], { totalBytesMax: 2 ** 20 })).toThrow(
    /at least 2 MiB, the limit is 1 MiB; .*shorter window/,
  );
});

test("a span's name that is not UTF-8 becomes text, because the field allows nothing else", () => {
  const json = decoded([spans(1, { name: column(texts([Uint8Array.of(0x47, 0xff)])) })]);
  expect(json.resourceSpans[0].scopeSpans[0].spans[0].name).toBe('G\u{fffd}');
});
