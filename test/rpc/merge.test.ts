// The same windows over nodes in process and over the same nodes behind Flight: partial states are bytes in STRING columns,
// and not one of them may change on the way.
import { expect, test } from '@jest/globals';
import { flightBackend } from '../../src/collector/flight.ts';
import type { Node } from '../../src/plan/node.ts';
import type { Operator } from '../../src/plan/plan.ts';
import { createFlightServer } from '../../src/rpc/flight-server.ts';
import { openRemoteNode } from '../../src/rpc/flight-node.ts';
import { faultProxy } from '../e2e/fault-proxy.ts';
import { CONSOLE, pointsOf, s, startHarness } from '../runtime/harness.ts';
import { tableNode, type TableNode } from '../runtime/table-node.ts';

const SCRIPT = `
import px
df = px.DataFrame('http_events', start_time=px.plugin.start_time, end_time=px.plugin.end_time)
df = df.groupby(['req_path']).agg(
  n=('latency', px.count), q=('latency', px.quantiles), mean=('latency', px.mean), body=('resp_body', px.any),
  low=('latency', px.min), time_=('time_', px.max))
df.p50 = px.pluck_float64(df.q, 'p50')
df.p99 = px.pluck_float64(df.q, 'p99')
df.bytes = px.length(df.body)
px.export(df, px.otel.Data(resource={'service.name': 'shop'}, data=[
  px.otel.metric.Gauge(name='n', value=df.n, attributes={'path': df.req_path}),
  px.otel.metric.Gauge(name='p50', value=df.p50, attributes={'path': df.req_path}),
  px.otel.metric.Gauge(name='p99', value=df.p99, attributes={'path': df.req_path}),
  px.otel.metric.Gauge(name='mean', value=df.mean, attributes={'path': df.req_path}),
  px.otel.metric.Gauge(name='low', value=df.low, attributes={'path': df.req_path}),
  px.otel.metric.Gauge(name='bytes', value=df.bytes, attributes={'path': df.req_path})]))
`;

function filled(name: string, shift: number): TableNode {
  const node = tableNode(name, s(0));
  for (let i = 0; i < 5000; i++) {
    const latency = BigInt(((i * 7919 + shift) % 100_003) * 1000);
    // the same odd bytes for every row of a path, so that `any` has one answer
    const odd = Uint8Array.of(0xff, 0x80, i % 5);
    node.http(s(10 + i / 1000), {
      req_path: i % 11 === 0 ? odd : `/${i % 5}`,
      latency,
      resp_body: Uint8Array.of(0xc0, 0xff),
    });
  }
  node.advance(s(100));
  return node;
}

async function points(nodes: readonly Node[]): Promise<string[]> {
  const harness = await startHarness({ runtime: { nodes: () => nodes } });
  await harness.runtime.putDestination('plugin', '1', CONSOLE);
  const result = await harness.run({ scriptHash: await harness.script(SCRIPT) });
  expect(result).toMatchObject({ status: 'committed', outcome: { outcome: 'Complete', rowsRead: 10_000 } });
  await harness.deliveries(1);
  const found = pointsOf(harness.sent);
  await harness.close();
  return found;
}

test('merged states are the same whether nodes are in process or behind the network', async () => {
  const nodes = [filled('node-1', 1), filled('node-2', 50_000)];
  const options = {
    listen: '127.0.0.1:0',
    tls: undefined,
    namespace: 'n',
    onRefused: () => undefined,
    onFault: () => undefined,
  };
  const servers = await Promise.all(
    nodes.map((node) => createFlightServer(flightBackend({ node, tables: node.tables }), options)),
  );
  const far = servers.map(({ port }, i) =>
    openRemoteNode({ name: `node-${i + 1}`, address: `127.0.0.1:${port}`, tls: undefined, isServer: () => true }),
  );
  const [here, there] = [await points(nodes), await points(far)];
  expect(here.length).toBeGreaterThan(30);
  expect(there).toEqual(here);
  for (const node of far) node.close();
  for (const server of servers) await server.close(0);
});

test('thousands of questions to a node go over one connection', async () => {
  // HTTP/2 servers end connections with more than 1000 resets at once, and 33 a second from then on
  const node = tableNode('node-1', s(0));
  node.http(s(1), { req_path: '/a' });
  const options = {
    listen: '127.0.0.1:0',
    tls: undefined,
    namespace: 'n',
    onRefused: () => undefined,
    onFault: () => undefined,
  };
  const server = await createFlightServer(flightBackend({ node, tables: node.tables }), options);
  const proxy = await faultProxy(server.port);
  const far = openRemoteNode({ name: 'node-1', address: proxy.address, tls: undefined, isServer: () => true });
  const signal = new AbortController().signal;
  const fragment: Operator = {
    kind: 'source',
    table: 'http_events',
    columns: ['req_path'],
    schema: [{ name: 'req_path', type: 'STRING', semanticType: 'ST_NONE' }],
  };
  const ask = async (): Promise<number> => {
    let rows = 0;
    for await (const event of far.query(fragment, { scope: '*', signal }))
      if (event.kind === 'batch') rows += event.batch.length;
    await far.loss(['http_events'], s(0), s(1), signal);
    return rows;
  };
  for (let i = 0; i < 50; i++) {
    const rows = await Promise.all(Array.from({ length: 32 }, ask));
    expect(new Set(rows)).toEqual(new Set([1]));
  }
  expect(proxy.accepted).toBe(1);
  far.close();
  await server.close(0);
  await proxy.close();
});
