// How the workloads change: settings, scaling, certificates, dead nodes, on a real API server.
import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { LEAVING_SINCE } from '../../../src/controllers/workloads/decide.ts';
import { PODS } from '../../../src/kube/resources.ts';
import type { KubeObject, ResourceType } from '../../../src/kube/types.ts';
import { clusterMissing } from '../../cluster/binaries.ts';
import { waitFor } from '../../cluster/instance.ts';
import { NAMESPACE, startWorld, WAIT_MS, type World } from './world.ts';

interface PodWithVolumes extends KubeObject {
  readonly spec: { readonly volumes: readonly { readonly name: string; readonly [source: string]: unknown }[] };
}

const stateOf = (pod: PodWithVolumes | undefined): object | undefined =>
  pod?.spec.volumes.find(({ name }) => name === 'state');

const describeCluster = clusterMissing === undefined ? describe : describe.skip;

describeCluster('the workloads on an API server', () => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld('workloads-change');
  }, 600_000);
  afterAll(() => world?.stop());

  const pod = async (): Promise<PodWithVolumes | undefined> =>
    (await world.admin.list(PODS as ResourceType<PodWithVolumes>, { namespace: NAMESPACE })).items.find(
      ({ metadata }) => metadata.name === 'sluice-runtime-0',
    );

  test('C31: a StatefulSet that gains a claim is made anew, and its pods are made anew with it, with an event', async () => {
    await waitFor('the pod', async () => (await pod()) !== undefined, WAIT_MS);
    const [set, before] = [await world.get('StatefulSet', 'sluice-runtime'), await pod()];
    expect(stateOf(before)).toHaveProperty('emptyDir');
    world.apply('runtime: {storage: {size: 1Gi}}');
    await waitFor(
      'the claim',
      async () => 'volumeClaimTemplates' in (await world.specOf('StatefulSet', 'sluice-runtime').catch(() => ({}))),
      WAIT_MS,
    );
    const claims = { claimName: 'state-sluice-runtime-0' };
    await waitFor('a pod with it', async () => 'persistentVolumeClaim' in (stateOf(await pod()) ?? {}), WAIT_MS);
    const [setNow, now] = [await world.get('StatefulSet', 'sluice-runtime'), await pod()];
    expect(stateOf(now)).toEqual({ name: 'state', persistentVolumeClaim: claims });
    expect(setNow?.metadata.uid).not.toBe(set?.metadata.uid);
    expect(now?.metadata.uid).not.toBe(before?.metadata.uid);
    expect(now?.metadata.ownerReferences).toEqual([expect.objectContaining({ uid: setNow?.metadata.uid })]);
    await world.plane.kubectl(['get', 'pvc', claims.claimName, '-n', NAMESPACE]);
    expect(world.events).toContainEqual({
      type: 'Warning',
      reason: 'ImmutableFieldChanged',
      action: 'Delete',
      note: 'StatefulSet sluice-runtime has a field that cannot be changed; it is made anew',
    });
  });

  test('C31: one that loses its claim is made anew, and its pods are left to its update', async () => {
    world.apply('');
    await waitFor(
      'no claim',
      async () => {
        const spec = await world.specOf('StatefulSet', 'sluice-runtime').catch(() => undefined);
        return spec !== undefined && !('volumeClaimTemplates' in spec);
      },
      WAIT_MS,
    );
    await waitFor('a pod without it', async () => 'emptyDir' in (stateOf(await pod()) ?? {}), WAIT_MS);
    // one that is going is deleted again where a look comes before the news of it
    const notes = world.events.filter(({ reason }) => reason === 'ImmutableFieldChanged').map(({ note }) => note);
    expect([...new Set(notes)]).toEqual([
      expect.stringMatching(/made anew$/),
      expect.stringMatching(/made anew and keeps its pods$/),
    ]);
    await world.settled();
  });

  test('settings: what is not wanted any more goes, what changes is changed, nothing of it stays', async () => {
    const before = (await world.get('StatefulSet', 'sluice-runtime'))?.metadata.generation;
    world.apply('network: {policies: false}\ncollector: {priorityClassName: system-node-critical, tableBudget: 64Mi}');
    await waitFor(
      'the policies to go',
      async () =>
        (await world.get('NetworkPolicy', 'sluice-runtime')) === undefined &&
        (await world.get('NetworkPolicy', 'sluice-collector')) === undefined,
      WAIT_MS,
    );
    const template = async (): Promise<string> => JSON.stringify(await world.specOf('DaemonSet', 'sluice-collector'));
    await waitFor('the class', async () => (await template()).includes('system-node-critical'), WAIT_MS);
    expect((await world.get('StatefulSet', 'sluice-runtime'))?.metadata.generation).toBe(before);
    world.apply('');
    // a field that is sent no more is taken away
    await waitFor('the class to go', async () => !(await template()).includes('system-node-critical'), WAIT_MS);
    await world.settled();
    await world.plane.kubectl(['get', 'networkpolicy', 'sluice-operator', '-n', NAMESPACE]);
  });

  test('scaling down waits for the spool of who goes, and says since when', async () => {
    const replicas = async (): Promise<unknown> => (await world.specOf('StatefulSet', 'sluice-runtime'))['replicas'];
    world.apply('runtime: {replicas: 3}');
    await waitFor('three', async () => (await replicas()) === 3, WAIT_MS);
    world.spools.set(2, true).set(1, false);
    world.apply('runtime: {replicas: 1}');
    await waitFor(
      'the annotation',
      async () => LEAVING_SINCE in ((await world.get('StatefulSet', 'sluice-runtime'))?.metadata.annotations ?? {}),
      WAIT_MS,
    );
    // scripts belong to ordinal 0 alone from now on
    await waitFor('health', () => world.health?.runtime.replicas === 1, WAIT_MS);
    expect(await replicas()).toBe(3);
    world.spools.set(1, true);
    world.workloads.look();
    await waitFor('one', async () => (await replicas()) === 1, WAIT_MS);
    expect((await world.get('StatefulSet', 'sluice-runtime'))?.metadata.annotations).not.toHaveProperty([
      LEAVING_SINCE,
    ]);
    world.apply('runtime: {replicas: 2}');
    await waitFor('two', async () => (await replicas()) === 2, WAIT_MS);
    world.spools.clear();
    world.apply('');
    await waitFor(
      'leaving',
      async () => LEAVING_SINCE in ((await world.get('StatefulSet', 'sluice-runtime'))?.metadata.annotations ?? {}),
      WAIT_MS,
    );
    world.aheadMs += 301_000;
    world.workloads.look();
    await waitFor('one, after five minutes', async () => (await replicas()) === 1, WAIT_MS);
    world.aheadMs = 0;
  });

  test('a runtime pod that is Terminating on a dead node is deleted by force after 30 s, a living one is not', async () => {
    const node = {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: 'gone' },
      status: { conditions: [{ type: 'Ready', status: 'Unknown' }] },
    };
    await world.plane.kubectl(['create', '-f', '-'], { input: node });
    const pod = (name: string, nodeName: string) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name,
        namespace: NAMESPACE,
        finalizers: ['example.com/keep'],
        labels: {
          'app.kubernetes.io/name': 'sluice',
          'app.kubernetes.io/instance': 'sluice',
          'app.kubernetes.io/component': 'runtime',
        },
      },
      spec: { nodeName, containers: [{ name: 'runtime', image: 'none' }], volumes: [{ name: 'state', emptyDir: {} }] },
    });
    await world.plane.kubectl(['create', '-f', '-'], { input: pod('sluice-runtime-7', 'gone') });
    await world.plane.kubectl(['delete', 'pod', 'sluice-runtime-7', '-n', NAMESPACE, '--wait=false']);
    await world.settled();
    const forced = (): boolean => world.events.some(({ reason }) => reason === 'StuckOnDeadNode');
    expect(forced()).toBe(false);
    world.aheadMs = 40_000;
    world.workloads.look();
    await waitFor('the forced deletion', forced, WAIT_MS);
    world.aheadMs = 0;
    const deletion = await world.plane.auditEvent(
      ({ verb, objectRef, user }) =>
        verb === 'delete' && objectRef?.name === 'sluice-runtime-7' && user.username.endsWith(':sluice-operator'),
    );
    expect(deletion.responseStatus?.code).toBe(200);
    await world.plane
      .kubectl([
        'patch',
        'pod',
        'sluice-runtime-7',
        '-n',
        NAMESPACE,
        '--type=json',
        '-p',
        '[{"op":"remove","path":"/metadata/finalizers"}]',
      ])
      .catch(() => '');
    await world.plane.kubectl(['delete', 'node', 'gone']);
  });

  test('X13: certificates are renewed and authorities changed in seconds where the settings say so', async () => {
    const first = (await world.get('Secret', 'sluice-ca')) as unknown as { data: Record<string, string> };
    world.tls.length = 0;
    world.apply('certificates: {caValidity: 12s, caOverlap: 2s, leafValidity: 4s, renewEvery: 1s}');
    // the authority that is there has a year left: it goes by being deleted
    await world.plane.kubectl(['delete', 'secret', 'sluice-ca', '-n', NAMESPACE]);
    const authorities = new Set<string>();
    await waitFor(
      'three authorities',
      async () => {
        const ca = (await world.get('Secret', 'sluice-ca')) as unknown as { data: Record<string, string> } | undefined;
        if (ca?.data['tls.crt'] !== undefined && ca.data['tls.crt'] !== first.data['tls.crt'])
          authorities.add(ca.data['tls.crt']);
        return authorities.size >= 3;
      },
      120_000,
    );
    expect(world.tls.length).toBeGreaterThan(6);
    // who held the material before can speak with who holds the next
    for (const [at, { certificate }] of world.tls.entries()) {
      const next = world.tls[at + 1];
      if (next === undefined || at === 0) continue;
      const trusted = (next.ca.match(/-----BEGIN[^]*?-----END CERTIFICATE-----/g) ?? []).map(
        (pem) => new X509Certificate(pem),
      );
      const leaf = new X509Certificate(certificate);
      expect(trusted.some((authority) => leaf.checkIssued(authority))).toBe(true);
    }
    world.apply('');
    await world.settled();
  }, 180_000);

  test('X9: no key is in an event or a note', async () => {
    const keys = world.tls.flatMap(({ key }) =>
      key.split('\n').filter((line) => line.length > 30 && !line.includes('-----')),
    );
    expect(keys.length).toBeGreaterThan(0);
    const told = JSON.stringify([world.events, world.notes, world.health]);
    for (const key of keys) expect(told).not.toContain(key);
  });
});
