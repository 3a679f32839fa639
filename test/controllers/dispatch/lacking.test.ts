// A script whose runtime lacks something of it: asked for again at a pace until it is given, by whatever class it runs.
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import type { ScheduledScript } from '../../../src/controllers/dispatch/contract.ts';
import { createDispatcher, type Dispatcher } from '../../../src/controllers/dispatcher.ts';
import { timeNs } from '../../../src/model/time.ts';
import { outcomeOf } from './memory-runtime.ts';

const SECOND = 1_000_000_000n;

const script = (revision: string): ScheduledScript => ({
  schedule: { uid: 'u', windowNs: 60n * SECOND, catchUp: { policy: 'All', maxAgeNs: 3600n * SECOND }, suspend: true },
  run: {
    scriptHash: 'h',
    scriptName: 'a/s',
    pluginUid: 'p',
    revision,
    scope: 'x',
    limits: { timeoutMs: 1000, rowsMax: 10, watermarkWaitMs: 10 },
  },
});

let dispatcher: Dispatcher;
let asked: string[];
let told: string[];

beforeEach(async () => {
  jest.useFakeTimers({ now: 1_764_028_800_000, doNotFake: ['nextTick', 'queueMicrotask'] });
  asked = [];
  told = [];
  dispatcher = createDispatcher({
    runtime: {
      ledger: async () => new Map(),
      skip: async () => ({ status: 'unknown', what: 'script' }),
      run: async (request) => {
        asked.push(request.revision);
        return request.revision === '1'
          ? { status: 'unknown', what: 'destination' }
          : { status: 'committed', outcome: outcomeOf(request, 'Complete'), delivered: true };
      },
    },
    epoch: 1,
    now: () => timeNs(BigInt(Date.now()) * 1_000_000n),
    monotonicMs: () => performance.now(),
    listener: {
      committed: () => undefined,
      failed: () => undefined,
      delivered: () => undefined,
      broke: () => undefined,
      unknown: (_, what) => told.push(what),
    },
  });
  await dispatcher.apply([script('1')]);
});
afterEach(async () => {
  dispatcher.halt(new Error('over'));
  jest.useRealTimers();
});

test('S12: a manual run asks once in each pause, and goes on at once when that is given', async () => {
  const answer = dispatcher.runNow('u', 't');
  await jest.advanceTimersByTimeAsync(900);
  expect(asked).toEqual(['1']);
  await jest.advanceTimersByTimeAsync(5000);
  expect(asked.length).toBeGreaterThan(1);
  expect(asked.length).toBeLessThanOrEqual(6);
  expect(told).toEqual(asked.map(() => 'destination'));
  asked.length = 0;
  dispatcher.set(script('2'));
  await jest.advanceTimersByTimeAsync(20);
  expect(asked).toEqual(['2']);
  expect(await answer).toEqual({ token: 't', outcome: 'Complete' });
  expect(dispatcher.progress('u')?.failures).toBe(0);
});
