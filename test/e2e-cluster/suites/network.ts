// NetworkPolicies as objects: every connection that our pods have is allowed by a rule, and every rule is needed by one. Whether
// they are enforced is not tested: the test cluster's network plugin knows no policies.
import { describe, expect } from '@jest/globals';
import { networkInterfaces } from 'node:os';
import type { Checks } from '../checks.ts';
import { connectionsOf } from '../connections.ts';
import { allowing, rulesOf, type Connection, type NetworkPolicy, type Place } from '../network-policies.ts';
import { namespace } from '../objects.ts';
import { processesOf } from '../processes.ts';
import { NAMESPACE, until, type Product } from '../product.ts';

interface Object_ {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly spec?: { readonly clusterIP?: string; readonly hostNetwork?: boolean };
  readonly status?: { readonly podIP?: string };
}

/** Rules that no TCP connection of ours shows, each with why it is there all the same. */
const NOT_SEEN = new Map([[/ egress 0$/, 'names are looked up by UDP; a look-up is over before anybody sees it']]);

/** The kubelet's probes come from the node itself, which no policy refuses (NetworkPolicy, "Behavior of to and from selectors"). */
const HEALTH = 8081;
const SCRAPER = 'scraper';

export function networkSuite(getProduct: () => Product, { test }: Checks): void {
  const list = async <T>(kind: string, ...more: readonly string[]): Promise<T[]> =>
    (JSON.parse(await getProduct().cluster.kubectl(['get', kind, '-o', 'json', ...more])) as { items: T[] }).items;

  describe('network policies', () => {
    test('every connection is allowed by a rule, and every rule is needed', async () => {
      const { cluster, apply } = getProduct();
      const policies = await list<NetworkPolicy>('networkpolicies', '-n', NAMESPACE);
      expect(policies.map(({ metadata }) => metadata.name).sort()).toEqual([
        'sluice-collector',
        'sluice-operator',
        'sluice-runtime',
      ]);
      await apply([
        namespace(SCRAPER, { 'sluice.dev/metrics': 'scrape' }),
        {
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { name: SCRAPER, namespace: SCRAPER },
          spec: {
            containers: [
              { name: 'sh', image: 'localhost/busybox:1', imagePullPolicy: 'Never', command: ['sleep', '600'] },
            ],
            terminationGracePeriodSeconds: 0,
          },
        },
      ]);
      await cluster.kubectl(['wait', '--for=condition=Ready', `pod/${SCRAPER}`, '-n', SCRAPER, '--timeout=60s'], {
        timeoutMs: 70_000,
      });

      const pods = (await list<Object_>('pods', '-A')).filter(({ spec }) => spec?.hostNetwork !== true);
      const namespaces = await list<Object_>('namespaces');
      const services = await list<Object_>('services', '-A');
      const ours = pods.filter(({ metadata }) => metadata.namespace === NAMESPACE);
      for (const { status } of ours) {
        const url = `http://${status?.podIP ?? ''}:9090/metrics`;
        const text = await cluster.kubectl([
          'exec',
          SCRAPER,
          '-n',
          SCRAPER,
          '--',
          'timeout',
          '10',
          'wget',
          '-qO-',
          url,
        ]);
        expect(text).toContain('process_resident_memory_bytes');
      }

      const placeOf = (address: string): Place => {
        const pod = pods.find(({ status }) => status?.podIP === address);
        if (pod === undefined) return { address };
        const { name, namespace: where = '', labels = {} } = pod.metadata;
        const space = namespaces.find(({ metadata }) => metadata.name === where);
        return { address, pod: { name, namespace: where, labels }, namespaceLabels: space?.metadata.labels ?? {} };
      };
      const isService = (address: string): boolean => services.some(({ spec }) => spec?.clusterIP === address);
      // this program reads /metrics too, from outside of the cluster
      const own = new Set(Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map((one) => one.address)));
      const seen = new Map<string, Connection>();
      const look = (): void => {
        for (const node of cluster.nodes) {
          for (const part of ['operator', 'runtime', 'agent'] as const) {
            for (const { pid } of processesOf(cluster, node, part)) {
              for (const { local, remote, isServer } of connectionsOf(pid)) {
                const port = isServer ? local.port : remote.port;
                if (remote.address.startsWith('127.') || (isServer && (port === HEALTH || own.has(remote.address))))
                  continue;
                const direction = isServer ? 'ingress' : 'egress';
                const connection = {
                  direction,
                  of: placeOf(local.address),
                  peer: placeOf(remote.address),
                  port,
                } as const;
                seen.set(`${direction} ${local.address} ${remote.address} ${port}`, connection);
              }
            }
          }
        }
      };
      // they are over already, and whose end closed first decides whether the pod still shows them
      const scraper = pods.find(({ metadata }) => metadata.namespace === SCRAPER)?.status?.podIP ?? '';
      for (const { status } of ours) {
        const address = status?.podIP ?? '';
        seen.set(`scraped ${address}`, {
          direction: 'ingress',
          of: placeOf(address),
          peer: placeOf(scraper),
          port: 9090,
        });
      }
      const rules = policies.flatMap(rulesOf).map(({ name }) => name);
      const expected = rules.filter((name) => ![...NOT_SEEN.keys()].some((pattern) => pattern.test(name)));
      const used = (): Set<string> => new Set([...seen.values()].flatMap((one) => allowing(policies, one).rules));
      await until(
        'a connection for every rule',
        () => {
          look();
          const now = used();
          return expected.every((name) => now.has(name));
        },
        40_000,
      ).catch((error: unknown) => {
        const now = used();
        throw new Error(`rules that nothing needed: ${expected.filter((name) => !now.has(name)).join(', ')}`, {
          cause: error,
        });
      });

      const refused = [...seen.values()].filter((one) => {
        const { isolated, rules: by } = allowing(policies, one);
        // before a Service's address is translated, only its port tells; the API server's own is what kube-proxy makes of it
        return by.length === 0 && (isolated || !isService(one.peer.address));
      });
      expect(refused).toEqual([]);
      expect([...seen.values()].every((one) => allowing(policies, one).isolated)).toBe(true);
      await cluster.kubectl(['delete', 'namespace', SCRAPER, '--wait=false']);
    }, 240_000);
  });
}
