// From `kubectl apply` to Ready, and the samples in any order.
import { join } from 'node:path';
import { readFileSync } from 'node:fs';
import { describe, expect } from '@jest/globals';
import type { Checks } from '../checks.ts';
import { namespace } from '../objects.ts';
import { ROOT, until, type Product } from '../product.ts';
import { COUNTS, plugin, script } from '../scripts.ts';

const SCRIPTS = 50;
const SPACE = 'ready';

export function readinessSuite(getProduct: () => Product, { test }: Checks): void {
  describe('readiness', () => {
    test(`${SCRIPTS} scripts, applied one by one, become Ready`, async () => {
      const { cluster, apply, statuses } = getProduct();
      await apply([namespace(SPACE), plugin({ name: 'backend', namespace: SPACE })]);
      await cluster.kubectl(['wait', '--for=condition=Ready', 'otelplugin/backend', '-n', SPACE, '--timeout=30s']);
      const took: number[] = [];
      for (let i = 0; i < SCRIPTS; i++) {
        const name = `script-${i}`;
        // every text is another one, so that every one is compiled
        const text = `${COUNTS}\n# ${i}\n`;
        const manifest = script({ name, namespace: SPACE, plugin: 'backend', window: '60s', text });
        await cluster.kubectl(['create', '-f', '-'], { input: manifest });
        const ready = await until(`${name} is Ready`, () => statuses.of(`${SPACE}/${name}`)?.readyAtMs, 30_000, 20);
        took.push(ready - (statuses.of(`${SPACE}/${name}`)?.firstAtMs ?? 0));
      }
      took.sort((a, b) => a - b);
      const at = (part: number): number => took[Math.min(took.length - 1, Math.floor(part * took.length))] ?? 0;
      process.stderr.write(
        `apply → Ready, ${SCRIPTS} scripts one by one: p50 ${at(0.5)} ms, p90 ${at(0.9)} ms, p99 ${at(0.99)} ms\n`,
      );
      await cluster.kubectl(['delete', 'namespace', SPACE, '--wait=false']);
    }, 300_000);

    for (const order of [
      ['exportscript.yaml', 'otelplugin.yaml'],
      ['otelplugin.yaml', 'exportscript.yaml'],
    ])
      test(`the samples become Ready, ${order.join(' before ')}`, async () => {
        const { cluster } = getProduct();
        const space = `order-${order[0]?.replace('.yaml', '')}`;
        const text = (file: string): string =>
          readFileSync(join(ROOT, 'config/samples', file), 'utf8').replace(
            'namespace: sluice-system',
            `namespace: ${space}`,
          );
        await cluster.kubectl(['create', 'namespace', space]);
        for (const file of order) await cluster.kubectl(['apply', '-f', '-'], { input: text(file) });
        const wait = ['wait', '--for=condition=Ready', '--all', '-n', space, '--timeout=30s'];
        await cluster.kubectl([...wait, 'otelplugins']);
        await cluster.kubectl([...wait, 'exportscripts']);
        const scripts = await cluster.kubectl(['get', 'exs', '-n', space, '-o', 'name']);
        expect(scripts.trim().split('\n')).toHaveLength(3);
        await cluster.kubectl(['delete', 'namespace', space, '--wait=false']);
      }, 180_000);
  });
}
