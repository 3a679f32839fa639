// From rows in tables to OTLP bytes: a PxL script over the table store, through engine, export sink and encoder, beside
// OpenTelemetry's own serializer fed from the same rows as JavaScript objects. node bench/pipeline.ts [rows]
import { ProtobufMetricsSerializer } from '@opentelemetry/otlp-transformer';
import { DataPointType, type ResourceMetrics } from '@opentelemetry/sdk-metrics';
import { DEFAULT_LIMITS } from '../src/engine/context.ts';
import { execute } from '../src/engine/execute.ts';
import { encodeOtlp } from '../src/exporters/otlp/encode.ts';
import { NO_LOSS } from '../src/model/loss.ts';
import { timeNs } from '../src/model/time.ts';
import { packUpid } from '../src/model/upid.ts';
import type { FragmentEvent, Node } from '../src/plan/node.ts';
import { queryOnce } from '../src/runtime/query-once.ts';
import { NO_IDENTITY } from '../src/tables/identity-file.ts';
import { createTableStore } from '../src/tables/store.ts';

const ROWS = Number(process.argv[2] ?? 100_000);
const ROUNDS = 7;
const T0 = 1_767_323_045_000_000_000n;
const [PROCESSES, PATHS] = [20, 200];

interface Row {
  readonly time: bigint;
  readonly pid: number;
  readonly path: string;
  readonly status: number;
  readonly latency: number;
}
const rows: Row[] = Array.from({ length: ROWS }, (_, i) => ({
  time: T0 + BigInt(i) * 100_000n,
  pid: 100 + (i % PROCESSES),
  path: `/api/v1/resources/${(i * 7) % PATHS}`,
  status: i % 50 === 0 ? 500 : 200,
  latency: 1_000_000 + ((i * 7919) % 300_000_000),
}));

const store = createTableStore();
for (const { time, pid, path, status, latency } of rows) {
  const upid = packUpid(1, pid, 7n);
  store.append('http_events', time, [
    time,
    upid,
    '10.0.0.9',
    50_000,
    '10.0.0.1',
    80,
    2,
    false,
    1,
    1,
    1,
    '{}',
    'GET',
    path,
    '',
    0,
    '{}',
    status,
    'OK',
    '',
    2,
    latency,
  ]);
}

const node: Node = {
  name: 'bench',
  state: () => Promise.resolve({ startTime: timeNs(T0), blind: [] }),
  waitForWatermark: () => Promise.resolve(),
  async *query(fragment, { scope, signal }): AsyncGenerator<FragmentEvent> {
    const stats = { rowsRead: 0, bytesRead: 0 };
    const clock = (): number => performance.now();
    const context = {
      tables: store,
      identity: NO_IDENTITY,
      asid: 1,
      scope,
      node: 'bench',
      signal,
      clock,
      limits: DEFAULT_LIMITS,
      stats,
    };
    for await (const batch of execute(fragment, context)) yield { kind: 'batch', batch };
    yield { kind: 'end', stats };
  },
  loss: () => Promise.resolve(NO_LOSS),
};

const SCRIPTS = {
  'a point a row': `import px
df = px.DataFrame('http_events')
df.pid = px.itoa(df.ctx['pid'])
px.export(df, px.otel.Data(
    resource={'service.name': df.pid},
    data=[px.otel.metric.Gauge(name='http.latency', value=df.latency, attributes={'path': df.req_path, 'status': df.resp_status})]))
`,
  'latency histogram by process, path, status': `import px
df = px.DataFrame('http_events')
df.pid = px.itoa(df.ctx['pid'])
df.s = df.latency / 1.0e9
df = df.groupby(['pid', 'req_path', 'resp_status']).agg(
    n=('s', px.count), total=('s', px.sum), b=('s', px.bucket_counts([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1])), time_=('time_', px.max))
px.export(df, px.otel.Data(
    resource={'service.name': df.pid},
    data=[px.otel.metric.Histogram(name='http.duration', count=df.n, sum=df.total, bucket_counts=df.b,
        explicit_bounds=[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1], attributes={'path': df.req_path, 'status': df.resp_status})]))
`,
};

const END = timeNs(T0 + BigInt(ROWS) * 100_000n);
async function ours(source: string): Promise<number> {
  const result = await queryOnce({
    source,
    compile: { now: END, window: { start: timeNs(T0), end: END }, hasDefaultEndpoint: true },
    node,
    scope: '*',
    start: timeNs(T0),
    end: END,
    scriptName: 'bench',
    version: '0',
    rowsMax: 10_000_000,
    signal: new AbortController().signal,
  });
  const { requests } = encodeOtlp(result.exports.flatMap(({ batches }) => batches));
  return requests.reduce((sum, { bytes }) => sum + bytes.length, 0);
}

const hr = (ns: bigint): [number, number] => [Number(ns / 1_000_000_000n), Number(ns % 1_000_000_000n)];

function serialize(points: ReadonlyMap<string, unknown[]>, name: string, dataPointType: DataPointType): number {
  let bytes = 0;
  for (const [service, dataPoints] of points) {
    const descriptor = { name, description: '', unit: '', valueType: 1 };
    const metric = { descriptor, dataPointType, aggregationTemporality: 0, isMonotonic: false, dataPoints };
    const one = {
      resource: { attributes: { 'service.name': service } },
      scopeMetrics: [{ scope: { name: 'bench', version: '0' }, metrics: [metric] }],
    } as unknown as ResourceMetrics;
    bytes += ProtobufMetricsSerializer.serializeRequest(one)?.length ?? 0;
  }
  return bytes;
}

function rivalPoints(): number {
  const points = new Map<string, unknown[]>();
  for (const { time, pid, path, status, latency } of rows) {
    const at = hr(time);
    const point = { startTime: at, endTime: at, attributes: { path, status }, value: latency };
    const key = String(pid);
    const list = points.get(key);
    if (list === undefined) points.set(key, [point]);
    else list.push(point);
  }
  return serialize(points, 'http.latency', DataPointType.GAUGE);
}

const BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];
function rivalHistograms(): number {
  const groups = new Map<
    string,
    { pid: string; path: string; status: number; count: number; sum: number; counts: number[]; time: bigint }
  >();
  for (const { time, pid, path, status, latency } of rows) {
    const key = `${pid} ${path} ${status}`;
    let group = groups.get(key);
    if (group === undefined) {
      group = { pid: String(pid), path, status, count: 0, sum: 0, counts: BOUNDS.map(() => 0).concat(0), time };
      groups.set(key, group);
    }
    const seconds = latency / 1e9;
    let bucket = 0;
    while (bucket < BOUNDS.length && seconds > (BOUNDS[bucket] ?? 0)) bucket++;
    group.counts[bucket] = (group.counts[bucket] ?? 0) + 1;
    group.count++;
    group.sum += seconds;
    group.time = time;
  }
  const points = new Map<string, unknown[]>();
  for (const { pid, path, status, count, sum, counts, time } of groups.values()) {
    const value = { buckets: { boundaries: BOUNDS, counts }, count, sum };
    const point = { startTime: hr(T0), endTime: hr(time), attributes: { path, status }, value };
    const list = points.get(pid);
    if (list === undefined) points.set(pid, [point]);
    else list.push(point);
  }
  return serialize(points, 'http.duration', DataPointType.HISTOGRAM);
}

const RIVALS: Readonly<Record<string, () => number>> = {
  'a point a row': rivalPoints,
  'latency histogram by process, path, status': rivalHistograms,
};

const median = (list: readonly number[]): number => list.toSorted((a, b) => a - b)[list.length >> 1] ?? 0;
const rate = (list: readonly number[]): string => `${(ROWS / median(list) / 1000).toFixed(2)} M rows/s`;
async function cpuMs(run: () => number | Promise<number>): Promise<number> {
  const before = process.cpuUsage();
  await run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

console.log(`${ROWS} http_events, ${PROCESSES} processes, ${PATHS} paths; CPU, median of ${ROUNDS} interleaved rounds`);
for (const [name, source] of Object.entries(SCRIPTS)) {
  const rival = RIVALS[name] ?? (() => 0);
  const [mine, theirs]: [number[], number[]] = [[], []];
  for (let round = -2; round < ROUNDS; round++) {
    const [a, b] = [await cpuMs(() => ours(source)), await cpuMs(rival)];
    if (round < 0) continue;
    mine.push(a);
    theirs.push(b);
  }
  const ratios = theirs.map((ms, i) => ms / (mine[i] ?? ms)).toSorted((a, b) => a - b);
  console.log(name);
  console.log(
    `  sluice, tables to bytes               ${rate(mine)}  ${(await ours(source)).toLocaleString('en-US')} B`,
  );
  console.log(`  objects to otlp-transformer (rival)   ${rate(theirs)}  ${rival().toLocaleString('en-US')} B`);
  console.log(
    `  rival's CPU / ours: ${median(ratios).toFixed(2)} (${ratios[0]?.toFixed(2)} to ${ratios.at(-1)?.toFixed(2)})`,
  );
}
