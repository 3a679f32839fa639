// What belongs to whom: the scripts of presets, statuses that others write into, objects that somebody else keeps from going,
// and writes that need not be.
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { clusterMissing } from '../cluster/binaries.ts';
import { waitFor } from '../cluster/instance.ts';
import { conditionOf, conditionsOf, plugin, script, type ScriptObject } from './objects.ts';
import type { Operator } from './operator-process.ts';
import { startWorld, SYSTEM, type World } from './world.ts';

jest.setTimeout(120_000);
const describeCluster = clusterMissing === undefined ? describe : describe.skip;

describeCluster('what belongs to whom', () => {
  let world: World;
  let operator: Operator;
  beforeAll(async () => {
    // garbage collection takes a plugin's scripts with it
    world = await startWorld({ name: 'ownership', controllerManager: true });
    operator = await world.operator();
    await operator.leads();
    await world.apply(plugin('main', SYSTEM, world.receiver.endpoint));
  }, 600_000);
  afterAll(() => world?.stop());

  const told = (steps: () => Promise<void>) => (): Promise<void> => world.told(steps);
  const patch = (what: string, name: string, change: object, ...more: string[]): Promise<string> =>
    world.kubectl(['patch', what, name, '-n', SYSTEM, '--type=merge', '-p', JSON.stringify(change), ...more]);
  const remove = (what: string, name: string, ...more: string[]): Promise<string> =>
    world.kubectl(['delete', what, name, '-n', SYSTEM, '--timeout=30s', ...more]);
  const presets = (...include: string[]): object => ({ presets: { include } });
  const isGone = (name: string): Promise<void> =>
    waitFor(`the end of ${name}`, async () => (await world.script(name)) === undefined, 30_000);

  test(
    'C24, C27: presets become scripts that the plugin owns; window and suspend are their users’',
    told(async () => {
      await world.apply(
        plugin('pre', SYSTEM, world.receiver.endpoint, {}, presets('http-metrics', 'network-connections')),
      );
      await world.pluginIs('pre', 'PresetsSynced', 'True/Synced');
      const made = await world.scriptIs('pre-http-metrics', 'Ready', 'True/Scheduled');
      const uid = (await world.plugin('pre'))?.metadata.uid;
      expect(made.metadata.ownerReferences).toEqual([
        expect.objectContaining({ kind: 'OtelPlugin', uid, controller: true }),
      ]);
      expect(made.spec).toMatchObject({ pluginRef: { name: 'pre' }, script: { preset: 'http-metrics' } });
      await patch('exs', 'pre-http-metrics', { spec: { window: '7s', suspend: true } });
      await world.scriptIs('pre-http-metrics', 'Ready', 'True/Suspended');
      // the plugin is looked at again, and what its users set stays
      await patch('otelp', 'pre', { spec: presets('http-metrics') });
      await isGone('pre-network-connections');
      expect((await world.script('pre-http-metrics'))?.spec).toMatchObject({ window: '7s', suspend: true });
      // what is ours is put right
      await patch('exs', 'pre-http-metrics', { spec: { script: { preset: 'network-connections' } } });
      await waitFor(
        'the preset of old',
        async () =>
          JSON.stringify((await world.script('pre-http-metrics'))?.spec['script']) === '{"preset":"http-metrics"}',
        30_000,
      );
      await remove('exs', 'pre-http-metrics');
      await waitFor('it made again', async () => (await world.script('pre-http-metrics')) !== undefined, 30_000);
      await remove('otelp', 'pre');
    }),
  );

  test(
    'C24: a name that is somebody else’s is left alone, and said',
    told(async () => {
      await world.apply(script('taken-http-metrics', SYSTEM, 'main'));
      const theirs = await world.scriptIs('taken-http-metrics', 'Ready', 'True/Scheduled');
      await world.apply(
        plugin('taken', SYSTEM, world.receiver.endpoint, {}, presets('http-metrics', 'no-such-preset')),
      );
      await world.pluginIs('taken', 'PresetsSynced', 'False/PresetNotFound');
      await patch('otelp', 'taken', { spec: presets('http-metrics') });
      const said = await world.pluginIs('taken', 'PresetsSynced', 'False/NameTaken');
      expect(conditionOf(said, 'PresetsSynced')?.message).toContain('taken-http-metrics');
      const now = await world.script('taken-http-metrics');
      expect([now?.metadata.generation, now?.metadata.ownerReferences]).toEqual([
        theirs.metadata.generation,
        undefined,
      ]);
      await remove('exs', 'taken-http-metrics');
      await world.pluginIs('taken', 'PresetsSynced', 'True/Synced');
      await world.scriptIs('taken-http-metrics', 'Ready', 'True/Scheduled');
    }),
  );

  test(
    'C25, D4: what is being deleted and held by somebody’s finalizer gets nothing new',
    told(async () => {
      await world.apply(
        plugin('held', SYSTEM, world.receiver.endpoint, {}, presets('http-metrics')),
        script('of-held', SYSTEM, 'held'),
      );
      await world.scriptIs('of-held', 'Delivered', 'True/Acknowledged');
      await patch('otelp', 'held', { metadata: { finalizers: ['example.org/keep'] } });
      await remove('otelp', 'held', '--wait=false');
      await world.scriptIs('of-held', 'Ready', 'False/PluginNotFound');
      await remove('exs', 'held-http-metrics');
      await isGone('held-http-metrics');
      await patch('otelp', 'held', { metadata: { finalizers: null } });
      await waitFor('its end', async () => (await world.plugin('held')) === undefined, 30_000);
      expect(await world.script('held-http-metrics')).toBeUndefined();
      expect(conditionOf(await world.script('of-held'), 'Ready')?.reason).toBe('PluginNotFound');
      await world.apply(plugin('held', SYSTEM, world.receiver.endpoint));
      await world.scriptIs('of-held', 'Ready', 'True/Scheduled');
      await patch('exs', 'of-held', { metadata: { finalizers: ['example.org/keep'] } });
      const { metadata } = (await world.script('of-held')) ?? { metadata: { uid: '' } };
      await remove('exs', 'of-held', '--wait=false');
      await waitFor(
        'no more runs',
        async () => {
          const before = world.runtime.committed(metadata.uid).length;
          await world.goesOn();
          return world.runtime.committed(metadata.uid).length === before;
        },
        30_000,
      );
      await patch('exs', 'of-held', { metadata: { finalizers: null } });
      await isGone('of-held');
    }),
  );

  test(
    'R19: a status that somebody overwrites, or wipes, is put right',
    told(async () => {
      await world.apply(script('healed', SYSTEM, 'main'));
      const before = await world.scriptIs('healed', 'Delivered', 'True/Acknowledged');
      const lie = {
        type: 'Ready',
        status: 'False',
        reason: 'Lie',
        message: '',
        lastTransitionTime: '2020-01-01T00:00:00Z',
        observedGeneration: 1,
      };
      await patch('exs', 'healed', { status: { conditions: [lie] } }, '--subresource=status');
      await world.scriptIs('healed', 'Ready', 'True/Scheduled');
      const healed = await world.scriptIs('healed', 'Delivered', 'True/Acknowledged');
      expect(conditionOf(healed, 'Ready')?.lastTransitionTime).toBe(conditionOf(before, 'Ready')?.lastTransitionTime);
      await patch('otelp', 'main', { status: { conditions: [lie], scripts: '9/9' } }, '--subresource=status');
      await world.pluginIs('main', 'Ready', 'True/Configured');
      await patch('exs', 'healed', { status: null }, '--subresource=status');
      await world.scriptIs('healed', 'Ready', 'True/Scheduled');
    }),
  );

  test(
    'C28, S15: nothing is written where nothing has changed',
    told(async () => {
      await world.apply(script('quiet', SYSTEM, 'main', { window: '1h' }));
      const { metadata } = await world.scriptIs('quiet', 'Ready', 'True/Scheduled');
      await world.goesOn();
      const before = await world.script('quiet');
      // a label, an annotation, a plugin that is applied again, ten windows of other scripts
      const others = (): number => world.runtime.committed().length;
      const until = others() + 10;
      await world.kubectl(['label', 'exs', 'quiet', '-n', SYSTEM, 'colour=blue']);
      await world.apply(plugin('main', SYSTEM, world.receiver.endpoint), script('busy', SYSTEM, 'main'));
      await waitFor('ten windows', () => others() >= until, 60_000);
      const after = await world.script('quiet');
      expect(after?.status).toEqual(before?.status);
      const written = world.plane
        .auditEvents()
        .filter(
          ({ verb, objectRef }) =>
            verb === 'patch' && objectRef?.subresource === 'status' && objectRef.name === 'quiet',
        );
      // the first status, that it is Ready (or both in one), and nothing since
      expect(written.length).toBeLessThanOrEqual(3);
      expect(written.every(({ requestReceivedTimestamp: at }) => at <= String(lastChange(before)))).toBe(true);
      expect(metadata.uid).toBe(after?.metadata.uid);
    }),
  );

  const lastChange = (object: ScriptObject | undefined): string | undefined =>
    (object?.metadata as undefined | { managedFields?: { time?: string; subresource?: string }[] })?.managedFields
      ?.filter(({ subresource }) => subresource === 'status')
      .map(({ time = '' }) => time.replace('Z', '.999999Z'))
      .sort()
      .at(-1);

  test(
    'S14: counters of one script are written at most once a window',
    told(async () => {
      await world.apply(script('counted', SYSTEM, 'main', { window: '2s' }));
      const { metadata } = await world.scriptIs('counted', 'Delivered', 'True/Acknowledged');
      const windows = (): number => world.runtime.committed(metadata.uid).length;
      const writes = (): number =>
        world.plane
          .auditEvents()
          .filter(
            ({ verb, objectRef }) =>
              verb === 'patch' && objectRef?.subresource === 'status' && objectRef.name === 'counted',
          ).length;
      const [windowsBefore, writesBefore] = [windows(), writes()];
      await waitFor('three windows', () => windows() >= windowsBefore + 3, 60_000);
      expect(writes() - writesBefore).toBeLessThanOrEqual(windows() - windowsBefore + 1);
      const { status } = (await world.script('counted')) ?? {};
      expect(status?.history.length).toBeLessThanOrEqual(10);
      // S16, S17
      expect(JSON.stringify(status).length).toBeLessThan(16 * 1024);
      expect(Object.values(status?.totals ?? {}).every((count) => Number.isSafeInteger(count))).toBe(true);
    }),
  );

  test(
    'C29: what others add beside our fields stays, and is not fought',
    told(async () => {
      await world.apply(script('beside', SYSTEM, 'main', { window: '1h' }));
      await world.scriptIs('beside', 'Ready', 'True/Scheduled');
      const condition = {
        type: 'Audited',
        status: 'True',
        reason: 'Seen',
        message: '',
        lastTransitionTime: '2020-01-01T00:00:00Z',
        observedGeneration: 1,
      };
      await world.kubectl([
        'patch',
        'exs',
        'beside',
        '-n',
        SYSTEM,
        '--subresource=status',
        '--type=json',
        '-p',
        JSON.stringify([{ op: 'add', path: '/status/conditions/-', value: condition }]),
      ]);
      await patch('exs', 'beside', { spec: { timeout: '31s' } });
      const after = await world.scriptIs('beside', 'Ready', 'True/Scheduled');
      expect(conditionsOf(after)).toContain('Audited=True/Seen');
      const from = operator.log().length;
      await world.goesOn();
      expect(
        operator
          .log()
          .slice(from)
          .filter(({ level }) => level === 'error'),
      ).toEqual([]);
    }),
  );

  test(
    'C24: what a plugin owned goes with it',
    told(async () => {
      // it was deleted above; garbage collection learns of new kinds after half a minute
      await isGone('pre-http-metrics');
    }),
  );
});
