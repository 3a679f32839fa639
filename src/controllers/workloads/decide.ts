// What is there and what the settings want -> what to do to the cluster. Pure. Certificates are decided in certificates.ts.
import type { Fault } from '../../crds/script-conditions.ts';
import { collectorDaemonSet, collectorService } from './collector.ts';
import { frozenPart, hasClaims } from './frozen.ts';
import { networkPolicies } from './network.ts';
import { CA_SECRET, COMPONENTS, MANAGED_BY, tlsSecretName, workloadName, type Child, type Inputs } from './objects.ts';
import {
  isReady,
  terminatingSinceMs,
  type ObservedNode,
  type ObservedObject,
  type ObservedPod,
  type ObservedStatefulSet,
} from './observed.ts';
import { runtimeDisruptionBudget, runtimeService, runtimeStatefulSet } from './runtime.ts';

/** How long an ordinal that is to go may take for its spool (design: decision 11). */
export const LEAVING_MS = 300_000;
/** How long a pod with an emptyDir may be Terminating on a node that does not answer (design: decision 11). */
export const STUCK_MS = 30_000;
/** On the StatefulSet while ordinals are leaving: since when. */
export const LEAVING_SINCE = 'sluice.dev/leaving-since';

export const childKey = (kind: string, name: string): string => `${kind}/${name}`;

export interface Facts {
  /** The operator's own Deployment is being deleted. */
  readonly isUninstalling: boolean;
  /** Under `childKey`: every object of ours, and every object of another's that has a name of ours. */
  readonly children: ReadonlyMap<string, ObservedObject>;
  readonly runtimePods: readonly ObservedPod[];
  /** By name. */
  readonly nodes: ReadonlyMap<string, ObservedNode>;
  /** Of an ordinal that is to go; undefined: not known. */
  readonly isSpoolEmpty: (ordinal: number) => boolean | undefined;
  readonly nowMs: number;
}

export interface Removal {
  readonly kind: string;
  readonly name: string;
  /** Only that very object. */
  readonly uid: string;
  /** `Orphan`: what it owns stays and is adopted by the one that is made anew. */
  readonly propagationPolicy: 'Orphan' | 'Background';
  readonly gracePeriodSeconds?: number;
  /** For the event. */
  readonly reason: 'ImmutableFieldChanged' | 'NotWanted' | 'StuckOnDeadNode';
  readonly note: string;
}

export interface Decision {
  /** In this order. */
  readonly apply: readonly Child[];
  readonly remove: readonly Removal[];
  readonly fault: Fault | undefined;
  /** Scripts belong to ordinals 0 … replicas−1 from now on. */
  readonly replicas: number;
  /** When to decide again although nothing happens; milliseconds since 1970. */
  readonly againMs: number | undefined;
}

/** Made by this operator, or by the one that was installed here before. */
export function isOurs({ metadata }: ObservedObject, deploymentUid: string): boolean {
  const controller = metadata.ownerReferences?.find((owner) => owner.controller === true);
  if (controller?.uid === deploymentUid) return true;
  const isOperator = controller?.kind === 'Deployment' && controller.name === workloadName('operator');
  return metadata.labels?.['app.kubernetes.io/managed-by'] === MANAGED_BY && (controller === undefined || isOperator);
}

interface Scale {
  readonly replicas: number;
  readonly leavingSince: string | undefined;
  readonly againMs: number | undefined;
}

/** Scaling down waits for the spools of the ordinals that go, at most LEAVING_MS; scaling up waits for nothing. */
export function scaleOf(
  wanted: number,
  observed: ObservedStatefulSet | undefined,
  { isSpoolEmpty, nowMs }: Pick<Facts, 'isSpoolEmpty' | 'nowMs'>,
): Scale {
  const now = observed?.spec?.replicas ?? 0;
  const done = { replicas: wanted, leavingSince: undefined, againMs: undefined };
  if (now <= wanted) return done;
  const said = Date.parse(observed?.metadata.annotations?.[LEAVING_SINCE] ?? '');
  // a time to come is that of a clock that was wrong
  const sinceMs = Number.isNaN(said) || said > nowMs ? nowMs : said;
  const leaving = Array.from({ length: now - wanted }, (_, i) => wanted + i);
  if (nowMs - sinceMs >= LEAVING_MS || leaving.every((ordinal) => isSpoolEmpty(ordinal) === true)) return done;
  return { replicas: now, leavingSince: new Date(sinceMs).toISOString(), againMs: sinceMs + LEAVING_MS };
}

const keepsStateInPod = ({ spec }: ObservedPod): boolean =>
  spec?.volumes?.some(({ name, emptyDir }) => name === 'state' && emptyDir !== undefined) ?? false;

interface Stuck {
  readonly remove: readonly Removal[];
  readonly againMs: number | undefined;
}

/**
 * A StatefulSet makes no second pod of a name while the first may run; the kubelet of a dead node never says that it does
 * not. With a volume claim the volume's own fencing is needed, so those are left alone.
 */
function stuckPods({ runtimePods, nodes, nowMs }: Facts): Stuck {
  const due = runtimePods.flatMap((pod) => {
    const since = terminatingSinceMs(pod);
    const node = nodes.get(pod.spec?.nodeName ?? '');
    const isDead = node === undefined || !isReady(node);
    return since === undefined || pod.spec?.nodeName === undefined || !isDead || !keepsStateInPod(pod)
      ? []
      : [{ pod, dueMs: since + STUCK_MS, node: pod.spec.nodeName }];
  });
  const remove = due.flatMap(({ pod: { metadata }, dueMs, node }): Removal[] =>
    dueMs > nowMs || metadata.uid === undefined
      ? []
      : [
          {
            kind: 'Pod',
            name: metadata.name,
            uid: metadata.uid,
            propagationPolicy: 'Background',
            gracePeriodSeconds: 0,
            reason: 'StuckOnDeadNode',
            note: `pod ${metadata.name} is Terminating on node ${node}, which is not ready; it is deleted by force, and what its emptyDir held is sent again`,
          },
        ],
  );
  const waiting = due.map(({ dueMs }) => dueMs).filter((ms) => ms > nowMs);
  return { remove, againMs: waiting.length === 0 ? undefined : Math.min(...waiting) };
}

const earliest = (...times: readonly (number | undefined)[]): number | undefined => {
  const known = times.filter((time) => time !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
};

/** Of the Secrets that certificates are kept in. */
export const SECRET_NAMES: readonly string[] = [CA_SECRET, ...COMPONENTS.map(tlsSecretName)];

/** A Secret's type cannot be changed, and does not matter to who reads it. */
const withTypeOf = (child: Child, observed: ObservedObject): Child => {
  const type: unknown = Reflect.get(observed, 'type');
  return child.kind === 'Secret' && typeof type === 'string' ? { ...child, type } : child;
};

/** All children but the Secrets, in the order in which they are made. */
export function desiredChildren(inputs: Inputs, scale: Pick<Scale, 'replicas' | 'leavingSince'>): Child[] {
  const annotations = scale.leavingSince === undefined ? undefined : { [LEAVING_SINCE]: scale.leavingSince };
  return [
    runtimeService(inputs),
    collectorService(inputs),
    ...networkPolicies(inputs),
    runtimeDisruptionBudget(inputs),
    runtimeStatefulSet(inputs, scale.replicas, annotations),
    collectorDaemonSet(inputs),
  ];
}

/**
 * `secrets`: the Secrets that certificates are kept in, made first because pods do not start without them; none where one of
 * their names is another's.
 */
export function decide(inputs: Inputs, secrets: readonly Child[], facts: Facts): Decision {
  const { runtime } = inputs.settings;
  const nothing = { apply: [], remove: [], fault: undefined, replicas: runtime.replicas, againMs: undefined };
  // operator rule C25: children of an object that is being deleted are not made again
  if (facts.isUninstalling) return nothing;
  const statefulSet = facts.children.get(childKey('StatefulSet', workloadName('runtime')));
  const scale = scaleOf(runtime.replicas, statefulSet, facts);
  const desired = [...secrets, ...desiredChildren(inputs, scale)];
  const apply: Child[] = [];
  const remove: Removal[] = [];
  const isTaken = (observed: ObservedObject | undefined): boolean =>
    observed !== undefined && !isOurs(observed, inputs.installation.deploymentUid);
  const taken = new Set(
    SECRET_NAMES.filter((name) => isTaken(facts.children.get(childKey('Secret', name)))).map(
      (name) => `Secret ${name}`,
    ),
  );
  for (const child of desired) {
    const { kind, metadata } = child;
    const observed = facts.children.get(childKey(kind, metadata.name));
    if (observed === undefined) {
      apply.push(child);
    } else if (isTaken(observed)) {
      taken.add(`${kind} ${metadata.name}`);
    } else if (observed.metadata.deletionTimestamp === undefined) {
      const changed = frozenPart(observed) !== frozenPart(child);
      if (!changed) apply.push(withTypeOf(child, observed));
      else if (observed.metadata.uid !== undefined) {
        const keepsPods =
          kind === 'DaemonSet' || (kind === 'StatefulSet' && (hasClaims(observed) || !hasClaims(child)));
        remove.push({
          kind,
          name: metadata.name,
          uid: observed.metadata.uid,
          propagationPolicy: keepsPods ? 'Orphan' : 'Background',
          reason: 'ImmutableFieldChanged',
          note: `${kind} ${metadata.name} has a field that cannot be changed; it is made anew${keepsPods ? ' and keeps its pods' : ''}`,
        });
      }
    }
  }
  const wanted = new Set(desired.map(({ kind, metadata }) => childKey(kind, metadata.name)));
  for (const [key, { kind = '', metadata }] of facts.children) {
    const isWanted = wanted.has(key) || kind === 'Secret' || metadata.deletionTimestamp !== undefined;
    if (isWanted || metadata.uid === undefined) continue;
    if (metadata.ownerReferences?.some(({ uid }) => uid === inputs.installation.deploymentUid) !== true) continue;
    const note = `${kind} ${metadata.name} is not wanted any more`;
    remove.push({
      kind,
      name: metadata.name,
      uid: metadata.uid,
      propagationPolicy: 'Background',
      reason: 'NotWanted',
      note,
    });
  }
  const stuck = stuckPods(facts);
  const fault =
    taken.size === 0
      ? undefined
      : {
          reason: 'NameTaken',
          message: `${[...taken].join(', ')} exists and was not made by Sluice; delete or rename it`,
        };
  return {
    apply,
    remove: [...remove, ...stuck.remove],
    fault,
    replicas: runtime.replicas,
    againMs: earliest(scale.againMs, stuck.againMs),
  };
}
