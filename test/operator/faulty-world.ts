// An operator whose way to the API server can be broken, at work on three scripts with windows of a second.
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { EXPORT_SCRIPTS } from '../../src/cli/operator/kinds.ts';
import { waitFor } from '../cluster/instance.ts';
import { startFaultProxy, type FaultProxy } from '../kube/fault-proxy.ts';
import { IS_LONG_FORM } from './long-form.ts';
import { plugin, script } from './objects.ts';
import type { Operator } from './operator-process.ts';
import { gapsAndRepeats } from './received.ts';
import { gapsAndOverlaps } from './runtime-process.ts';
import { SETTINGS, startWorld, SYSTEM, type World } from './world.ts';

export const SCRIPTS = ['a', 'b', 'c'];

export interface FaultyWorld {
  readonly world: World;
  readonly proxy: FaultProxy;
  readonly operator: Operator;
  /**
   * Another operator in its place, which remembers no failures: where watches are broken it begins with pauses of a second and
   * not of thirty. In the long form the same process bears all of it.
   */
  anew(): Promise<void>;
  uidOf(name: string): Promise<string>;
  /** Resolves once `name` has `more` windows than now. */
  windowsGoOn(more?: number, name?: string): Promise<void>;
  /** A change that a user makes now is seen and answered. */
  changesAreSeen(): Promise<void>;
  /** The operator is the same process, and what was due so far is there once. */
  isWhole(): Promise<void>;
  /** As a test: the ends of the logs where it fails, and everything in order afterwards. */
  told(steps: () => Promise<void>): () => Promise<void>;
  stop(): Promise<void>;
}

export async function startFaultyWorld(name: string, settings = SETTINGS): Promise<FaultyWorld> {
  const world = await startWorld({ name, lifeMs: 40 * 60_000 });
  const proxy = await startFaultProxy(world.plane.kubeconfig);
  const stop = async (): Promise<void> => {
    await world.stop();
    await proxy.stop();
  };
  try {
    const token = await world.kubectl(['create', 'token', 'sluice-operator', '-n', SYSTEM, '--duration', '2h']);
    const kubeconfig = proxy.kubeconfig(join(world.dir, 'proxy.conf'), token.trim());
    let operator = await world.operator({ kubeconfig, settings });
    await world.told(async () => {
      const scripts = SCRIPTS.map((one) => script(one, SYSTEM, 'p'));
      await Promise.all([operator.leads(), world.apply(plugin('p', SYSTEM, world.receiver.endpoint), ...scripts)]);
      await Promise.all(SCRIPTS.map((one) => world.scriptIs(one, 'Delivered', 'True/Acknowledged')));
    });
    const uidOf = async (one: string): Promise<string> => (await world.script(one))?.metadata.uid ?? '';
    let { pid } = operator;
    let changes = 0;
    async function windowsGoOn(more = 2, one = 'a'): Promise<void> {
      const uid = await uidOf(one);
      const until = world.runtime.committed(uid).length + more;
      await waitFor(`${more} more windows of ${one}`, () => world.runtime.committed(uid).length >= until, 60_000);
    }
    return {
      world,
      proxy,
      get operator() {
        return operator;
      },
      uidOf,
      stop,
      async anew() {
        if (IS_LONG_FORM) return;
        expect(await operator.terminate()).toBe(0);
        operator = await world.operator({ kubeconfig, settings });
        ({ pid } = operator);
        await operator.leads();
        // it has read all that it takes over
        await Promise.all(SCRIPTS.map((one) => windowsGoOn(1, one)));
      },
      windowsGoOn,
      async changesAreSeen() {
        const change = { op: 'add', path: '/spec/timeout', value: `${30 + ++changes}s` } as const;
        await world.client.patchJson(EXPORT_SCRIPTS, SYSTEM, 'b', [change], { fieldManager: 'test' });
        await world.scriptIs('b', 'Ready', 'True/Scheduled');
      },
      async isWhole() {
        expect([operator.isRunning, operator.pid]).toEqual([true, pid]);
        for (const one of SCRIPTS) {
          const ticks = gapsAndRepeats(world.receiver.ticks(one, `/${SYSTEM}`));
          expect([one, ticks]).toEqual([one, { missing: [], repeated: [] }]);
          expect([one, gapsAndOverlaps(world.runtime.committed(await uidOf(one)))]).toEqual([one, []]);
        }
      },
      told: (steps) => async () => {
        try {
          await world.told(steps);
        } finally {
          proxy.heal();
          await proxy.accept();
        }
      },
    };
  } catch (error) {
    await stop().catch(() => undefined);
    throw error;
  }
}
