import { expect, test } from '@jest/globals';
import { ProtobufMetricsSerializer } from '@opentelemetry/otlp-transformer';
import { AggregationTemporality, DataPointType, type ResourceMetrics } from '@opentelemetry/sdk-metrics';
import fc from 'fast-check';
import type { TelemetryBatch } from '../../../src/telemetry/batches.ts';
import { encodeOtlp } from '../../../src/exporters/otlp/encode.ts';
import { decodeOtlp, requestsToJson } from '../../../src/exporters/otlp/json.ts';
import { countItems, splitRequest } from '../../../src/exporters/otlp/split.ts';
import {
  attribute,
  bools,
  column,
  floats,
  ints,
  literal,
  logs,
  metric,
  SCOPE,
  spans,
  T0,
  texts,
} from '../telemetry.ts';

const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const cell = fc.oneof(fc.string({ unit: 'binary' }), fc.uint8Array({ maxLength: 12 }), fc.constantFrom('', 'a', 'b'));

/** A column of one type for `length` rows together with each row's AnyValue as OTLP/JSON. */
const attributeColumn = (length: number) => {
  const row = <T>(values: fc.Arbitrary<T>) => fc.array(values, { minLength: length, maxLength: length });
  const isText = (value: Uint8Array): boolean => Buffer.from(Buffer.from(value).toString('utf8')).equals(value);
  const bytesOf = (value: string | Uint8Array): Uint8Array =>
    typeof value === 'string' ? Buffer.from(value.toWellFormed()) : value;
  const anyText = (value: string | Uint8Array) => {
    const bytes = bytesOf(value);
    return isText(bytes)
      ? { stringValue: Buffer.from(bytes).toString('utf8') }
      : { bytesValue: Buffer.from(bytes).toString('base64') };
  };
  return fc.oneof(
    fc
      .tuple(row(cell), fc.boolean())
      .map(([values, plain]) => ({ value: column(texts(values.map(bytesOf), plain)), expected: values.map(anyText) })),
    row(int64).map((values) => ({
      value: column(ints(...values)),
      expected: values.map((value) => ({ intValue: String(value) })),
    })),
    row(fc.double()).map((values) => ({
      value: column(floats(...values)),
      expected: values.map((value) => ({ doubleValue: Number.isFinite(value) ? value : String(value) })),
    })),
    row(fc.boolean()).map((values) => ({
      value: column(bools(...values)),
      expected: values.map((boolValue) => ({ boolValue })),
    })),
    fc.string({ unit: 'binary' }).map((text) => ({
      value: literal(text),
      expected: Array.from({ length }, () => ({ stringValue: text.toWellFormed() })),
    })),
  );
};

const batchArbitrary = fc.integer({ min: 1, max: 40 }).chain((length) =>
  fc
    .record({
      kind: fc.constantFrom('metrics', 'traces', 'logs'),
      resource: fc.array(attributeColumn(length), { maxLength: 3 }),
      attributes: fc.array(attributeColumn(length), { maxLength: 5 }),
      values: fc.array(int64, { minLength: length, maxLength: length }),
      times: fc.uniqueArray(fc.bigInt({ min: 1n, max: 2n ** 62n }), { minLength: length, maxLength: length }),
      requestItemsMax: fc.integer({ min: 1, max: 50 }),
    })
    .map((drawn) => ({ ...drawn, length })),
);

interface Row {
  readonly resource: unknown;
  readonly attributes: unknown;
  readonly time: string;
  readonly value: string;
}

/** All items of decoded requests as rows. */
function rowsOf(json: unknown): Row[] {
  const rows: Row[] = [];
  const visit = (value: unknown, resource: unknown): void => {
    if (Array.isArray(value)) return value.forEach((item) => visit(item, resource));
    if (typeof value !== 'object' || value === null) return;
    const fields = value as Record<string, never>;
    const own = fields['scopeMetrics'] ?? fields['scopeSpans'] ?? fields['scopeLogs'];
    if (own !== undefined) return visit(own, fields['resource']?.['attributes'] ?? []);
    const time: string | undefined = fields['startTimeUnixNano'] ?? fields['timeUnixNano'];
    if (time === undefined) return Object.values(fields).forEach((child) => visit(child, resource));
    const observed: string = fields['asInt'] ?? fields['endTimeUnixNano'] ?? fields['observedTimeUnixNano'] ?? '';
    rows.push({ resource, attributes: fields['attributes'] ?? [], time, value: observed });
  };
  visit(json, undefined);
  return rows;
}

const byTime = (rows: readonly Row[]): Row[] => rows.toSorted((a, b) => (BigInt(a.time) < BigInt(b.time) ? -1 : 1));

test('whatever goes in comes out again, in requests within the limits, also after each was cut in two', () => {
  fc.assert(
    fc.property(batchArbitrary, ({ kind, length, resource, attributes, values, times, requestItemsMax }) => {
      const named = (columns: typeof attributes, prefix: string) =>
        columns.map(({ value }, i) => attribute(`${prefix}${i}`, value));
      const common = { resource: named(resource, 'r'), attributes: named(attributes, 'a') };
      const time = BigInt64Array.from(times);
      const value = BigInt64Array.from(values.map((one) => BigInt.asIntN(63, one) & (2n ** 62n - 1n)));
      const batch: TelemetryBatch =
        kind === 'metrics'
          ? metric(length, { ...common, time, data: { kind: 'gauge', value: ints(...value) } })
          : kind === 'traces'
            ? spans(length, { ...common, startTime: time, endTime: value })
            : logs(length, { ...common, time, observedTime: value });
      const { requests } = encodeOtlp([batch], { requestItemsMax });
      for (const { metricPoints, spans: spanCount, logs: logCount } of requests) {
        expect(metricPoints + spanCount + logCount).toBeLessThanOrEqual(requestItemsMax);
      }
      const rowOf = (columns: typeof attributes, prefix: string, row: number) =>
        columns.map(({ expected }, i) => ({ key: `${prefix}${i}`, value: expected[row] }));
      const expected = times.map((one, row) => ({
        resource: rowOf(resource, 'r', row),
        attributes: rowOf(attributes, 'a', row),
        time: String(one),
        value: String(value[row]),
      }));
      expect(byTime(rowsOf(requestsToJson(requests)))).toEqual(byTime(expected));

      const halves = requests.flatMap((request) => splitRequest(request) ?? [request]);
      for (const { signal, bytes, ...counts } of halves) {
        expect(countItems(signal, bytes)).toBe(counts.metricPoints + counts.spans + counts.logs);
      }
      expect(byTime(rowsOf(requestsToJson(halves)))).toEqual(byTime(expected));
    }),
    { numRuns: 300 },
  );
});

test("OpenTelemetry's own serializer makes the same request of the same points", () => {
  const expected: ResourceMetrics = {
    resource: { attributes: { 'service.name': 'cart' } } as unknown as ResourceMetrics['resource'],
    scopeMetrics: [
      {
        scope: { name: SCOPE.name, version: SCOPE.version },
        metrics: [
          {
            descriptor: { name: 'sum', description: 'requests', unit: '1', valueType: 1 },
            dataPointType: DataPointType.SUM,
            aggregationTemporality: AggregationTemporality.DELTA,
            isMonotonic: true,
            dataPoints: ['/a', '/b'].map((path, i) => ({
              startTime: [Number(T0 / 1_000_000_000n), 0],
              endTime: [Number(T0 / 1_000_000_000n) + 10, 500],
              attributes: { path, code: i, slow: i === 1 },
              value: i + 0.5,
            })),
          },
          {
            descriptor: { name: 'histogram', description: 'requests', unit: '1', valueType: 1 },
            dataPointType: DataPointType.HISTOGRAM,
            aggregationTemporality: AggregationTemporality.CUMULATIVE,
            dataPoints: [
              {
                startTime: [Number(T0 / 1_000_000_000n), 0],
                endTime: [Number(T0 / 1_000_000_000n) + 10, 500],
                attributes: {},
                value: { buckets: { boundaries: [1, 5], counts: [1, 2, 3] }, count: 6, sum: 12.5, min: 0.5, max: 9 },
              },
            ],
          },
        ],
      },
    ],
  };
  const end = T0 + 10_000_000_500n;
  const scope = { ...SCOPE, attributes: [] };
  const startTime = (length: number) => new BigInt64Array(length).fill(T0);
  const time = (length: number) => new BigInt64Array(length).fill(end);
  const { requests } = encodeOtlp([
    metric(2, {
      scope,
      name: 'sum',
      unit: '1',
      data: { kind: 'sum', value: floats(0.5, 1.5), temporality: 'delta', monotonic: true },
      attributes: [
        attribute('path', column(texts(['/a', '/b']))),
        attribute('code', column(ints(0n, 1n))),
        attribute('slow', column(bools(false, true))),
      ],
      startTime: startTime(2),
      time: time(2),
    }),
    metric(1, {
      scope,
      name: 'histogram',
      unit: '1',
      data: {
        kind: 'histogram',
        temporality: 'cumulative',
        count: ints(6n),
        sum: floats(12.5),
        min: floats(0.5),
        max: floats(9),
        explicitBounds: [1, 5],
        bucketCounts: BigInt64Array.of(1n, 2n, 3n),
      },
      startTime: startTime(1),
      time: time(1),
    }),
  ]);
  const theirs = ProtobufMetricsSerializer.serializeRequest(expected) ?? new Uint8Array(0);
  // They write defaults where we leave them out and the reverse; neither changes the meaning.
  const meaningful = (json: unknown): unknown =>
    JSON.parse(JSON.stringify(json), (key, value: unknown) =>
      key === 'droppedAttributesCount' || key === 'flags' || (Array.isArray(value) && value.length === 0)
        ? undefined
        : value,
    );
  expect(meaningful(requestsToJson(requests))).toEqual(meaningful(decodeOtlp('metrics', theirs)));
});
