// The reflector at a real API server: compaction, rights and definitions that come and go, one watch per object, big objects.
// Its clock runs sixty times as fast as the wall's, so that backoffs of half a minute end.
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { openKubeClient, userAgent, type OpenKubeClient } from '../../src/kube/client.ts';
import { loadKubeAccess } from '../../src/kube/config.ts';
import { startReflector, type ReflectedStore, type ReflectorOptions } from '../../src/kube/reflector.ts';
import { CONFIG_MAPS, CUSTOM_RESOURCE_DEFINITIONS, SECRETS, type ConfigMap } from '../../src/kube/resources.ts';
import type { Clock } from '../../src/kube/timers.ts';
import type { KubeObject, ResourceType } from '../../src/kube/types.ts';
import { clusterMissing } from '../cluster/binaries.ts';
import { startControlPlane, type ControlPlane } from '../cluster/control-plane.ts';
import { waitFor } from '../cluster/instance.ts';
import { startFaultProxy, type FaultProxy } from './fault-proxy.ts';

const NS = 'default';
const manager = { fieldManager: 'sluice' };
const SPEED = 60;
const FAST: Clock = {
  now: () => performance.now() * SPEED,
  after: (ms, call) => {
    const timer = setTimeout(call, ms / SPEED);
    return () => clearTimeout(timer);
  },
};
const map = (name: string, data: Record<string, string> = {}): ConfigMap => ({
  metadata: { namespace: NS, name },
  data,
});

const describeCluster = clusterMissing === undefined ? describe : describe.skip;

describeCluster('the reflector at an API server', () => {
  let plane: ControlPlane;
  let proxy: FaultProxy;
  /** Past the proxy. */
  let admin: OpenKubeClient;
  let shaky: OpenKubeClient;
  const opened: OpenKubeClient[] = [];
  let stop = new AbortController();
  const stores: ReflectedStore<KubeObject>[] = [];
  const errors: string[] = [];

  const open = async (kubeconfig: string): Promise<OpenKubeClient> => {
    const access = await loadKubeAccess({ kubeconfig });
    const client = openKubeClient(access, { purpose: 'main', userAgent: userAgent('test', '0') });
    opened.push(client);
    return client;
  };

  beforeAll(async () => {
    plane = await startControlPlane({
      name: 'reflector',
      controllerManager: false,
      // the API server forgets what is older than a second, and does not page from its memory
      apiServerArgs: ['--etcd-compaction-interval=1s', '--feature-gates=ListFromCacheSnapshot=false'],
    });
    proxy = await startFaultProxy(plane.kubeconfig);
    admin = await open(plane.kubeconfig);
    shaky = await open(proxy.kubeconfig(join(plane.dir, 'proxy.conf')));
  }, 600_000);
  afterEach(async () => {
    stop.abort();
    await Promise.all(stores.splice(0).map(({ stopped }) => stopped));
    stop = new AbortController();
    errors.length = 0;
    proxy?.heal();
  });
  afterAll(async () => {
    for (const client of opened) await client.close();
    await proxy?.stop();
    await plane?.stop();
  });

  function start<T extends KubeObject>(
    client: OpenKubeClient,
    type: ResourceType<T>,
    options: Partial<ReflectorOptions<T>> = {},
  ): ReflectedStore<T> {
    const store = startReflector<T>({
      client,
      type,
      signal: stop.signal,
      clock: FAST,
      freeze: true,
      onError: (error, during) => errors.push(`${during}: ${error instanceof Error ? error.message : String(error)}`),
      ...options,
    });
    stores.push(store);
    return store;
  }

  /** Resolves after the change that makes it hold. */
  const until = <T extends KubeObject>(store: ReflectedStore<T>, holds: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (holds()) resolve();
      };
      store.onChange(look);
      look();
    });

  const poll = (holds: () => boolean | Promise<boolean>): Promise<void> => waitFor('what should be', holds, 30_000);

  test('R3: what it missed has been compacted: a new list, with the deletions', async () => {
    await admin.create(CONFIG_MAPS, map('goes'), manager);
    await admin.create(CONFIG_MAPS, map('stays'), manager);
    const store = start(shaky, CONFIG_MAPS, { scope: { namespace: NS } });
    await store.synced;
    await proxy.arrived({ verb: 'watch', resource: 'configmaps' }, 1);
    const [lists, watches] = [proxy.count({ verb: 'list' }), proxy.count({ verb: 'watch' })];
    // it hears nothing any more; the server starts anew and remembers nothing from before
    const silent = proxy.inject({ verb: 'watch', fault: { kind: 'half-open' } });
    proxy.stallNow({ verb: 'watch' });
    await admin.delete(CONFIG_MAPS, NS, 'goes');
    await admin.update(CONFIG_MAPS, map('stays', { changed: 'yes' }), manager);
    await plane.restart('apiserver');
    await admin.create(CONFIG_MAPS, map('new'), manager);
    silent.remove();
    proxy.resetNow();
    await until(store, () => store.get(NS, 'new') !== undefined);
    expect(store.get(NS, 'goes')).toBeUndefined();
    expect(store.get(NS, 'stays')?.data).toEqual({ changed: 'yes' });
    expect(proxy.count({ verb: 'list' })).toBe(lists + 1);
    expect(proxy.count({ verb: 'watch' })).toBeGreaterThan(watches);
    expect(errors.some((error) => error.startsWith('watch: too old resource version'))).toBe(true);
  });

  test('R1: the second page has been compacted: the whole list in one', async () => {
    for (let index = 0; index < 12; index++) await admin.apply(CONFIG_MAPS, map(`page-${index}`), manager);
    // pages of five, and between two of them time enough to forget the first
    const paging: OpenKubeClient = {
      ...shaky,
      list: async (type, options) => {
        const page = await shaky.list(type, options.limit === undefined ? options : { ...options, limit: 5 });
        for (let turn = 0; page.continue !== undefined; turn++) {
          await admin.apply(CONFIG_MAPS, map('turn', { turn: String(turn) }), manager);
          const again = { ...options, limit: 5, continue: page.continue };
          const expired = await admin.list(type, again).then(
            () => false,
            () => true,
          );
          if (expired) break;
        }
        return page;
      },
    };
    const lists = proxy.count({ verb: 'list' });
    const store = start(paging, CONFIG_MAPS, { scope: { namespace: NS } });
    await store.synced;
    expect(store.get(NS, 'page-11')).toBeDefined();
    const asked = proxy.seen.filter(({ verb }) => verb === 'list').slice(lists);
    expect(asked.map(({ path }) => /limit=(\d+)/.exec(path)?.[1])).toEqual(['5', '5', undefined]);
    expect(errors).toHaveLength(1);
  });

  test('R4: rights that come later, go and come back', async () => {
    await plane.kubectl(['create', 'serviceaccount', 'late', '-n', NS]);
    let recovered = 0;
    const store = start(await open(await plane.tokenKubeconfig(NS, 'late')), SECRETS, {
      scope: { namespace: NS },
      onRecovered: () => (recovered += 1),
    });
    const refused = (): boolean => store.state().lastError?.reason === 'Forbidden';
    await poll(refused);
    expect(store.state()).toMatchObject({ phase: 'Backoff', lastError: { status: 403 } });
    await plane.kubectl(['create', 'role', 'late', '-n', NS, '--verb=list,watch', '--resource=secrets']);
    await plane.kubectl(['create', 'rolebinding', 'late', '-n', NS, '--role=late', `--serviceaccount=${NS}:late`]);
    await store.synced;
    expect(store.state().lastError).toBeUndefined();
    expect(recovered).toBe(1);
  });

  test('R4: a definition that comes later, goes and comes back', async () => {
    const type = { group: 'late.sluice.dev', version: 'v1', plural: 'things', kind: 'Thing', namespaced: true };
    const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
    const definition = {
      metadata: { name: 'things.late.sluice.dev' },
      spec: {
        group: type.group,
        scope: 'Namespaced',
        names: { plural: type.plural, kind: type.kind },
        versions: [{ name: 'v1', served: true, storage: true, schema }],
      },
    };
    const thing = (name: string, text = ''): KubeObject & { text: string } => ({
      metadata: { namespace: NS, name },
      text,
    });
    const store = start(admin, type);
    await poll(() => store.state().lastError?.reason === 'NotFound');
    await admin.create(CUSTOM_RESOURCE_DEFINITIONS, definition, manager);
    await store.synced;
    // as big as etcd takes, with characters of four bytes
    await admin.create(type, thing('big', '😀'.repeat(350_000)), manager);
    await until(store, () => store.get(NS, 'big') !== undefined);
    expect(Reflect.get(store.get(NS, 'big') ?? {}, 'text')).toBe('😀'.repeat(350_000));
    await admin.delete(CUSTOM_RESOURCE_DEFINITIONS, undefined, 'things.late.sluice.dev');
    // whether its objects' deletions are told before the watch is cut off is a race in the API server; the next list says it too
    await poll(() => store.state().lastError?.reason === 'NotFound');
    const again = async (): Promise<boolean> =>
      admin.create(CUSTOM_RESOURCE_DEFINITIONS, definition, manager).then(
        () => true,
        () => false,
      );
    await poll(again);
    await poll(() => store.state().phase === 'Watching' && store.state().lastError === undefined);
    expect(store.size).toBe(0);
    await admin.create(type, thing('after'), manager);
    await until(store, () => store.get(NS, 'after') !== undefined);
  });

  test('one reflector for each of a hundred objects, by the right on these names alone', async () => {
    await plane.kubectl(['create', 'serviceaccount', 'single', '-n', NS]);
    const names = Array.from({ length: 100 }, (_, index) => `single-${index}`);
    const allowed = names.map((name) => `--resource-name=${name}`);
    await plane.kubectl(['create', 'role', 'single', '-n', NS, '--verb=list,watch', '--resource=secrets', ...allowed]);
    await plane.kubectl([
      'create',
      'rolebinding',
      'single',
      '-n',
      NS,
      '--role=single',
      `--serviceaccount=${NS}:single`,
    ]);
    const secret = (name: string): object => ({ metadata: { namespace: NS, name }, stringData: { token: name } });
    for (const name of names) await admin.create(SECRETS, secret(name) as never, manager);
    const token = (await plane.kubectl(['create', 'token', 'single', '-n', NS])).trim();
    const client = await open(proxy.kubeconfig(join(plane.dir, 'single.conf'), token));
    const all = names.map((name) =>
      start(client, SECRETS, { scope: { namespace: NS, fieldSelector: `metadata.name=${name}` } }),
    );
    await Promise.all(all.map(({ synced }) => synced));
    expect(all.map(({ size }) => size)).toEqual(names.map(() => 1));
    await admin.delete(SECRETS, NS, 'single-7');
    const [seventh] = all.slice(7);
    await until(seventh!, () => seventh!.size === 0);
    expect(all.filter(({ size }) => size === 1)).toHaveLength(99);
    // the whole kind stays closed
    const whole = start(client, SECRETS, { scope: { namespace: NS } });
    await poll(() => whole.state().lastError?.status === 403);
  });

  test('R4: nobody can connect for a while', async () => {
    const store = start(shaky, CONFIG_MAPS, { scope: { namespace: NS } });
    const quiet = start(shaky, CONFIG_MAPS, { scope: { namespace: NS, fieldSelector: 'metadata.name=nobody' } });
    await Promise.all([store.synced, quiet.synced]);
    await proxy.refuse();
    await poll(() => errors.length >= 6 && [store, quiet].every((one) => one.state().lastError !== undefined));
    await admin.apply(CONFIG_MAPS, map('meanwhile'), manager);
    await proxy.accept();
    await until(store, () => store.get(NS, 'meanwhile') !== undefined);
    expect(store.state().phase).toBe('Watching');
    // of nothing there is no event, and the first bookmark comes after a minute
    await poll(() => quiet.state().lastError === undefined);
  });
});
