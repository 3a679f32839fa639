// What the API server refuses for a while: the controllers come back to it by themselves, for nothing in the cluster tells
// that a right was given. A real API server with real rights.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { EXPORT_SCRIPTS, objectOf, OTEL_PLUGINS } from '../../src/cli/operator/kinds.ts';
import { createScriptTexts, slimScript, type SlimScript } from '../../src/controllers/exportscript/ingest.ts';
import { followObjects } from '../../src/controllers/follow-object.ts';
import type { PluginEntry } from '../../src/controllers/otelplugin/entries.ts';
import { slimPlugin, type SlimPlugin } from '../../src/controllers/otelplugin/ingest.ts';
import { BY_OWNER, createPluginReconcile, ownerOf } from '../../src/controllers/otelplugin/reconcile.ts';
import { createReferences, type ReferenceKind } from '../../src/controllers/references.ts';
import { openKubeClient, type OpenKubeClient } from '../../src/kube/client.ts';
import { loadKubeAccess } from '../../src/kube/config.ts';
import { startController } from '../../src/kube/controller.ts';
import { startReflector } from '../../src/kube/reflector.ts';
import type { KubeObject } from '../../src/kube/types.ts';
import { NO_METRICS } from '../../src/model/metrics.ts';
import { clusterMissing } from '../cluster/binaries.ts';
import { startControlPlane, type ControlPlane } from '../cluster/control-plane.ts';
import { waitFor } from '../cluster/instance.ts';
import { startFaultProxy, type FaultProxy } from '../kube/fault-proxy.ts';
import { createVirtualClock } from '../kube/virtual-clock.ts';
import { configMap, plugin, secret } from '../operator/objects.ts';

const NAMESPACE = 'tenant';
const ACCOUNT = 'operator';
/** A refusal is asked about again every 30 s. */
const WAIT_MS = 90_000;

const describeCluster = clusterMissing === undefined ? describe : describe.skip;

describeCluster('rights that come later', () => {
  let plane: ControlPlane;
  let proxy: FaultProxy;
  let admin: OpenKubeClient;
  /** May what a test lets it, and goes through the proxy. */
  let limited: OpenKubeClient;
  const stop = new AbortController();

  const open = async (kubeconfig: string): Promise<OpenKubeClient> =>
    openKubeClient(await loadKubeAccess({ kubeconfig }), { purpose: 'main', userAgent: 'sluice-test' });

  beforeAll(async () => {
    plane = await startControlPlane({ name: 'refused', controllerManager: false });
    proxy = await startFaultProxy(plane.kubeconfig);
    await plane.kubectl(['apply', '-k', 'config/crd']);
    await plane.kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s']);
    await plane.kubectl(['create', 'namespace', NAMESPACE]);
    await plane.kubectl(['create', 'serviceaccount', ACCOUNT, '-n', NAMESPACE]);
    const token = await plane.kubectl(['create', 'token', ACCOUNT, '-n', NAMESPACE]);
    admin = await open(plane.kubeconfig);
    limited = await open(proxy.kubeconfig(join(plane.dir, 'limited.conf'), token.trim()));
  }, 600_000);
  afterAll(async () => {
    stop.abort();
    await limited?.close();
    await admin?.close();
    await proxy?.stop();
    await plane?.stop();
  });

  const apply = (...items: readonly object[]): Promise<string> =>
    plane.kubectl(['apply', '-f', '-'], { input: { apiVersion: 'v1', kind: 'List', items } });

  /** Resolves once the API server itself has heard of it: its authorizer lags behind what is stored. */
  const may = (verb: string, what: string, answer: boolean): Promise<void> =>
    waitFor(
      `${verb} ${what} to be ${answer ? 'allowed' : 'forbidden'}`,
      async () => {
        const account = `--as=system:serviceaccount:${NAMESPACE}:${ACCOUNT}`;
        const asked = plane.kubectl(['auth', 'can-i', verb, what, '-n', NAMESPACE, account]);
        return (
          (await asked.then(
            () => true,
            () => false,
          )) === answer
        );
      },
      WAIT_MS,
    );

  const role = (name: string, ...rules: readonly object[]): object => ({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'Role',
    metadata: { name, namespace: NAMESPACE },
    rules,
  });
  const binding = (name: string): object => ({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name, namespace: NAMESPACE },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
    subjects: [{ kind: 'ServiceAccount', name: ACCOUNT, namespace: NAMESPACE }],
  });

  test('X8: who names a Secret or a ConfigMap is told when it may be read again, though it is as it was', async () => {
    const read = {
      apiGroups: [''],
      resources: ['secrets', 'configmaps'],
      resourceNames: ['named'],
      verbs: ['get', 'list', 'watch'],
    };
    await apply(
      secret('named', NAMESPACE, { key: 'a secret' }),
      configMap('named', NAMESPACE, { key: 'a map' }),
      secret('never', NAMESPACE, { key: 'another' }),
      role('reads', read),
      binding('reads'),
    );
    await may('watch', 'secrets/named', true);
    const users: Readonly<Record<string, readonly [ReferenceKind, string]>> = {
      secret: ['Secret', 'named'],
      map: ['ConfigMap', 'named'],
      never: ['Secret', 'never'],
    };
    /** What each user found when it was told, in turn. */
    const found = new Map<string, string[]>(Object.keys(users).map((user) => [user, []]));
    const look = new Map<string, () => string>();
    const follow = followObjects({
      client: limited,
      metrics: NO_METRICS,
      signal: stop.signal,
      onError: () => undefined,
    });
    const references = createReferences(follow, (user) => {
      const now = look.get(user)?.() ?? '';
      const before = found.get(user);
      if (before?.at(-1) !== now) before?.push(now);
    });
    for (const [user, [kind, name]] of Object.entries(users)) {
      const names = { secrets: kind === 'Secret' ? [name] : [], configMaps: kind === 'ConfigMap' ? [name] : [] };
      const lookup = references.use(user, NAMESPACE, names);
      look.set(user, () => {
        const values = lookup(kind, name);
        return typeof values === 'string' ? values : Buffer.from(values.get('key') ?? []).toString();
      });
    }
    const all = (secretIs: string, mapIs: string, neverIs: string): Promise<void> =>
      waitFor(
        `${secretIs}, ${mapIs}, ${neverIs}`,
        () =>
          JSON.stringify([...found.values()].map((one) => one.at(-1))) === JSON.stringify([secretIs, mapIs, neverIs]),
        WAIT_MS,
      );
    await all('a secret', 'a map', 'forbidden');
    await proxy.arrived({ verb: 'watch', resource: 'secrets' }, 1);
    await proxy.arrived({ verb: 'watch', resource: 'configmaps' }, 1);
    await plane.kubectl(['delete', 'rolebinding', 'reads', '-n', NAMESPACE]);
    await may('watch', 'secrets/named', false);
    // a watch that is open stays open
    proxy.resetNow({ verb: 'watch' });
    await all('forbidden', 'forbidden', 'forbidden');
    await apply(role('reads', { ...read, resourceNames: ['named', 'never'] }), binding('reads'));
    await all('a secret', 'a map', 'another');
    expect(Object.fromEntries(found)).toEqual({
      secret: ['a secret', 'forbidden', 'a secret'],
      map: ['a map', 'forbidden', 'a map'],
      never: ['forbidden', 'another'],
    });
    references.stop();
  }, 240_000);

  test('R17: presets that could not be written are tried again by themselves, and not once they are there', async () => {
    const key = `${NAMESPACE}/presets`;
    const follow = { client: admin, scope: { namespace: NAMESPACE }, signal: stop.signal };
    const plugins = startReflector<KubeObject, SlimPlugin>({
      ...follow,
      type: OTEL_PLUGINS,
      transform: (object) => slimPlugin(objectOf(OTEL_PLUGINS, object)),
    });
    const texts = createScriptTexts();
    const scripts = startReflector<KubeObject, SlimScript>({
      ...follow,
      type: EXPORT_SCRIPTS,
      indexes: { [BY_OWNER]: ownerOf },
      transform: (object, before) => slimScript(objectOf(EXPORT_SCRIPTS, object), texts, before),
    });
    const entries = new Map<string, PluginEntry>();
    const given: string[] = [];
    const faults: string[] = [];
    const clock = createVirtualClock();
    const controller = startController({
      name: 'otelplugin',
      sources: [],
      reads: [plugins, scripts],
      clock,
      reconcile: createPluginReconcile({
        plugins,
        scripts,
        entries,
        references: createReferences(
          followObjects({ ...follow, metrics: NO_METRICS, onError: () => undefined }),
          () => undefined,
        ),
        client: limited,
        scriptType: EXPORT_SCRIPTS,
        pluginType: OTEL_PLUGINS,
        dispatch: {
          putDestination: async (uid) => void given.push(uid),
          removeDestination: () => Promise.resolve(),
        },
        presetNames: ['http-metrics'],
        operatorNamespace: NAMESPACE,
        onChange: () => undefined,
        onGone: () => undefined,
        onFault: (what) => faults.push(what),
      }),
    });
    try {
      await apply(plugin('presets', NAMESPACE, 'backend:4317', {}, { presets: { include: ['http-metrics'] } }));
      await waitFor('the plugin', () => plugins.get(NAMESPACE, 'presets') !== undefined, WAIT_MS);
      // the only time that anybody asks for it
      controller.enqueue(key);
      const isIdle = (): boolean => controller.active + controller.depth === 0;
      await waitFor('the first try', () => faults.length > 0 && isIdle(), WAIT_MS);
      expect(entries.get(key)?.presets).toEqual({
        reason: 'NotSynced',
        message: expect.stringContaining('exportscripts.sluice.dev "presets-http-metrics" is forbidden'),
      });
      await apply(
        role(
          'writes',
          { apiGroups: ['sluice.dev'], resources: ['exportscripts'], verbs: ['get', 'create', 'patch', 'delete'] },
          { apiGroups: ['sluice.dev'], resources: ['otelplugins/finalizers'], verbs: ['update'] },
        ),
        binding('writes'),
      );
      await may('patch', 'exportscripts.sluice.dev', true);
      expect([scripts.size, faults.length]).toEqual([0, 1]);
      clock.advance(60_000);
      await waitFor('the script', () => scripts.get(NAMESPACE, 'presets-http-metrics') !== undefined, WAIT_MS);
      await waitFor('the end of it', isIdle, WAIT_MS);
      expect(entries.get(key)?.presets).toBeUndefined();
      // what could be given was given at the first try
      expect(given).toEqual([plugins.get(NAMESPACE, 'presets')?.metadata.uid]);
      const asked = proxy.count({ resource: 'exportscripts' });
      await clock.settle(60_000);
      await waitFor('nothing', isIdle, WAIT_MS);
      expect([proxy.count({ resource: 'exportscripts' }), faults.length]).toEqual([asked, 1]);
    } finally {
      await controller.stop(0);
    }
  }, 240_000);
});
