// The collectors that a runtime asks: those that a cluster has, by their pods and the slices of their Service, or fixed ones.
// A node is expected from the moment at which a collector's pod is scheduled there; without an address it is missing.
import { startReflector } from '../../kube/reflector.ts';
import { ENDPOINT_SLICES, PODS, type EndpointSlice, type Pod } from '../../kube/resources.ts';
import type { KubeClient, KubeObject } from '../../kube/types.ts';
import type { Metrics } from '../../model/metrics.ts';
import type { Node } from '../../plan/node.ts';
import { openRemoteNode, type RemoteNode } from '../../rpc/flight-node.ts';
import { isRole } from '../../rpc/identity.ts';
import type { TlsSource } from '../../rpc/tls.ts';

export interface NodesOptions {
  readonly namespace: string;
  readonly tls: TlsSource | undefined;
}

export interface Nodes {
  nodes(): readonly Node[];
  /** True, or what keeps them from being known. */
  state(): true | string;
  close(): void;
}

/** Where a collector is; undefined: nowhere yet. */
type Places = ReadonlyMap<string, string | undefined>;

interface Open {
  readonly address: string | undefined;
  readonly node: Node & { close?(): void };
}

/** Keeps one connection a node, made anew where its collector has another address. */
function connections({ namespace, tls }: NodesOptions): { update(places: Places): void; all(): Node[]; close(): void } {
  const open = new Map<string, Open>();
  const drop = (name: string): void => {
    open.get(name)?.node.close?.();
    open.delete(name);
  };
  return {
    update(places) {
      for (const [name, { address }] of open) if (!places.has(name) || places.get(name) !== address) drop(name);
      for (const [name, address] of places) {
        if (open.has(name)) continue;
        const node: RemoteNode | Node =
          address === undefined
            ? nowhere(name)
            : openRemoteNode({ name, address, tls, isServer: (identity) => isRole(identity, namespace, 'collector') });
        open.set(name, { address, node });
      }
    },
    all: () => [...open.values()].map(({ node }) => node),
    close() {
      for (const name of open.keys()) drop(name);
    },
  };
}

/** A node whose collector has no address yet. */
function nowhere(name: string): Node {
  const fail = (): Promise<never> => Promise.reject(new Error(`the collector on node ${name} has no address yet`));
  return {
    name,
    state: fail,
    waitForWatermark: fail,
    loss: fail,
    query: () => ({ [Symbol.asyncIterator]: () => ({ next: fail }) }),
  };
}

/** Nodes that do not change, by name. */
export function fixedNodes(places: Places, options: NodesOptions): Nodes {
  const known = connections(options);
  known.update(places);
  return { nodes: () => known.all(), state: () => true, close: () => known.close() };
}

export interface ClusterNodesOptions extends NodesOptions {
  readonly client: Pick<KubeClient, 'list' | 'watch'>;
  /** Of the collectors; its pods have the same component label. */
  readonly service: string;
  readonly metrics: Metrics;
  readonly signal: AbortSignal;
  readonly onError: (what: string, error: unknown) => void;
}

interface KeptPod extends KubeObject {
  readonly node: string;
  readonly address: string | undefined;
}

interface KeptSlice extends KubeObject {
  readonly port: number | undefined;
  readonly endpoints: readonly { readonly node: string; readonly address: string }[];
}

const isOver = (phase: string | undefined): boolean => phase === 'Succeeded' || phase === 'Failed';

/** Pure: which node's collector is where. The newest pod of a node counts; slices say the port, and know addresses earlier. */
export function placesOf(pods: Iterable<KeptPod>, slices: Iterable<KeptSlice>): Map<string, string | undefined> {
  const places = new Map<string, string | undefined>();
  let port: number | undefined;
  const bySlice = new Map<string, string>();
  for (const slice of slices) {
    port = slice.port ?? port;
    for (const { node, address } of slice.endpoints) bySlice.set(node, address);
  }
  const newest = [...pods].sort((a, b) =>
    (a.metadata.creationTimestamp ?? '') < (b.metadata.creationTimestamp ?? '') ? -1 : 1,
  );
  for (const pod of newest) {
    if (pod.node === '') continue;
    const address = pod.address ?? bySlice.get(pod.node);
    const host = address?.includes(':') === true ? `[${address}]` : address;
    places.set(pod.node, host === undefined || port === undefined ? undefined : `${host}:${port}`);
  }
  return places;
}

const kept = ({ metadata: { name, namespace, uid, resourceVersion, creationTimestamp } }: KubeObject) => ({
  metadata: {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(uid === undefined ? {} : { uid }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
    ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
  },
});

/** Follows the collectors of a cluster. */
export function clusterNodes(options: ClusterNodesOptions): Nodes {
  const { client, namespace, service, metrics, signal } = options;
  const known = connections(options);
  const common = (what: string) => ({
    client,
    metrics,
    signal,
    onError: (error: unknown, during: string) => options.onError(`${during} ${what}`, error),
  });
  const pods = startReflector<Pod, KeptPod>({
    ...common('pods'),
    type: PODS,
    scope: { namespace, labelSelector: 'app.kubernetes.io/name=sluice,app.kubernetes.io/component=collector' },
    transform: (pod) => ({
      ...kept(pod),
      // what has ended, or is about to, has another pod in its place or none
      node: isOver(pod.status?.phase) ? '' : (pod.spec?.nodeName ?? ''),
      address: pod.status?.podIP,
    }),
  });
  const slices = startReflector<EndpointSlice, KeptSlice>({
    ...common('endpointslices'),
    type: ENDPOINT_SLICES,
    scope: { namespace, labelSelector: `kubernetes.io/service-name=${service}` },
    transform: (slice) => ({
      ...kept(slice),
      port: slice.ports?.find(({ name }) => name === 'flight')?.port ?? slice.ports?.[0]?.port,
      endpoints: (slice.endpoints ?? []).flatMap(({ nodeName, addresses }) => {
        const [address] = addresses;
        return nodeName === undefined || address === undefined ? [] : { node: nodeName, address };
      }),
    }),
  });
  const update = (): void => {
    if (pods.hasSynced && slices.hasSynced) known.update(placesOf(pods.all(), slices.all()));
  };
  for (const store of [pods, slices]) {
    store.onChange(update);
    void store.synced.then(update);
  }
  return {
    nodes: () => known.all(),
    state() {
      for (const [what, store] of [
        ['pods', pods],
        ['endpointslices', slices],
      ] as const) {
        const { lastError } = store.state();
        if (!store.hasSynced) return `${what}: ${lastError === undefined ? 'not listed yet' : lastError.message}`;
      }
      return true;
    },
    close: () => known.close(),
  };
}
