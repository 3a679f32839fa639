import { describe, expect, test } from '@jest/globals';
import { createRuntimeStates, mergeDestinations, mergeNodes } from '../../src/controllers/runtime-states.ts';
import { timeNs } from '../../src/model/time.ts';
import type { DestinationStatus, NodeStatus, RuntimeStatus } from '../../src/rpc/run-contract.ts';

const at = (seconds: number) => timeNs(BigInt(seconds) * 1_000_000_000n);
const destination = (more: Partial<DestinationStatus>): DestinationStatus => ({
  name: 'plugin',
  batches: 0,
  bytes: 0,
  activity: 'idle',
  consecutiveFailures: 0,
  ...more,
});
const node = (more: Partial<NodeStatus>): NodeStatus => ({
  name: 'n1',
  answered: true,
  why: '',
  startTime: at(1),
  blind: [],
  ...more,
});
const status = (more: Partial<RuntimeStatus>): RuntimeStatus => ({
  incarnation: 'a',
  version: '0',
  activeRuns: 0,
  waitingRuns: 0,
  spoolBytes: 0,
  spoolBytesMax: 1,
  destinations: [],
  nodes: [],
  presets: [],
  ...more,
});
const unavailable = { code: 'UNAVAILABLE', message: 'connection refused', at: at(5) };

describe('a destination over all runtimes', () => {
  test('adds up what waits and keeps the newest success', () => {
    expect(
      mergeDestinations([
        destination({ batches: 2, bytes: 10, lastSuccessAt: at(3) }),
        destination({ batches: 1, bytes: 5, lastSuccessAt: at(7) }),
      ]),
    ).toEqual({ failing: undefined, lastSuccessMs: 7000, batches: 3, bytes: 15 });
  });

  test('is failing while one of them waits to try again, also during that attempt', () => {
    const waits = destination({ activity: 'backing-off', consecutiveFailures: 1, lastError: unavailable });
    expect(mergeDestinations([destination({}), waits]).failing).toMatchObject({ permanent: false });
    expect(mergeDestinations([{ ...waits, activity: 'sending' }]).failing).toMatchObject({
      fault: { reason: 'Retrying' },
    });
    expect(mergeDestinations([{ ...waits, activity: 'idle' }]).failing).toBeUndefined();
  });

  test('says what needs a hand before what passes', () => {
    const passing = destination({ activity: 'backing-off', consecutiveFailures: 1, lastError: unavailable });
    const denied = destination({
      activity: 'backing-off',
      consecutiveFailures: 1,
      lastError: { code: 'UNAUTHENTICATED', message: 'bad token', at: at(5) },
    });
    for (const order of [
      [passing, denied],
      [denied, passing],
    ])
      expect(mergeDestinations(order).failing).toMatchObject({ fault: { reason: 'Unauthorized' }, permanent: true });
  });
});

test('a node that answered any runtime has answered', () => {
  const away = node({ answered: false, why: 'refused' });
  expect(mergeNodes([status({ nodes: [away] }), status({ nodes: [node({}), node({ name: 'a' })] })])).toMatchObject([
    { name: 'a', answered: true },
    { name: 'n1', answered: true },
  ]);
  expect(mergeNodes([status({ nodes: [away] })])).toMatchObject([{ answered: false, why: 'refused' }]);
});

test('tells what has changed, and keeps what it knew of a runtime that does not answer', async () => {
  const changes: unknown[] = [];
  let nodeChanges = 0;
  let answer: () => Promise<RuntimeStatus> = async () =>
    status({ destinations: [destination({ batches: 1 })], nodes: [node({})] });
  const runtimes = new Map([[0, { status: () => answer() }]]);
  const states = createRuntimeStates({
    runtimes: () => runtimes,
    timeoutMs: 1000,
    onDestinations: (changed) => changes.push(changed),
    onNodes: () => (nodeChanges += 1),
  });
  const { signal } = new AbortController();
  await states.refresh(signal);
  await states.refresh(signal);
  expect(changes).toEqual([[{ name: 'plugin', isFailing: false }]]);
  expect(nodeChanges).toBe(1);
  answer = async () => {
    throw new Error('away');
  };
  await states.refresh(signal);
  expect(states.destination('plugin').batches).toBe(1);
  answer = async () =>
    status({
      destinations: [destination({ activity: 'backing-off', consecutiveFailures: 1, lastError: unavailable })],
      nodes: [node({})],
    });
  await states.refresh(signal);
  expect(changes.at(-1)).toEqual([{ name: 'plugin', isFailing: true }]);
  runtimes.clear();
  await states.refresh(signal);
  expect([states.destination('plugin').failing, states.nodes()]).toEqual([undefined, []]);
});
