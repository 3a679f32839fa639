import { createServer, type Server as TcpServer } from 'node:net';
import { once } from 'node:events';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { flightBackend } from '../../src/collector/flight.ts';
import { ScopeError } from '../../src/collector/scope.ts';
import { rowsOf } from '../../src/columns/batch.ts';
import type { Batch } from '../../src/columns/column.ts';
import { EngineError } from '../../src/engine/context.ts';
import type { Node } from '../../src/plan/node.ts';
import type { Operator } from '../../src/plan/plan.ts';
import { openChannel, type Channel } from '../../src/rpc/channel.ts';
import { encodeFlightData, TICKET } from '../../src/rpc/flight-messages.ts';
import { openRemoteNode, type RemoteNode, type RemoteNodeOptions } from '../../src/rpc/flight-node.ts';
import { createFlightServer, FLIGHT_SERVICE } from '../../src/rpc/flight-server.ts';
import { encodeFragmentTicket } from '../../src/rpc/flight-ticket.ts';
import { isRole } from '../../src/rpc/identity.ts';
import { startRpcServer, type Refusal, type RpcServer } from '../../src/rpc/server.ts';
import { tlsInMemory, type TlsMaterial } from '../../src/rpc/tls.ts';
import { faultProxy } from '../e2e/fault-proxy.ts';
import { s } from '../runtime/harness.ts';
import { tableNode, type TableNode } from '../runtime/table-node.ts';
import { createAuthority } from './certificates.ts';

const ca = createAuthority();
const runtime = ca.role('runtime');
const never = new AbortController().signal;

let node: TableNode;
let served: Node;
let server: RpcServer;
let refused: [Refusal, string][];
let faults: unknown[];
const opened: { close(): void }[] = [];

const HTTP: Operator = {
  kind: 'source',
  table: 'http_events',
  columns: ['time_', 'req_path', 'resp_body'],
  schema: [
    { name: 'time_', type: 'TIME64NS', semanticType: 'ST_NONE' },
    { name: 'req_path', type: 'STRING', semanticType: 'ST_NONE' },
    { name: 'resp_body', type: 'STRING', semanticType: 'ST_NONE' },
  ],
};

beforeEach(async () => {
  node = tableNode('node-1', s(0));
  served = node;
  refused = [];
  faults = [];
  const { tables } = node;
  const forward: Node = {
    name: 'node-1',
    state: (signal) => served.state(signal),
    waitForWatermark: (...args) => served.waitForWatermark(...args),
    query: (...args) => served.query(...args),
    loss: (...args) => served.loss(...args),
  };
  server = await createFlightServer(flightBackend({ node: forward, tables }), {
    listen: '127.0.0.1:0',
    tls: tlsInMemory(ca.role('collector')),
    namespace: 'sluice-system',
    onRefused: (...refusal) => void refused.push(refusal),
    onFault: (...fault) => void faults.push(fault),
    queriesMax: 4,
  });
});

afterEach(async () => {
  for (const one of opened.splice(0)) one.close();
  await server.close(0);
});

function remote(material: TlsMaterial = runtime, more: Partial<RemoteNodeOptions> = {}): RemoteNode {
  const one = openRemoteNode({
    name: 'node-1',
    address: `127.0.0.1:${server.port}`,
    tls: tlsInMemory(material),
    isServer: (identity) => isRole(identity, 'sluice-system', 'collector'),
    ...more,
  });
  opened.push(one);
  return one;
}

function channelOf(material: TlsMaterial = runtime): Channel {
  const one = openChannel({
    address: `127.0.0.1:${server.port}`,
    tls: tlsInMemory(material),
    isServer: () => true,
    peer: 'the collector',
  });
  opened.push(one);
  return one;
}

async function ask(of: Node, fragment: Operator, scope = '*', signal: AbortSignal = never): Promise<Batch[]> {
  const batches: Batch[] = [];
  let isEnded = false;
  for await (const event of of.query(fragment, { scope, signal })) {
    if (event.kind === 'end') isEnded = true;
    else batches.push(event.batch);
  }
  expect(isEnded).toBe(true);
  return batches;
}

test('rows of a fragment arrive as the node gave them, bytes that are no text among them, with its statistics', async () => {
  const bad = Uint8Array.of(0xff, 0xfe, 0x41);
  node.http(s(1), { req_path: '/a', resp_body: bad });
  node.http(s(2), { req_path: '/b', resp_body: 'x' });
  const events: unknown[] = [];
  for await (const event of remote().query(HTTP, { scope: '*', signal: never })) {
    if (event.kind === 'end') events.push(event.stats);
    else {
      const column = event.batch.columns[2];
      events.push(rowsOf(event.batch).map(([time, path]) => [time, path]));
      events.push(column?.type === 'STRING' && Buffer.from(column.dictionary.bytes(0)).equals(bad));
    }
  }
  const here = (await ask(node, HTTP)).flatMap(rowsOf);
  expect(here).toHaveLength(2);
  expect(events).toEqual([
    [
      [s(1), '/a'],
      [s(2), '/b'],
    ],
    true,
    { rowsRead: 2, bytesRead: expect.any(Number) },
  ]);
});

test('a large answer comes whole, in messages that every gRPC client takes', async () => {
  for (let i = 0; i < 20_000; i++) node.http(s(i / 100), { req_path: `/${i}`, resp_body: `${i} ${'x'.repeat(900)}` });
  const got = (await ask(remote(), HTTP)).flatMap(rowsOf);
  const here = (await ask(node, HTTP)).flatMap(rowsOf);
  expect(got).toHaveLength(here.length);
  expect(got).toEqual(here);
  // this channel takes 4 MiB and no more
  const stream = channelOf().stream(`${FLIGHT_SERVICE}/DoGet`);
  stream.send(TICKET.encode({ ticket: encodeFragmentTicket(HTTP, '*') }));
  let bytes = 0;
  for await (const message of stream.replies) bytes += message.length;
  expect(bytes).toBeGreaterThan(8e6);
});

test('state, watermark and loss are what the node says', async () => {
  const far = remote();
  expect(await far.state(never)).toEqual({ startTime: s(0), blind: [], oldest: s(0) });
  node.lose({ exchangesLost: 3, blind: [{ source: 'probe', start: s(1), reason: 'Gone' }] });
  const loss = await far.loss(['http_events'], s(1), s(2), never);
  expect(loss).toEqual(await node.loss(['http_events'], s(1), s(2), never));
  expect(node.lossAsked).toEqual([s(1), s(2)]);
  node.advance(s(5));
  await far.waitForWatermark(['http_events'], s(5), never);
  let isThere = false;
  const wait = async (): Promise<void> => {
    await far.waitForWatermark(['http_events'], s(9), never);
    isThere = true;
  };
  const waiting = wait();
  await far.state(never);
  expect(isThere).toBe(false);
  node.advance(s(9));
  await waiting;
  const stop = new AbortController();
  const given = far.waitForWatermark(['http_events'], s(99), stop.signal);
  stop.abort(new Error('no longer'));
  await expect(given).rejects.toThrow('no longer');
  await expect(far.loss(['nope'], s(1), s(2), never)).rejects.toThrow(/NOT_FOUND|no table "nope"/);
});

test('an error of the plan keeps its code, others name the node', async () => {
  const far = remote();
  node.fail(new EngineError('GROUPS_LIMIT', 'too many groups: use fewer'));
  await expect(ask(far, HTTP)).rejects.toMatchObject({
    name: 'PlanError',
    code: 'GROUPS_LIMIT',
    message: 'too many groups: use fewer',
  });
  node.fail(new ScopeError('not this one'));
  await expect(ask(far, HTTP)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
  node.fail(new Error('boom'));
  await expect(ask(far, HTTP)).rejects.toThrow(/node node-1 \(127.0.0.1:\d+\): boom/);
  expect(faults).toHaveLength(1);
  const other: Operator = { ...HTTP, table: 'nope' };
  await expect(ask(far, other)).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

test('half an answer is none', async () => {
  const row = (await ask(node, HTTP))[0];
  expect(row).toBeUndefined();
  node.http(s(1), { req_path: '/a' });
  const [batch] = await ask(node, HTTP);
  if (batch === undefined) throw new Error('no batch');
  served = {
    ...node,
    async *query() {
      yield { kind: 'batch', batch };
    },
  };
  await expect(ask(remote(), HTTP)).rejects.toThrow(/the answer broke off/);
  served = {
    ...node,
    async *query() {
      yield { kind: 'batch', batch };
      throw new Error('in the middle');
    },
  };
  await expect(ask(remote(), HTTP)).rejects.toThrow(/in the middle/);
});

test('leaving, and a signal, stop the engine over there', async () => {
  node.http(s(1), { req_path: '/a' });
  const [batch] = await ask(node, HTTP);
  if (batch === undefined) throw new Error('no batch');
  const ended = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;
  let which = 0;
  let batches = 0;
  served = {
    ...node,
    async *query(_, { signal }) {
      const mine = ended[which++ % 2];
      try {
        for (;;) {
          signal.throwIfAborted();
          batches++;
          yield { kind: 'batch', batch };
        }
      } finally {
        mine?.resolve();
      }
    },
  };
  const far = remote();
  for await (const event of far.query(HTTP, { scope: '*', signal: never })) if (event.kind === 'batch') break;
  await ended[0].promise;
  const stop = new AbortController();
  const reading = (async () => {
    for await (const event of far.query(HTTP, { scope: '*', signal: stop.signal }))
      if (event.kind === 'batch') stop.abort(new Error('enough'));
  })();
  await expect(reading).rejects.toThrow('enough');
  await ended[1].promise;
  // a reader that does not read holds the engine back
  expect(batches).toBeLessThan(10_000);
});

test('a reader that stops reading stops the engine from going on: back-pressure', async () => {
  for (let i = 0; i < 200; i++) node.http(s(i / 100), { resp_body: 'x'.repeat(1000) + i });
  const [batch] = await ask(node, HTTP);
  if (batch === undefined) throw new Error('no batch');
  let made = 0;
  served = {
    ...node,
    async *query(_, { signal }) {
      for (; made < 5000; made++) {
        signal.throwIfAborted();
        yield { kind: 'batch', batch };
      }
    },
  };
  const answer = remote().query(HTTP, { scope: '*', signal: never })[Symbol.asyncIterator]();
  await answer.next();
  let before = -1;
  // until it stands still: each look is a whole exchange with the server
  const other = remote();
  while (made !== before) {
    before = made;
    for (let i = 0; i < 20; i++) await other.state(never);
  }
  expect(made).toBeLessThan(200);
  await answer.return?.();
});

test('X15: the runtime states any scope, a namespace its own, all else is refused and counted', async () => {
  const scopes: string[] = [];
  served = {
    ...node,
    async *query(_, { scope }) {
      scopes.push(scope);
      yield { kind: 'end', stats: { rowsRead: 0, bytesRead: 0 } };
    },
  };
  await ask(remote(), HTTP, '*');
  await ask(remote(), HTTP, 'shop');
  const shop = ca.leaf({ uris: ['spiffe://sluice/ns/shop/sa/reader'] });
  await ask(remote(shop), HTTP, 'shop');
  expect(scopes).toEqual(['*', 'shop', 'shop']);
  expect(refused).toEqual([]);
  const others = [
    [shop, '*'],
    [shop, 'shoppe'],
    [ca.role('collector'), '*'],
    [ca.role('operator'), 'shop'],
    [ca.leaf({ uris: ['spiffe://sluice/ns/shop/sa/sluice-runtime'] }), '*'],
  ] as const;
  for (const [material, scope] of others)
    await expect(ask(remote(material), HTTP, scope)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
  expect(refused).toEqual(others.map(() => ['Forbidden', expect.stringMatching(/^spiffe:/)]));
  await expect(ask(remote(), HTTP, '')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  expect(scopes).toHaveLength(3);
});

test('too many plans at once are refused, and the place is given back', async () => {
  const gate = Promise.withResolvers<void>();
  let begun = 0;
  const all = Promise.withResolvers<void>();
  node.onQuery(async () => {
    if (++begun === 4) all.resolve();
    await gate.promise;
  });
  const far = remote();
  const running = Array.from({ length: 4 }, () => ask(far, HTTP));
  await all.promise;
  await expect(ask(far, HTTP)).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
  gate.resolve();
  await Promise.all(running);
  await ask(far, HTTP);
});

const withBytes = async (answers: (ticket: Buffer) => AsyncIterable<Uint8Array>): Promise<RpcServer> =>
  startRpcServer({
    listen: '127.0.0.1:0',
    tls: tlsInMemory(ca.role('collector')),
    methods: {
      [`${FLIGHT_SERVICE}/DoGet`]: async function* doGet(requests) {
        for await (const request of requests) return yield* answers(request);
      },
      [`${FLIGHT_SERVICE}/DoAction`]: async function* doAction(requests) {
        for await (const request of requests) return yield* answers(request);
      },
    },
    isAllowed: () => true,
    onRefused: () => undefined,
    onFault: () => undefined,
  });

test('garbage is an error that names the node, never rows', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 4 }), async (messages) => {
      const liar = await withBytes(async function* () {
        yield* messages;
      });
      const far = remote(runtime, { address: `127.0.0.1:${liar.port}` });
      const question = ask(far, HTTP);
      await expect(question).rejects.toThrow(Error);
      await expect(far.state(never)).rejects.toThrow(/node node-1/);
      far.close();
      await liar.close(0);
    }),
    { numRuns: 25 },
  );
  const more = await withBytes(async function* () {
    yield encodeFlightData({ appMetadata: Buffer.from('{"end":true,"rowsRead":0,"bytesRead":0}') });
    yield encodeFlightData({ appMetadata: Buffer.from('{"end":true,"rowsRead":0,"bytesRead":0}') });
  });
  await expect(ask(remote(runtime, { address: `127.0.0.1:${more.port}` }), HTTP)).rejects.toThrow(
    /more behind the end/,
  );
  await more.close(0);
});

test('a node that is dead, mute, or somebody else is missing, with the reason, within the caller’s time', async () => {
  const free = createServer().listen(0, '127.0.0.1');
  await once(free, 'listening');
  const portOf = (tcp: TcpServer): number => {
    const address = tcp.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  };
  const dead = portOf(free);
  free.close();
  await once(free, 'close');
  await expect(remote(runtime, { address: `127.0.0.1:${dead}` }).state(never)).rejects.toThrow(
    /node node-1 \(127.0.0.1:\d+\): .*ECONNREFUSED/,
  );
  const sockets: { destroy(): void }[] = [];
  const mute = createServer((socket) => void sockets.push(socket)).listen(0, '127.0.0.1');
  await once(mute, 'listening');
  const stop = new AbortController();
  const asking = remote(runtime, { address: `127.0.0.1:${portOf(mute)}` }).state(stop.signal);
  await once(mute, 'connection');
  stop.abort(new Error('no answer in time'));
  await expect(asking).rejects.toThrow('no answer in time');
  for (const socket of sockets) socket.destroy();
  mute.close();
  const imposter = remote(runtime, { isServer: (identity) => isRole(identity, 'sluice-system', 'runtime') });
  await expect(imposter.state(never)).rejects.toThrow(/not who is expected there/);
});

test('a node that was away is not waited for again, and is asked again once it is back', async () => {
  const proxy = await faultProxy(server.port, 'hang');
  const far = remote(runtime, { address: proxy.address });
  const soon = AbortSignal.timeout(50);
  await expect(far.state(soon)).rejects.toThrow(/aborted due to timeout/);
  // no time of its own this time: it answers at once
  await expect(far.state(never)).rejects.toThrow(/node node-1 \(.*\) is away: .*timeout/);
  await proxy.set('pass');
  let state: unknown;
  while (state === undefined) {
    await new Promise((resolve) => void setImmediate(resolve));
    state = await far.state(never).catch(() => undefined);
  }
  expect(state).toMatchObject({ startTime: s(0) });
  await proxy.close();
});
