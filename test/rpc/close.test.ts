// What a closed connection, and a signal, do to calls that a peer never answers.
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { openRunClient, type RunClient } from '../../src/rpc/run-client.ts';
import { RUN_SERVICE } from '../../src/rpc/run-server.ts';
import { startRpcServer, type RpcServer } from '../../src/rpc/server.ts';
import { CONSOLE, s } from '../runtime/harness.ts';
import { ECHO, echoChannel, echoServer, SLOW } from './echo.ts';

const CLOSED = { code: 'CANCELLED', message: 'the test server: the connection was closed' };
const METHODS = ['Hello', 'Compile', 'PutDestination', 'RemoveDestination', 'Ledger', 'Skip', 'State', 'Run'] as const;

/** Says `began` of each call, and no more. */
async function silentRuntime(began: () => void): Promise<RpcServer> {
  const silent = async function* silent(
    requests: AsyncIterable<Uint8Array>,
    { signal }: { readonly signal: AbortSignal },
  ): AsyncGenerator<Uint8Array> {
    for await (const request of requests) {
      began();
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      yield request;
    }
  };
  return startRpcServer({
    listen: '127.0.0.1:0',
    tls: undefined,
    methods: Object.fromEntries(METHODS.map((method) => [`${RUN_SERVICE}/${method}`, silent])),
    isAllowed: () => true,
    onRefused: () => undefined,
    onFault: () => undefined,
  });
}

let server: RpcServer;
let client: RunClient;
let begun = 0;
let look = (): void => undefined;

const calls = (count: number): Promise<void> =>
  new Promise((resolve) => {
    look = () => {
      if (begun >= count) resolve();
    };
    look();
  });

beforeEach(async () => {
  begun = 0;
  server = await silentRuntime(() => {
    begun++;
    look();
  });
  client = openRunClient({
    address: `127.0.0.1:${server.port}`,
    tls: undefined,
    isServer: () => true,
    peer: 'the test server',
    version: '1.2.3',
  });
});
afterEach(async () => {
  look = () => undefined;
  client.close();
  await server.close(0);
});

const skip = { epoch: 1, uid: 'uid', start: s(0), end: s(1), reason: 'Suspended' };
const compile = { script: { kind: 'text', text: 'import px' }, args: {}, uid: 'uid' } as const;
const all = (signal: AbortSignal): Promise<unknown>[] => [
  client.hello(1, signal),
  client.compile(compile, signal),
  client.putDestination('plugin', '1', CONSOLE, signal),
  client.removeDestination('plugin', 1000, signal),
  client.ledger(['uid'], signal),
  client.skip(skip, signal),
  client.status(signal),
];

test('a signal ends each call, which rejects with its reason', async () => {
  const stop = new AbortController();
  const outcomes = Promise.allSettled(all(stop.signal));
  await calls(7);
  const reason = new Error('the reconcile took too long');
  stop.abort(reason);
  expect((await outcomes).map((one) => one.status === 'rejected' && one.reason === reason)).toEqual(
    Array.from({ length: 7 }, () => true),
  );
});

test('closing ends every call under way, runs too, with a clear error; later ones are not made', async () => {
  const never = new AbortController().signal;
  const limits = { timeoutMs: 600_000, rowsMax: 1, watermarkWaitMs: 0 };
  const run = client.run(
    {
      runId: 'run',
      epoch: 1,
      scriptHash: 'hash',
      uid: 'uid',
      scriptName: 'shop/requests',
      start: s(0),
      end: s(1),
      pluginUid: 'plugin',
      revision: '1',
      scope: '*',
      limits,
    },
    never,
  );
  const outcomes = Promise.allSettled([...all(never), run]);
  await calls(8);
  client.close();
  for (const outcome of await outcomes)
    expect(outcome).toMatchObject({ status: 'rejected', reason: expect.objectContaining(CLOSED) });
  await expect(client.hello(1)).rejects.toMatchObject(CLOSED);
});

test('closing ends streams, and calls whose connection was never made', async () => {
  const echo = await echoServer(undefined);
  const [channel, away] = [echoChannel(echo.port, undefined), echoChannel(1, undefined)];
  try {
    const stream = channel.stream(SLOW);
    stream.send(Buffer.from('hello'));
    const read = stream.replies[Symbol.asyncIterator]().next();
    const waits = away.stream(ECHO).replies[Symbol.asyncIterator]().next();
    await echo.slowBegun;
    const outcomes = Promise.allSettled([read, waits]);
    channel.close();
    away.close();
    const [first, second] = await outcomes;
    expect(first).toMatchObject({ status: 'rejected', reason: expect.objectContaining(CLOSED) });
    expect(second).toMatchObject({ status: 'rejected' });
  } finally {
    await echo.close(0);
  }
});
