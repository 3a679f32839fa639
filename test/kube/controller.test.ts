// R14, R16–R18, R20 and R30 on real stores; the clock is the test's.
import { afterEach, expect, test } from '@jest/globals';
import { ExternalError, startController, type Controller, type ControllerOptions } from '../../src/kube/controller.ts';
import { storeSource } from '../../src/kube/sources.ts';
import { createStore, type WritableStore } from '../../src/kube/store.ts';
import { ApiError, type KubeObject, type ObjectMeta } from '../../src/kube/types.ts';
import { createCountingMetrics } from './counting-metrics.ts';
import { createVirtualClock } from './virtual-clock.ts';

const object = (name: string, metadata: Partial<ObjectMeta> = {}): KubeObject => ({
  metadata: { namespace: 'ns', name, uid: `uid-${name}`, resourceVersion: '1', generation: 1, ...metadata },
});

/** Everything that is ready to happen has happened: a chain of promises and immediates has an end. */
async function calm(): Promise<void> {
  for (let turn = 0; turn < 40; turn++) await new Promise((resolve) => setImmediate(resolve));
}

function listed(objects: readonly KubeObject[]): WritableStore<KubeObject> {
  const store = createStore();
  const list = store.replace();
  objects.forEach((one) => list.add(one));
  list.commit();
  return store;
}

const started: Controller[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((controller) => controller.stop(0)));
});

function start(options: Partial<ControllerOptions> & Pick<ControllerOptions, 'reconcile'>) {
  const clock = createVirtualClock();
  const metrics = createCountingMetrics();
  const controller = startController({ name: 'c', sources: [], clock, random: () => 0, metrics, ...options });
  started.push(controller);
  const results = (result: string): number =>
    metrics.value('controller_runtime_reconcile_total', { controller: 'c', result }) ?? 0;
  return { clock, metrics, controller, results };
}

test('R11: nothing is reconciled before every store that is read has synced', async () => {
  const seen: string[] = [];
  const [own, other] = [createStore(), createStore()];
  const { controller } = start({
    sources: [storeSource(own)],
    reads: [other],
    reconcile: async (key) => void seen.push(key),
  });
  controller.enqueue('ns/early');
  own.replace().commit();
  await calm();
  expect(seen).toEqual([]);
  other.replace().commit();
  await controller.synced;
  await calm();
  expect(seen).toEqual(['ns/early']);
});

test('objects that a store had before the controller began are reconciled', async () => {
  const seen: string[] = [];
  start({
    sources: [storeSource(listed([object('a'), object('b')]))],
    reconcile: async (key) => void seen.push(key),
  });
  await calm();
  expect(seen).toEqual(['ns/a', 'ns/b']);
});

test('R16: a fresh change passes ten thousand objects of the first list', async () => {
  const store = createStore();
  const seen: string[] = [];
  start({ sources: [storeSource(store)], reconcile: async (key) => void seen.push(key) });
  const list = store.replace();
  for (let i = 0; i < 10_000; i++) list.add(object(`o${i}`));
  list.commit();
  store.set(object('fresh'));
  await calm();
  expect(seen[0]).toBe('ns/fresh');
  expect(seen.length).toBeGreaterThan(1);
});

test('R14 R21: what refers to a changed object is reconciled, what referred to it before too; a missing object as well', async () => {
  const store = listed([object('secret', { labels: { user: 'a' } })]);
  const seen: string[] = [];
  const keysOf = ({ metadata }: KubeObject): string[] => [`ns/${metadata.labels?.['user'] ?? ''}`];
  start({ sources: [storeSource(store, { keysOf })], reconcile: async (key) => void seen.push(key) });
  await calm();
  store.set(object('secret', { labels: { user: 'b' }, resourceVersion: '2' }));
  await calm();
  store.remove(object('secret'));
  await calm();
  expect(seen).toEqual(['ns/a', 'ns/a', 'ns/b', 'ns/b']);
});

test('R18: so many at a time and never two of one key', async () => {
  let [active, most] = [0, 0];
  const open: (() => void)[] = [];
  const byKey = new Map<string, number>();
  const { controller } = start({
    concurrency: 3,
    reconcile: async (key) => {
      most = Math.max(most, ++active);
      byKey.set(key, (byKey.get(key) ?? 0) + 1);
      expect(byKey.get(key)).toBe(1);
      await new Promise<void>((resolve) => open.push(resolve));
      byKey.set(key, 0);
      active--;
    },
  });
  for (let i = 0; i < 8; i++) controller.enqueue(`ns/${i % 5}`);
  await calm();
  for (let round = 0; round < 20; round++) {
    controller.enqueue(`ns/${round % 2}`);
    open.shift()?.();
    await calm();
  }
  while (open.length > 0) {
    open.shift()?.();
    await calm();
  }
  expect(most).toBe(3);
  expect(active).toBe(0);
});

test('R17 R18: done, requeue, a throw; one key never holds up another', async () => {
  const seen: string[] = [];
  let broken = true;
  const failures: number[] = [];
  const { clock, controller, results } = start({
    reconcile: async (key) => {
      seen.push(key);
      if (key === 'ns/later')
        return seen.filter((one) => one === key).length === 1
          ? { status: 'requeue', afterMs: 500 }
          : { status: 'done' };
      if (key === 'ns/broken' && broken) throw new Error('broken');
      return undefined;
    },
    onFailure: ({ failures: count }) => failures.push(count),
  });
  for (const key of ['ns/broken', 'ns/later', 'ns/good']) controller.enqueue(key);
  await calm();
  expect(seen).toEqual(['ns/broken', 'ns/later', 'ns/good']);
  seen.splice(0, 3, 'ns/later');
  clock.advance(5);
  await calm();
  expect(seen).toEqual(['ns/later', 'ns/broken']);
  clock.advance(9);
  await calm();
  expect(seen).toHaveLength(2);
  clock.advance(1);
  await calm();
  expect(seen).toHaveLength(3);
  expect(failures).toEqual([1, 2, 3]);
  broken = false;
  clock.advance(485);
  await calm();
  expect(seen).toEqual(['ns/later', 'ns/broken', 'ns/broken', 'ns/broken', 'ns/later']);
  expect([results('success'), results('requeue_after'), results('error')]).toEqual([3, 1, 3]);
});

test('R15: systems outside are asked again after a second, and later where they say so; conflicts are no errors', async () => {
  const errors: Record<string, () => Error> = {
    'ns/away': () => new ExternalError('away'),
    'ns/busy': () => new ExternalError('busy', { retryAfterMs: 7000 }),
    'ns/conflict': () => new ApiError(409, 'Conflict', 'changed'),
    'ns/many': () => new ApiError(429, 'TooManyRequests', 'slow down', 3000),
  };
  const retries = new Map<string, number>();
  const { controller, results } = start({
    reconcile: async (key) => {
      throw errors[key]?.() ?? new Error(key);
    },
    onFailure: ({ key, retryInMs }) => retries.set(key, retryInMs),
  });
  Object.keys(errors).forEach((key) => controller.enqueue(key));
  await calm();
  expect([...retries]).toEqual([
    ['ns/away', 1000],
    ['ns/busy', 7000],
    ['ns/many', 3000],
  ]);
  expect([results('error'), results('requeue')]).toEqual([3, 1]);
});

test('R18: a reconcile is aborted after its time, and the next key has its turn', async () => {
  const seen: string[] = [];
  const { clock, controller } = start({
    reconcile: async (key, signal) => {
      seen.push(key);
      if (key !== 'ns/slow') return;
      await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
    },
    onFailure: ({ key, error }) => seen.push(`${key} failed: ${String(error)}`),
  });
  controller.enqueue('ns/slow');
  controller.enqueue('ns/next');
  await calm();
  clock.advance(29_999);
  await calm();
  expect(seen).toEqual(['ns/slow']);
  clock.advance(1);
  await calm();
  expect(seen).toEqual(['ns/slow', 'ns/slow failed: Error: reconciling ns/slow took longer than 30 s', 'ns/next']);
});

test('R20: all keys come again every ten hours, give or take one', async () => {
  const seen: string[] = [];
  const { clock } = start({
    sources: [storeSource(listed([object('a')]))],
    reconcile: async (key) => void seen.push(key),
  });
  await calm();
  clock.advance(9 * 3_600_000 - 1);
  await calm();
  expect(seen).toHaveLength(1);
  clock.advance(1);
  await calm();
  expect(seen).toHaveLength(2);
  clock.advance(9 * 3_600_000);
  await calm();
  expect(seen).toHaveLength(3);
});

test('R20: where the keys come from elsewhere, these', async () => {
  const seen: string[] = [];
  const { clock } = start({ resync: () => ['ns/b', 'ns/c'], reconcile: async (key) => void seen.push(key) });
  clock.advance(10 * 3_600_000);
  await calm();
  expect(seen).toEqual(['ns/b', 'ns/c']);
});

test('R30: stop aborts at once what runs, and the next one over the same store reconciles everything', async () => {
  const store = listed([object('a'), object('b')]);
  const seen: string[] = [];
  const signals: AbortSignal[] = [];
  const first = start({
    sources: [storeSource(store)],
    reconcile: async (key, signal) => {
      seen.push(key);
      signals.push(signal);
      await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
    },
  });
  await calm();
  const stopped = first.controller.stop(0);
  // synchronously: whoever asks in this very turn must see it
  expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
  await stopped;
  store.set(object('c'));
  await calm();
  expect([seen, first.controller.depth, first.results('error')]).toEqual([['ns/a'], 0, 0]);
  start({ sources: [storeSource(store)], reconcile: async (key) => void seen.push(`again ${key}`) });
  await calm();
  expect(seen).toEqual(['ns/a', 'again ns/a', 'again ns/b', 'again ns/c']);
});

test('stop waits for what runs, aborts it after the grace, and takes nothing more', async () => {
  let finish = (): void => undefined;
  const seen: string[] = [];
  const { clock, controller } = start({
    concurrency: 2,
    reconcile: async (key, signal) => {
      seen.push(key);
      if (key === 'ns/deaf') await new Promise<void>((resolve) => (finish = resolve));
      else await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    },
  });
  controller.enqueue('ns/deaf');
  controller.enqueue('ns/obeys');
  await calm();
  let isStopped = false;
  const stopped = controller.stop(20_000).then(() => (isStopped = true));
  controller.enqueue('ns/late');
  clock.advance(20_000);
  await calm();
  expect([isStopped, controller.active]).toEqual([false, 1]);
  finish();
  await stopped;
  expect(seen).toEqual(['ns/deaf', 'ns/obeys']);
  expect(clock.timers).toBe(0);
});

test('ten thousand quick reconciles leave turns of the loop to others', async () => {
  let done = 0;
  const { controller } = start({ concurrency: 4, reconcile: async () => void done++ });
  for (let i = 0; i < 10_000; i++) controller.enqueue(`ns/${i}`);
  const isDone = (): boolean => done === 10_000;
  let turns = 0;
  for (; !isDone(); turns++) await new Promise((resolve) => setImmediate(resolve));
  expect(turns).toBeGreaterThan(1000);
});
