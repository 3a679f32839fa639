// Checkpoints on a real kube-apiserver: conflicts, deletions and hands that edit are its own.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import {
  checkpointName,
  readCheckpoints,
  shardOf,
  type Checkpoints,
} from '../../../src/controllers/dispatch/checkpoints.ts';
import { CONFIG_MAPS, Superseded } from '../../../src/controllers/dispatch/checkpoint-shard.ts';
import { openKubeClient, userAgent, type OpenKubeClient } from '../../../src/kube/client.ts';
import { loadKubeAccess } from '../../../src/kube/config.ts';
import { NO_METRICS } from '../../../src/model/metrics.ts';
import { now, timeNs, type TimeNs } from '../../../src/model/time.ts';
import { clusterMissing } from '../../cluster/binaries.ts';
import { startControlPlane, type ControlPlane } from '../../cluster/control-plane.ts';

const suite = clusterMissing === undefined ? describe : describe.skip;
if (clusterMissing !== undefined) process.stderr.write(`\nSKIPPED: checkpoints: ${clusterMissing}\n`);

const LABELS = { 'app.kubernetes.io/name': 'sluice' };
const UID = '8a2c1b60-1111-4222-8333-444455556666';
const BEGIN = now() / 1_000_000_000n - 10_000n;
const T = (seconds: number): TimeNs => timeNs((BEGIN + BigInt(seconds)) * 1_000_000_000n);

suite('checkpoints in ConfigMaps', () => {
  let plane: ControlPlane;
  let kube: OpenKubeClient;
  let namespace = '';
  let count = 0;
  const told: string[] = [];
  const open: Checkpoints[] = [];
  let skewNs = 0n;

  beforeAll(async () => {
    plane = await startControlPlane({ name: 'disp', controllerManager: false });
    kube = openKubeClient(await loadKubeAccess({ kubeconfig: plane.kubeconfig }), {
      purpose: 'main',
      userAgent: userAgent('test', '0'),
    });
  }, 600_000);
  afterAll(async () => {
    await kube?.close();
    await plane?.stop();
  });
  beforeEach(async () => {
    namespace = `n${count++}`;
    await plane.kubectl(['create', 'namespace', namespace]);
    told.length = 0;
    skewNs = 0n;
    for (const one of open.splice(0)) one.close();
  });

  async function read(writer: string, mayWrite = (): boolean => true): Promise<Checkpoints> {
    const checkpoints = await readCheckpoints({
      kube,
      namespace,
      labels: LABELS,
      now: () => timeNs(now() + skewNs),
      monotonicMs: () => performance.now(),
      writer,
      mayWrite,
      signal: new AbortController().signal,
      metrics: NO_METRICS,
      onSuperseded: (error) => told.push(error.name),
      onFault: (what) => told.push(what),
      writeEveryMs: 50,
    });
    open.push(checkpoints);
    return checkpoints;
  }
  const dataOf = async (shard = shardOf(UID)): Promise<Record<string, string>> =>
    (await kube.get(CONFIG_MAPS, namespace, checkpointName(shard))).data ?? {};

  test('S13: 16 of them, each with the epoch and its writer, labelled and owned by nothing', async () => {
    const one = await read('a');
    expect(one.epochRead).toBe(0);
    await one.begin(5);
    const { items } = await kube.list(CONFIG_MAPS, { namespace, labelSelector: 'app.kubernetes.io/name=sluice' });
    const ours = items.filter(({ metadata }) => metadata.name.startsWith('sluice-checkpoint-'));
    expect(ours.map(({ metadata }) => metadata.name).sort()).toEqual(
      Array.from({ length: 16 }, (_, i) => `sluice-checkpoint-${'0123456789abcdef'.charAt(i)}`),
    );
    for (const { data, metadata } of ours) {
      expect(data).toMatchObject({ format: '1', epoch: '5', writer: 'a' });
      expect(metadata.ownerReferences).toBeUndefined();
    }
    expect((await read('b')).epochRead).toBe(5);
  });

  test('progress is written by itself, and found by the next leader', async () => {
    const one = await read('a');
    await one.begin(1);
    one.note(UID, T(10), false);
    one.note('other', T(20), true);
    let found = await read('b');
    while (found.find(UID) === undefined || found.find('other') === undefined) found = await read('b');
    expect(found.find(UID)).toEqual({ deliveredUntil: T(10), wasSuspended: false });
    expect(found.find('other')).toEqual({ deliveredUntil: T(20), wasSuspended: true });
    expect([...found.uids()].sort()).toEqual([UID, 'other'].sort());
  });

  test('S10, R29: who was deposed meets a conflict and writes no more; the new leader has his last words', async () => {
    const old = await read('a');
    await old.begin(1);
    const fresh = await read('b');
    // after it was read, before the new epoch is there
    old.note(UID, T(30), false);
    await old.flush();
    await fresh.begin(2);
    expect(fresh.find(UID)?.deliveredUntil).toBe(T(30));
    old.note(UID, T(40), false);
    await expect(old.flush()).rejects.toThrow(Superseded);
    expect(told).toContain('Superseded');
    expect((await dataOf())['scripts']).toBe(`${UID} ${T(30) / 1_000_000_000n}\n`);
    // the one who never learnt of it begins with a smaller epoch
    await expect((await read('c')).begin(1)).rejects.toThrow(Superseded);
  });

  test('of two who begin in the same epoch one leads', async () => {
    const [a, b] = [await read('a'), await read('b')];
    const results = await Promise.allSettled([a.begin(3), b.begin(3)]);
    expect(results.filter(({ status }) => status === 'fulfilled').length).toBeLessThanOrEqual(1);
    expect(results.some(({ status }) => status === 'rejected')).toBe(true);
  });

  test('a hand that edits or deletes is no other leader', async () => {
    const one = await read('a');
    await one.begin(1);
    one.note(UID, T(1), false);
    await one.flush();
    const name = checkpointName(shardOf(UID));
    await plane.kubectl(['annotate', 'configmap', name, '-n', namespace, 'note=mine']);
    one.note(UID, T(2), false);
    await one.flush();
    const kept = await kube.get(CONFIG_MAPS, namespace, name);
    expect(kept.metadata.annotations).toEqual({ note: 'mine' });
    expect(kept.data?.['scripts']).toContain(String(T(2) / 1_000_000_000n));
    await plane.kubectl(['delete', 'configmap', name, '-n', namespace]);
    one.note(UID, T(3), false);
    await one.flush();
    expect((await dataOf())['scripts']).toContain(String(T(3) / 1_000_000_000n));
    expect(told).toEqual([]);
  });

  test('what is corrupt is told and absent, the rest is taken; what is unknown is kept (T14)', async () => {
    const one = await read('a');
    await one.begin(1);
    one.note(UID, T(1), false);
    await one.flush();
    const name = checkpointName(shardOf(UID));
    const { scripts = '' } = await dataOf();
    const patch = JSON.stringify({ data: { scripts: `${scripts}garbage\n`, 'of-later': 'x' } });
    await plane.kubectl(['patch', 'configmap', name, '-n', namespace, '--type=merge', '-p', patch]);
    const next = await read('b');
    expect(told).toEqual([expect.stringContaining('garbage')]);
    expect(next.find(UID)?.deliveredUntil).toBe(T(1));
    await next.begin(2);
    expect(await dataOf()).toMatchObject({ 'of-later': 'x', epoch: '2', scripts });
  });

  test('a script that is gone keeps its entry for 24 h, unless it is there again', async () => {
    const one = await read('a');
    await one.begin(1);
    for (const uid of [UID, 'stays', 'returns']) one.note(uid, T(1), false);
    one.retain(new Set(['stays']));
    await one.flush();
    expect([...one.uids()]).toEqual(['stays']);
    expect(one.find(UID)?.deliveredUntil).toBe(T(1));
    one.note('returns', T(2), false);
    skewNs = 86_500n * 1_000_000_000n;
    const next = await read('b');
    await next.begin(2);
    await one.flush().catch(() => undefined);
    expect(next.find(UID)).toBeUndefined();
    expect(next.find('stays')?.deliveredUntil).toBe(T(1));
  });

  test('the note of runtimes is stored with all progress before it', async () => {
    const one = await read('a');
    await one.begin(1);
    one.note(UID, T(5), false);
    const note = { least: 1, most: 3, ledgers: new Map([[0, 'x']]) };
    await one.store(note);
    const next = await read('b');
    expect(next.runtimes).toEqual(note);
    expect(next.find(UID)?.deliveredUntil).toBe(T(5));
  });

  test('R27: without the right to write nothing is written', async () => {
    let may = true;
    const one = await read('a', () => may);
    await one.begin(1);
    may = false;
    one.note(UID, T(9), false);
    await expect(one.flush()).rejects.toThrow('does not lead');
    expect((await dataOf())['scripts']).toBe('');
  });

  test('goes on after the API server was away', async () => {
    const one = await read('a');
    await one.begin(1);
    await plane.kill('apiserver');
    one.note(UID, T(7), false);
    await expect(one.flush()).rejects.toThrow(/./);
    await plane.restart('apiserver');
    one.note(UID, T(8), false);
    let text = '';
    while (!text.includes(String(T(8) / 1_000_000_000n))) text = (await dataOf())['scripts'] ?? '';
    expect(told.filter((what) => !what.startsWith('writing sluice-checkpoint-'))).toEqual([]);
  }, 120_000);
});
