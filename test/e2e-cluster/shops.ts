// The applications that are observed: web services of several namespaces on both nodes, and load on them from other pods. The
// services count what they answered; `shopCounts` asks each of them.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SLUICE_IMAGE } from '../cluster/image.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { configMap, deployment, namespace, pod, service } from './objects.ts';

const program = (name: string): string => readFileSync(join(import.meta.dirname, 'pods', `${name}.ts`), 'utf8');

/** Length of the windows that shops count by, in milliseconds; every script's window is a multiple. */
export const GRID_MS = 2000;

export interface Shop {
  readonly namespace: string;
  readonly name: string;
  readonly replicas: number;
  readonly kind: 'Deployment' | 'ReplicaSet';
}

/** One on both nodes, one on one of them, one without a Deployment. */
export const SHOPS: readonly Shop[] = [
  { namespace: 'shop', name: 'web', replicas: 2, kind: 'Deployment' },
  { namespace: 'shop', name: 'cart', replicas: 1, kind: 'Deployment' },
  { namespace: 'pay', name: 'payments', replicas: 2, kind: 'ReplicaSet' },
];
const VISITORS = 'visitors';

/** Node.js, from our own image, with a program from a ConfigMap. */
const nodeContainer = (name: string, env: Readonly<Record<string, string | number>>): object => ({
  name,
  image: SLUICE_IMAGE,
  // the name with an `m`: there is no package.json beside it that says that it is a module
  command: ['node', `/programs/${name}.mts`],
  env: Object.entries({ GRID_MS, ...env }).map(([key, value]) => ({ name: key, value: String(value) })),
  volumeMounts: [{ name: 'programs', mountPath: '/programs' }],
});

/** A volume with the programs, for containers that mount it at /programs. */
export const PROGRAMS = { name: 'programs', configMap: { name: 'programs' } };
/** The ConfigMap that PROGRAMS mounts. */
export const programsIn = (space: string): object =>
  configMap(
    'programs',
    space,
    Object.fromEntries(['shop', 'visitors', 'sniffer'].map((name) => [`${name}.mts`, program(name)])),
  );

/** Everything but the load. */
export const shopObjects = (): object[] => {
  const spaces = [...new Set(SHOPS.map((shop) => shop.namespace)), VISITORS];
  return [
    ...spaces.map((space) => namespace(space)),
    ...spaces.map(programsIn),
    ...SHOPS.flatMap(({ name, namespace: space, replicas, kind }) => [
      deployment({
        name,
        namespace: space,
        replicas,
        kind,
        volumes: [PROGRAMS],
        container: {
          ...nodeContainer('shop', {}),
          readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
        },
      }),
      service({ name, namespace: space, ports: [8080] }),
    ]),
  ];
};

export interface LoadOptions {
  /** Of the pods; there is one on each node. */
  readonly name: string;
  /** Of each pod; then it ends. */
  readonly requests: number;
  /** Between two requests of one of the connections, in milliseconds, on average. */
  readonly pauseMs?: number;
  readonly connections?: number;
  /** Begins anew when it ended, or when its node has come back. */
  readonly isEndless?: boolean;
}

/** Pods that ask every shop, one on each node. */
export const loadObjects = (nodes: readonly string[], options: LoadOptions): object[] =>
  nodes.map((node) =>
    pod({
      name: `${options.name}-${node}`,
      namespace: VISITORS,
      nodeName: node,
      restartPolicy: options.isEndless === true ? 'Always' : 'Never',
      volumes: [PROGRAMS],
      container: nodeContainer('visitors', {
        TARGETS: SHOPS.map((shop) => `http://${shop.name}.${shop.namespace}.svc.cluster.local:8080`).join(' '),
        REQUESTS: options.requests,
        PAUSE_MS: options.pauseMs ?? 60,
        CONNECTIONS: options.connections ?? 3,
      }),
    }),
  );

/** Resolves when the load's pods have ended; how many requests they made and how many of them were not answered. */
export async function loadEnd(
  cluster: Cluster,
  name: string,
  timeoutMs: number,
): Promise<{ asked: number; failures: number }> {
  const sum = { asked: 0, failures: 0 };
  for (const node of cluster.nodes) {
    const one = `pod/${name}-${node}`;
    const until = ['--for=jsonpath={.status.phase}=Succeeded', `--timeout=${Math.ceil(timeoutMs / 1000)}s`];
    await cluster.kubectl(['wait', one, '--namespace', VISITORS, ...until], { timeoutMs: timeoutMs + 10_000 });
    const said = JSON.parse(await cluster.kubectl(['logs', one, '--namespace', VISITORS])) as typeof sum;
    sum.asked += said.asked;
    sum.failures += said.failures;
  }
  return sum;
}

export interface ShopCounts {
  readonly namespace: string;
  readonly pod: string;
  readonly service: string;
  readonly node: string;
  /** No answer that ends later than this is counted yet, in milliseconds since the epoch. */
  readonly settledMs: number;
  /** Answers by `METHOD path status`, by the window in which they ended. */
  readonly windows: readonly { readonly start: number; readonly counts: Readonly<Record<string, number>> }[];
  /** Ends of windows that an answer lay across: it may be in either. */
  readonly crossed: readonly number[];
}

/** What each pod of each shop has counted. */
export async function shopCounts(cluster: Cluster): Promise<ShopCounts[]> {
  const pods: ShopPod[] = [];
  for (const shop of SHOPS) {
    const list = await cluster.kubectl([
      'get',
      'pods',
      '--namespace',
      shop.namespace,
      '--selector',
      `app=${shop.name}`,
      '-o',
      'jsonpath={range .items[*]}{.metadata.name} {.spec.nodeName} {.status.podIP}{"\\n"}{end}',
    ]);
    for (const line of list.split('\n').filter((text) => text !== '')) {
      const [name = '', node = '', address = ''] = line.split(' ');
      pods.push({ namespace: shop.namespace, pod: name, service: shop.name, node, address });
    }
  }
  return Promise.all(
    pods.map(async ({ address, ...rest }) => {
      const said = await cluster.run(['socat', '-u', `TCP:${address}:8081,connect-timeout=5`, '-'], {
        timeoutMs: 10_000,
      });
      return { ...rest, ...(JSON.parse(said) as Pick<ShopCounts, 'settledMs' | 'windows' | 'crossed'>) };
    }),
  );
}

type ShopPod = Pick<ShopCounts, 'namespace' | 'pod' | 'service' | 'node'> & { readonly address: string };
