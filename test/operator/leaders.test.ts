// Several operators of which one leads, and the one that leads is killed or halted again and again. `make faults`: a hundred
// scripts with windows of 10 s, for ten minutes (operator.md, definition of done 4).
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { CONFIG_MAPS, LEASES, type ConfigMap, type Lease } from '../../src/kube/resources.ts';
import { clusterMissing } from '../cluster/binaries.ts';
import { pause, waitFor } from '../cluster/instance.ts';
import { IS_LONG_FORM } from './long-form.ts';
import { conditionOf, plugin, script, type PluginObject, type ScriptObject } from './objects.ts';
import type { Operator } from './operator-process.ts';
import { gapsAndRepeats } from './received.ts';
import { gapsAndOverlaps } from './runtime-process.ts';
import { watchStatuses, type StatusWatch } from './status-watch.ts';
import { SHORT_LEASE, startWorld, SYSTEM, type World } from './world.ts';

const SCRIPTS = IS_LONG_FORM ? 100 : 20;
const WINDOW_S = IS_LONG_FORM ? 10 : 2;
/** The leader is killed that often, and then on until the time is over. */
const KILLS = 5;
const KILLING_MS = IS_LONG_FORM ? 600_000 : 0;
jest.setTimeout(IS_LONG_FORM ? 20 * 60_000 : 180_000);
const describeCluster = clusterMissing === undefined ? describe : describe.skip;
/** Printed where something fails. */
const SEED = Number(process.env['SLUICE_SEED'] ?? Date.now() % 1_000_000);

/** In [0, 1), the same for the same seed (Park and Miller's). */
function randomFrom(seed: number): () => number {
  let state = (seed % 2_147_483_646) + 1;
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
}

describeCluster('several operators', () => {
  let world: World;
  let watch: StatusWatch;
  const alive: Operator[] = [];
  const random = randomFrom(SEED);
  beforeAll(async () => {
    world = await startWorld({ name: 'leaders', lifeMs: 40 * 60_000 });
    watch = watchStatuses(world.client);
    const many = Array.from({ length: SCRIPTS }, (_, i) =>
      script(`s-${i}`, i % 2 === 0 ? SYSTEM : 'default', 'p', { window: `${WINDOW_S}s` }),
    );
    await world.apply(plugin('p', SYSTEM, world.receiver.endpoint), plugin('p', 'default', world.receiver.endpoint));
    await Promise.all([world.createScripts(...many), start(), start(), start()]);
    await waitFor(
      'all scripts to be delivered',
      async () => (await world.scripts()).every((one) => conditionOf(one, 'Delivered')?.status === 'True'),
      120_000,
    );
    await world.pluginIs('p', 'Delivered', 'True/Acknowledged');
    await world.pluginIs('p', 'Delivered', 'True/Acknowledged', 'default');
  }, 600_000);
  afterAll(async () => {
    watch?.stop();
    await world?.stop();
  });
  const told = (steps: () => Promise<void>) => async (): Promise<void> => {
    try {
      await world.told(steps);
    } catch (error) {
      process.stderr.write(`SLUICE_SEED=${SEED}\n`);
      throw error;
    }
  };

  let started = 0;
  async function start(): Promise<void> {
    const operator = await world.operator({
      name: `op-${started++}`,
      ...(IS_LONG_FORM ? {} : { settings: SHORT_LEASE }),
    });
    await operator.ready();
    alive.push(operator);
  }
  const holder = async (): Promise<Operator | undefined> => {
    const lease = await world.client.get<Lease>(LEASES, SYSTEM, 'sluice-operator');
    const identity = lease.spec?.holderIdentity ?? '';
    return alive.find(({ name }) => identity.startsWith(`${name}_`));
  };
  async function leader(): Promise<Operator> {
    let found: Operator | undefined;
    await waitFor('a leader', async () => (found = await holder()) !== undefined, 60_000);
    if (found === undefined) throw new Error('unreachable');
    await found.leads();
    return found;
  }
  /** Every script has `more` windows more than now. */
  async function allGoOn(more = 1): Promise<void> {
    const uids = (await world.scripts()).map(({ metadata }) => metadata.uid ?? '');
    const count = (): Map<string, number> => {
      const counts = new Map<string, number>();
      for (const { uid } of world.runtime.committed()) counts.set(uid, (counts.get(uid) ?? 0) + 1);
      return counts;
    };
    const before = count();
    await waitFor(
      `${more} more windows of all`,
      () => {
        const now = count();
        return uids.every((uid) => (now.get(uid) ?? 0) >= (before.get(uid) ?? 0) + more);
      },
      120_000,
    );
  }

  /** What was committed and what arrived, of each script; and that no status went back. */
  async function isWhole(repeatsMax: number): Promise<void> {
    const scripts = await world.scripts();
    const committed = Map.groupBy(world.runtime.committed(), ({ uid }) => uid);
    let repeats = 0;
    for (const { metadata } of scripts) {
      const { name, uid = '', namespace = '' } = metadata;
      expect([name, gapsAndOverlaps(committed.get(uid) ?? [])]).toEqual([name, []]);
      const epochs = (committed.get(uid) ?? []).map(({ epoch }) => epoch);
      expect([name, epochs]).toEqual([name, epochs.toSorted((a, b) => a - b)]);
      const { missing, repeated } = gapsAndRepeats(world.receiver.ticks(name, `/${namespace}`));
      expect([name, missing]).toEqual([name, []]);
      repeats += repeated.length > 0 ? 1 : 0;
    }
    expect(repeats).toBeLessThanOrEqual(repeatsMax);
    expect(watch.wentBack()).toEqual([]);
  }

  test(
    'S4, S10, R29: the leader is killed at any moment, again and again',
    told(async () => {
      const checkpoints = watchCheckpoints();
      const end = Date.now() + KILLING_MS;
      let kills = 0;
      for (; kills < KILLS || Date.now() < end; kills++) {
        const victim = await leader();
        // anywhere in its work: while it takes over, reconciles, runs, writes
        await pause(Math.floor(random() * (kills % 2 === 0 ? 300 : 2500)));
        await victim.kill();
        alive.splice(alive.indexOf(victim), 1);
        await start();
        await checkpoints.look();
      }
      await leader();
      await allGoOn(2);
      await checkpoints.look();
      // no runtime was killed: each batch was acknowledged to the process that sent it
      await isWhole(0);
      expect(checkpoints.wentBack()).toEqual([]);
      const epochs = [...new Set(world.runtime.committed().map(({ epoch }) => epoch))];
      process.stdout.write(
        `MEASURED: ${kills} leaders killed, ${SCRIPTS} scripts of ${WINDOW_S} s, ${epochs.length} epochs, ${world.runtime.committed().length} windows\n`,
      );
      expect(epochs.length).toBeGreaterThan(1);
    }),
  );

  test(
    'C28, S15: an unchanged script is as ready under the next leader as it was under the last',
    told(async () => {
      // no condition changes, not for a moment: neither of scripts nor of their plugins
      const since = (one: ScriptObject | PluginObject | undefined): [string, ...string[]] => [
        one?.metadata.name ?? '',
        ...(one?.status?.conditions ?? []).map(({ type, status, lastTransitionTime: at }) => `${type} ${status} ${at}`),
      ];
      const all = async (): Promise<unknown[]> => [
        ...(await world.scripts()).map(since),
        since(await world.plugin('p')),
        since(await world.plugin('p', 'default')),
      ];
      const before = await all();
      const victim = await leader();
      await victim.kill();
      alive.splice(alive.indexOf(victim), 1);
      await leader();
      await allGoOn(1);
      expect(await all()).toEqual(before);
      await start();
    }),
  );

  test(
    'R27, S10: a leader that is halted and comes to believe that it still leads writes nothing and runs nothing',
    told(async () => {
      const halted = await leader();
      halted.signal('SIGSTOP');
      alive.splice(alive.indexOf(halted), 1);
      let next = await leader();
      await allGoOn(1);
      halted.signal('SIGCONT');
      await halted.logged(({ message }) => message === 'leads no more');
      await allGoOn(1);
      alive.push(halted);
      next = await leader();
      expect(next.name).not.toBe(halted.name);
      await isWhole(0);
      // the same process is a candidate again
      for (const other of alive.splice(0)) if (other !== halted) await other.kill();
      alive.push(halted);
      expect((await leader()).name).toBe(halted.name);
      await allGoOn(1);
      await isWhole(0);
    }),
  );

  test(
    'R28: a leader whose process is halted for less than its lease goes on',
    told(async () => {
      const one = await leader();
      const uid = (await world.script('s-0'))?.metadata.uid ?? '';
      for (let i = 0; i < 5; i++) {
        one.signal('SIGSTOP');
        await pause(Math.floor(random() * 400));
        one.signal('SIGCONT');
        const count = world.runtime.committed(uid).length;
        await waitFor('a window', () => world.runtime.committed(uid).length > count, 60_000);
      }
      await isWhole(0);
    }),
  );

  test(
    'design decision 11: the runtime is killed under a leader, and the leader after it',
    told(async () => {
      await world.runtime.kill();
      await world.runtime.start();
      const victim = await leader();
      await victim.kill();
      alive.splice(alive.indexOf(victim), 1);
      await start();
      await allGoOn(2);
      // a window whose batch was on its way when the runtime died is sent again: at most one of each script
      await isWhole(SCRIPTS);
    }),
  );

  /** What the checkpoints say of each script at each look; times and epochs must not fall. */
  function watchCheckpoints(): { look(): Promise<void>; wentBack(): string[] } {
    const until = new Map<string, number>();
    const epochs = new Map<string, number>();
    const faults: string[] = [];
    return {
      async look() {
        const { items } = await world.client.list<ConfigMap>(CONFIG_MAPS, { namespace: SYSTEM });
        for (const { metadata, data } of items) {
          if (!metadata.name.startsWith('sluice-checkpoint-')) continue;
          const epoch = Number(data?.['epoch']);
          if (epoch < (epochs.get(metadata.name) ?? 0)) faults.push(`${metadata.name}: epoch ${epoch}`);
          epochs.set(metadata.name, epoch);
          for (const line of (data?.['scripts'] ?? '').split('\n')) {
            const [uid = '', time = ''] = line.split(' ');
            if (Number(time) < (until.get(uid) ?? 0)) faults.push(`${uid}: ${time} after ${until.get(uid)}`);
            until.set(uid, Number(time));
          }
        }
      },
      wentBack: () => faults,
    };
  }
});
