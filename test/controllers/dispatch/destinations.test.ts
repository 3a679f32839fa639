// Destinations on their way to real runtimes: one that is refused, and one that goes while its runtime is not reached.
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { ConnectionListener, RuntimeClient } from '../../../src/controllers/dispatch/contract.ts';
import { createRuntimes, type Runtimes } from '../../../src/controllers/dispatch/runtimes.ts';
import { CONSOLE } from '../../runtime/harness.ts';
import { tableNode } from '../../runtime/table-node.ts';
import { startRealRuntime, type RealRuntime } from './real-runtime.ts';

const NOTHING = { message: 'the connection broke' };

/** A connection that can be cut and mended, with a runtime behind it that goes on. */
function cuttable(runtime: RealRuntime, refuses: (uid: string) => boolean) {
  let isCut = false;
  let listener: ConnectionListener | undefined;
  const there =
    <A extends readonly unknown[], R>(call: (...args: A) => Promise<R>): ((...args: A) => Promise<R>) =>
    async (...args) => {
      if (isCut) throw new Error(NOTHING.message);
      return call(...args);
    };
  return {
    connect(_: number, to: ConnectionListener): RuntimeClient {
      listener = to;
      const client = runtime.connect(to);
      return {
        ...client,
        hello: there((epoch) => client.hello(epoch)),
        status: there((signal) => client.status(signal)),
        removeDestination: there((uid, graceMs) => client.removeDestination(uid, graceMs)),
        putDestination: there(async (uid, revision, destination) => {
          if (refuses(uid)) throw new Error('the endpoint is refused');
          await client.putDestination(uid, revision, destination);
        }),
      };
    },
    cut() {
      isCut = true;
      listener?.disconnected(new Error(NOTHING.message));
    },
    async mend() {
      isCut = false;
      listener?.connected((await runtime.runtime?.hello(0))?.incarnation ?? '');
    },
  };
}

const until = async (done: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await done())) await new Promise((resolve) => setTimeout(resolve, 20));
};

let runtime: RealRuntime;
let runtimes: Runtimes;
let line: ReturnType<typeof cuttable>;
let faults: string[];

beforeEach(async () => {
  runtime = await startRealRuntime(tableNode('node-1'), () => undefined);
  faults = [];
  line = cuttable(runtime, (uid) => uid === 'bad');
  runtimes = createRuntimes({
    epoch: 1,
    replicas: 1,
    note: undefined,
    connect: (ordinal, listener) => line.connect(ordinal, listener),
    store: async () => undefined,
    onSuperseded: () => undefined,
    onChange: () => undefined,
    monotonicMs: () => performance.now(),
    onFault: (what, error) => faults.push(`${what}: ${String(error)}`),
  });
  runtimes.listen({
    up: () => undefined,
    down: () => undefined,
    gone: () => undefined,
    moved: () => undefined,
    delivered: () => undefined,
  });
});
afterEach(async () => {
  runtimes.close();
  await runtime.close();
});

const known = async (): Promise<string[]> =>
  ((await runtime.runtime?.state())?.destinations ?? []).map(({ name }) => name).sort();
const open = (): void => runtimes.open({ leftAt: () => 0, isSettled: () => true });
const isUp = (): boolean => runtimes.whyDown(0) === undefined;

test('one that is refused at the greeting keeps neither the runtime nor the others waiting', async () => {
  for (const uid of ['bad', 'good']) await runtimes.putDestination(uid, '1', CONSOLE);
  open();
  await until(isUp);
  expect(await known()).toEqual(['good']);
  expect(faults).toEqual(['runtime 0: giving it a destination: Error: the endpoint is refused']);
});

test('one that was removed while the runtime was not reached is taken from it when it is', async () => {
  open();
  await until(isUp);
  for (const uid of ['gone', 'kept']) await runtimes.putDestination(uid, '1', CONSOLE);
  runtimes.retainDestinations(new Set(['gone', 'kept']));
  expect(await known()).toEqual(['gone', 'kept']);
  line.cut();
  expect(isUp()).toBe(false);
  // does not wait for who cannot answer
  await runtimes.removeDestination('gone', 1000);
  expect(await known()).toEqual(['gone', 'kept']);
  await line.mend();
  await until(async () => (await known()).join() === 'kept');
});
