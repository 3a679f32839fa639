// One batch of every kind with every type of attribute, and what must arrive of it, as OTLP/JSON written by hand.
import type { TelemetryBatch } from '../../../src/telemetry/batches.ts';
import { attribute, bools, column, floats, ints, literal, logs, metric, spans, T0, texts } from '../telemetry.ts';

const INVALID = Uint8Array.of(0xc0, 0x41);

const ATTRIBUTES = [
  attribute('text', column(texts(['/cart', INVALID]))),
  attribute('plain', column(texts(['', 'ü€𝄞'], true))),
  attribute('int', column(ints(-1n, 9_007_199_254_740_993n))),
  attribute('float', column(floats(-0.25, 1e300))),
  attribute('bool', column(bools(false, true))),
  attribute('literal', literal('always')),
  attribute('answer', literal(42n)),
];

const RESOURCE = [attribute('service.name', literal('cart')), attribute('dns.rcode', literal(3n))];

export const EVERY_KIND: readonly TelemetryBatch[] = [
  metric(2, {
    resource: RESOURCE,
    name: 'g.int',
    unit: 'By',
    data: { kind: 'gauge', value: ints(0n, -5_000_000_000_000n) },
    attributes: ATTRIBUTES,
  }),
  metric(2, {
    resource: RESOURCE,
    name: 'g.float',
    description: '',
    unit: '',
    data: { kind: 'gauge', value: floats(0, 2.5) },
  }),
  metric(2, {
    resource: RESOURCE,
    name: 's',
    data: { kind: 'sum', value: ints(7n, 8n), temporality: 'delta', monotonic: true },
    startTime: BigInt64Array.of(T0 - 10n, T0 - 10n),
  }),
  metric(1, {
    resource: RESOURCE,
    name: 'q',
    unit: 'ns',
    data: {
      kind: 'summary',
      count: ints(4n),
      sum: floats(10.5),
      quantiles: [
        { quantile: 0.5, value: floats(2) },
        { quantile: 0.99, value: floats(5) },
      ],
    },
  }),
  metric(1, {
    resource: RESOURCE,
    name: 'h',
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
    startTime: BigInt64Array.of(T0 - 10n),
  }),
  spans(2, {
    resource: RESOURCE,
    name: column(texts(['GET /cart', 'POST /cart'])),
    spanKind: 3,
    parentSpanId: Uint8Array.from([...new Uint8Array(8), 1, 2, 3, 4, 5, 6, 7, 8]),
    statusCode: Uint8Array.of(1, 2),
    statusMessage: texts(['ignored', 'broken']),
    attributes: ATTRIBUTES,
  }),
  logs(2, { resource: RESOURCE, body: column(texts(['one', 'two'])), attributes: ATTRIBUTES }),
];

const text = (key: string, stringValue: string) => ({ key, value: { stringValue } });

const attributesOf = (row: 0 | 1) => [
  row === 0 ? text('text', '/cart') : { key: 'text', value: { bytesValue: Buffer.from(INVALID).toString('base64') } },
  text('plain', row === 0 ? '' : 'ü€𝄞'),
  { key: 'int', value: { intValue: row === 0 ? '-1' : '9007199254740993' } },
  { key: 'float', value: { doubleValue: row === 0 ? -0.25 : 1e300 } },
  { key: 'bool', value: { boolValue: row === 1 } },
  text('literal', 'always'),
  { key: 'answer', value: { intValue: '42' } },
];

const resource = { attributes: [text('service.name', 'cart'), { key: 'dns.rcode', value: { intValue: '3' } }] };
const scope = { name: 'sluice/http', version: '0.1.0', attributes: [text('script.namespace', 'default')] };
const time = (offset: bigint): string => String(T0 + offset);

export const EVERY_KIND_METRICS = [
  {
    resource,
    scopeMetrics: [
      {
        scope,
        metrics: [
          {
            name: 'g.int',
            description: 'requests',
            unit: 'By',
            gauge: {
              dataPoints: [
                { timeUnixNano: time(0n), asInt: '0', attributes: attributesOf(0) },
                { timeUnixNano: time(1n), asInt: '-5000000000000', attributes: attributesOf(1) },
              ],
            },
          },
          {
            name: 'g.float',
            gauge: {
              dataPoints: [
                { timeUnixNano: time(0n), asDouble: 0 },
                { timeUnixNano: time(1n), asDouble: 2.5 },
              ],
            },
          },
          {
            name: 's',
            description: 'requests',
            unit: '1/s',
            sum: {
              dataPoints: [
                { startTimeUnixNano: time(-10n), timeUnixNano: time(0n), asInt: '7' },
                { startTimeUnixNano: time(-10n), timeUnixNano: time(1n), asInt: '8' },
              ],
              aggregationTemporality: 1,
              isMonotonic: true,
            },
          },
          {
            name: 'q',
            description: 'requests',
            unit: 'ns',
            summary: {
              dataPoints: [
                {
                  timeUnixNano: time(0n),
                  count: '4',
                  sum: 10.5,
                  quantileValues: [
                    { quantile: 0.5, value: 2 },
                    { quantile: 0.99, value: 5 },
                  ],
                },
              ],
            },
          },
          {
            name: 'h',
            description: 'requests',
            unit: '1/s',
            histogram: {
              dataPoints: [
                {
                  startTimeUnixNano: time(-10n),
                  timeUnixNano: time(0n),
                  count: '6',
                  sum: 12.5,
                  bucketCounts: ['1', '2', '3'],
                  explicitBounds: [1, 5],
                  min: 0.5,
                  max: 9,
                },
              ],
              aggregationTemporality: 2,
            },
          },
        ],
      },
    ],
  },
];

const hex = (from: number, width: number): string =>
  Buffer.from(Uint8Array.from({ length: width }, (_, i) => from + i)).toString('hex');

export const EVERY_KIND_SPANS = [
  {
    resource,
    scopeSpans: [
      {
        scope,
        spans: [
          {
            traceId: hex(1, 16),
            spanId: hex(1, 8),
            name: 'GET /cart',
            kind: 3,
            startTimeUnixNano: time(0n),
            endTimeUnixNano: time(1_000_000n),
            attributes: attributesOf(0),
            status: { code: 1 },
          },
          {
            traceId: hex(17, 16),
            spanId: hex(9, 8),
            parentSpanId: '0102030405060708',
            name: 'POST /cart',
            kind: 3,
            startTimeUnixNano: time(1n),
            endTimeUnixNano: time(1_000_001n),
            attributes: attributesOf(1),
            status: { message: 'broken', code: 2 },
          },
        ],
      },
    ],
  },
];

export const EVERY_KIND_LOGS = [
  {
    resource,
    scopeLogs: [
      {
        scope,
        logRecords: ([0, 1] as const).map((row) => ({
          timeUnixNano: time(BigInt(row)),
          severityNumber: 9,
          severityText: 'INFO',
          body: { stringValue: row === 0 ? 'one' : 'two' },
          attributes: attributesOf(row),
          observedTimeUnixNano: time(BigInt(row) + 5n),
        })),
      },
    ],
  },
];
