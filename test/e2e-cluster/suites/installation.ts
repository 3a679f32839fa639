// What an installation runs as: which rights the processes have, and that namespaces with the strictest pod security take all
// pods but the collector's.
import { describe, expect } from '@jest/globals';
import type { Checks } from '../checks.ts';
import { namespace } from '../objects.ts';
import { processesOf, type Part } from '../processes.ts';
import { NAMESPACE, type Product } from '../product.ts';

/** Bits of CAP_PERFMON and CAP_BPF (linux/capability.h). */
const PERFMON = 38n;
const BPF = 39n;

interface Container {
  readonly name: string;
  readonly securityContext: {
    readonly privileged?: boolean;
    readonly runAsUser?: number;
    readonly capabilities: { readonly add?: readonly string[]; readonly drop: readonly string[] };
  };
}

export function installationSuite(getProduct: () => Product, { test }: Checks): void {
  describe('an installation', () => {
    test('no container is privileged; the probe alone has capabilities, and these two', async () => {
      const { kubectl } = getProduct().cluster;
      const said = await kubectl(['get', 'pods', '-n', NAMESPACE, '-o', 'json']);
      const pods = JSON.parse(said) as { items: { spec: { containers: Container[] } }[] };
      const containers = pods.items.flatMap(({ spec }) => spec.containers);
      const rights = new Map(
        containers.map(({ name, securityContext: { privileged, capabilities } }) => [
          name,
          { privileged: privileged ?? false, ...capabilities },
        ]),
      );
      const none = { privileged: false, drop: ['ALL'] };
      expect(Object.fromEntries(rights)).toEqual({
        operator: none,
        runtime: none,
        agent: none,
        probe: { ...none, add: ['BPF', 'PERFMON'] },
      });
    });

    test('and so say their processes', () => {
      const { cluster } = getProduct();
      const found = (part: Part) => cluster.nodes.flatMap((node) => processesOf(cluster, node, part));
      for (const part of ['operator', 'runtime', 'agent'] as const)
        for (const { effective, bounding } of found(part))
          expect({ part, effective: BigInt(`0x${effective}`), bounding: BigInt(`0x${bounding}`) }).toEqual({
            part,
            effective: 0n,
            bounding: 0n,
          });
      const probes = found('probe');
      expect(probes).toHaveLength(cluster.nodes.length);
      for (const { effective, bounding } of probes) {
        expect(BigInt(`0x${bounding}`)).toBe((1n << PERFMON) | (1n << BPF));
        // given up once the programs are loaded
        expect(BigInt(`0x${effective}`)).toBe(0n);
      }
    });

    test('pods of operator and runtime are accepted where pod security is restricted, the collector’s is not', async () => {
      const { cluster, apply } = getProduct();
      await apply([namespace('restricted', { 'pod-security.kubernetes.io/enforce': 'restricted' })]);
      for (const [component, accepted] of [
        ['operator', true],
        ['runtime', true],
        ['collector', false],
      ] as const) {
        const selector = `app.kubernetes.io/component=${component}`;
        const args = ['get', 'pods', '-n', NAMESPACE, '-l', selector, '-o', 'json'];
        const { items } = JSON.parse(await cluster.kubectl(args)) as { items: { spec: Record<string, unknown> }[] };
        const spec = { ...items[0]?.spec };
        // what the API server put there
        for (const field of ['nodeName', 'serviceAccountName', 'serviceAccount', 'priority']) delete spec[field];
        const input = { apiVersion: 'v1', kind: 'Pod', metadata: { name: component, namespace: 'restricted' }, spec };
        const answer = cluster.kubectl(['create', '--dry-run=server', '-f', '-'], { input }).then(
          () => true,
          (error: unknown) => (String(error).includes('violates PodSecurity') ? false : Promise.reject(error)),
        );
        expect({ component, accepted: await answer }).toEqual({ component, accepted });
      }
      await cluster.kubectl(['delete', 'namespace', 'restricted', '--wait=false']);
    });
  });
}
