// Everything goes away in whatever order it is deleted, without a patch: there are no finalizers, and what the operator made is
// collected with it. Comes last: each order begins with an installation and leaves none.
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

const ORDERS: readonly (readonly [string, readonly (readonly string[])[]])[] = [
  ['scripts, plugins, the rest', [SCRIPTS, PLUGIN, DEFAULT]],
  ['plugins before scripts', [PLUGIN, SCRIPTS, DEFAULT]],
  ['the operator first', [OPERATOR, PLUGIN, SCRIPTS, DEFAULT]],
  ['the definitions first', [CRDS, DEFAULT]],
  ['the operator’s namespace first', [HOME, SCRIPTS, PLUGIN, DEFAULT]],
  ['all at once', [DEFAULT]],
];

export function removalSuite(getProduct: () => Product, { test }: Checks): void {
  describe('deleted', () => {
    for (const [i, [order, steps]] of ORDERS.entries())
      test(`${order}: all of it ends`, async () => {
        const { cluster, apply } = getProduct();
        if (i > 0) {
          await install(cluster);
          await cluster.kubectl(['apply', '-f', join(ROOT, 'config/samples')]);
        }
        await apply([
          plugin({ name: 'backend', namespace: SPACE }),
          script({ name: 'requests', namespace: SPACE, plugin: 'backend', text: COUNTS }),
        ]);
        await ready(cluster);
        await cluster.kubectl(['wait', '--for=condition=Ready', 'exs', '--all', '-A', '--timeout=60s']);
        for (const step of steps) await cluster.kubectl([...step, '--timeout=60s'], { timeoutMs: 80_000 });
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
