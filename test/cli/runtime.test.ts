// `sluice runtime` as a process, asked as the operator asks it, over two collectors of which one is away.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startReceiver, type Receiver } from '../../src/exporters/otlp/receiver.ts';
import type { Destination } from '../../src/model/destination.ts';
import type { Delivery } from '../../src/model/outcome.ts';
import { timeNs } from '../../src/model/time.ts';
import { openRunClient, type RunClient } from '../../src/rpc/run-client.ts';
import { isRole } from '../../src/rpc/identity.ts';
import { tlsInMemory } from '../../src/rpc/tls.ts';
import { freePort } from '../servers/free-port.ts';
import {
  clock,
  drained,
  id,
  join as bytes,
  MS,
  open,
  opening,
  received,
  SECOND,
  sent,
  START,
  wall,
} from '../collector/stream.ts';
import { createAuthority } from '../rpc/certificates.ts';
import { CONSOLE, COUNT_BY_PATH } from '../runtime/harness.ts';
import { fakeProbe, startRoleProcess, writeTls, type FakeProbe, type RoleProcess } from './roles.ts';

const folder = mkdtempSync(join(tmpdir(), 'sluice-runtime-'));
const ca = createAuthority();
const never = new AbortController().signal;
let probe: FakeProbe;
let collector: RoleProcess;
let runtime: RoleProcess;
let receiver: Receiver;
let operator: RunClient;
const got: unknown[] = [];

function traffic(): Uint8Array {
  const parts = [opening(), open()];
  let [sentBytes, receivedBytes] = [0, 0];
  for (let i = 0; i < 10; i++) {
    const at = START + SECOND + i * 100 * MS;
    const request = `GET /${i % 2} HTTP/1.1\r\nHost: a\r\n\r\n`;
    const response = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
    parts.push(received(request, receivedBytes, at, id()), sent(response, sentBytes, at + 3 * MS, id()));
    receivedBytes += request.length;
    sentBytes += response.length;
  }
  return bytes(...parts, clock(START + 30 * SECOND), drained(START + 30 * SECOND));
}

const started = async (more: readonly string[] = []): Promise<RoleProcess> =>
  startRoleProcess('runtime', [
    '--state',
    join(folder, 'state'),
    '--tls',
    writeTls(join(folder, 'runtime'), ca.role('runtime')),
    '--namespace',
    'sluice-system',
    '--run-address',
    '127.0.0.1:0',
    '--collector',
    `node-1=127.0.0.1:${collector.port}`,
    '--collector',
    `node-2=127.0.0.1:${await freePort()}`,
    ...more,
  ]);

const connect = (): RunClient =>
  openRunClient({
    address: `127.0.0.1:${runtime.port}`,
    tls: tlsInMemory(ca.role('operator')),
    isServer: (identity) => isRole(identity, 'sluice-system', 'runtime'),
    peer: 'the runtime',
    version: '0',
  });

const destination = (): Destination => ({
  ...CONSOLE,
  type: 'OTLPGRPC',
  endpoint: `127.0.0.1:${receiver.ports.grpc}`,
  timeoutMs: 5000,
});

const requestFor = (scriptHash: string) => ({
  runId: 'run',
  epoch: 1,
  scriptHash,
  uid: 'uid',
  scriptName: 'shop/requests',
  start: timeNs(wall(START)),
  end: timeNs(wall(START + 10 * SECOND)),
  pluginUid: 'plugin',
  revision: '1',
  scope: '*',
  limits: { timeoutMs: 10_000, rowsMax: 1000, watermarkWaitMs: 2000 },
});

beforeAll(async () => {
  receiver = await startReceiver({ grpc: '127.0.0.1:0' });
  receiver.onRequest(({ json }) => void got.push(json));
  const socket = join(folder, 'probe.sock');
  probe = fakeProbe(socket, traffic());
  await probe.listen();
  collector = await startRoleProcess('collector', [
    '--flight-address',
    '127.0.0.1:0',
    '--socket',
    socket,
    '--tls',
    writeTls(join(folder, 'collector'), ca.role('collector')),
  ]);
  await collector.ready();
  runtime = await started(['--allow-endpoints', '127.0.0.0/8']);
  operator = connect();
});

afterAll(async () => {
  operator.close();
  runtime.kill();
  collector.kill();
  await probe.close();
  await receiver.close();
  rmSync(folder, { recursive: true });
});

test('is ready when its ledger is open, and takes orders from the operator alone', async () => {
  await runtime.ready();
  expect(await operator.hello(1)).toMatchObject({ highestEpoch: 1 });
  const other = openRunClient({
    address: `127.0.0.1:${runtime.port}`,
    tls: tlsInMemory(ca.role('collector')),
    isServer: () => true,
    peer: 'the runtime',
    version: '0',
  });
  await expect(other.hello(9)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
  other.close();
  expect((await runtime.get('/metrics')).body).toMatch(/sluice_rpc_refused_total\{reason="Forbidden"\} 1/);
});

test('a window goes from the probe to the destination, and says which node was missing', async () => {
  await operator.putDestination('plugin', '1', destination());
  const { scriptHash } = await operator.compile({ script: { kind: 'text', text: COUNT_BY_PATH }, args: {} });
  const result = await operator.run(requestFor(scriptHash), never);
  expect(result).toMatchObject({
    status: 'committed',
    outcome: {
      outcome: 'Partial',
      reason: 'NodesMissing',
      rowsRead: 10,
      metricPoints: 2,
      nodes: { expected: 2, answered: 1, missing: ['node-2'] },
    },
  });
  let delivery: Delivery | undefined;
  for await (delivery of operator.deliveries(1, never)) break;
  expect(delivery).toMatchObject({ uid: 'uid', outcome: 'acknowledged', metricPoints: 2, windowDelivered: true });
  expect(JSON.stringify(got)).toContain('http.requests');
  const status = await operator.status(never);
  expect(status).toMatchObject({
    destinations: [{ name: 'plugin', activity: 'idle', batches: 0 }],
    nodes: [
      { name: 'node-1', answered: true },
      { name: 'node-2', answered: false, why: expect.stringContaining('ECONNREFUSED') },
    ],
    presets: expect.arrayContaining(['http-metrics']),
  });
});

test('the ledger outlives the process; SIGTERM ends it with status 0', async () => {
  operator.close();
  expect(await runtime.stop()).toBe(0);
  runtime = await started();
  operator = connect();
  const known = await operator.ledger(['uid']);
  expect(known.get('uid')).toEqual([{ start: wall(START), end: wall(START + 10 * SECOND), delivered: true }]);
});

test('X17: without leave a destination on this host is not connected to, and the status says why', async () => {
  const before = got.length;
  await operator.putDestination('plugin', '1', destination());
  const { scriptHash } = await operator.compile({ script: { kind: 'text', text: COUNT_BY_PATH }, args: {} });
  const request = { ...requestFor(scriptHash), uid: 'other' };
  expect(await operator.run(request, never)).toMatchObject({ status: 'committed', delivered: false });
  let status = await operator.status(never);
  while (status.destinations[0]?.lastError === undefined) status = await operator.status(never);
  expect(status.destinations[0]).toMatchObject({
    activity: 'backing-off',
    lastError: { code: 'ENDPOINT_FORBIDDEN', message: expect.stringContaining('127.0.0.1 is a loopback address') },
  });
  expect(got).toHaveLength(before);
});

test("a script's own endpoint is forbidden in a cluster", async () => {
  const text = COUNT_BY_PATH.replace('px.otel.Data(', "px.otel.Data(\n  endpoint=px.otel.Endpoint(url='a:1'),");
  const { diagnostics } = await operator.compile({ script: { kind: 'text', text }, args: {} });
  expect(diagnostics.map(({ code }) => code)).toContain('OTEL_ENDPOINT_FORBIDDEN');
});
