// R1–R6, R9: what the reflector asks for, and when, by the bytes that it gets. Real sockets, the clock's hands turned by the test.
import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { openKubeClient, type OpenKubeClient } from '../../src/kube/client.ts';
import { startReflector, type ReflectedStore, type ReflectorOptions } from '../../src/kube/reflector.ts';
import { CONFIG_MAPS, type ConfigMap } from '../../src/kube/resources.ts';
import type { Clock } from '../../src/kube/timers.ts';
import { createCountingMetrics, type CountingMetrics } from './counting-metrics.ts';
import { startScriptedServer, type Exchange, type ScriptedServer } from './scripted-server.ts';
import { createVirtualClock, type VirtualClock } from './virtual-clock.ts';

const SILENCE_MS = 90_000;

let server: ScriptedServer;
let client: OpenKubeClient;
let clock: VirtualClock;
let metrics: CountingMetrics;
let stop: AbortController;
let delays: number[];
let errors: string[];
let changes: string[];

beforeEach(async () => {
  server = await startScriptedServer();
  client = openKubeClient(server.access, { purpose: 'lease', userAgent: 'test' });
  clock = createVirtualClock();
  metrics = createCountingMetrics();
  stop = new AbortController();
  [delays, errors, changes] = [[], [], []];
});
afterEach(async () => {
  stop.abort();
  await client.close();
  await server.stop();
});

/** Random is 0.5: a watch of 450 s, and half of each backoff's ceiling. */
function start(options: Partial<ReflectorOptions<ConfigMap>> = {}): ReflectedStore<ConfigMap> {
  const recording: Clock = {
    now: () => clock.now(),
    after: (ms, call) => {
      if (ms !== SILENCE_MS) delays.push(ms);
      return clock.after(ms, call);
    },
  };
  const store = startReflector({
    client,
    type: CONFIG_MAPS,
    metrics,
    signal: stop.signal,
    clock: recording,
    random: () => 0.5,
    freeze: true,
    onError: (error, during) => errors.push(`${during}: ${error instanceof Error ? error.message : String(error)}`),
    ...options,
  });
  store.onChange(({ before, after, isInitial }) => {
    const word = before === undefined ? 'add' : after === undefined ? 'delete' : 'change';
    changes.push(`${word} ${(after ?? before)?.metadata.name}${isInitial ? ' (list)' : ''}`);
  });
  return store;
}

/** Turns of the event loop until it holds; the test's time limit is the only one. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}

const object = (name: string, version: string, uid = `uid-${name}`): ConfigMap => ({
  metadata: { name, namespace: 'a', uid, resourceVersion: version },
  data: { version },
});
const list = (version: string, names: readonly string[], token?: string): object => ({
  kind: 'ConfigMapList',
  metadata: { resourceVersion: version, ...(token === undefined ? {} : { continue: token }) },
  items: names.map((name) => object(name, version)),
});
const expired = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' };
const isWatch = (exchange: Exchange): boolean => exchange.query.get('watch') === 'true';

/** Answers the list and hands back the watch that follows. */
async function watching(version = '10', names: readonly string[] = ['one']): Promise<Exchange> {
  const asked = await server.next();
  expect(isWatch(asked)).toBe(false);
  asked.answer(200, list(version, names));
  const watch = await server.next();
  expect(isWatch(watch)).toBe(true);
  expect(watch.query.get('resourceVersion')).toBe(version);
  return watch;
}

/** The next request, after the backoff that the reflector is in. */
async function afterBackoff(store: ReflectedStore<ConfigMap>): Promise<Exchange> {
  await until(() => store.state().phase === 'Backoff');
  await clock.settle(delays.at(-1) ?? 0);
  return server.next();
}

describe('listing', () => {
  test('R1: pages of 500, nothing to be seen before the last one, then a watch from the version of the list', async () => {
    const store = start({ scope: { namespace: 'a', labelSelector: 'x=y' } });
    const first = await server.next();
    expect(first.path).toBe('/api/v1/namespaces/a/configmaps');
    expect(Object.fromEntries(first.query)).toEqual({ limit: '500', labelSelector: 'x=y' });
    first.answer(200, list('10', ['one', 'two'], 'more'));
    const second = await server.next();
    expect(Object.fromEntries(second.query)).toEqual({ limit: '500', labelSelector: 'x=y', continue: 'more' });
    expect([store.size, store.hasSynced, changes]).toEqual([0, false, []]);
    second.answer(200, list('10', ['three']));
    await store.synced;
    expect(changes).toEqual(['add one (list)', 'add two (list)', 'add three (list)']);
    const watch = await server.next();
    expect(Object.fromEntries(watch.query)).toEqual({
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: '10',
      timeoutSeconds: '450',
      labelSelector: 'x=y',
    });
    expect(store.state()).toMatchObject({ phase: 'Watching', lastError: undefined });
    expect(metrics.value('sluice_kube_store_objects', { resource: 'configmaps' })).toBe(3);
    expect(metrics.value('sluice_kube_relists_total')).toBeUndefined();
  });

  test('R1: timeoutSeconds lies in 300…600, whatever the dice say', async () => {
    for (const [dice, seconds] of [
      [0, '300'],
      [1 - Number.EPSILON, '600'],
    ] as const) {
      const end = new AbortController();
      const store = start({ random: () => dice, signal: end.signal });
      expect((await watching()).query.get('timeoutSeconds')).toBe(seconds);
      end.abort();
      await store.stopped;
    }
  });

  test('R1: a list that breaks off leaves the store alone; what the next one lacks is deleted', async () => {
    const store = start();
    (await watching('10', ['one', 'two'])).event('ERROR', expired).catch(() => {});
    changes.length = 0;
    (await afterBackoff(store)).answer(200, list('20', ['three'], 'more'));
    (await server.next()).reset();
    await until(() => store.state().phase === 'Backoff');
    expect([...store.all()].map(({ metadata }) => metadata.name)).toEqual(['one', 'two']);
    expect(store.state().lastError).toMatchObject({ status: undefined, reason: 'Connection' });
    (await afterBackoff(store)).answer(200, list('30', ['two']));
    await server.next();
    expect(changes).toEqual(['delete one (list)', 'change two (list)']);
    expect(metrics.value('sluice_kube_relists_total', { resource: 'configmaps' })).toBe(2);
  });

  test('R1: an expired page: the whole list at once, and only if that fails too a backoff, then pages again', async () => {
    const store = start();
    (await server.next()).answer(200, list('10', ['one'], 'old'));
    (await server.next()).answer(410, expired);
    const whole = await server.next();
    expect([whole.query.get('limit'), whole.query.get('continue'), delays]).toEqual([null, null, []]);
    whole.answer(410, expired);
    const again = await afterBackoff(store);
    expect([again.query.get('limit'), delays]).toEqual(['500', [400]]);
    again.answer(200, list('20', ['one'], 'old'));
    (await server.next()).answer(410, expired);
    (await server.next()).answer(200, list('21', ['two']));
    expect((await server.next()).query.get('resourceVersion')).toBe('21');
    expect(changes).toEqual(['add two (list)']);
  });

  test('R10: neither managedFields nor the last-applied annotation; the kind by its name; then the transform', async () => {
    const store = start({ transform: ({ data: _data, ...rest }) => rest });
    const fat = {
      metadata: {
        ...object('one', '10').metadata,
        managedFields: [{ manager: 'x' }],
        annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{}', mine: 'yes' },
      },
      data: { big: 'x' },
    };
    (await server.next()).answer(200, { metadata: { resourceVersion: '10' }, items: [fat] });
    const watch = await server.next();
    await watch.event('MODIFIED', { ...fat, metadata: { ...fat.metadata, name: 'two' } });
    await until(() => store.size === 2);
    for (const name of ['one', 'two']) {
      expect(store.get('a', name)).toEqual({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: {
          name,
          namespace: 'a',
          uid: 'uid-one',
          resourceVersion: '10',
          annotations: { mine: 'yes' },
        },
      });
    }
  });

  test('R9: metadata alone where that is asked for', async () => {
    start({ scope: { metadataOnly: true } });
    const asked = await server.next();
    expect(asked.headers.accept).toBe('application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1');
    asked.answer(200, list('1', []));
    expect((await server.next()).headers.accept).toBe('application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1');
  });
});

describe('watching', () => {
  test('R2: events and bookmarks advance the version; the end of the time is followed by the next watch at once', async () => {
    const store = start();
    const watch = await watching();
    await watch.event('ADDED', object('two', '11'));
    await watch.event('MODIFIED', object('one', '12'));
    await watch.event('DELETED', object('two', '13'));
    await until(() => store.size === 1 && changes.length === 4);
    expect(changes).toEqual(['add one (list)', 'add two', 'change one', 'delete two']);
    await clock.settle(60_000);
    await watch.event('BOOKMARK', { kind: 'ConfigMap', metadata: { resourceVersion: '99' } });
    watch.end();
    const next = await server.next();
    expect([next.query.get('resourceVersion'), delays]).toEqual(['99', []]);
    expect(metrics.value('sluice_kube_watch_reconnects_total', { resource: 'configmaps' })).toBe(1);
  });

  test('R4: a server that ends each watch at once is not asked without end', async () => {
    const store = start();
    (await watching()).end();
    (await afterBackoff(store)).end();
    const third = await afterBackoff(store);
    expect([isWatch(third), delays, errors]).toEqual([true, [400, 800], []]);
  });

  test.each<[string, (watch: Exchange) => unknown]>([
    ['a reset', (watch) => watch.reset()],
    [
      'an answer that is cut off',
      async (watch) => {
        await watch.write('{"type":"ADDED","object":{"metada');
        watch.reset();
      },
    ],
    [
      'an end in the middle of an event',
      async (watch) => {
        await watch.write('{"type":"ADDED","object":{"metada');
        watch.end();
      },
    ],
    ['429', (watch) => watch.answer(429, '')],
    ['500', (watch) => watch.answer(500, { kind: 'Status', message: 'etcdserver: leader changed' })],
    ['503', (watch) => watch.answer(503, '<html>no</html>')],
    ['504', (watch) => watch.answer(504, '')],
    ['what is no JSON', (watch) => watch.write('oops\n')],
    ['an ERROR event', (watch) => watch.event('ERROR', { kind: 'Status', code: 500, reason: 'InternalError' })],
  ])('R4: after %s it goes on from the same version', async (_name, breaks) => {
    const store = start();
    const watch = await watching();
    await watch.event('ADDED', object('two', '11')).catch(() => {});
    await until(() => store.size === 2);
    watch.end();
    await breaks(await afterBackoff(store));
    const next = await afterBackoff(store);
    expect([isWatch(next), next.query.get('resourceVersion'), delays]).toEqual([true, '11', [400, 800]]);
    expect([store.size, errors.length]).toEqual([2, 1]);
  });

  test('R4: 0.8 s doubled up to 30 s, half of each by the dice, and from the start after two minutes of health', async () => {
    const store = start();
    let watch = await watching();
    for (let times = 0; times < 8; times++) {
      watch.reset();
      watch = await afterBackoff(store);
    }
    expect(delays).toEqual([400, 800, 1600, 3200, 6400, 12_800, 15_000, 15_000]);
    // bookmarks keep it from being silent for too long
    for (const version of ['20', '21']) {
      await clock.settle(59_000);
      await watch.event('MODIFIED', object('one', version));
      await until(() => store.get('a', 'one')?.metadata.resourceVersion === version);
    }
    await clock.settle(2000);
    watch.reset();
    await afterBackoff(store);
    expect(delays.at(-1)).toBe(400);
  });

  test('R4: a wait that the server asks for is obeyed, up to half a minute', async () => {
    const store = start();
    (await watching()).answer(429, '', { 'retry-after': '7' });
    (await afterBackoff(store)).answer(429, '', { 'retry-after': '86400' });
    expect(isWatch(await afterBackoff(store))).toBe(true);
    expect(delays).toEqual([7000, 30_000]);
  });

  test.each<[string, (watch: Exchange) => unknown]>([
    ['as a status', (watch) => watch.answer(410, expired)],
    ['as an event', (watch) => watch.event('ERROR', expired)],
    ['by its reason alone', (watch) => watch.event('ERROR', { kind: 'Status', reason: 'Gone' })],
  ])('R3: 410 %s: a new list, but not at once', async (_name, tell) => {
    const store = start();
    await tell(await watching());
    const relist = await afterBackoff(store);
    expect([isWatch(relist), relist.query.get('resourceVersion'), delays]).toEqual([false, null, [400]]);
    expect(store.state().lastError).toMatchObject({ status: 410, reason: 'Expired' });
  });

  test('R3: a server that answers every watch with 410 is listed less and less often', async () => {
    const store = start();
    for (let lists = 0; lists < 8; lists++) {
      const watch = lists === 0 ? await watching() : await relisted(store);
      watch.answer(410, expired);
      await until(() => store.state().phase === 'Backoff');
    }
    expect(delays).toEqual([400, 800, 1600, 3200, 6400, 12_800, 15_000, 15_000]);
  });
  const relisted = async (store: ReflectedStore<ConfigMap>): Promise<Exchange> => {
    (await afterBackoff(store)).answer(200, list('10', ['one']));
    return server.next();
  };

  test.each([403, 404])('R4: %d: every 30 s, with the reason, until it is there', async (status) => {
    const store = start();
    const refusal = { kind: 'Status', reason: status === 403 ? 'Forbidden' : 'NotFound', message: 'no such thing' };
    const first = await server.next();
    first.answer(status, refusal);
    (await afterBackoff(store)).answer(status, refusal);
    await until(() => store.state().phase === 'Backoff');
    expect(store.state().lastError).toMatchObject({ status, reason: refusal.reason, message: 'no such thing' });
    expect([store.hasSynced, delays, errors]).toEqual([
      false,
      [30_000, 30_000],
      ['list: no such thing', 'list: no such thing'],
    ]);
    (await afterBackoff(store)).answer(200, list('10', ['one']));
    const watch = await server.next();
    expect(store.state().lastError).toBeUndefined();
    // taken away while it watches: what is stored stays, and is compared with a new list once there is one
    watch.answer(status, refusal);
    const relist = await afterBackoff(store);
    expect([isWatch(relist), store.size, delays.at(-1)]).toEqual([false, 1, 30_000]);
  });

  test('R5: 90 s without a byte: the connection is given up and the watch begun again', async () => {
    const store = start();
    const silent = await watching();
    await clock.settle(60_000);
    await silent.event('MODIFIED', object('one', '11'));
    await until(() => store.get('a', 'one')?.metadata.resourceVersion === '11');
    await clock.settle(89_000);
    expect(store.state().phase).toBe('Watching');
    await clock.settle(1000);
    await silent.closed;
    const next = await afterBackoff(store);
    expect([isWatch(next), next.query.get('resourceVersion')]).toEqual([true, '11']);
    expect(errors).toEqual(['watch: the watch was silent for 90 s']);
  });

  test('R6: what a listener, an index or a transform throws is reported and ends nothing', async () => {
    const store = start({
      indexes: {
        broken: () => {
          throw new Error('index');
        },
      },
      transform: (seen) => {
        if (seen.data?.['version'] === '12') throw new Error('transform');
        return seen;
      },
    });
    store.onChange(({ after }) => {
      if (after?.metadata.resourceVersion === '11') throw new Error('listener');
    });
    const watch = await watching();
    await watch.event('MODIFIED', object('one', '11'));
    await watch.event('MODIFIED', object('one', '12'));
    await watch.event('ADDED', object('two', '13'));
    await until(() => store.size === 2);
    // of an object that could not be read the last one that could stays
    expect(store.get('a', 'one')?.metadata.resourceVersion).toBe('11');
    expect(new Set(errors)).toEqual(new Set(['listener: index', 'listener: listener', 'transform: transform']));
    watch.end();
    const next = await afterBackoff(store);
    expect(next.query.get('resourceVersion')).toBe('13');
    next.answer(410, expired);
    (await afterBackoff(store)).answer(200, list('12', ['one', 'three']));
    await server.next();
    expect(store.get('a', 'one')?.metadata.resourceVersion).toBe('11');
    expect([store.get('a', 'two'), store.get('a', 'three')]).toEqual([undefined, undefined]);
  });

  test('a reporter that throws itself ends nothing either', async () => {
    const store = start({
      onError: () => {
        throw new Error('reporter');
      },
    });
    (await watching()).reset();
    expect(isWatch(await afterBackoff(store))).toBe(true);
  });
});

describe('stopping', () => {
  test('a watch that has ended leaves nothing with the signal of the process', async () => {
    const store = start();
    let watch = await watching();
    const before = getEventListeners(stop.signal, 'abort').length;
    for (let times = 0; times < 5; times++) {
      watch.reset();
      watch = await afterBackoff(store);
    }
    expect(getEventListeners(stop.signal, 'abort')).toHaveLength(before);
  });

  test.each<[string, (store: ReflectedStore<ConfigMap>) => Promise<unknown>]>([
    ['before the first answer', () => server.next()],
    ['while it watches', () => watching()],
    [
      'in a backoff',
      async (store) => {
        (await watching()).reset();
        await until(() => store.state().phase === 'Backoff');
      },
    ],
  ])('%s: no request, no timer, no error is left', async (_name, reach) => {
    const store = start();
    await reach(store);
    errors.length = 0;
    stop.abort();
    await store.stopped;
    expect(store.state().phase).toBe('Stopped');
    expect([clock.timers, errors]).toEqual([0, []]);
    await clock.settle(600_000);
    expect(server.waiting).toBe(0);
    expect(metrics.value('sluice_kube_store_objects') ?? 0).toBe(0);
  });
});
