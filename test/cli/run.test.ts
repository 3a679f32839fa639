// sluice run over folders: what it prints in each format, and what it says where there is nothing to print.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../src/cli/run.ts';
import { scratch } from '../e2e/harness.ts';
import { call } from './io.ts';

const TUTORIAL = (source: string, more: { readonly endpoint?: string; readonly end?: string }): string => `import px
# a trailing comma and a comment wherever Python takes them
df = px.DataFrame(table='http_events', start_time=${source})
df.pod = df.ctx['pod']
df.service = df.ctx['service']
df = df.groupby(['pod', 'service', 'req_path']).agg(
    throughput=('latency', px.count),
    time_=('time_', px.max),
)
df.requests_per_s = df.throughput / 10
px.export(df, px.otel.Data(
    ${more.endpoint ?? ''}
    resource={'service.name': df.service, 'service.instance.id': df.pod, 'k8s.pod.name': df.pod},
    data=[px.otel.metric.Gauge(
        name='http.throughput',
        description='The number of messages sent per second',
        value=df.requests_per_s,
        attributes={'req_path': df.req_path},
    )],
))
${more.end ?? ''}
`;

const place = scratch();
const END = '--end=2023-11-14T22:13:30Z';
let [rows, empty, live, plugin]: string[] = [];

beforeAll(() => {
  place.write(
    'rows/http_events.ndjson',
    [
      '{"time_":1700000000000000001,"upid":"1:4242:889911","req_path":"/a","latency":9007199254740993}',
      '{"time_":1700000009000000003,"upid":"1:4242:889911","req_path":"/a","latency":12}',
      '{"time_":"2023-11-14T22:13:25.000000002Z","upid":"1:4242:889911","req_path":"/b"}',
    ].join('\n'),
  );
  place.write('rows/identity.ndjson', '{"upid":"1:4242:889911","pod":"shop/cart-0","services":["shop/cart"]}\n');
  mkdirSync(join(place.dir, 'empty'));
  [rows, empty] = [join(place.dir, 'rows'), join(place.dir, 'empty')];
  const endpoint = "endpoint=px.otel.Endpoint(url='collector:4317', insecure=True),";
  live = place.write('live.pxl', TUTORIAL("'-10s'", { endpoint, end: 'px.display(df)' }));
  plugin = place.write('plugin.pxl', TUTORIAL('px.plugin.start_time', {}));
});
afterAll(() => place.remove());

const runOver = (from: string | undefined, ...argv: readonly string[]) => call(run, '--from', from ?? '', ...argv);

interface Output {
  readonly tables: readonly { readonly name: string; readonly columns: object[]; readonly rows: unknown[][] }[];
  readonly exports: {
    readonly resourceMetrics: readonly {
      readonly scopeMetrics: readonly {
        readonly metrics: readonly {
          readonly name: string;
          readonly gauge: { readonly dataPoints: readonly { asDouble: number; timeUnixNano: string }[] };
        }[];
      }[];
    }[];
    readonly resourceSpans: object[];
    readonly resourceLogs: object[];
  };
  readonly stats: { readonly rowsRead: number };
  readonly diagnostics: object[];
}

const pointsOf = ({ exports }: Output) =>
  exports.resourceMetrics.flatMap(({ scopeMetrics }) =>
    scopeMetrics.flatMap(({ metrics }) => metrics.flatMap(({ gauge }) => gauge.dataPoints)),
  );

describe('the tutorial script with its own endpoint', () => {
  test('is JSON with tables, exports, stats and diagnostics', async () => {
    const { status, stdout, stderr } = await runOver(rows, live ?? '', END, '--format', 'json');
    expect([status, stderr]).toEqual([0, '']);
    const output = JSON.parse(stdout) as Output;
    expect(Object.keys(output)).toEqual(['tables', 'exports', 'stats', 'diagnostics']);
    expect(Object.keys(output.exports)).toEqual(['resourceMetrics', 'resourceSpans', 'resourceLogs']);
    expect(output.tables[0]?.columns[3]).toEqual({ name: 'throughput', type: 'INT64', semanticType: 'ST_NONE' });
    expect(stdout).toContain('["shop/cart-0","shop/cart","/a",2,1700000009000000003,0.2]');
    expect(pointsOf(output).map(({ asDouble, timeUnixNano }) => [asDouble, timeUnixNano])).toEqual([
      [0.2, '1700000009000000003'],
      [0.1, '1700000005000000002'],
    ]);
    expect(output.stats.rowsRead).toBe(3);
  });

  test('has its table, and not its exports, as CSV, and says so', async () => {
    const { stdout, stderr } = await runOver(rows, live ?? '', END, '--format', 'csv');
    expect(stdout).toMatch(/^pod,service,req_path,throughput,time_,requests_per_s\r?\nshop\/cart-0,shop\/cart,\/a,2,/);
    expect(stderr).toBe('sluice run: exports are not shown as csv; --format table and json have them\n');
  });

  test('over old rows and without --end makes nothing, and says why', async () => {
    const { status, stderr } = await runOver(rows, live ?? '');
    expect(status).toBe(0);
    expect(stderr).toMatch(/made no rows.*covers 2023-11-14T22:13:20\.000000001Z to .*count from now, or from --end/);
  });
});

describe('the tutorial script of the plugin', () => {
  test('reads all that the folder holds, and with bounds only what lies between', async () => {
    const all = JSON.parse((await runOver(rows, plugin ?? '', '--format=json')).stdout) as Output;
    expect(pointsOf(all)).toHaveLength(2);
    const bounds = ['--start', '1700000005000000002', '--end', '1700000009000000003'];
    const some = JSON.parse((await runOver(rows, plugin ?? '', '--format=json', ...bounds)).stdout) as Output;
    expect(pointsOf(some).map(({ asDouble }) => asDouble)).toEqual([0.1]);
  });

  test('over an empty folder has empty exports, and says that there was nothing', async () => {
    const { status, stdout, stderr } = await runOver(empty, plugin ?? '', '--format', 'json');
    expect(status).toBe(0);
    expect((JSON.parse(stdout) as Output).exports).toEqual({
      resourceMetrics: [],
      resourceSpans: [],
      resourceLogs: [],
    });
    expect(stderr).toMatch(/made no rows of the 0 that it read; the source has no rows/);
  });
});

describe('nobody waits for a capture to hear', () => {
  test('that the script does not compile', async () => {
    const broken = place.write('broken.pxl', 'import px\npx.display(px.DataFrame("http_event"))\n');
    const { status, stdout, stderr } = await call(run, broken, '--duration', '1h', '--format', 'json');
    expect(status).toBe(1);
    expect(stderr).toMatch(/broken\.pxl:2:.*UNKNOWN_TABLE/);
    expect(Object.keys(JSON.parse(stdout) as Output)).toEqual(['tables', 'exports', 'stats', 'diagnostics']);
  });

  test.each([
    ['that Arrow holds one table', ['--format', 'arrow'], /takes a script with one table; this one has 0/],
    ['that --export is no address', ['--export', 'http://a/b'], /not host:port/],
    ['that there are two places to send', ['--export', 'script', '--plugin', 'x'], /give one of them/],
  ])('%s', async (_, argv, message) => {
    const { status, stderr } = await call(run, plugin ?? '', '--duration', '1h', ...argv);
    expect(status).toBe(2);
    expect(stderr).toMatch(message);
  });
});
