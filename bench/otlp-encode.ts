// How fast columns become OTLP bytes, beside OpenTelemetry's own protobuf serializer on the same points.
// node bench/otlp-encode.ts [rows]
import { ProtobufMetricsSerializer } from '@opentelemetry/otlp-transformer';
import { DataPointType, type ResourceMetrics } from '@opentelemetry/sdk-metrics';
import { dictionaryFrom } from '../src/columns/dictionary.ts';
import type { StringColumn } from '../src/columns/column.ts';
import { encodeOtlp } from '../src/exporters/otlp/encode.ts';
import type { MetricBatch } from '../src/telemetry/batches.ts';

const ROWS = Number(process.argv[2] ?? 50_000);
const ROUNDS = 9;
const SERVICES = 40;
const T0 = 1_767_323_045_000_000_000n;

const strings = (distinct: number, prefix: string, step: number): StringColumn => ({
  type: 'STRING',
  length: ROWS,
  codes: Int32Array.from({ length: ROWS }, (_, i) => Math.floor(i / step) % distinct),
  dictionary: dictionaryFrom(Array.from({ length: distinct }, (_, i) => `${prefix}${i}`)),
});

const service = strings(SERVICES, 'default/service-', 1);
const path = strings(500, '/api/v1/resources/', SERVICES);
const method = strings(4, 'METHOD', 7);
const status = BigInt64Array.from({ length: ROWS }, (_, i) => BigInt(200 + (i % 5) * 100));
const values = Float64Array.from({ length: ROWS }, (_, i) => i / 10);
const time = BigInt64Array.from({ length: ROWS }, (_, i) => T0 + BigInt(i) * 1000n);

const batch: MetricBatch = {
  signal: 'metrics',
  length: ROWS,
  resource: [{ key: 'service.name', value: { kind: 'column', column: service } }],
  scope: { name: 'sluice/bench', version: '1', attributes: [] },
  name: 'http.throughput',
  description: 'requests per second',
  unit: '1/s',
  data: { kind: 'gauge', value: { type: 'FLOAT64', length: ROWS, values } },
  attributes: [
    { key: 'req_path', value: { kind: 'column', column: path } },
    { key: 'req_method', value: { kind: 'column', column: method } },
    { key: 'resp_status', value: { kind: 'column', column: { type: 'INT64', length: ROWS, values: status } } },
  ],
  time,
  startTime: undefined,
};

const text = (column: StringColumn, i: number): string => column.dictionary.text(column.codes?.[i] ?? i);

/** The objects that the SDK's serializer takes: one ResourceMetrics per service. */
function sdkObjects(): ResourceMetrics[] {
  const points = new Map<
    string,
    {
      startTime: [number, number];
      endTime: [number, number];
      attributes: Record<string, string | number>;
      value: number;
    }[]
  >();
  for (let i = 0; i < ROWS; i++) {
    const ns = time[i] ?? 0n;
    const at: [number, number] = [Number(ns / 1_000_000_000n), Number(ns % 1_000_000_000n)];
    const point = {
      startTime: at,
      endTime: at,
      attributes: { req_path: text(path, i), req_method: text(method, i), resp_status: Number(status[i]) },
      value: values[i] ?? 0,
    };
    const name = text(service, i);
    const list = points.get(name);
    if (list === undefined) points.set(name, [point]);
    else list.push(point);
  }
  return [...points].map(([name, dataPoints]) => ({
    resource: { attributes: { 'service.name': name } } as unknown as ResourceMetrics['resource'],
    scopeMetrics: [
      {
        scope: { name: 'sluice/bench', version: '1' },
        metrics: [
          {
            descriptor: { name: 'http.throughput', description: 'requests per second', unit: '1/s', valueType: 1 },
            dataPointType: DataPointType.GAUGE,
            aggregationTemporality: 0,
            dataPoints,
          },
        ],
      },
    ],
  }));
}

const prepared = sdkObjects();
const serialize = (all: readonly ResourceMetrics[]): number =>
  all.reduce((sum, one) => sum + (ProtobufMetricsSerializer.serializeRequest(one)?.length ?? 0), 0);

const RUNNERS: Readonly<Record<string, () => number>> = {
  'sluice: columns to bytes': () => encodeOtlp([batch]).requests.reduce((sum, { bytes }) => sum + bytes.length, 0),
  'otlp-transformer: rows to bytes': () => serialize(sdkObjects()),
  'otlp-transformer: objects to bytes': () => serialize(prepared),
};

const cpuMs: Record<string, number[]> = {};
const bytes: Record<string, number> = {};
for (let round = -2; round < ROUNDS; round++) {
  for (const [name, run] of Object.entries(RUNNERS)) {
    const before = process.cpuUsage();
    bytes[name] = run();
    const { user, system } = process.cpuUsage(before);
    if (round >= 0) (cpuMs[name] ??= []).push((user + system) / 1000);
  }
}

const ours = cpuMs['sluice: columns to bytes'] ?? [];
const median = (list: readonly number[]): number => list.toSorted((a, b) => a - b)[list.length >> 1] ?? 0;
console.log(`${ROWS} gauge points, ${SERVICES} resources, 3 attributes; CPU, median of ${ROUNDS} interleaved rounds`);
for (const [name, list] of Object.entries(cpuMs)) {
  const ratios = list.map((ms, i) => ms / (ours[i] ?? ms)).toSorted((a, b) => a - b);
  console.log(
    `${name.padEnd(36)} ${(ROWS / median(list) / 1000).toFixed(2).padStart(7)} M rows/s  ${String(bytes[name]).padStart(9)} B` +
      `  ${median(ratios).toFixed(1).padStart(5)}x our CPU (${ratios[0]?.toFixed(1)} to ${ratios.at(-1)?.toFixed(1)})`,
  );
}
