// What an operator finds that another version, a rollback or somebody's hand left: definitions that are missing or older, rights
// that are not there yet, checkpoints with more in them than it knows, and with rubbish (T14).
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { parse } from 'yaml';
import { CONFIG_MAPS, type ConfigMap } from '../../src/kube/resources.ts';
import { clusterMissing } from '../cluster/binaries.ts';
import { waitFor } from '../cluster/instance.ts';
import { conditionOf, plugin, script } from './objects.ts';
import type { Operator } from './operator-process.ts';
import { gapsAndRepeats } from './received.ts';
import { gapsAndOverlaps } from './runtime-process.ts';
import { startWorld, SYSTEM, type World } from './world.ts';

jest.setTimeout(180_000);
const describeCluster = clusterMissing === undefined ? describe : describe.skip;

interface Definition {
  readonly metadata: { annotations: Record<string, string> };
  readonly spec: { versions: { schema: { openAPIV3Schema: Schema } }[] };
}
interface Schema {
  properties?: Record<string, Schema>;
  items?: Schema;
  'x-kubernetes-validations'?: unknown;
  required?: string[];
  pattern?: string;
  [key: string]: unknown;
}

describeCluster('what other versions left', () => {
  let world: World;
  let operator: Operator;
  beforeAll(async () => {
    world = await startWorld({ name: 'upgrade', isInstalled: false });
  }, 600_000);
  afterAll(() => world?.stop());
  const told = (steps: () => Promise<void>) => (): Promise<void> => world.told(steps);
  const readyz = async (): Promise<string> => (await operator.health('/readyz')).body;
  const saysInReadiness = (what: RegExp): Promise<void> =>
    waitFor(`readiness with ${what.source}`, async () => what.test(await readyz()), 60_000);

  const definition = (file: string): Definition =>
    parse(readFileSync(`config/crd/sluice.dev_${file}.yaml`, 'utf8')) as Definition;
  const schemaOf = ({ spec }: Definition): Schema => spec.versions[0]?.schema.openAPIV3Schema ?? {};
  function each(schema: Schema, change: (one: Schema) => void): void {
    change(schema);
    for (const one of Object.values(schema.properties ?? {})) each(one, change);
    if (schema.items !== undefined) each(schema.items, change);
  }
  /** Takes nearly everything, and knows less of a status. */
  function older(file: string): Definition {
    const crd = definition(file);
    crd.metadata.annotations['sluice.dev/schema-hash'] = 'of-an-older-version';
    each(schemaOf(crd), (one) => {
      delete one['x-kubernetes-validations'];
      delete one.pattern;
    });
    const status = schemaOf(crd).properties?.['status']?.properties ?? {};
    for (const field of ['nextWindow', 'lastRun', 'queue']) delete status[field];
    return crd;
  }

  test(
    'C17, R4: definitions that are missing are waited for, and readiness names them',
    told(async () => {
      operator = await world.operator({ name: 'early' });
      await saysInReadiness(/\[-\]crds .*exportscripts\.sluice\.dev.*\n/);
      await saysInReadiness(/\[-\]caches .*\n/);
      expect(await operator.health('/livez')).toMatchObject({ status: 200 });
      await world.apply(older('exportscripts'), older('otelplugins'));
      await operator.leads();
      await saysInReadiness(/\[\+\]caches ok\n/);
    }),
  );

  test(
    'C17: with definitions of an older version it works, and readiness says that they differ',
    told(async () => {
      await saysInReadiness(/\[-\]crds .*(differ|version|apply).*\n/);
      await world.apply(plugin('p', SYSTEM, world.receiver.endpoint), script('s', SYSTEM, 'p'));
      const { status } = await world.scriptIs('s', 'Delivered', 'True/Acknowledged');
      expect(status?.totals.windows).toBeGreaterThan(0);
      expect(status?.nextWindow).toBeUndefined();
      // what the API server drops of a status is not fought about
      const writes = (): number =>
        world.plane
          .auditEvents()
          .filter(
            ({ verb, objectRef }) => verb === 'patch' && objectRef?.subresource === 'status' && objectRef.name === 's',
          ).length;
      const before = writes();
      const windows = world.runtime.committed().length;
      await waitFor('five windows', () => world.runtime.committed().length >= windows + 5, 60_000);
      expect(writes() - before).toBeLessThanOrEqual(world.runtime.committed().length - windows + 2);
    }),
  );

  test(
    'what an older definition let in is said on the object itself, and holds up nothing else',
    told(async () => {
      await world.apply(
        script('bad-window', SYSTEM, 'p', { window: 'soon' }),
        script('no-text', SYSTEM, 'p', { script: {} }),
        plugin('bad-header', SYSTEM, world.receiver.endpoint, { headers: [{ name: 'api-key' }] }),
        script('of-bad', SYSTEM, 'bad-header'),
      );
      for (const name of ['bad-window', 'no-text']) {
        const bad = await world.scriptIs(name, 'Resolved', 'False/NotResolved');
        expect(conditionOf(bad, 'Ready')).toMatchObject({ status: 'False' });
        expect(conditionOf(bad, 'Resolved')?.message).toMatch(/spec\.(window|script)/);
        expect(conditionOf(bad, 'Stalled')?.status).toBe('True');
      }
      const header = await world.pluginIs('bad-header', 'Ready', 'False/NotResolved');
      expect(conditionOf(header, 'Stalled')?.status).toBe('True');
      await world.scriptIs('of-bad', 'Ready', 'False/NotResolved');
      await world.goesOn();
      await world.kubectl(['apply', '-k', 'config/crd']);
      await saysInReadiness(/\[\+\]crds ok\n/);
      await world.kubectl(['delete', 'exs', 'bad-window', 'no-text', 'of-bad', '-n', SYSTEM]);
      await world.kubectl(['delete', 'otelp', 'bad-header', '-n', SYSTEM]);
    }),
  );

  const shards = async (): Promise<ConfigMap[]> =>
    (await world.client.list<ConfigMap>(CONFIG_MAPS, { namespace: SYSTEM })).items.filter(({ metadata }) =>
      metadata.name.startsWith('sluice-checkpoint-'),
    );
  const change = (name: string, data: Record<string, string | null>): Promise<string> =>
    world.kubectl(['patch', 'configmap', name, '-n', SYSTEM, '--type=merge', '-p', JSON.stringify({ data })]);
  const uidOf = async (): Promise<string> => (await world.script('s'))?.metadata.uid ?? '';
  /** Ends the operator, does `meanwhile`, and has another one go on. */
  async function handOver(name: string, meanwhile: () => Promise<void>): Promise<void> {
    expect(await operator.terminate()).toBe(0);
    await meanwhile();
    operator = await world.operator({ name });
    await operator.leads();
    const uid = await uidOf();
    const count = world.runtime.committed(uid).length;
    await waitFor('more windows', () => world.runtime.committed(uid).length > count + 2, 60_000);
    expect(gapsAndOverlaps(world.runtime.committed(uid))).toEqual([]);
    expect(gapsAndRepeats(world.receiver.ticks('s', `/${SYSTEM}`))).toEqual({ missing: [], repeated: [] });
  }

  test(
    'T14: what a newer version wrote into checkpoints is read as far as it is known, and kept',
    told(async () => {
      const uid = await uidOf();
      await handOver('after-newer', async () => {
        for (const { metadata, data } of await shards()) {
          const scripts = (data?.['scripts'] ?? '').replace(/^(\S+ \S+)(.*)$/gm, '$1$2 z=9 tier=gold');
          await change(metadata.name, { format: '7', scripts, invention: '{"a":1}' });
        }
      });
      await waitFor(
        'it to be written again',
        async () => {
          const all = await shards();
          const own = all.find(({ data }) => data?.['scripts']?.includes(uid));
          return own?.data?.['writer']?.startsWith('after-newer') === true;
        },
        30_000,
      );
      const all = await shards();
      expect(all.every(({ data }) => data?.['invention'] === '{"a":1}')).toBe(true);
      const line = all.flatMap(({ data }) => (data?.['scripts'] ?? '').split('\n')).find((one) => one.startsWith(uid));
      expect(line).toMatch(/^\S+ \S+ z=9 tier=gold$/);
      expect(await operator.metric('sluice_checkpoint_corrupt_total')).toBe(0);
    }),
  );

  test(
    'T14: rubbish in checkpoints costs what it stands for, is counted, and stops nothing',
    told(async () => {
      const uid = await uidOf();
      await handOver('after-rubbish', async () => {
        for (const { metadata, data } of await shards()) {
          const scripts = `${data?.['scripts'] ?? ''}not a line at all\n${uid} tomorrow\n\u0001\u0002 1\n${uid}x 99999999999999999999\n`;
          await change(metadata.name, { scripts });
        }
        await change('sluice-checkpoint-3', { epoch: 'seven', runtimes: '[', writer: null });
        await world.kubectl(['delete', 'configmap', 'sluice-checkpoint-5', '-n', SYSTEM]);
      });
      expect(await operator.metric('sluice_checkpoint_corrupt_total')).toBeGreaterThan(16);
      expect(operator.log().some(({ what = '' }) => what.startsWith('checkpoint sluice-checkpoint-'))).toBe(true);
    }),
  );

  test(
    'T14, decision 12: without any checkpoint the ledger knows',
    told(async () => {
      await handOver('after-nothing', async () => {
        await world.kubectl([
          'delete',
          'configmap',
          '-n',
          SYSTEM,
          ...(await shards()).map(({ metadata }) => metadata.name),
        ]);
      });
    }),
  );

  test(
    'T14: statuses with fields that it does not know go on from there',
    told(async () => {
      const newer = definition('exportscripts');
      const status = schemaOf(newer).properties?.['status']?.properties ?? {};
      status['mood'] = { type: 'string' };
      (status['totals']?.properties ?? {})['dreamt'] = { type: 'integer' };
      newer.metadata.annotations['sluice.dev/schema-hash'] = 'of-a-newer-version';
      const before = (await world.script('s'))?.status?.totals.windows ?? 0;
      await handOver('after-status', async () => {
        await world.apply(newer);
        const fields = { status: { mood: 'fine', totals: { dreamt: 3 } } };
        await waitFor(
          'the newer definition',
          async () => {
            const patch = ['--subresource=status', '--type=merge', '-p', JSON.stringify(fields), '-o', 'json'];
            const answer = await world.kubectl(['patch', 'exs', 's', '-n', SYSTEM, ...patch]);
            return answer.includes('"mood"');
          },
          30_000,
        );
      });
      const after = (await world.script('s'))?.status;
      expect(after?.totals.windows).toBeGreaterThan(before);
      expect(after).toMatchObject({ mood: 'fine', totals: { dreamt: 3 } });
    }),
  );

  test(
    'X1, R4: rights that are missing are named once in the log and in readiness, and found when they come',
    told(async () => {
      expect(await operator.terminate()).toBe(0);
      await world.kubectl(['delete', 'clusterrolebinding', 'sluice-operator-watched']);
      operator = await world.operator({ name: 'without' });
      await saysInReadiness(/\[-\]rights .*list otelplugins\.sluice\.dev.*\n/);
      await saysInReadiness(/\[-\]caches .*[Ff]orbidden.*\n/);
      const named = operator.log().filter(({ message }) => message.startsWith('rights are not'));
      expect(named).toHaveLength(1);
      await world.kubectl(['apply', '-k', 'config/rbac']);
      await operator.leads();
      await saysInReadiness(/\[\+\]rights ok\n/);
      // taken away from an operator at work: it says so and goes on with what it has
      const uid = await uidOf();
      await world.kubectl(['delete', 'rolebinding', 'sluice-operator', '-n', SYSTEM]);
      await world.goesOn();
      await world.kubectl(['apply', '-k', 'config/rbac']);
      const count = world.runtime.committed(uid).length;
      await waitFor('more windows', () => world.runtime.committed(uid).length > count + 1, 60_000);
      expect(gapsAndOverlaps(world.runtime.committed(uid))).toEqual([]);
    }),
  );
});
