// Whose is what: objects that the operator makes are made, kept and left alone, on a real API server.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { desiredChildren } from '../../../src/controllers/workloads/decide.ts';
import { ownedPart } from '../../../src/controllers/workloads/write-child.ts';
import { createStore } from '../../../src/kube/store.ts';
import type { KubeObject } from '../../../src/kube/types.ts';
import { clusterMissing } from '../../cluster/binaries.ts';
import { waitFor } from '../../cluster/instance.ts';
import { inputsOf } from './inputs.ts';
import { CHILDREN, NAMESPACE, startWorld, WAIT_MS, type Kind, type World } from './world.ts';

const describeCluster = clusterMissing === undefined ? describe : describe.skip;

type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** JSON pointers of all values in an object that are neither lists nor objects. */
function leaves(value: Json, path = ''): [string, Json][] {
  if (typeof value !== 'object' || value === null) return [[path, value]];
  return Object.entries(value).flatMap(([name, inner]) =>
    leaves(inner, `${path}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`),
  );
}

/** Another value of the same type. */
const other = (value: Json): Json =>
  typeof value === 'boolean'
    ? !value
    : typeof value === 'number'
      ? value + 1
      : typeof value === 'string'
        ? value === ''
          ? 'x'
          : `${value.slice(0, -1)}${value.endsWith('x') ? 'y' : 'x'}`
        : value;

describeCluster('objects of the operator on an API server', () => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld('workloads-own');
  }, 600_000);
  afterAll(() => world?.stop());

  test('X3, C24, C27: are made with the rights of config/rbac, by apply, owned by the Deployment', async () => {
    const uid = await world.ownUid();
    expect(world.failures).toEqual([]);
    for (const [kind, name] of CHILDREN) {
      const object = (await world.get(kind, name)) as KubeObject & {
        metadata: { managedFields: { manager: string; operation: string }[] };
      };
      expect(object.metadata.ownerReferences).toEqual([expect.objectContaining({ uid, controller: true })]);
      expect(object.metadata.managedFields).toContainEqual(
        expect.objectContaining({ manager: 'sluice', operation: 'Apply' }),
      );
    }
    // what no settings name is what the Deployment has
    const { template } = (await world.specOf('DaemonSet', 'sluice-collector')) as unknown as {
      template: { spec: { containers: { image: string }[] } };
    };
    expect(template.spec.containers.map(({ image }) => image)).toEqual([
      'localhost/sluice:dev',
      'localhost/sluice:dev',
    ]);
    expect(world.tls).toHaveLength(1);
    expect(new X509Certificate(world.tls[0]?.certificate ?? '').subjectAltName).toContain('sa/sluice-operator');
    expect(world.ends['operator']).toBe(Date.parse(new X509Certificate(world.tls[0]?.certificate ?? '').validTo));
    expect(Object.keys(world.ends).toSorted()).toEqual(['authority', 'collector', 'operator', 'runtime']);
    expect(world.health).toMatchObject({
      collector: { total: 0, fault: { reason: 'NoNodes' } },
      runtime: { replicas: 1, ready: 0 },
    });
  });

  test('C28: nothing is written while nothing differs, whatever else changes', async () => {
    await world.settled();
    const before = world.written().length;
    await world.plane.kubectl(['annotate', 'daemonset', 'sluice-collector', '-n', NAMESPACE, 'example.com/note=1']);
    await world.plane.kubectl(['label', 'service', 'sluice-runtime', '-n', NAMESPACE, 'example.com/team=one']);
    for (let i = 0; i < 3; i++) {
      world.workloads.look();
      await world.settled();
    }
    // a line of the log that comes after all of the above
    await world.admin.get(world.typeOf('Service'), NAMESPACE, 'sluice-runtime');
    await world.plane.auditEvent(
      ({ verb, objectRef, user }) =>
        verb === 'get' && objectRef?.name === 'sluice-runtime' && user.username === 'admin',
    );
    expect(world.written().slice(before)).toEqual([]);
  });

  test('C27: every field of theirs that somebody edits is put back, and what others added stays', async () => {
    let repaired = 0;
    // an ordinal that somebody added goes once it has nothing to send
    world.spools.set(1, true);
    const { deploymentUid, ...installation } = inputsOf('', { deploymentUid: await world.ownUid() }).installation;
    const intended = desiredChildren(inputsOf('', { ...installation, deploymentUid }), {
      replicas: 1,
      leavingSince: undefined,
    });
    for (const child of intended) {
      const [kind, name] = [child.kind as Kind, child.metadata.name];
      await world.plane.kubectl(['annotate', '--overwrite', kind, name, '-n', NAMESPACE, 'example.com/mine=kept']);
      const ours = (object: unknown): string => JSON.stringify(ownedPart(child, object));
      const original = (await world.get(kind, name)) as KubeObject & { spec: Json; metadata: { labels: Json } };
      const patch = (path: string, value: Json) =>
        world.admin.patchJson(world.typeOf(kind), NAMESPACE, name, [{ op: 'replace', path, value }], {
          fieldManager: 'somebody',
        });
      for (const [path, value] of [
        ...leaves(original.spec, '/spec'),
        ...leaves(original.metadata.labels, '/metadata/labels'),
      ]) {
        // what the API server itself refuses needs no repair
        const edited = await patch(path, other(value)).catch(() => undefined);
        if (edited === undefined) continue;
        if (ours(edited) === ours(original)) {
          await patch(path, value);
          continue;
        }
        const isBack = async (): Promise<boolean> => ours(await world.get(kind, name)) === ours(original);
        await waitFor(`${kind} ${name} ${path}`, isBack, WAIT_MS);
        repaired++;
      }
      expect((await world.get(kind, name))?.metadata.annotations).toMatchObject({ 'example.com/mine': 'kept' });
    }
    world.spools.clear();
    expect(repaired).toBeGreaterThan(120);
    expect(world.failures).toEqual([]);
  }, 300_000);

  test('come back when they are deleted', async () => {
    for (const [kind, name] of CHILDREN) {
      const before = await world.get(kind, name);
      await world.plane.kubectl(['delete', kind, name, '-n', NAMESPACE, '--wait=false']);
      await waitFor(
        `${kind} ${name}`,
        async () => {
          const now = await world.get(kind, name);
          return now !== undefined && now.metadata.uid !== before?.metadata.uid;
        },
        WAIT_MS,
      );
    }
    await world.settled();
    expect(world.events).toContainEqual({
      type: 'Normal',
      reason: 'Created',
      action: 'Create',
      note: 'created DaemonSet sluice-collector',
    });
  });

  test("another's object of one of these names is not touched, and is named", async () => {
    await world.workloads.stop(0);
    await world.plane.kubectl(['delete', 'service/sluice-runtime', 'secret/sluice-ca', '-n', NAMESPACE]);
    await world.plane.kubectl(['create', 'service', 'clusterip', 'sluice-runtime', '--tcp=80', '-n', NAMESPACE]);
    await world.plane.kubectl(['create', 'secret', 'generic', 'sluice-ca', '--from-literal=mine=1', '-n', NAMESPACE]);
    const leaf = (await world.get('Secret', 'sluice-runtime-tls'))?.metadata.resourceVersion;
    world.lead();
    await waitFor('the fault', () => world.health?.runtime.fault?.reason === 'NameTaken', WAIT_MS);
    await world.settled();
    expect(world.health?.runtime.fault).toMatchObject({
      isTransient: false,
      message: expect.stringContaining('Secret sluice-ca, Service sluice-runtime'),
    });
    expect(world.health?.collector.fault?.reason).toBe('NameTaken');
    expect((await world.get('Service', 'sluice-runtime'))?.metadata.ownerReferences).toBeUndefined();
    expect((await world.get('Secret', 'sluice-ca'))?.metadata.labels).toBeUndefined();
    // no authority that cannot be kept signs anything
    expect((await world.get('Secret', 'sluice-runtime-tls'))?.metadata.resourceVersion).toBe(leaf);
    expect(world.events).toContainEqual(expect.objectContaining({ type: 'Warning', reason: 'NameTaken' }));
    await world.plane.kubectl(['delete', 'service/sluice-runtime', 'secret/sluice-ca', '-n', NAMESPACE]);
    // nothing tells of a foreign object's end; it is looked for again
    world.workloads.look();
    await waitFor('the fault to be over', () => world.health?.runtime.fault?.reason !== 'NameTaken', WAIT_MS);
    await world.settled();
    expect((await world.specOf('Service', 'sluice-runtime'))['clusterIP']).toBe('None');
  });

  test('a right that is missing is a fault with a name, and passes when it is given', async () => {
    await world.plane.kubectl(['delete', 'rolebinding', 'sluice-operator', '-n', NAMESPACE]);
    world.apply('collector: {tableBudget: 32Mi}');
    await waitFor('the fault', () => world.health?.collector.fault?.reason === 'NotApplied', WAIT_MS);
    expect(world.health?.collector.fault?.message).toMatch(/DaemonSet sluice-collector cannot be written: .*forbidden/);
    expect(world.failures.length).toBeGreaterThan(0);
    await world.plane.kubectl(['apply', '-k', 'config/default']);
    world.apply('collector: {tableBudget: 32Mi}');
    await waitFor('the fault to pass', () => world.health?.collector.fault?.reason === 'NoNodes', WAIT_MS);
    world.apply('');
    await world.settled();
  });

  test('X13: a certificate is in use once it is kept, whatever else cannot be written, and not before', async () => {
    /** Without the right to do these; the API server itself has heard of it. */
    const forbid = async (verb: string, resource: string, name: string): Promise<void> => {
      const get = ['get', 'role', 'sluice-operator', '-n', NAMESPACE, '-o', 'json'];
      const role = JSON.parse(await world.plane.kubectl(get)) as { rules: { resources: string[]; verbs: string[] }[] };
      const rules = role.rules.map((rule) =>
        rule.resources.includes(resource) ? { ...rule, verbs: rule.verbs.filter((one) => one !== verb) } : rule,
      );
      await world.plane.kubectl(['replace', '-f', '-'], { input: { ...role, rules } });
      const account = `--as=system:serviceaccount:${NAMESPACE}:sluice-operator`;
      const ask = ['auth', 'can-i', verb, `${resource}/${name}`, '-n', NAMESPACE, account];
      await waitFor(
        `no right to ${verb} ${name}`,
        () =>
          world.plane.kubectl(ask).then(
            () => false,
            () => true,
          ),
        WAIT_MS,
      );
    };
    const kept = async (): Promise<string> => {
      const { data } = (await world.get('Secret', 'sluice-operator-tls')) as unknown as {
        data: Record<string, string>;
      };
      return Buffer.from(data['tls.crt'] ?? '', 'base64').toString();
    };
    const inUse = (): string | undefined => world.tls.at(-1)?.certificate;
    const [before, told] = [await kept(), world.tls.length];
    expect(inUse()).toBe(before);
    // what is not wanted is removed before anything is written
    await forbid('delete', 'networkpolicies', 'sluice-runtime');
    world.aheadMs += 26 * 3_600_000;
    world.apply('network: {policies: false}');
    await waitFor('the fault', () => world.health?.runtime.fault?.reason === 'NotApplied', WAIT_MS);
    expect(world.health?.runtime.fault?.message).toMatch(
      /^NetworkPolicy sluice-(collector|runtime) cannot be written: .*forbidden/,
    );
    expect(await kept()).not.toBe(before);
    expect([inUse(), world.tls.length]).toEqual([await kept(), told + 1]);
    const renewed = await kept();
    await forbid('patch', 'secrets', 'sluice-operator-tls');
    world.aheadMs += 26 * 3_600_000;
    world.apply('');
    const isOfSecret = (): boolean => world.health?.runtime.fault?.message.startsWith('Secret ') === true;
    await waitFor('the fault of a Secret', isOfSecret, WAIT_MS);
    expect([await kept(), inUse(), world.tls.length]).toEqual([renewed, renewed, told + 1]);
    await world.plane.kubectl(['apply', '-k', 'config/default']);
    world.workloads.look();
    await waitFor('the renewal', async () => (await kept()) !== renewed && inUse() === (await kept()), WAIT_MS);
    await world.settled();
    expect(world.tls).toHaveLength(told + 2);
  });

  test('R30: of a term that has ended nothing is left with the stores, and nothing of it is kept', async () => {
    const listening = world.listeners();
    await world.workloads.stop(0);
    expect([listening > 0, world.listeners()]).toEqual([true, 0]);
    world.lead();
    await world.settled();
    expect(world.listeners()).toBe(listening);
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const [first] = world.terms;
    await waitFor(
      'the first term to be forgotten',
      () => {
        collect();
        return first?.deref() === undefined;
      },
      WAIT_MS,
    );
  });

  test('C30: what a store that lags behind lacks is not issued twice', async () => {
    const secrets = CHILDREN.filter(([kind]) => kind === 'Secret').map(([, name]) => name);
    const versions = (): Promise<unknown[]> =>
      Promise.all(secrets.map(async (name) => (await world.get('Secret', name))?.metadata.resourceVersion));
    const before = createStore<KubeObject>();
    const list = before.replace();
    for (const secret of world.stores.children.get('Secret')?.all() ?? []) list.add(secret);
    list.commit();
    const [, first] = await versions();
    world.aheadMs += 26 * 3_600_000;
    world.workloads.look();
    await waitFor('the daily renewal', async () => (await versions())[1] !== first, WAIT_MS);
    await world.settled();
    const renewed = await versions();
    const written = world.written().length;
    await world.workloads.stop(0);
    world.lead(before);
    await waitFor('the look', () => world.workloads.busy === 0, WAIT_MS);
    expect(await versions()).toEqual(renewed);
    expect(
      world
        .written()
        .slice(written)
        .filter((what) => what.includes('secrets/')),
    ).toEqual([]);
    await world.workloads.stop(0);
    world.lead();
    await world.settled();
  });

  test('C25: nothing is made or changed while the Deployment is being deleted', async () => {
    const finalizer = '{"metadata":{"finalizers":["example.com/keep"]}}';
    await world.plane.kubectl([
      'patch',
      'deployment',
      'sluice-operator',
      '-n',
      NAMESPACE,
      '--type=merge',
      '-p',
      finalizer,
    ]);
    await world.plane.kubectl(['delete', 'deployment', 'sluice-operator', '-n', NAMESPACE, '--wait=false']);
    await waitFor(
      'the deletion to be seen',
      () => [...world.stores.deployments.all()].every(({ metadata }) => metadata.deletionTimestamp !== undefined),
      WAIT_MS,
    );
    await world.workloads.stop(0);
    world.lead();
    const before = world.written().length;
    await world.plane.kubectl(['delete', 'service', 'sluice-collector', '-n', NAMESPACE]);
    await world.plane.kubectl(['annotate', 'statefulset', 'sluice-runtime', '-n', NAMESPACE, 'example.com/note=1']);
    await world.plane.kubectl([
      'patch',
      'statefulset',
      'sluice-runtime',
      '-n',
      NAMESPACE,
      '--type=merge',
      '-p',
      '{"spec":{"replicas":5}}',
    ]);
    await waitFor('the look', () => world.workloads.busy === 0, WAIT_MS);
    world.workloads.look();
    await waitFor('another look', () => world.workloads.busy === 0, WAIT_MS);
    expect(await world.get('Service', 'sluice-collector')).toBeUndefined();
    expect(world.written().slice(before)).toEqual([]);
    await world.plane.kubectl([
      'patch',
      'deployment',
      'sluice-operator',
      '-n',
      NAMESPACE,
      '--type=json',
      '-p',
      '[{"op":"remove","path":"/metadata/finalizers"}]',
    ]);
    // and what is left goes with it
    await waitFor(
      'everything to go',
      async () =>
        (await Promise.all(CHILDREN.map(([kind, name]) => world.get(kind, name)))).every(
          (object) => object === undefined,
        ),
      WAIT_MS,
    );
    await waitFor('the fault', () => world.health?.runtime.fault?.reason === 'OwnerNotFound', WAIT_MS);
  });
});
