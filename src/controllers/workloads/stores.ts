// The copies of the cluster that the workloads are decided from. Nodes and pods are cut down to what is read of them.
import type { Metrics } from '../../model/metrics.ts';
import { startReflector, type ReflectedStore } from '../../kube/reflector.ts';
import {
  DAEMON_SETS,
  DEPLOYMENTS,
  NETWORK_POLICIES,
  NODES,
  POD_DISRUPTION_BUDGETS,
  PODS,
  SECRETS,
  SERVICES,
  STATEFUL_SETS,
} from '../../kube/resources.ts';
import type { KubeClient, KubeObject, ResourceType, Store } from '../../kube/types.ts';
import { MANAGED_BY, workloadName } from './objects.ts';
import type { ObservedNode, ObservedPod } from './observed.ts';

/** The kinds of what the operator makes. */
export const CHILD_TYPES: readonly ResourceType[] = [
  SECRETS,
  SERVICES,
  NETWORK_POLICIES,
  POD_DISRUPTION_BUDGETS,
  STATEFUL_SETS,
  DAEMON_SETS,
];

export interface WorkloadStores {
  /** The operator's own. */
  readonly deployments: Store<KubeObject>;
  /** By kind; only objects that carry our label. */
  readonly children: ReadonlyMap<string, Store<KubeObject>>;
  readonly pods: Store<KubeObject & ObservedPod>;
  readonly nodes: Store<KubeObject & ObservedNode>;
}

export interface WorkloadStoreOptions {
  readonly client: Pick<KubeClient, 'list' | 'watch'>;
  /** The operator's own. */
  readonly namespace: string;
  readonly metrics: Metrics;
  readonly signal: AbortSignal;
  readonly onError: (what: string, error: unknown) => void;
}

/** A node's status is mostly names of images; of the conditions one is read. */
export const keepNode = ({ metadata, status }: KubeObject & ObservedNode): KubeObject & ObservedNode => ({
  metadata: {
    name: metadata.name,
    ...(metadata.uid === undefined ? {} : { uid: metadata.uid }),
    ...(metadata.resourceVersion === undefined ? {} : { resourceVersion: metadata.resourceVersion }),
  },
  status: { conditions: (status?.conditions ?? []).filter(({ type }) => type === 'Ready') },
});

/** Begins to follow everything; `signal` ends it. */
export function startWorkloadStores(options: WorkloadStoreOptions): WorkloadStores {
  const { client, namespace, metrics, signal } = options;
  const common = (what: string) => ({
    client,
    metrics,
    signal,
    onError: (error: unknown, during: string) => options.onError(`${during} ${what}`, error),
  });
  const child = (type: ResourceType): ReflectedStore<KubeObject> =>
    startReflector({
      ...common(type.plural),
      type,
      scope: { namespace, labelSelector: `app.kubernetes.io/managed-by=${MANAGED_BY}` },
    });
  return {
    deployments: startReflector<KubeObject>({
      ...common('deployments'),
      type: DEPLOYMENTS,
      scope: { namespace, fieldSelector: `metadata.name=${workloadName('operator')}` },
    }),
    children: new Map(CHILD_TYPES.map((type) => [type.kind, child(type)])),
    pods: startReflector<KubeObject & ObservedPod>({
      ...common('pods'),
      type: PODS,
      scope: { namespace, labelSelector: 'app.kubernetes.io/name=sluice' },
    }),
    nodes: startReflector<KubeObject & ObservedNode>({ ...common('nodes'), type: NODES, transform: keepNode }),
  };
}
