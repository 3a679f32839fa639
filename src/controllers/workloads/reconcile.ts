// Makes the workloads as the settings want them: gather what is there, decide (decide.ts, certificates.ts), apply. One key;
// the queue behind startController sees to it that it never runs twice at a time, and only while this process leads.
import type { Fault } from '../../crds/script-conditions.ts';
import type { ReconcileResult } from '../../kube/controller.ts';
import { trackOwnWrites, type OwnWrites } from '../../kube/own-writes.ts';
import { PODS, type Secret } from '../../kube/resources.ts';
import type { Clock } from '../../kube/timers.ts';
import {
  ApiError,
  isConflict,
  isNotFound,
  type KubeClient,
  type KubeObject,
  type ResourceType,
} from '../../kube/types.ts';
import type { TlsMaterial } from '../../rpc/tls.ts';
import { certificateDurations } from './certificates.ts';
import { childKey, decide, desiredChildren, isOurs, SECRET_NAMES, type Decision, type Removal } from './decide.ts';
import { missingPods, workloadHealth, type WorkloadHealth } from './health.ts';
import { installationOf, NO_DEPLOYMENT } from './installation.ts';
import { selectorLabels, workloadName, type Child, type Component, type Inputs } from './objects.ts';
import type { ObservedPod } from './observed.ts';
import { changeCertificates, decodeSecret, type CertificateChange, type CertificateSecrets } from './secrets.ts';
import type { Settings } from './settings-schema.ts';
import { CHILD_TYPES, type WorkloadStores } from './stores.ts';
import { createChildWriter } from './write-child.ts';

export interface WorkloadEvent {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly action: string;
  readonly note: string;
}

export interface WorkloadsOptions {
  readonly client: Pick<KubeClient, 'get' | 'apply' | 'patchJson' | 'delete'>;
  readonly stores: WorkloadStores;
  /** The operator's own. */
  readonly namespace: string;
  /** Of this build. */
  readonly version: string;
  /** Those in force; whoever changes them enqueues the key. */
  readonly settings: () => Settings;
  /** Whether an ordinal that is to go has nothing left to send; undefined where that is not known. */
  readonly isSpoolEmpty: (ordinal: number) => boolean | undefined;
  /** Called with the operator's own certificate, key and trust bundle, at first and after each change. */
  readonly onTls: (material: TlsMaterial) => void;
  /** Called after each look, with when the certificates that are kept end. */
  readonly onCertificates: (ends: CertificateChange['ends']) => void;
  /** Called after each look that came to another answer than the one before. */
  readonly onHealth: (health: WorkloadHealth) => void;
  /** About the operator's Deployment, for its events. */
  readonly onEvent: (event: WorkloadEvent) => void;
  /** For the log; no secrets. */
  readonly onNote: (text: string) => void;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly clock: Clock;
}

/** While something is not well it is looked at again without a change: what passes and what does not is told by time. */
const UNWELL_AGAIN_MS = 15_000;
const AGAIN_MAX_MS = 3_600_000;
const AGAIN_MIN_MS = 1000;

interface Gathered {
  readonly inputs: Inputs;
  readonly isUninstalling: boolean;
  readonly children: Map<string, KubeObject>;
}

const labelled = (pods: Iterable<KubeObject & ObservedPod>, component: Component): ObservedPod[] => {
  const wanted = Object.entries(selectorLabels(component));
  return [...pods].filter(({ metadata }) => wanted.every(([name, value]) => metadata.labels?.[name] === value));
};

const secretTexts = (children: ReadonlyMap<string, KubeObject>): CertificateSecrets =>
  Object.fromEntries(
    SECRET_NAMES.map((name) => {
      const secret: Secret | undefined = children.get(childKey('Secret', name));
      return [name, secret === undefined ? undefined : decodeSecret(secret.data)];
    }),
  );

/** An answer about a Secret may repeat what was sent. */
const textOf = (error: unknown, kind: string): string => {
  if (error instanceof ApiError) return kind === 'Secret' ? `${String(error.status)} ${error.reason}` : error.message;
  return error instanceof Error ? error.message : String(error);
};

export interface WorkloadReconciler {
  /** Makes everything so. */
  reconcile(signal: AbortSignal): Promise<ReconcileResult>;
  /** Lets go of the stores. */
  stop(): void;
}

/** For startController; it keeps what has to be remembered between two looks. */
export function workloadReconciler(options: WorkloadsOptions): WorkloadReconciler {
  const { client, stores, namespace, clock } = options;
  const writer = createChildWriter(client);
  const typeOf = new Map<string, ResourceType>([
    ...CHILD_TYPES.map((type) => [type.kind, type] as const),
    [PODS.kind, PODS],
  ]);
  const writes = new Map<string, OwnWrites>(
    [...stores.children].map(([kind, store]) => [kind, trackOwnWrites(store, clock)]),
  );
  const missingSince: { collector: number | undefined; runtime: number | undefined } = {
    collector: undefined,
    runtime: undefined,
  };
  let [toldHealth, toldTls, toldFault] = ['', '', ''];

  /** From the store, or live where the store does not know of our last write, or of no such object: it may be another's. */
  async function find(kind: string, name: string, signal: AbortSignal): Promise<KubeObject | undefined> {
    const isCurrent = (await writes.get(kind)?.settled(namespace, name, signal)) !== false;
    const known = stores.children.get(kind)?.get(namespace, name);
    return known !== undefined && isCurrent ? known : readLive(kind, name, signal);
  }

  async function gather(signal: AbortSignal): Promise<Gathered | undefined> {
    const deployment = stores.deployments.get(namespace, workloadName('operator'));
    const settings = options.settings();
    const installation =
      deployment === undefined ? undefined : installationOf(deployment, namespace, options.version, settings);
    if (deployment === undefined || installation === undefined) return undefined;
    const inputs = { installation, settings };
    const isUninstalling = deployment.metadata.deletionTimestamp !== undefined;
    const children = new Map<string, KubeObject>();
    for (const [kind, store] of stores.children)
      for (const object of store.all()) children.set(childKey(kind, object.metadata.name), object);
    if (isUninstalling) return { inputs, isUninstalling, children };
    const wanted = [
      ...SECRET_NAMES.map((name) => ({ kind: 'Secret', name })),
      ...desiredChildren(inputs, { replicas: settings.runtime.replicas, leavingSince: undefined }).map((child) => ({
        kind: child.kind,
        name: child.metadata.name,
      })),
    ];
    const found = await Promise.all(wanted.map(({ kind, name }) => find(kind, name, signal)));
    for (const [at, { kind, name }] of wanted.entries()) {
      const object = found[at];
      if (object === undefined) children.delete(childKey(kind, name));
      else children.set(childKey(kind, name), object);
    }
    return { inputs, isUninstalling, children };
  }

  /** As the API server has it now. */
  async function readLive(kind: string, name: string, signal: AbortSignal): Promise<KubeObject | undefined> {
    const type = typeOf.get(kind);
    if (type === undefined) return undefined;
    try {
      return { ...(await client.get<KubeObject>(type, namespace, name, { signal })), kind };
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async function certificatesOf(gathered: Gathered, signal: AbortSignal): Promise<CertificateChange | undefined> {
    const change = await certificatesFrom(gathered);
    if (change === undefined || change.notes.length === 0) return change;
    // after an outage the stores have what was there before it, and what is to be issued may have been issued
    const { children } = gathered;
    for (const name of SECRET_NAMES) {
      const secret = await readLive('Secret', name, signal);
      if (secret === undefined) children.delete(childKey('Secret', name));
      else children.set(childKey('Secret', name), secret);
    }
    return certificatesFrom(gathered);
  }

  const certificatesFrom = async ({
    inputs,
    isUninstalling,
    children,
  }: Gathered): Promise<CertificateChange | undefined> => {
    const isTaken = SECRET_NAMES.some((name) => {
      const secret = children.get(childKey('Secret', name));
      // one that is being deleted is made anew once it is gone
      return (
        secret !== undefined &&
        (!isOurs(secret, inputs.installation.deploymentUid) || secret.metadata.deletionTimestamp !== undefined)
      );
    });
    if (isTaken || isUninstalling) return undefined;
    return changeCertificates(inputs, secretTexts(children), certificateDurations(inputs.settings), options.now());
  };

  async function write(child: Child, observed: KubeObject | undefined, signal: AbortSignal): Promise<void> {
    const type = typeOf.get(child.kind);
    if (type === undefined) throw new Error(`${child.kind} is no kind of a child`);
    const answer = await writer.write(type, child, observed, signal);
    if (answer === undefined) return;
    writes.get(child.kind)?.wrote(answer);
    const { name } = child.metadata;
    options.onNote(`${observed === undefined ? 'made' : 'changed'} ${child.kind} ${name}`);
    if (observed === undefined)
      options.onEvent({ type: 'Normal', reason: 'Created', action: 'Create', note: `created ${child.kind} ${name}` });
  }

  async function remove(
    { kind, name, uid, propagationPolicy, gracePeriodSeconds, reason, note }: Removal,
    signal: AbortSignal,
  ): Promise<void> {
    const type = typeOf.get(kind);
    if (type === undefined) return;
    try {
      const grace = gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds };
      await client.delete(type, namespace, name, { uid, propagationPolicy, signal, ...grace });
    } catch (error) {
      // gone already, or another one of that name: the next look sees which
      if (isNotFound(error) || isConflict(error)) return;
      throw error;
    }
    options.onNote(note);
    options.onEvent({ type: reason === 'NotWanted' ? 'Normal' : 'Warning', reason, action: 'Delete', note });
  }

  /** Goes on with the others where one fails; the first failure is given back. */
  async function apply(
    decision: Decision,
    children: Gathered['children'],
    signal: AbortSignal,
  ): Promise<Failure | undefined> {
    let failure: Failure | undefined;
    const attempt = async (kind: string, name: string, what: () => Promise<void>): Promise<void> => {
      try {
        await what();
      } catch (error) {
        signal.throwIfAborted();
        const message = `${kind} ${name} cannot be written: ${textOf(error, kind)}`.slice(0, 512);
        const ofSecret = kind === 'Secret' || failure?.ofSecret === true;
        failure = { ...(failure ?? { error, fault: { reason: 'NotApplied', message } }), ofSecret };
      }
    };
    for (const removal of decision.remove) await attempt(removal.kind, removal.name, () => remove(removal, signal));
    for (const child of decision.apply) {
      const { kind, metadata } = child;
      await attempt(kind, metadata.name, () => write(child, children.get(childKey(kind, metadata.name)), signal));
    }
    return failure;
  }

  function tellHealth(decision: Pick<Decision, 'replicas'>, fault: Fault | undefined): WorkloadHealth {
    const nowMs = options.now();
    const facts = {
      daemonSet: stores.children.get('DaemonSet')?.get(namespace, workloadName('collector')),
      collectorPods: labelled(stores.pods.all(), 'collector'),
      runtimePods: labelled(stores.pods.all(), 'runtime'),
      nodes: new Map([...stores.nodes.all()].map((node) => [node.metadata.name, node])),
      replicas: decision.replicas,
      fault,
      nowMs,
    };
    const missing = missingPods(facts);
    for (const what of ['collector', 'runtime'] as const)
      missingSince[what] = missing[what] ? (missingSince[what] ?? nowMs) : undefined;
    const health = workloadHealth({ ...facts, missingSinceMs: missingSince });
    const text = JSON.stringify(health);
    if (text !== toldHealth) options.onHealth(health);
    toldHealth = text;
    const faultText = JSON.stringify(fault ?? '');
    if (fault !== undefined && faultText !== toldFault)
      options.onEvent({ type: 'Warning', reason: fault.reason, action: 'Reconcile', note: fault.message });
    toldFault = faultText;
    return health;
  }

  /** The operator's own certificate, as it was written. */
  function tellTls(change: CertificateChange | undefined): void {
    if (change === undefined) return;
    options.onCertificates(change.ends);
    const text = JSON.stringify(change.own);
    if (text !== toldTls) options.onTls(change.own);
    toldTls = text;
  }

  async function reconcile(signal: AbortSignal): Promise<ReconcileResult> {
    const gathered = await gather(signal);
    if (gathered === undefined) {
      tellHealth({ replicas: options.settings().runtime.replicas }, NO_DEPLOYMENT);
      return { status: 'requeue', afterMs: UNWELL_AGAIN_MS };
    }
    const certificates = await certificatesOf(gathered, signal);
    const decision = decide(gathered.inputs, certificates?.secrets ?? [], {
      ...gathered,
      runtimePods: labelled(stores.pods.all(), 'runtime'),
      nodes: new Map([...stores.nodes.all()].map((node) => [node.metadata.name, node])),
      isSpoolEmpty: options.isSpoolEmpty,
      nowMs: options.now(),
    });
    const failure = await apply(decision, gathered.children, signal);
    for (const note of failure === undefined ? (certificates?.notes ?? []) : []) options.onNote(note);
    // a certificate that could not be kept is made again, and nobody else knows this one
    if (failure?.ofSecret !== true) tellTls(certificates);
    const health = tellHealth(decision, decision.fault ?? failure?.fault);
    if (failure !== undefined) throw failure.error;
    const isWell = health.collector.fault === undefined && health.runtime.fault === undefined;
    const dueMs = Math.min(
      decision.againMs ?? Infinity,
      certificates?.plan.nextMs ?? Infinity,
      isWell ? Infinity : options.now() + UNWELL_AGAIN_MS,
    );
    const afterMs = Math.min(AGAIN_MAX_MS, Math.max(AGAIN_MIN_MS, dueMs - options.now()));
    return { status: 'requeue', afterMs };
  }

  return {
    reconcile,
    stop() {
      for (const own of writes.values()) own.stop();
    },
  };
}

/** The first failure. */
interface Failure {
  readonly error: unknown;
  readonly fault: Fault;
  /** It, or one after it, is that of a Secret. */
  readonly ofSecret: boolean;
}
