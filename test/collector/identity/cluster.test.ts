// Who pods and services are, from their objects alone.
import { describe, expect, test } from '@jest/globals';
import { asidOf } from '../../../src/collector/identity/asid.ts';
import { createPodMetadata } from '../../../src/collector/identity/cluster.ts';
import type { PodJson } from '../../../src/collector/identity/objects.ts';
import { timeNs } from '../../../src/model/time.ts';
import { containerOf, pod, service, uidOf } from './objects.ts';

const HOUR = 3600_000;
const make = () => {
  let nowMs = 1_000_000;
  const metadata = createPodMetadata({ now: () => nowMs });
  return { metadata, at: (ms: number) => (nowMs = ms), now: () => nowMs };
};
const added = (...objects: PodJson[]) => {
  const { metadata, at, now } = make();
  for (const after of objects) metadata.pod({ after });
  return { metadata, at, now };
};

describe('a pod', () => {
  test('has its names, its owners and the services that select it', () => {
    const { metadata } = added(
      pod('cart-5d8f-abcde', {
        labels: { app: 'cart', 'pod-template-hash': '5d8f' },
        owner: { kind: 'ReplicaSet', name: 'cart-5d8f', uid: 'rs-1' },
        containers: { [containerOf(1)]: 'app', [containerOf(2)]: 'proxy' },
      }),
    );
    metadata.service({ after: service('web', { app: 'cart' }) });
    metadata.service({ after: service('all', { app: 'cart' }, { ip: 'None' }) });
    metadata.service({ after: service('none', {}) });
    metadata.service({ after: service('other', { app: 'cart', tier: 'gold' }) });
    metadata.service({ after: service('cart', { app: 'cart' }, { namespace: 'elsewhere' }) });
    const known = metadata.podByUid(uidOf(1));
    expect(known?.identity).toEqual({
      cmdline: '',
      container: '',
      containerId: '',
      pod: 'shop/cart-5d8f-abcde',
      podId: uidOf(1),
      namespace: 'shop',
      services: ['shop/all', 'shop/web'],
      serviceIds: ['uid-of-all', 'uid-of-web'],
      node: 'n1',
      hostname: 'cart-5d8f-abcde',
      deployment: 'shop/cart',
      deploymentId: '',
      replicaset: 'shop/cart-5d8f',
      replicasetId: 'rs-1',
      podIp: '10.0.0.1',
    });
    expect([1, 2, 3].map((n) => known?.containerName(containerOf(n)))).toEqual(['app', 'proxy', '']);
    expect(metadata.podByIp('10.0.0.1')?.identity.pod).toBe('shop/cart-5d8f-abcde');
    expect(metadata.podByName('shop/cart-5d8f-abcde')?.identity.podId).toBe(uidOf(1));
  });

  test.each([
    ['a ReplicaSet of its own', { kind: 'ReplicaSet', name: 'web' }, { 'pod-template-hash': 'abc' }, ['', 'shop/web']],
    ['a ReplicaSet without the label', { kind: 'ReplicaSet', name: 'web-abc' }, {}, ['', 'shop/web-abc']],
    ['a StatefulSet', { kind: 'StatefulSet', name: 'db' }, {}, ['', '']],
    ['a DaemonSet', { kind: 'DaemonSet', name: 'log' }, {}, ['', '']],
    ['a Job', { kind: 'Job', name: 'once' }, {}, ['', '']],
  ])('of %s', (_, owner, labels: Record<string, string>, [deployment, replicaset]) => {
    const { metadata } = added(pod('x', { owner, labels }));
    expect(metadata.podByUid(uidOf(1))?.identity).toMatchObject({ deployment, replicaset });
  });

  test('keeps the names of containers that have ended, of every kind', () => {
    const { metadata } = added(pod('x', { containers: { [containerOf(1)]: 'app' } }));
    const status = {
      podIP: '10.0.0.1',
      initContainerStatuses: [{ name: 'setup', containerID: `cri-o://${containerOf(7)}` }],
      containerStatuses: [
        {
          name: 'app',
          containerID: `containerd://${containerOf(3)}`,
          lastState: { terminated: { containerID: `containerd://${containerOf(2)}` } },
        },
      ],
      ephemeralContainerStatuses: [
        { name: 'debugger', state: { terminated: { containerID: `docker://${containerOf(8)}` } } },
      ],
    };
    metadata.pod({ before: pod('x'), after: { ...pod('x'), status } });
    const known = metadata.podByUid(uidOf(1));
    expect([1, 2, 3, 7, 8].map((n) => known?.containerName(containerOf(n)))).toEqual([
      'app',
      'app',
      'app',
      'setup',
      'debugger',
    ]);
  });

  test('in a crash loop keeps its other containers', () => {
    const { metadata } = make();
    for (let n = 1; n <= 1000; n += 1)
      metadata.pod({ after: pod('x', { containers: { [containerOf('a')]: 'steady', [containerOf(n)]: 'broken' } }) });
    const known = metadata.podByUid(uidOf(1));
    expect(['a', 1000, 900, 1].map((n) => known?.containerName(containerOf(n)))).toEqual([
      'steady',
      'broken',
      'broken',
      '',
    ]);
  });

  test('of the host’s network owns no address, and is found all the same', () => {
    const { metadata } = added(pod('x', { hostNetwork: true, ip: '192.168.0.4' }));
    expect(metadata.podByIp('192.168.0.4')).toBeUndefined();
    expect(metadata.isInside('192.168.0.4')).toBe(false);
    expect(metadata.podByUid(uidOf(1))?.identity.podIp).toBe('192.168.0.4');
  });

  test('may have an address of each family', () => {
    const one = pod('x');
    const { metadata } = added({ ...one, status: { ...one.status, podIPs: [{ ip: '10.0.0.1' }, { ip: 'fd00::1' }] } });
    expect(metadata.podByIp('fd00::1')?.identity.pod).toBe('shop/x');
  });

  describe('that is static', () => {
    const HASH = '0123456789abcdef0123456789abcdef';
    const annotations = { 'kubernetes.io/config.hash': HASH, 'kubernetes.io/config.mirror': HASH };
    const node = { kind: 'Node', name: 'n1' };
    const mirror = pod('etcd-n1', { namespace: 'kube-system', annotations, owner: node });

    test('is found by the uid that the kubelet gave it', () => {
      const { metadata } = added(mirror);
      expect(metadata.podByUid(HASH)?.identity).toMatchObject({ pod: 'kube-system/etcd-n1', podId: uidOf(1) });
    });

    test('is not whoever claims its uid: not by annotation alone, not beside another, never a real pod’s', () => {
      const victim = pod('victim', { uid: uidOf(2) });
      const claim = (hash: string, owner?: typeof node) =>
        pod('thief', {
          uid: uidOf(9),
          namespace: 'evil',
          annotations: { 'kubernetes.io/config.hash': hash, 'kubernetes.io/config.mirror': hash },
          ...(owner && { owner }),
        });
      expect(added(claim(HASH)).metadata.podByUid(HASH)).toBeUndefined();
      expect(added(mirror, claim(HASH, node)).metadata.podByUid(HASH)).toBeUndefined();
      expect(added(claim(uidOf(2), node), victim).metadata.podByUid(uidOf(2))?.identity.namespace).toBe('shop');
    });
  });
});

describe('what is gone', () => {
  test('keeps its names for a day', () => {
    const { metadata, at, now } = added(pod('x'));
    metadata.service({ after: service('web', {}) });
    metadata.pod({ before: pod('x') });
    metadata.service({ before: service('web', {}) });
    at(now() + 24 * HOUR);
    metadata.pod({ after: pod('y', { uid: uidOf(2), ip: '10.0.0.2' }) });
    metadata.service({ after: service('y', {}, { ip: '10.96.0.2' }) });
    expect(metadata.podByUid(uidOf(1))?.identity.pod).toBe('shop/x');
    expect(metadata.serviceById('uid-of-web')).toMatchObject({ name: 'shop/web', clusterIp: '10.96.0.1' });
    expect([metadata.isInside('10.0.0.1'), metadata.isInside('10.96.0.1')]).toEqual([false, false]);
    at(now() + 1);
    metadata.pod({ before: pod('y', { uid: uidOf(2) }) });
    metadata.service({ before: service('y', {}) });
    expect([metadata.podByUid(uidOf(1)), metadata.serviceById('uid-of-web')]).toEqual([undefined, undefined]);
  });

  test('does not select living pods any more', () => {
    const { metadata } = added(pod('x', { labels: { app: 'x' } }));
    metadata.service({ after: service('web', { app: 'x' }) });
    expect(metadata.podByUid(uidOf(1))?.identity.services).toEqual(['shop/web']);
    metadata.service({ before: service('web', { app: 'x' }) });
    expect(metadata.podByUid(uidOf(1))?.identity.services).toEqual([]);
  });

  test('makes room for others where very much is gone', () => {
    const { metadata } = make();
    for (let n = 1; n <= 9000; n += 1) {
      metadata.pod({ after: pod(`x${n}`, { uid: uidOf(n) }) });
      metadata.pod({ before: pod(`x${n}`, { uid: uidOf(n) }) });
    }
    expect(metadata.podByUid(uidOf(9000 - 8192))).toBeUndefined();
    expect(metadata.podByUid(uidOf(9000 - 8191))).toBeDefined();
  });

  test('gives its name and its address to whoever has them now', () => {
    const old = pod('db-0', { uid: uidOf(1) });
    const { metadata } = added(old);
    // A StatefulSet's pod comes back; a store may tell that as one change.
    metadata.pod({ before: old, after: pod('db-0', { uid: uidOf(2), ip: '10.0.0.2' }) });
    metadata.pod({ after: pod('web', { uid: uidOf(3), ip: '10.0.0.1' }) });
    expect(metadata.podByName('shop/db-0')?.identity.podId).toBe(uidOf(2));
    expect(metadata.podByIp('10.0.0.1')?.identity.pod).toBe('shop/web');
    expect(metadata.podByUid(uidOf(1))?.identity.podIp).toBe('10.0.0.1');
  });

  test('or over: an address belongs to the pod that still runs', () => {
    const { metadata } = added(
      pod('job', { phase: 'Succeeded', startTime: '2026-11-21T12:00:00Z' }),
      pod('web', { uid: uidOf(2) }),
    );
    expect(metadata.podByIp('10.0.0.1')?.identity.pod).toBe('shop/web');
    metadata.pod({ before: pod('web', { uid: uidOf(2) }) });
    expect(metadata.podByIp('10.0.0.1')?.identity.pod).toBe('shop/job');
    expect(metadata.isInside('10.0.0.1')).toBe(false);
  });
});

describe('a service', () => {
  test('is found by address, id and name', () => {
    const { metadata } = make();
    metadata.service({ after: service('web', { app: 'x' }) });
    const web = { id: 'uid-of-web', name: 'shop/web', clusterIp: '10.96.0.1' };
    expect(metadata.serviceByIp('10.96.0.1')).toEqual(web);
    expect(metadata.serviceById('uid-of-web')).toEqual(web);
    expect(metadata.serviceByName('shop/web')).toEqual(web);
    expect(metadata.serviceByIp('None')).toBeUndefined();
    expect(metadata.isInside('10.96.0.1')).toBe(true);
  });
});

describe('whether names are up to date', () => {
  const at = (ms: number) => timeNs(BigInt(ms) * 1_000_000n);

  test('is said from the beginning, with intervals', () => {
    const { metadata, at: set } = make();
    expect(metadata.blind()).toMatchObject([{ source: 'metadata', reason: 'MetadataNotSynced' }]);
    set(2_000_000);
    metadata.fresh();
    expect(metadata.blind()).toEqual([]);
    expect(metadata.blindWithin(at(0), at(3_000_000))).toEqual([
      { source: 'metadata', reason: 'MetadataNotSynced', start: at(1_000_000), end: at(2_000_000) },
    ]);
    expect(metadata.blindWithin(at(2_000_000), at(3_000_000))).toEqual([]);
    set(4_000_000);
    metadata.stale('ApiServerUnreachable', 'connect ECONNREFUSED');
    set(5_000_000);
    metadata.stale('ApiServerUnreachable', 'connect ETIMEDOUT');
    expect(metadata.blind()).toEqual([
      { source: 'metadata', reason: 'ApiServerUnreachable', message: 'connect ETIMEDOUT' },
    ]);
    expect(metadata.blindWithin(at(4_500_000), at(6_000_000))).toEqual([
      { source: 'metadata', reason: 'ApiServerUnreachable', start: at(4_000_000) },
    ]);
    expect(metadata.blindWithin(at(3_000_000), at(4_000_000))).toEqual([]);
    set(6_000_000);
    metadata.stale('Forbidden', 'pods is forbidden');
    metadata.fresh();
    metadata.fresh();
    expect(metadata.blindWithin(at(5_000_000), at(7_000_000)).map(({ reason }) => reason)).toEqual([
      'ApiServerUnreachable',
      // of no length
    ]);
  });

  test('is kept in bounded room, coarser and never narrower', () => {
    const { metadata, at: set } = make();
    for (let n = 1; n <= 500; n += 1) {
      set(n * 10_000_000);
      metadata.fresh();
      set(n * 10_000_000 + 5_000_000);
      metadata.stale('Gone', '');
    }
    const intervals = metadata.blindWithin(at(0), at(1e12));
    expect(intervals.length).toBeLessThan(70);
    expect(intervals[0]?.start).toBe(at(1_000_000));
  });
});

test('a node’s short id fits 32 bits, is never 0, and is its own', () => {
  const ids = Array.from({ length: 2000 }, (_, i) => asidOf(`node-${i}`));
  expect(ids.every((id) => Number.isInteger(id) && id > 0 && id <= 0xffff_ffff)).toBe(true);
  expect(new Set(ids).size).toBe(ids.length);
  expect(asidOf('node-7')).toBe(ids[7]);
});
