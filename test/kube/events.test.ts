// C33 on a real API server: what is accepted, what becomes a series, what is dropped.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { join } from 'node:path';
import { openKubeClient, type OpenKubeClient } from '../../src/kube/client.ts';
import { loadKubeAccess } from '../../src/kube/config.ts';
import { createEvents, type EventNote, type Events } from '../../src/kube/events.ts';
import { CONFIG_MAPS, EVENTS, NAMESPACES } from '../../src/kube/resources.ts';
import type { KubeObject } from '../../src/kube/types.ts';
import { clusterMissing } from '../cluster/binaries.ts';
import { startControlPlane, type ControlPlane } from '../cluster/control-plane.ts';
import { waitFor } from '../cluster/instance.ts';
import { createCountingMetrics, type CountingMetrics } from './counting-metrics.ts';
import { startFaultProxy, type FaultProxy } from './fault-proxy.ts';
import { createVirtualClock, type VirtualClock } from './virtual-clock.ts';

const suite = clusterMissing === undefined ? describe : describe.skip;
if (clusterMissing !== undefined) process.stderr.write(`\nSKIPPED: events: ${clusterMissing}\n`);

interface SeenEvent extends KubeObject {
  readonly note?: string;
  readonly reason?: string;
  readonly series?: { readonly count: number; readonly lastObservedTime: string };
}

suite('events', () => {
  let plane: ControlPlane;
  let proxy: FaultProxy;
  let client: OpenKubeClient;
  let direct: OpenKubeClient;
  let clock: VirtualClock;
  let metrics: CountingMetrics;
  let events: Events;
  let namespace = '';
  let tests = 0;
  const errors: unknown[] = [];

  beforeAll(async () => {
    plane = await startControlPlane({ name: 'events', controllerManager: false });
    proxy = await startFaultProxy(plane.kubeconfig);
    const open = async (kubeconfig: string, userAgent: string): Promise<OpenKubeClient> =>
      openKubeClient(await loadKubeAccess({ kubeconfig }), { purpose: 'lease', userAgent });
    client = await open(proxy.kubeconfig(join(plane.dir, 'proxy.conf')), 'events');
    direct = await open(plane.kubeconfig, 'test');
  }, 120_000);

  beforeEach(async () => {
    namespace = `events-${tests++}`;
    await direct.create(NAMESPACES, { metadata: { name: namespace } }, { fieldManager: 'test' });
    clock = createVirtualClock();
    metrics = createCountingMetrics();
    errors.length = 0;
    events = createEvents({
      client,
      component: 'sluice-operator',
      instance: 'sluice-operator-7d4b_1',
      clock,
      metrics,
      onError: (error) => errors.push(error),
    });
  });

  afterEach(async () => {
    proxy.heal();
    await proxy.accept();
    await events.stop(0);
  });

  afterAll(async () => {
    await client?.close();
    await direct?.close();
    await proxy?.stop();
    await plane?.stop();
  });

  const event = (note: string, name = 'script', rest: Partial<EventNote> = {}): EventNote => ({
    regarding: { apiVersion: 'v1', kind: 'ConfigMap', namespace, name, uid: `uid-of-${name}` },
    type: 'Normal',
    reason: 'Scheduled',
    action: 'Reconcile',
    note,
    ...rest,
  });
  const there = async (): Promise<readonly SeenEvent[]> =>
    (await direct.list<SeenEvent>({ ...EVENTS, shape: undefined as never }, { namespace })).items;
  const arrived = (count: number): Promise<void> =>
    waitFor(`${count} events`, async () => (await there()).length === count, 20_000);
  /** As `arrived`, with the clock going on. */
  const turning = (count: number): Promise<void> =>
    waitFor(
      `${count} events`,
      async () => {
        clock.advance(100);
        return (await there()).length === count;
      },
      20_000,
    );
  const counted = (count: number): Promise<void> =>
    waitFor(`a series of ${count}`, async () => (await there()).some(({ series }) => series?.count === count), 20_000);
  const dropped = (): number => metrics.value('sluice_events_dropped_total') ?? 0;

  test('C33: an event as people and tools know it', async () => {
    const owner = await direct.create(
      CONFIG_MAPS,
      { metadata: { name: 'script', namespace } },
      { fieldManager: 'test' },
    );
    const regarding = { apiVersion: 'v1', kind: 'ConfigMap', namespace, name: 'script', uid: owner.metadata.uid ?? '' };
    events.record(event('windows of 10 s', 'script', { regarding, type: 'Warning' }));
    await arrived(1);
    expect((await there())[0]).toMatchObject({
      regarding,
      type: 'Warning',
      reason: 'Scheduled',
      action: 'Reconcile',
      note: 'windows of 10 s',
      reportingController: 'sluice-operator',
      reportingInstance: 'sluice-operator-7d4b_1',
      eventTime: expect.stringMatching(/\.\d{6}Z$/),
    });
    expect(await plane.kubectl(['describe', 'configmap', 'script', '--namespace', namespace])).toContain(
      'windows of 10 s',
    );
  });

  test('the same again within ten minutes is one event with a count; later it is another event', async () => {
    events.record(event('same'));
    await arrived(1);
    events.record(event('same'));
    await counted(2);
    for (let i = 0; i < 5; i++) events.record(event('same'));
    // within the minute nothing more is written, then all of it
    clock.advance(59_000);
    expect((await there())[0]?.series?.count).toBe(2);
    clock.advance(2000);
    await counted(7);
    clock.advance(8 * 60_000);
    events.record(event('same'));
    clock.advance(61_000);
    await counted(8);
    expect(await there()).toHaveLength(1);
    clock.advance(10 * 60_000 + 1);
    events.record(event('same'));
    await arrived(2);
    expect(dropped()).toBe(0);
  });

  test('notes of one template are one series; another reason or object is none', async () => {
    for (let i = 0; i < 3; i++) events.record(event(`${i} windows`, 'script', { template: 'N windows' }));
    events.record(event('x', 'script', { reason: 'Other' }));
    events.record(event('x', 'other'));
    await arrived(3);
    await counted(3);
  });

  test('one object may say 25 things at once, then one in five minutes; others are not held up', async () => {
    for (let i = 0; i < 40; i++) events.record(event(`note ${i}`));
    events.record(event('mine', 'other'));
    await arrived(10);
    clock.advance(1000);
    await turning(26);
    expect(dropped()).toBe(15);
    clock.advance(300_000);
    events.record(event('one more'));
    events.record(event('and one too many'));
    await arrived(27);
    expect(dropped()).toBe(16);
  });

  test('all together are ten a second', async () => {
    for (let i = 0; i < 35; i++) events.record(event('x', `o${i}`));
    await arrived(10);
    clock.advance(99);
    expect(await there()).toHaveLength(10);
    for (let more = 1; more <= 5; more++) {
      await waitFor('the next one waits', () => clock.timers > 1, 20_000);
      clock.advance(100);
      await arrived(10 + more);
    }
    expect(dropped()).toBe(0);
  });

  test('an event that the API server has forgotten is made again, with its count', async () => {
    events.record(event('same'));
    await arrived(1);
    const [first] = await there();
    await direct.delete(EVENTS, namespace, first?.metadata.name ?? '');
    events.record(event('same'));
    await counted(2);
  });

  test('an API server that is away costs nobody anything; what waits is sent when it is back', async () => {
    await proxy.refuse();
    events.record(event('early'));
    await waitFor('the first failure', () => errors.length === 1, 20_000);
    await proxy.accept();
    clock.advance(1000);
    await arrived(1);
    expect(dropped()).toBe(0);
  });

  test('an answer that was lost makes no second event', async () => {
    proxy.inject({ verb: 'create', resource: 'events', fault: { kind: 'lose-answer' }, times: 1 });
    events.record(event('once'));
    await waitFor('the failure', () => errors.length === 1, 20_000);
    clock.advance(1000);
    events.record(event('next'));
    await arrived(2);
    expect(dropped()).toBe(0);
  });

  test('what cannot be recorded is dropped and counted: no such namespace, an API server that stays away', async () => {
    events.record(event('x', 'x', { regarding: { apiVersion: 'v1', kind: 'Pod', namespace: 'nowhere', name: 'x' } }));
    await waitFor('the first drop', () => dropped() === 1, 20_000);
    await proxy.refuse();
    events.record(event('y'));
    for (let failure = 2; failure <= 4; failure++) {
      await waitFor('a failure', () => errors.length === failure, 20_000);
      clock.advance(5000);
    }
    await waitFor('the second drop', () => dropped() === 2, 20_000);
  });

  test('no more than a thousand wait', async () => {
    await proxy.refuse();
    for (let i = 0; i < 1100; i++) events.record(event('x', `o${i}`));
    // one is on its way
    expect(dropped()).toBe(99);
  });

  test('stop sends the counts that wait, and takes nothing more', async () => {
    events.record(event('same'));
    await arrived(1);
    events.record(event('same'));
    await counted(2);
    events.record(event('same'));
    await events.stop();
    await counted(3);
    events.record(event('late'));
    expect(dropped()).toBe(1);
    expect(clock.timers).toBe(0);
  });

  test('any text is cut to what the API server takes, and never throws', async () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', minLength: 1, maxLength: 400 }),
      fc.string({ unit: 'grapheme', minLength: 200, maxLength: 1200, size: 'max' }),
      // halves of surrogate pairs
      fc
        .array(fc.integer({ min: 0, max: 0xffff }), { minLength: 1, maxLength: 600 })
        .map((units) => String.fromCharCode(...units)),
    );
    const seed = Date.now() % 1_000_000;
    process.stderr.write(`events: seed ${seed}\n`);
    const samples = fc.sample(text, { numRuns: 60, seed });
    samples.forEach((note, i) => events.record(event(note, `o${i}`, { reason: note, action: note })));
    await turning(60);
    for (const { note = '', reason = '' } of await there()) {
      expect(Buffer.byteLength(note)).toBeLessThanOrEqual(1024);
      expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(128);
    }
    expect(dropped()).toBe(0);
  });
});
