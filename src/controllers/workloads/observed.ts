// What is seen of the cluster, as far as decisions need it. Fields are those of the API objects of these names, so that an
// object of the API is one of these.

export interface ObservedMetadata {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly deletionTimestamp?: string;
  readonly deletionGracePeriodSeconds?: number;
  readonly ownerReferences?: readonly {
    readonly kind: string;
    readonly name: string;
    readonly uid: string;
    readonly controller?: boolean;
  }[];
}

export interface ObservedObject {
  readonly kind?: string;
  readonly metadata: ObservedMetadata;
}

interface ContainerState {
  readonly reason?: string;
  readonly message?: string;
  readonly exitCode?: number;
}

export interface ObservedContainer {
  readonly name: string;
  readonly image?: string;
  readonly ready: boolean;
  readonly state?: Readonly<Record<string, ContainerState | undefined>>;
  readonly lastState?: Readonly<Record<string, ContainerState | undefined>>;
}

interface ObservedCondition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string;
}

export interface ObservedPod extends ObservedObject {
  readonly spec?: {
    readonly nodeName?: string;
    readonly volumes?: readonly { readonly name: string; readonly emptyDir?: object }[];
  };
  readonly status?: {
    readonly phase?: string;
    readonly conditions?: readonly ObservedCondition[];
    readonly containerStatuses?: readonly ObservedContainer[];
  };
}

export interface ObservedNode extends ObservedObject {
  readonly status?: { readonly conditions?: readonly ObservedCondition[] };
}

export interface ObservedDaemonSet extends ObservedObject {
  readonly status?: {
    readonly desiredNumberScheduled?: number;
    readonly currentNumberScheduled?: number;
    readonly numberReady?: number;
  };
}

export interface ObservedStatefulSet extends ObservedObject {
  readonly spec?: { readonly replicas?: number };
}

const conditionOf = (
  object: { readonly status?: { readonly conditions?: readonly ObservedCondition[] } },
  type: string,
): ObservedCondition | undefined => object.status?.conditions?.find((condition) => condition.type === type);

export const isReady = (object: ObservedPod | ObservedNode): boolean => conditionOf(object, 'Ready')?.status === 'True';

/** Milliseconds since 1970 at which the object became ready or stopped being; undefined where it was never judged. */
export function readySinceMs(object: ObservedPod | ObservedNode): number | undefined {
  const time = Date.parse(conditionOf(object, 'Ready')?.lastTransitionTime ?? '');
  return Number.isNaN(time) ? undefined : time;
}

/** Why no node takes the pod; undefined where one has, or nobody has looked yet. */
export function unschedulable(pod: ObservedPod): string | undefined {
  const condition = conditionOf(pod, 'PodScheduled');
  return condition?.status === 'False' && condition.reason === 'Unschedulable' ? (condition.message ?? '') : undefined;
}

/**
 * When the deletion was asked for; undefined while the object stays. `deletionTimestamp` is when the grace period is over
 * (API concepts, ObjectMeta).
 */
export function terminatingSinceMs({ metadata }: ObservedObject): number | undefined {
  const end = Date.parse(metadata.deletionTimestamp ?? '');
  return Number.isNaN(end) ? undefined : end - (metadata.deletionGracePeriodSeconds ?? 0) * 1000;
}
