// The built-in kinds that Sluice reads or makes, with the fields that it looks at.
import type { KubeObject, ResourceType } from './types.ts';

const namespaced = <T extends KubeObject = KubeObject>(
  group: string,
  version: string,
  plural: string,
  kind: string,
): ResourceType<T> => ({ group, version, plural, kind, namespaced: true });
const cluster = <T extends KubeObject = KubeObject>(
  group: string,
  version: string,
  plural: string,
  kind: string,
): ResourceType<T> => ({ group, version, plural, kind, namespaced: false });

export interface Secret extends KubeObject {
  readonly type?: string;
  /** Base64. */
  readonly data?: Readonly<Record<string, string>>;
  readonly stringData?: Readonly<Record<string, string>>;
}

export interface ConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
  /** Base64. */
  readonly binaryData?: Readonly<Record<string, string>>;
}

export interface Lease extends KubeObject {
  readonly spec?: {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    /** MicroTime: RFC 3339 with six digits of a second. */
    readonly acquireTime?: string;
    readonly renewTime?: string;
    readonly leaseTransitions?: number;
  };
}

/** A condition of any kind (metav1.Condition; pods and nodes have no `observedGeneration`). */
export interface ObjectCondition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string;
}

export interface ContainerStatus {
  readonly name: string;
  /** `containerd://<id>`. */
  readonly containerID?: string;
  readonly image?: string;
  readonly ready: boolean;
  readonly restartCount: number;
  readonly state?: Readonly<Record<string, { readonly reason?: string; readonly message?: string }>>;
}

export interface Pod extends KubeObject {
  readonly spec?: {
    readonly nodeName?: string;
    readonly hostNetwork?: boolean;
    readonly serviceAccountName?: string;
  };
  readonly status?: {
    readonly phase?: string;
    readonly podIP?: string;
    readonly podIPs?: readonly { readonly ip: string }[];
    readonly hostIP?: string;
    readonly startTime?: string;
    readonly conditions?: readonly ObjectCondition[];
    readonly containerStatuses?: readonly ContainerStatus[];
    readonly initContainerStatuses?: readonly ContainerStatus[];
  };
}

export interface Node extends KubeObject {
  readonly spec?: {
    readonly podCIDR?: string;
    readonly podCIDRs?: readonly string[];
    readonly unschedulable?: boolean;
    readonly taints?: readonly { readonly key: string; readonly value?: string; readonly effect: string }[];
  };
  readonly status?: {
    readonly conditions?: readonly ObjectCondition[];
    readonly addresses?: readonly { readonly type: string; readonly address: string }[];
    readonly nodeInfo?: Readonly<Record<string, string>>;
  };
}

export interface Service extends KubeObject {
  readonly spec?: {
    readonly clusterIP?: string;
    readonly clusterIPs?: readonly string[];
    readonly type?: string;
    readonly selector?: Readonly<Record<string, string>>;
    readonly ports?: readonly { readonly name?: string; readonly port: number; readonly protocol?: string }[];
  };
}

/** discovery.k8s.io/v1: a slice of a service's endpoints; one service may have several. */
export interface EndpointSlice extends KubeObject {
  readonly addressType?: string;
  readonly endpoints?: readonly {
    readonly addresses: readonly string[];
    readonly hostname?: string;
    readonly nodeName?: string;
    readonly conditions?: { readonly ready?: boolean; readonly serving?: boolean; readonly terminating?: boolean };
    readonly targetRef?: {
      readonly kind?: string;
      readonly namespace?: string;
      readonly name?: string;
      readonly uid?: string;
    };
  }[];
  readonly ports?: readonly { readonly name?: string; readonly port?: number; readonly protocol?: string }[];
}

export interface DaemonSet extends KubeObject {
  readonly spec?: object;
  readonly status?: {
    readonly observedGeneration?: number;
    readonly desiredNumberScheduled?: number;
    readonly currentNumberScheduled?: number;
    readonly updatedNumberScheduled?: number;
    readonly numberReady?: number;
    readonly numberAvailable?: number;
    readonly numberUnavailable?: number;
  };
}

export interface StatefulSet extends KubeObject {
  readonly spec?: { readonly replicas?: number };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly replicas?: number;
    readonly readyReplicas?: number;
    readonly availableReplicas?: number;
    readonly updatedReplicas?: number;
    readonly currentRevision?: string;
    readonly updateRevision?: string;
  };
}

export interface Deployment extends KubeObject {
  readonly spec?: { readonly replicas?: number };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly replicas?: number;
    readonly readyReplicas?: number;
    readonly availableReplicas?: number;
    readonly conditions?: readonly ObjectCondition[];
  };
}

export interface CustomResourceDefinition extends KubeObject {
  readonly spec?: {
    readonly group: string;
    readonly versions: readonly { readonly name: string; readonly served: boolean; readonly storage: boolean }[];
  };
  readonly status?: { readonly conditions?: readonly ObjectCondition[]; readonly storedVersions?: readonly string[] };
}

export const SECRETS = namespaced<Secret>('', 'v1', 'secrets', 'Secret');
export const CONFIG_MAPS = namespaced<ConfigMap>('', 'v1', 'configmaps', 'ConfigMap');
export const PODS = namespaced<Pod>('', 'v1', 'pods', 'Pod');
export const SERVICES = namespaced<Service>('', 'v1', 'services', 'Service');
export const NODES = cluster<Node>('', 'v1', 'nodes', 'Node');
export const NAMESPACES = cluster('', 'v1', 'namespaces', 'Namespace');
export const ENDPOINT_SLICES = namespaced<EndpointSlice>('discovery.k8s.io', 'v1', 'endpointslices', 'EndpointSlice');
export const DAEMON_SETS = namespaced<DaemonSet>('apps', 'v1', 'daemonsets', 'DaemonSet');
export const STATEFUL_SETS = namespaced<StatefulSet>('apps', 'v1', 'statefulsets', 'StatefulSet');
export const DEPLOYMENTS = namespaced<Deployment>('apps', 'v1', 'deployments', 'Deployment');
export const POD_DISRUPTION_BUDGETS = namespaced('policy', 'v1', 'poddisruptionbudgets', 'PodDisruptionBudget');
export const NETWORK_POLICIES = namespaced('networking.k8s.io', 'v1', 'networkpolicies', 'NetworkPolicy');
export const LEASES = namespaced<Lease>('coordination.k8s.io', 'v1', 'leases', 'Lease');
export const EVENTS = namespaced('events.k8s.io', 'v1', 'events', 'Event');
export const CUSTOM_RESOURCE_DEFINITIONS = cluster<CustomResourceDefinition>(
  'apiextensions.k8s.io',
  'v1',
  'customresourcedefinitions',
  'CustomResourceDefinition',
);
