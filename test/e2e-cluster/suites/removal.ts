// Everything goes away in whatever order it is deleted, without a patch: there are no finalizers, and what the operator made is
// collected with it. Comes last and leaves nothing.
import { join } from 'node:path';
import { describe, expect } from '@jest/globals';
import type { Checks } from '../checks.ts';
import { processesOf } from '../processes.ts';
import { install, NAMESPACE, ready, ROOT, until, type Product } from '../product.ts';
import { COUNTS, plugin, script } from '../scripts.ts';

const SPACE = 'pay';
const DEFAULT = ['delete', '-k', join(ROOT, 'config/default'), '--ignore-not-found'];
const CRDS = ['delete', 'crd', 'exportscripts.sluice.dev', 'otelplugins.sluice.dev'];
const PLUGIN = ['delete', 'otelplugin', '--all', '-A'];
const SCRIPTS = ['delete', 'exportscript', '--all', '-A'];
const OPERATOR = ['delete', 'deployment', 'sluice-operator', '-n', NAMESPACE];
const HOME = ['delete', 'namespace', NAMESPACE];

interface Order {
  readonly order: string;
  readonly steps: readonly (readonly string[])[];
  /** The installation stays for the next one. */
  readonly stays?: boolean;
}

const ORDERS: readonly Order[] = [
  { order: 'scripts before plugins', steps: [SCRIPTS, PLUGIN], stays: true },
  { order: 'plugins before scripts', steps: [PLUGIN, SCRIPTS], stays: true },
  { order: 'the operator first', steps: [OPERATOR, PLUGIN, SCRIPTS, DEFAULT] },
  { order: 'the definitions first', steps: [CRDS, DEFAULT] },
  { order: 'the operator’s namespace first', steps: [HOME, SCRIPTS, PLUGIN, DEFAULT] },
  { order: 'all at once', steps: [DEFAULT] },
];

export function removalSuite(getProduct: () => Product, { test }: Checks): void {
  describe('deleted', () => {
    for (const [i, { order, steps, stays = false }] of ORDERS.entries())
      test(`${order}: all of it ends`, async () => {
        const { cluster, apply } = getProduct();
        const isInstalled = i === 0 || ORDERS[i - 1]?.stays === true;
        if (!isInstalled) await install(cluster);
        await cluster.kubectl(['apply', '-f', join(ROOT, 'config/samples')]);
        await apply([
          plugin({ name: 'backend', namespace: SPACE }),
          script({ name: 'requests', namespace: SPACE, plugin: 'backend', text: COUNTS }),
        ]);
        await ready(cluster);
        await cluster.kubectl(['wait', '--for=condition=Ready', 'exs', '--all', '-A', '--timeout=60s']);
        for (const step of steps) await cluster.kubectl([...step, '--timeout=60s'], { timeoutMs: 80_000 });
        if (stays) {
          expect(await cluster.kubectl(['get', 'otelplugins,exportscripts', '-A', '-o', 'name'])).toBe('');
          return;
        }
        const left = await until(
          'the end of everything',
          async () => {
            const kinds = 'crds,clusterroles,clusterrolebindings,namespaces';
            const names = (await cluster.kubectl(['get', kinds, '-o', 'name'])).split('\n');
            const processes = cluster.nodes.flatMap((node) =>
              (['operator', 'runtime', 'agent', 'probe'] as const).flatMap((part) => processesOf(cluster, node, part)),
            );
            return !names.some((name) => name.includes('sluice')) && processes.length === 0 && 'nothing';
          },
          60_000,
        );
        expect(left).toBe('nothing');
      }, 240_000);
  });
}
