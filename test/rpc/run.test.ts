import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { Delivery } from '../../src/model/outcome.ts';
import type { RunRequest } from '../../src/model/run.ts';
import type { TimeNs } from '../../src/model/time.ts';
import { openChannel } from '../../src/rpc/channel.ts';
import { isRole } from '../../src/rpc/identity.ts';
import { openRunClient, type RunClient, type RunClientOptions } from '../../src/rpc/run-client.ts';
import { createRunServer, onlyOperatorOf, RUN_SERVICE } from '../../src/rpc/run-server.ts';
import type { RpcServer } from '../../src/rpc/server.ts';
import { tlsInMemory } from '../../src/rpc/tls.ts';
import { faultProxy, type FaultProxy } from '../e2e/fault-proxy.ts';
import { CONSOLE, COUNT_BY_PATH, s, startHarness, type Harness } from '../runtime/harness.ts';
import { createAuthority } from './certificates.ts';
import { echoServer } from './echo.ts';

const ca = createAuthority();
const runtimeTls = tlsInMemory(ca.role('runtime'));
const operatorTls = tlsInMemory(ca.role('operator'));
const never = new AbortController().signal;

let harness: Harness;
let server: RpcServer;
let proxy: FaultProxy;
const clients: RunClient[] = [];
const faults: unknown[] = [];

const serve = (): Promise<RpcServer> =>
  createRunServer(harness.runtime, {
    listen: '127.0.0.1:0',
    tls: runtimeTls,
    isAllowed: onlyOperatorOf('sluice-system'),
    version: '1.2.3',
    onRefused: (...refusal) => faults.push(refusal),
    onFault: (...fault) => faults.push(fault),
  });

/** A client behind a proxy that breaks on demand. */
function client(more: Partial<RunClientOptions> = {}): RunClient {
  const one = openRunClient({
    address: proxy.address,
    tls: operatorTls,
    isServer: (identity) => isRole(identity, 'sluice-system', 'runtime'),
    peer: 'the runtime',
    version: '1.2.3',
    random: () => 0,
    ...more,
  });
  clients.push(one);
  return one;
}

beforeEach(async () => {
  faults.length = 0;
  harness = await startHarness();
  server = await serve();
  proxy = await faultProxy(server.port);
});

afterEach(async () => {
  for (const one of clients.splice(0)) one.close();
  await proxy.close();
  await server.close(0);
  await harness.close();
});

async function prepared(to: RunClient): Promise<RunRequest> {
  await to.putDestination('plugin', '1', CONSOLE);
  const { scriptHash } = await to.compile({ script: { kind: 'text', text: COUNT_BY_PATH }, args: {}, uid: 'uid' });
  const [node] = harness.nodes;
  node?.http(s(12), { req_path: '/a' });
  node?.http(s(13), { req_path: '/b' });
  node?.http(s(35), { req_path: '/c' });
  node?.advance(s(100));
  return {
    runId: 'run',
    epoch: 1,
    scriptHash,
    uid: 'uid',
    scriptName: 'shop/requests',
    start: s(10),
    end: s(20),
    pluginUid: 'plugin',
    revision: '1',
    scope: '*',
    limits: { timeoutMs: 10_000, rowsMax: 1000, watermarkWaitMs: 10_000 },
  };
}

async function take(deliveries: AsyncIterable<Delivery>, count: number): Promise<Delivery[]> {
  const got: Delivery[] = [];
  for await (const delivery of deliveries) {
    got.push(delivery);
    if (got.length === count) break;
  }
  return got;
}

async function untilStart(deliveries: AsyncIterable<Delivery>, start: TimeNs): Promise<void> {
  for await (const delivery of deliveries) if (delivery.start === start) return;
  throw new Error('the deliveries ended');
}

test('thousands of runs go over one connection', async () => {
  const seen: string[] = [];
  const operator = client({
    onConnected: () => seen.push('connected'),
    onDisconnected: (error) => seen.push(error.message),
  });
  const request = await prepared(operator);
  await operator.run(request, never);
  const over = new AbortController();
  const reading = take(operator.deliveries(1, over.signal), 1e9);
  // the same window again is answered from the ledger; HTTP/2 allows 1000 resets at once, and 33 a second from then on
  for (let i = 0; i < 80; i++) await Promise.all(Array.from({ length: 32 }, () => operator.run(request, never)));
  over.abort();
  await reading;
  expect(seen).toEqual(['connected']);
});

test('a run over the network is the run in process: compiled, committed, delivered, in the ledger', async () => {
  const operator = client();
  const { incarnation, highestEpoch } = await operator.hello(1);
  expect({ incarnation, highestEpoch }).toEqual({ incarnation: harness.ledger.incarnation, highestEpoch: 1 });
  const request = await prepared(operator);
  const result = await operator.run(request, never);
  const stored = await harness.ledger.findWindow('uid', request.start, request.end);
  expect(result).toMatchObject({ status: 'committed', outcome: { outcome: 'Complete', rowsRead: 2, metricPoints: 2 } });
  expect(result).toMatchObject({ outcome: stored?.outcome });
  const [delivery] = await take(operator.deliveries(1, never), 1);
  expect(delivery).toMatchObject({
    uid: 'uid',
    start: s(10),
    end: s(20),
    outcome: 'acknowledged',
    windowDelivered: true,
    windowRepeated: false,
  });
  expect(await operator.ledger(['uid', 'nobody'])).toEqual(
    new Map([
      ['uid', [{ start: s(10), end: s(20), delivered: true }]],
      ['nobody', []],
    ]),
  );
  // again: from the ledger; overlapping: refused with what is there; unknown: said
  expect(await operator.run(request, never)).toMatchObject({ status: 'committed', delivered: true });
  expect(await operator.run({ ...request, end: s(30) }, never)).toEqual({
    status: 'overlap',
    committed: [{ start: s(10), end: s(20), delivered: true }],
  });
  const later = { ...request, start: s(20), end: s(30) };
  expect(await operator.run({ ...later, scriptHash: 'x' }, never)).toEqual({ status: 'unknown', what: 'script' });
  expect(await operator.run({ ...later, revision: '2' }, never)).toEqual({ status: 'unknown', what: 'destination' });
  const skip = { epoch: 1, uid: 'uid', start: s(20), end: s(40), reason: 'Suspended' };
  expect(await operator.skip(skip)).toMatchObject({ status: 'committed', outcome: { outcome: 'Skipped' } });
  await operator.removeDestination('plugin', 0);
  expect(faults).toEqual([]);
});

test('diagnostics and presets travel whole', async () => {
  const operator = client();
  const wrong = { script: { kind: 'text', text: 'import px\npx.display(px.DataFrame("nope"))' }, args: {} } as const;
  expect(await operator.compile(wrong)).toEqual(await harness.runtime.compile(wrong));
  const preset = { script: { kind: 'preset', name: 'count-by-path' }, args: {} } as const;
  expect(await operator.compile(preset)).toEqual(await harness.runtime.compile(preset));
});

test('a signal cancels a run that is not committed yet, and the answer says so', async () => {
  const operator = client();
  const request = await prepared(operator);
  const begun = Promise.withResolvers<void>();
  harness.nodes[0]?.onQuery(async (signal) => {
    begun.resolve();
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  });
  const cancel = new AbortController();
  const running = operator.run(request, cancel.signal);
  await begun.promise;
  cancel.abort();
  expect(await running).toMatchObject({ status: 'failed', outcome: { error: { code: 'CANCELLED' } } });
  expect(await operator.ledger(['uid'])).toEqual(new Map([['uid', []]]));
});

test('S10: a broken connection cancels nothing: the run commits, and who asks again is told', async () => {
  const operator = client();
  const request = await prepared(operator);
  const [begun, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  harness.nodes[0]?.onQuery(async () => {
    begun.resolve();
    await go.promise;
  });
  const broken = operator.run(request, never).catch((error: unknown) => error);
  await begun.promise;
  await proxy.set('refuse');
  expect(await broken).toMatchObject({ message: expect.stringMatching(/^the runtime: /) });
  await proxy.set('pass');
  // by now the server has seen its connection end
  for (let i = 0; i < 80; i++) await operator.hello(1);
  // the same window again, while the first run is still under way: it waits for it and gets its result
  const again = operator.run(request, never);
  go.resolve();
  expect(await again).toMatchObject({ status: 'committed', outcome: { rowsRead: 2 } });
  expect(harness.nodes[0]?.queries).toBe(1);
});

test('deliveries: what was not taken when the connection broke is handed out again, and nothing twice to one reader', async () => {
  const connected: string[] = [];
  const broken: Error[] = [];
  const operator = client({
    onConnected: (which) => connected.push(which),
    onDisconnected: (error) => broken.push(error),
  });
  const request = await prepared(operator);
  const stop = new AbortController();
  const got: Delivery[] = [];
  const next = operator.deliveries(1, stop.signal)[Symbol.asyncIterator]();
  const one = async (): Promise<void> => {
    const { value, done } = await next.next();
    if (done !== true) got.push(value);
  };
  await operator.run(request, never);
  await one();
  // it is here and not taken yet: taken means that the next was asked for
  await proxy.set('refuse');
  await expect(operator.hello(1)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  await proxy.set('pass');
  await harness.runtime.run({ ...request, start: s(30), end: s(40) }, never);
  await one();
  expect(broken.length).toBeGreaterThan(0);
  expect(got.map(({ start }) => start)).toEqual([s(10), s(30)]);
  stop.abort();
  await one();
  expect(got).toHaveLength(2);
  expect(new Set(connected)).toEqual(new Set([harness.ledger.incarnation]));
  // the second one was never taken, so the next reader gets it
  await untilStart(client().deliveries(1, never), s(30));
});

test('deliveries: a reader of an older epoch ends, a newer reader takes over', async () => {
  const operator = client();
  const request = await prepared(operator);
  await operator.run({ ...request, epoch: 5 }, never);
  expect(await take(operator.deliveries(4, never), 1)).toEqual([]);
  const connected = Promise.withResolvers<void>();
  const first = client({ onConnected: () => connected.resolve() });
  const reading = take(first.deliveries(5, never), 99);
  await connected.promise;
  const takenOver = Promise.withResolvers<void>();
  const second = client({ onConnected: () => takenOver.resolve() });
  const newer = untilStart(second.deliveries(5, never), s(30));
  await takenOver.promise;
  expect((await reading).length).toBeLessThanOrEqual(1);
  await operator.run({ ...request, epoch: 5, start: s(30), end: s(40) }, never);
  await newer;
});

test('a runtime that comes back is another incarnation, and knows no destination until it is given', async () => {
  const connected: string[] = [];
  const [up, back] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const operator = client({
    onConnected: (incarnation) => {
      connected.push(incarnation);
      if (connected.length === 1) up.resolve();
      else back.resolve();
    },
  });
  const request = await prepared(operator);
  const stop = new AbortController();
  const reading = take(operator.deliveries(1, stop.signal), 99);
  await up.promise;
  await harness.restart();
  await server.close(0);
  server = await serve();
  await proxy.close();
  proxy = await faultProxy(server.port);
  const other = client({ onConnected: () => back.resolve() });
  void take(other.deliveries(1, stop.signal), 1);
  await back.promise;
  expect(await other.run(request, never)).toMatchObject({ status: 'unknown', what: 'script' });
  stop.abort();
  await reading;
});

test('status says how destinations and nodes are, those that do not answer too', async () => {
  const operator = client();
  const request = await prepared(operator);
  harness.answers.push({ status: 'retry', code: 'UNAVAILABLE', message: 'not now', afterMs: 60_000 });
  await operator.run(request, never);
  const [node] = harness.nodes;
  if (node === undefined) throw new Error('no node');
  harness.nodes.push({ ...node, name: 'node-2', state: () => Promise.reject(new Error('no route')) });
  let status = await operator.status(never);
  while (status.destinations[0]?.lastError === undefined) status = await operator.status(never);
  expect(status).toMatchObject({
    incarnation: harness.ledger.incarnation,
    version: '0.0.0',
    activeRuns: 0,
    destinations: [
      { name: 'plugin', batches: 1, activity: 'backing-off', lastError: { code: 'UNAVAILABLE', message: 'not now' } },
    ],
    nodes: [
      { name: 'node-1', answered: true, why: '', startTime: 0n, blind: [] },
      { name: 'node-2', answered: false, why: 'no route' },
    ],
  });
  expect(status.spoolBytes).toBeGreaterThan(0);
  expect(await operator.oldestData(never)).toBeUndefined();
  node.state = () => Promise.resolve({ startTime: s(0), blind: [], oldest: s(5) });
  harness.nodes.pop();
  expect(await operator.oldestData(never)).toBe(s(5));
});

test('another version of the contract is a clear error', async () => {
  const other = await echoServer(runtimeTls);
  const operator = client({ address: `127.0.0.1:${other.port}` });
  await expect(operator.hello(1)).rejects.toThrow(/the runtime does not speak version 1 of the run contract/);
  await expect(take(operator.deliveries(1, never), 1)).rejects.toThrow(/version 1 of the run contract/);
  await other.close(0);
});

test('bad messages are refused as such and harm nothing', async () => {
  const channel = openChannel({
    address: `127.0.0.1:${server.port}`,
    tls: operatorTls,
    isServer: () => true,
    peer: 'the runtime',
  });
  const methods = [
    'Hello',
    'Compile',
    'PutDestination',
    'RemoveDestination',
    'Ledger',
    'Run',
    'Skip',
    'Deliveries',
    'State',
  ];
  for (const method of methods) {
    const garbage = Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f, 1]);
    await expect(channel.unary(`${RUN_SERVICE}/${method}`, garbage)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    await expect(channel.unary(`${RUN_SERVICE}/${method}`, Buffer.alloc(5_000_000))).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
    });
  }
  const operator = client();
  const request = await prepared(operator);
  for (const wrong of [{ end: request.start }, { uid: '' }, { scope: '' }, { pluginUid: '' }])
    await expect(operator.run({ ...request, ...wrong }, never)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  expect(await operator.run(request, never)).toMatchObject({ status: 'committed' });
  channel.close();
  expect(faults).toEqual([]);
});

test('a thousand runs at once share one connection', async () => {
  const operator = client();
  const uids = Array.from({ length: 1000 }, (_, i) => `uid-${i}`);
  const skip = { epoch: 1, start: s(0), end: s(10), reason: 'Suspended' };
  const results = await Promise.all(uids.map((uid) => operator.skip({ ...skip, uid })));
  expect(results.every(({ status }) => status === 'committed')).toBe(true);
  const known = await operator.ledger([...uids, ...uids.map((uid) => `${uid}-none`)]);
  expect([...known.values()].filter(({ length }) => length === 1)).toHaveLength(1000);
  expect(proxy.accepted).toBe(1);
});
