// How the workloads are, from their pods' own status: what CollectorReady and RuntimeReady of every OtelPlugin say. Pure.
import type { Fault } from '../../crds/script-conditions.ts';
import {
  isReady,
  readySinceMs,
  unschedulable,
  type ObservedContainer,
  type ObservedDaemonSet,
  type ObservedNode,
  type ObservedPod,
} from './observed.ts';

export interface WorkloadFault extends Fault {
  /** Usual while pods start and move; worth a condition only once it is not (TRANSIENT_MS). */
  readonly isTransient: boolean;
}

export interface NodeFault {
  readonly node: string;
  readonly reason: string;
  readonly message: string;
}

export interface WorkloadHealth {
  readonly collector: {
    /** Nodes that should have a collector, and those whose collector is ready. */
    readonly total: number;
    readonly ready: number;
    readonly fault: WorkloadFault | undefined;
    /** By name, at most 10. */
    readonly notReady: readonly NodeFault[];
  };
  readonly runtime: {
    /** Ordinals that scripts belong to: 0 … replicas−1. */
    readonly replicas: number;
    readonly ready: number;
    readonly fault: WorkloadFault | undefined;
  };
}

/** How long a pod may be on its way. */
const TRANSIENT_MS = 60_000;
const NODES_MAX = 10;
const MESSAGE_MAX = 512;

const IMAGE_REASONS = new Set([
  'ErrImagePull',
  'ImagePullBackOff',
  'ErrImageNeverPull',
  'InvalidImageName',
  'ImageInspectError',
  'RegistryUnavailable',
  'SignatureValidationFailed',
]);

/** Exit statuses of the probe (probe/options.c). */
const PROBE_EXITS: Readonly<Record<number, Fault>> = {
  3: {
    reason: 'RightsMissing',
    message: 'the probe may not load BPF programs; its container needs the capabilities BPF and PERFMON',
  },
  4: {
    reason: 'KernelUnsupported',
    message: "the node's kernel cannot do what the probe needs; `sluice-probe --check` in its container says what",
  },
};

// Texts of the kubelet carry back-off times and counts: a condition with them would be written again and again.
function containerFault({ name, image, ready, state, lastState }: ObservedContainer): Fault | undefined {
  const waiting = state?.['waiting'];
  if (waiting !== undefined && IMAGE_REASONS.has(waiting.reason ?? ''))
    return { reason: 'ImagePull', message: `image ${image ?? ''} of container ${name} cannot be pulled` };
  const ended =
    state?.['terminated'] ?? (waiting?.reason === 'CrashLoopBackOff' ? lastState?.['terminated'] : undefined);
  if (ended !== undefined) {
    const { exitCode = 0, reason = '' } = ended;
    const known = name === 'probe' ? PROBE_EXITS[exitCode] : undefined;
    if (known !== undefined) return known;
    const how = reason === 'OOMKilled' ? 'was killed for want of memory' : `ended with status ${String(exitCode)}`;
    return { reason: 'CrashLoop', message: `container ${name} ${how}; see its log` };
  }
  if (waiting === undefined)
    return ready ? undefined : { reason: 'NotReady', message: `container ${name} is not ready` };
  if (waiting.reason === 'CrashLoopBackOff')
    return { reason: 'CrashLoop', message: `container ${name} ends again and again; see its log` };
  if (waiting.reason === 'ContainerCreating' || waiting.reason === 'PodInitializing')
    return { reason: 'Starting', message: `container ${name} is being made` };
  return {
    reason: 'ContainerNotMade',
    message: `container ${name}: ${waiting.reason ?? ''} ${waiting.message ?? ''}`.trim(),
  };
}

const SEVERITY = [
  'RightsMissing',
  'KernelUnsupported',
  'ImagePull',
  'ContainerNotMade',
  'CrashLoop',
  'Starting',
  'NotReady',
];
const TRANSIENT = new Set(['Starting', 'NotReady', 'Terminating', 'NodeNotReady']);

const cut = (text: string): string => (text.length <= MESSAGE_MAX ? text : `${text.slice(0, MESSAGE_MAX - 1)}…`);

/** Why a pod is not ready; undefined where it is. */
export function podFault(pod: ObservedPod, node: ObservedNode | undefined): Fault | undefined {
  if (pod.metadata.deletionTimestamp !== undefined)
    return { reason: 'Terminating', message: 'the pod is being deleted' };
  if (node !== undefined && !isReady(node)) return { reason: 'NodeNotReady', message: 'the node is not ready' };
  if (isReady(pod)) return undefined;
  const nowhere = unschedulable(pod);
  if (nowhere !== undefined) return { reason: 'Unschedulable', message: cut(nowhere) };
  const faults = (pod.status?.containerStatuses ?? []).flatMap((container) => containerFault(container) ?? []);
  const worst = faults.sort((a, b) => SEVERITY.indexOf(a.reason) - SEVERITY.indexOf(b.reason)).at(0);
  if (worst !== undefined) return { ...worst, message: cut(worst.message) };
  return pod.status?.containerStatuses === undefined
    ? { reason: 'Starting', message: 'the pod has not been started yet' }
    : { reason: 'NotReady', message: 'the pod is not ready' };
}

interface Blamed extends Fault {
  readonly where: string;
  readonly sinceMs: number | undefined;
}

function blame(
  pods: readonly ObservedPod[],
  nodes: ReadonlyMap<string, ObservedNode>,
  nameOf: (pod: ObservedPod) => string,
): Blamed[] {
  return pods
    .flatMap((pod) => {
      const fault = podFault(pod, nodes.get(pod.spec?.nodeName ?? ''));
      return fault === undefined ? [] : [{ ...fault, where: nameOf(pod), sinceMs: readySinceMs(pod) }];
    })
    .sort((a, b) => a.where.localeCompare(b.where));
}

/** One fault for all: that of most pods, those that will not pass by themselves first. */
function summary(blamed: readonly Blamed[], what: string, nowMs: number): WorkloadFault | undefined {
  const isTransient = ({ reason, sinceMs }: Blamed): boolean =>
    TRANSIENT.has(reason) && (sinceMs === undefined || nowMs - sinceMs < TRANSIENT_MS);
  const lasting = blamed.filter((one) => !isTransient(one));
  const counted = lasting.length === 0 ? blamed : lasting;
  const byReason = Map.groupBy(counted, ({ reason }) => reason);
  const [reason, group = []] = [...byReason].sort(([, a], [, b]) => b.length - a.length).at(0) ?? [];
  const [first] = group;
  if (reason === undefined || first === undefined) return undefined;
  const names = group.map(({ where }) => where);
  const shown = names.length <= NODES_MAX ? names.join(', ') : `${names.slice(0, NODES_MAX).join(', ')}, …`;
  return { reason, message: cut(`${what} ${shown}: ${first.message}`), isTransient: lasting.length === 0 };
}

export interface HealthFacts {
  readonly daemonSet: ObservedDaemonSet | undefined;
  readonly collectorPods: readonly ObservedPod[];
  readonly runtimePods: readonly ObservedPod[];
  /** By name. */
  readonly nodes: ReadonlyMap<string, ObservedNode>;
  readonly replicas: number;
  /** What keeps the workloads from being made at all. */
  readonly fault: Fault | undefined;
  /** Since when `missingPods` has said so. */
  readonly missingSinceMs: { readonly collector: number | undefined; readonly runtime: number | undefined };
  readonly nowMs: number;
}

const ordinalOf = ({ metadata }: ObservedPod): number => Number(/-([0-9]+)$/.exec(metadata.name)?.[1] ?? NaN);

const servingPods = ({ runtimePods, replicas }: Pick<HealthFacts, 'runtimePods' | 'replicas'>): ObservedPod[] =>
  runtimePods.filter((pod) => ordinalOf(pod) < replicas);

/** Whether pods that should be there are not even made. */
export const missingPods = (
  facts: Pick<HealthFacts, 'daemonSet' | 'runtimePods' | 'replicas'>,
): { collector: boolean; runtime: boolean } => {
  const { desiredNumberScheduled = 0, currentNumberScheduled = 0 } = facts.daemonSet?.status ?? {};
  return {
    collector: currentNumberScheduled < desiredNumberScheduled,
    runtime: servingPods(facts).length < facts.replicas,
  };
};

const lasting = (fault: Fault): WorkloadFault => ({ ...fault, isTransient: false });
const passing = (reason: string, message: string): WorkloadFault => ({ reason, message, isTransient: true });

/** A pod that was never made has nobody to say why: the workload's events do (quota, pod security, webhooks). */
const notMade = (kind: string, name: string, sinceMs: number | undefined, nowMs: number): WorkloadFault => {
  const isTransient = sinceMs === undefined || nowMs - sinceMs < TRANSIENT_MS;
  if (isTransient) return passing('Starting', `pods of ${kind} ${name} are being made`);
  const how = `\`kubectl describe ${kind.toLowerCase()} ${name}\` says why`;
  return lasting({ reason: 'PodsNotMade', message: `pods of ${kind} ${name} cannot be made; ${how}` });
};

function collectorHealth(facts: HealthFacts): WorkloadHealth['collector'] {
  const { daemonSet, collectorPods, nodes, nowMs } = facts;
  const { desiredNumberScheduled: total = 0 } = daemonSet?.status ?? {};
  const blamed = blame(collectorPods, nodes, (pod) => pod.spec?.nodeName ?? '(no node)');
  const ready = collectorPods.filter((pod) => podFault(pod, nodes.get(pod.spec?.nodeName ?? '')) === undefined).length;
  const why = (): WorkloadFault | undefined => {
    if (facts.fault !== undefined) return lasting(facts.fault);
    if (daemonSet?.status === undefined) return passing('Deploying', 'the DaemonSet sluice-collector is being made');
    if (total === 0)
      return lasting({
        reason: 'NoNodes',
        message: 'no node matches the node selector and tolerations of the settings',
      });
    const fault = summary(blamed, 'node', nowMs);
    if (fault !== undefined) return fault;
    if (missingPods(facts).collector)
      return notMade('DaemonSet', 'sluice-collector', facts.missingSinceMs.collector, nowMs);
    return ready < total ? passing('Starting', 'collectors are being started') : undefined;
  };
  const notReady = blamed.slice(0, NODES_MAX).map(({ where, reason, message }) => ({ node: where, reason, message }));
  return { total, ready: Math.min(ready, total), fault: why(), notReady };
}

function runtimeHealth(facts: HealthFacts): WorkloadHealth['runtime'] {
  const { nodes, replicas, nowMs } = facts;
  const serving = servingPods(facts);
  const blamed = blame(serving, nodes, ({ metadata }) => metadata.name);
  const ready = serving.length - blamed.length;
  const why = (): WorkloadFault | undefined => {
    if (facts.fault !== undefined) return lasting(facts.fault);
    const fault = summary(blamed, 'pod', nowMs);
    if (fault !== undefined) return fault;
    if (missingPods(facts).runtime)
      return notMade('StatefulSet', 'sluice-runtime', facts.missingSinceMs.runtime, nowMs);
    return undefined;
  };
  return { replicas, ready, fault: why() };
}

export const workloadHealth = (facts: HealthFacts): WorkloadHealth => ({
  collector: collectorHealth(facts),
  runtime: runtimeHealth(facts),
});
