// R8, R11: what the operator works from where one of the watched namespaces is closed to it, by the rights of a real API server.
// The clock of the stores runs sixty times as fast as the wall's: what was refused is asked for again after half a minute.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { EXPORT_SCRIPTS, OTEL_PLUGINS } from '../../src/cli/operator/kinds.ts';
import { startKindStores, type KindStores } from '../../src/cli/operator/stores.ts';
import { openKubeClient, type OpenKubeClient } from '../../src/kube/client.ts';
import { loadKubeAccess } from '../../src/kube/config.ts';
import type { Clock } from '../../src/kube/timers.ts';
import { NO_METRICS } from '../../src/model/metrics.ts';
import { clusterMissing } from '../cluster/binaries.ts';
import { startControlPlane, type ControlPlane } from '../cluster/control-plane.ts';
import { waitFor } from '../cluster/instance.ts';

const SPEED = 60;
const FAST: Clock = {
  now: () => performance.now() * SPEED,
  after: (ms, call) => {
    const timer = setTimeout(call, ms / SPEED);
    return () => clearTimeout(timer);
  },
};
const WAIT_MS = 30_000;
const OPEN = ['shop', 'bank'];
const CLOSED = 'tenant';

const describeCluster = clusterMissing === undefined ? describe : describe.skip;

describeCluster('stores of several namespaces', () => {
  let plane: ControlPlane;
  let client: OpenKubeClient;
  const stop = new AbortController();
  const errors: string[] = [];

  const grant = async (namespace: string, resources: string): Promise<void> => {
    const name = resources.replace('.', '-');
    await plane.kubectl(['create', 'role', name, '-n', namespace, '--verb=list,watch', `--resource=${resources}`]);
    await plane.kubectl([
      'create',
      'rolebinding',
      name,
      '-n',
      namespace,
      `--role=${name}`,
      '--serviceaccount=default:late',
    ]);
  };
  const start = (namespaces: readonly string[]): KindStores =>
    startKindStores({
      client,
      namespaces,
      metrics: NO_METRICS,
      signal: stop.signal,
      clock: FAST,
      onError: (what, error) => errors.push(`${what}: ${String(error)}`),
    });

  beforeAll(async () => {
    plane = await startControlPlane({ name: 'kinds', controllerManager: false });
    await plane.kubectl(['apply', '-k', 'config/crd']);
    await plane.kubectl(['create', 'serviceaccount', 'late', '-n', 'default']);
    const admin = openKubeClient(await loadKubeAccess({ kubeconfig: plane.kubeconfig }), {
      purpose: 'main',
      userAgent: 'test',
    });
    for (const namespace of [...OPEN, CLOSED]) {
      await plane.kubectl(['create', 'namespace', namespace]);
      const plugin = { metadata: { namespace, name: 'out' }, spec: { destination: { type: 'Console' } } };
      const script = {
        metadata: { namespace, name: 'one' },
        spec: { pluginRef: { name: 'out' }, script: { inline: 'import px' } },
      };
      const written = { fieldManager: 'test' };
      const create = async (): Promise<boolean> => {
        await admin.apply(OTEL_PLUGINS, plugin, written);
        await admin.apply(EXPORT_SCRIPTS, script, written);
        return true;
      };
      await waitFor('the kinds to be served', () => create().catch(() => false), WAIT_MS);
    }
    await admin.close();
    for (const namespace of OPEN)
      for (const kind of ['otelplugins.sluice.dev', 'exportscripts.sluice.dev']) await grant(namespace, kind);
    const access = await loadKubeAccess({ kubeconfig: await plane.tokenKubeconfig('default', 'late') });
    client = openKubeClient(access, { purpose: 'main', userAgent: 'test' });
  }, 600_000);
  afterAll(async () => {
    stop.abort();
    await client?.close();
    await plane?.stop();
  });

  test('a closed one holds up no other, is named, and is there once both rights are', async () => {
    const kinds = start([...OPEN, CLOSED]);
    const grown: string[] = [];
    kinds.onGrown((namespace) => grown.push(namespace));
    await kinds.begun;
    const before = kinds.view();
    expect([before.namespaces, before.isWhole, before.isUnread(CLOSED), before.isUnread('shop')]).toEqual([
      OPEN,
      false,
      true,
      false,
    ]);
    expect(Array.from(before.scripts.all(), ({ metadata }) => metadata.namespace).toSorted()).toEqual(OPEN.toSorted());
    expect(before.scripts.hasSynced && before.plugins.hasSynced).toBe(true);
    expect(kinds.state()).toMatch(
      /^namespace tenant: Forbidden: exportscripts\.sluice\.dev is forbidden: .* in the namespace "tenant"$/,
    );
    // with one of two kinds a script would be without its plugin
    await grant(CLOSED, 'exportscripts.sluice.dev');
    await waitFor(
      'the other kind to be named',
      () => /tenant: Forbidden: otelplugins/.test(String(kinds.state())),
      WAIT_MS,
    );
    expect([kinds.view().namespaces, grown]).toEqual([OPEN, []]);
    // each was told once, however often it was asked for
    expect(errors).toHaveLength(2);
    await grant(CLOSED, 'otelplugins.sluice.dev');
    await waitFor('the namespace', () => grown.length > 0, WAIT_MS);
    const after = kinds.view();
    expect([grown, after.isWhole, after.isUnread(CLOSED), kinds.state()]).toEqual([[CLOSED], true, false, true]);
    expect([after.scripts.get(CLOSED, 'one'), after.plugins.get(CLOSED, 'out')]).toEqual([
      expect.anything(),
      expect.anything(),
    ]);
    expect(before.scripts.get(CLOSED, 'one')).toBeUndefined();
  }, 120_000);

  test('where all are closed nothing begins before one is open', async () => {
    await plane.kubectl(['create', 'namespace', 'vault']);
    const kinds = start(['vault']);
    let hasBegun = false;
    void kinds.begun.then(() => (hasBegun = true));
    await waitFor('the refusal', () => String(kinds.state()).startsWith('namespace vault: Forbidden'), WAIT_MS);
    expect(hasBegun).toBe(false);
    for (const kind of ['otelplugins.sluice.dev', 'exportscripts.sluice.dev']) await grant('vault', kind);
    await kinds.begun;
    expect(kinds.view()).toMatchObject({ namespaces: ['vault'], isWhole: true });
  }, 120_000);
});
