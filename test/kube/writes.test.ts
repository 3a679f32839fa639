// What stands between us and a wrong write, on a real API server: the fence (no write without leadership) and ownership (no write
// to what is not ours; C24, C25, C27).
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { join } from 'node:path';
import { openKubeClient, type OpenKubeClient } from '../../src/kube/client.ts';
import { loadKubeAccess } from '../../src/kube/config.ts';
import { fencedClient, NotLeaderError } from '../../src/kube/fenced-client.ts';
import { applyOwned, deleteOwned, ownerReference, type Owner } from '../../src/kube/ownership.ts';
import { CONFIG_MAPS, NAMESPACES, NODES, SERVICES, type ConfigMap } from '../../src/kube/resources.ts';
import type { KubeClient, KubeObject } from '../../src/kube/types.ts';
import { clusterMissing } from '../cluster/binaries.ts';
import { startControlPlane, type ControlPlane } from '../cluster/control-plane.ts';
import { startFaultProxy, type FaultProxy } from './fault-proxy.ts';

const suite = clusterMissing === undefined ? describe : describe.skip;
if (clusterMissing !== undefined) process.stderr.write(`\nSKIPPED: fence and ownership: ${clusterMissing}\n`);

suite('writes', () => {
  let plane: ControlPlane;
  let proxy: FaultProxy;
  let client: OpenKubeClient;
  let namespace = '';
  let tests = 0;
  const byUs = { fieldManager: 'sluice' };
  const byUser = { fieldManager: 'user' };

  beforeAll(async () => {
    plane = await startControlPlane({ name: 'writes', controllerManager: false });
    proxy = await startFaultProxy(plane.kubeconfig);
    const access = await loadKubeAccess({ kubeconfig: proxy.kubeconfig(join(plane.dir, 'proxy.conf')) });
    client = openKubeClient(access, { purpose: 'main', userAgent: 'test' });
  }, 120_000);

  beforeEach(async () => {
    namespace = `writes-${tests++}`;
    await client.create(NAMESPACES, { metadata: { name: namespace } }, byUser);
  });

  afterAll(async () => {
    await client?.close();
    await proxy?.stop();
    await plane?.stop();
  });

  const configMap = (name: string, data: Record<string, string>): ConfigMap => ({
    metadata: { name, namespace },
    data,
  });
  const live = (name = 'child'): Promise<ConfigMap> => client.get(CONFIG_MAPS, namespace, name);
  const makeOwner = async (name = 'owner'): Promise<Owner> => ({
    type: SERVICES,
    object: await client.create<KubeObject & { spec: object }>(
      { ...SERVICES, shape: undefined as never },
      { metadata: { name, namespace }, spec: { ports: [{ port: 80 }] } },
      byUser,
    ),
  });
  const managersOf = (object: KubeObject): [string, string][] => {
    const entries = Reflect.get(object.metadata, 'managedFields') as { manager: string; operation: string }[];
    return entries.map(({ manager, operation }) => [manager, operation]);
  };

  describe('the fence', () => {
    const writes: Record<string, (fenced: KubeClient) => Promise<unknown>> = {
      apply: (fenced) => fenced.apply(CONFIG_MAPS, configMap('x', {}), byUs),
      create: (fenced) => fenced.create(CONFIG_MAPS, configMap('x', {}), byUs),
      update: (fenced) => fenced.update(CONFIG_MAPS, configMap('there', { changed: 'yes' }), byUs),
      patchJson: (fenced) =>
        fenced.patchJson(CONFIG_MAPS, namespace, 'there', [{ op: 'add', path: '/data/changed', value: 'yes' }], byUs),
      delete: (fenced) => fenced.delete(CONFIG_MAPS, namespace, 'there'),
      raw: (fenced) => fenced.raw('POST', `/api/v1/namespaces/${namespace}/configmaps`, configMap('x', {})),
    };

    test.each(Object.keys(writes))(
      '%s does not leave the process without leadership, and does with it',
      async (verb) => {
        await client.create(CONFIG_MAPS, configMap('there', { x: 'y' }), byUser);
        let leads = false;
        const fenced = fencedClient(client, () => leads);
        const before = proxy.seen.length;
        await expect(writes[verb]?.(fenced)).rejects.toBeInstanceOf(NotLeaderError);
        expect(proxy.seen).toHaveLength(before);
        leads = true;
        await writes[verb]?.(fenced);
        expect(proxy.seen).toHaveLength(before + 1);
      },
    );

    test('reading needs no leadership', async () => {
      await client.create(CONFIG_MAPS, configMap('there', {}), byUser);
      const fenced = fencedClient(client, () => false);
      await fenced.get(CONFIG_MAPS, namespace, 'there');
      const page = await fenced.list(CONFIG_MAPS, { namespace });
      expect(page.items).toHaveLength(1);
      await fenced.raw('GET', '/version');
      const end = new AbortController();
      const watch = fenced.watch(CONFIG_MAPS, {
        namespace,
        resourceVersion: page.resourceVersion,
        timeoutSeconds: 1,
        signal: end.signal,
      });
      await client.create(CONFIG_MAPS, configMap('another', {}), byUser);
      for await (const event of watch) {
        expect(event.type).toBe('ADDED');
        break;
      }
    });

    test('a write that is under way when the term ends is given up', async () => {
      const term = new AbortController();
      const fenced = fencedClient(
        client,
        () => !term.signal.aborted,
        () => term,
      );
      const create = { verb: 'create', resource: 'configmaps' } as const;
      const injection = proxy.inject({ ...create, fault: { kind: 'half-open' } });
      const before = proxy.count(create);
      const write = fenced.create(CONFIG_MAPS, configMap('x', {}), byUs);
      await proxy.arrived(create, before + 1);
      term.abort(new Error('not the leader any more'));
      await expect(write).rejects.toThrow('not the leader any more');
      injection.remove();
      await expect(live('x')).rejects.toMatchObject({ status: 404 });
    });
  });

  describe('ownership', () => {
    const apply = (owner: Owner, data: Record<string, string>, observed?: KubeObject) =>
      applyOwned(client, CONFIG_MAPS, { owner, intended: configMap('child', data), observed, ...byUs });

    test('C24 C27: makes the child, changes it, and takes back what it no longer says; what users added stays', async () => {
      const owner = await makeOwner();
      expect((await apply(owner, { a: '1', b: '1' })).status).toBe('applied');
      const made = await live();
      expect(made.metadata.ownerReferences).toEqual([
        {
          apiVersion: 'v1',
          kind: 'Service',
          name: 'owner',
          uid: owner.object.metadata.uid,
          controller: true,
          blockOwnerDeletion: true,
        },
      ]);
      await client.patchJson(CONFIG_MAPS, namespace, 'child', [{ op: 'add', path: '/data/users', value: 'x' }], byUser);
      expect((await apply(owner, { a: '2' }, made)).status).toBe('applied');
      const changed = await live();
      expect(changed.data).toEqual({ a: '2', users: 'x' });
      expect(managersOf(changed)).toEqual([
        ['sluice', 'Apply'],
        ['user', 'Update'],
      ]);
    });

    test('the same again changes nothing', async () => {
      const owner = await makeOwner();
      await apply(owner, { a: '1' });
      const before = await live();
      await apply(owner, { a: '1' }, before);
      expect((await live()).metadata.resourceVersion).toBe(before.metadata.resourceVersion);
    });

    test.each(['seen', 'not seen yet'])('a name that a user has taken is never touched: %s', async (seen) => {
      const owner = await makeOwner();
      const users = await client.create(CONFIG_MAPS, configMap('child', { mine: 'yes' }), byUser);
      expect(await apply(owner, { a: '1' }, seen === 'seen' ? users : undefined)).toEqual({
        status: 'not-ours',
        controller: undefined,
      });
      expect(await live()).toEqual(users);
    });

    test('a child of another owner of our own is not ours either', async () => {
      const [owner, other] = [await makeOwner(), await makeOwner('other')];
      await apply(other, { a: '1' });
      const before = await live();
      expect(await apply(owner, { a: '2' })).toMatchObject({ status: 'not-ours', controller: { name: 'other' } });
      expect(await live()).toEqual(before);
    });

    test('a child that was replaced by a user after it was seen is not taken over', async () => {
      const owner = await makeOwner();
      await apply(owner, { a: '1' });
      const seen = await live();
      await client.delete(CONFIG_MAPS, namespace, 'child');
      // gone: it is not made under a uid that it cannot have
      await expect(apply(owner, { a: '2' }, seen)).rejects.toMatchObject({ status: 409 });
      const users = await client.create(CONFIG_MAPS, configMap('child', { mine: 'yes' }), byUser);
      expect(await apply(owner, { a: '2' }, seen)).toMatchObject({ status: 'not-ours' });
      expect(await live()).toEqual(users);
      await client.delete(CONFIG_MAPS, namespace, 'child');
      await apply(owner, { a: '3' });
      expect(await apply(owner, { a: '4' }, seen)).toMatchObject({ status: 'applied', object: { data: { a: '4' } } });
    });

    test('what the API server refuses is refused', async () => {
      const owner = await makeOwner();
      await apply(owner, { a: '1' });
      const seen = await live();
      await expect(apply(owner, { 'no key': '1' }, seen)).rejects.toMatchObject({ status: 422 });
      await expect(apply(owner, { 'no key': '1' })).rejects.toMatchObject({ status: 422 });
    });

    test('C25: nothing is made for an owner that is being deleted', async () => {
      const { type, object } = await makeOwner();
      const metadata = { ...object.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' };
      const before = proxy.seen.length;
      expect(await apply({ type, object: { ...object, metadata } }, { a: '1' })).toEqual({ status: 'owner-deleted' });
      expect(proxy.seen).toHaveLength(before);
    });

    test('C24: an owner owns in its own namespace only; one without a uid owns nothing', async () => {
      const owner = await makeOwner();
      expect(() => ownerReference(owner, 'elsewhere')).toThrow(RangeError);
      expect(() =>
        ownerReference({ type: SERVICES, object: { metadata: { name: 'x', namespace } } }, namespace),
      ).toThrow(RangeError);
      const node = { type: NODES, object: { metadata: { name: 'n', uid: 'u' } } };
      expect(ownerReference(node, 'anywhere')).toMatchObject({ apiVersion: 'v1', kind: 'Node', uid: 'u' });
    });

    test('R23: an API server that does not answer is no free name', async () => {
      const owner = await makeOwner();
      const injection = proxy.inject({ verb: 'get', resource: 'configmaps', fault: { kind: 'answer', status: 403 } });
      await expect(apply(owner, { a: '1' })).rejects.toMatchObject({ status: 403 });
      injection.remove();
      await expect(live()).rejects.toMatchObject({ status: 404 });
    });

    test('deletes the very child that was seen, and nobody else’s', async () => {
      const owner = await makeOwner();
      await apply(owner, { a: '1' });
      const seen = await live();
      expect(await deleteOwned(client, CONFIG_MAPS, owner.object, configMap('child', {}))).toBe('not-ours');
      expect(await deleteOwned(client, CONFIG_MAPS, owner.object, seen)).toBe('deleted');
      await expect(live()).rejects.toMatchObject({ status: 404 });
      const users = await client.create(CONFIG_MAPS, configMap('child', { mine: 'yes' }), byUser);
      // the store is behind
      expect(await deleteOwned(client, CONFIG_MAPS, owner.object, seen)).toBe('deleted');
      expect(await live()).toEqual(users);
      expect(await deleteOwned(client, CONFIG_MAPS, owner.object, users)).toBe('not-ours');
    });
  });
});
