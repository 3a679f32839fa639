// The operator's workloads on a real API server with a real controller manager, by the operator's own service account and
// nothing more. For tests.
import { CHILD_TYPES, startWorkloadStores, type WorkloadStores } from '../../../src/controllers/workloads/stores.ts';
import type { WorkloadHealth } from '../../../src/controllers/workloads/health.ts';
import type { WorkloadEvent } from '../../../src/controllers/workloads/reconcile.ts';
import { startWorkloads, type Workloads } from '../../../src/controllers/workloads/workloads.ts';
import { openKubeClient, type OpenKubeClient } from '../../../src/kube/client.ts';
import { loadKubeAccess } from '../../../src/kube/config.ts';
import {
  isNotFound,
  type KubeObject,
  type ResourceType,
  type Store,
  type StoreChange,
} from '../../../src/kube/types.ts';
import { SYSTEM_CLOCK } from '../../../src/kube/timers.ts';
import { NO_METRICS } from '../../../src/model/metrics.ts';
import type { TlsMaterial } from '../../../src/rpc/tls.ts';
import { startControlPlane, type ControlPlane } from '../../cluster/control-plane.ts';
import { waitFor } from '../../cluster/instance.ts';
import { inputsOf } from './inputs.ts';

export const NAMESPACE = 'sluice-system';
export const WAIT_MS = 30_000;
export const CHILDREN = [
  ['Secret', 'sluice-ca'],
  ['Secret', 'sluice-operator-tls'],
  ['Secret', 'sluice-runtime-tls'],
  ['Secret', 'sluice-collector-tls'],
  ['Service', 'sluice-runtime'],
  ['Service', 'sluice-collector'],
  ['NetworkPolicy', 'sluice-runtime'],
  ['NetworkPolicy', 'sluice-collector'],
  ['PodDisruptionBudget', 'sluice-runtime'],
  ['StatefulSet', 'sluice-runtime'],
  ['DaemonSet', 'sluice-collector'],
] as const;
export type Kind = (typeof CHILDREN)[number][0];

export interface World {
  readonly plane: ControlPlane;
  /** May everything. */
  readonly admin: OpenKubeClient;
  readonly stores: WorkloadStores;
  /** Of the present term. */
  readonly workloads: Workloads;
  /** Begins a term, at first and after the end of the last one; with `secrets` as what its store has of them. */
  lead(secrets?: Store<KubeObject>): void;
  /** Who listens to the stores now. */
  listeners(): number;
  /** Of each term something that all its parts hold. */
  readonly terms: WeakRef<object>[];
  readonly events: WorkloadEvent[];
  readonly notes: string[];
  readonly failures: unknown[];
  readonly tls: TlsMaterial[];
  /** What the hook says of the spool of an ordinal. */
  readonly spools: Map<number, boolean>;
  health: WorkloadHealth | undefined;
  ends: Readonly<Record<string, number>>;
  /** How far the operator's clock is ahead. */
  aheadMs: number;
  typeOf(kind: Kind): ResourceType;
  get(kind: Kind, name: string): Promise<KubeObject | undefined>;
  specOf(kind: Kind, name: string): Promise<Record<string, unknown>>;
  /** A settings file that is in force from now on. */
  apply(yaml: string): void;
  /** Resolves when everything is there and nothing is being done. */
  settled(): Promise<void>;
  /** Writes by the operator's account so far. */
  written(): string[];
  /** Of the operator's Deployment. */
  ownUid(): Promise<string>;
  stop(): Promise<void>;
}

export async function startWorld(name: string): Promise<World> {
  const plane = await startControlPlane({ name });
  await plane.kubectl(['apply', '-k', 'config/default']);
  const options = { purpose: 'main', userAgent: 'sluice-test' } as const;
  const admin = openKubeClient(await loadKubeAccess({ kubeconfig: plane.kubeconfig }), options);
  const kubeconfig = await plane.tokenKubeconfig(NAMESPACE, 'sluice-operator');
  const client = openKubeClient(await loadKubeAccess({ kubeconfig }), options);
  const stopped = new AbortController();
  const [events, notes, failures, tls]: [WorkloadEvent[], string[], unknown[], TlsMaterial[]] = [[], [], [], []];
  const spools = new Map<number, boolean>();
  let { settings } = inputsOf();
  const following = { client, namespace: NAMESPACE, metrics: NO_METRICS, signal: stopped.signal };
  const followed = startWorkloadStores({ ...following, onError: () => undefined });
  let listening = 0;
  const counted = <T extends KubeObject>(store: Store<T>): Store<T> =>
    Object.assign(Object.create(store) as Store<T>, {
      onChange: (listener: (change: StoreChange<T>) => void) => {
        listening++;
        const end = store.onChange(listener);
        return () => {
          listening--;
          end();
        };
      },
    });
  const stores: WorkloadStores = {
    deployments: counted(followed.deployments),
    children: new Map([...followed.children].map(([kind, store]) => [kind, counted(store)])),
    pods: counted(followed.pods),
    nodes: counted(followed.nodes),
  };
  const terms: WeakRef<object>[] = [];
  const start = (secrets?: Store<KubeObject>): Workloads => {
    const own = { ...client };
    terms.push(new WeakRef(own));
    return startWorkloads({
      client: own,
      stores:
        secrets === undefined ? stores : { ...stores, children: new Map([...stores.children, ['Secret', secrets]]) },
      namespace: NAMESPACE,
      version: '0.1.0',
      settings: () => settings,
      isSpoolEmpty: (ordinal) => spools.get(ordinal),
      onTls: (material) => tls.push(material),
      onCertificates: (ends) => (world.ends = ends),
      onHealth: (health) => (world.health = health),
      onEvent: (event) => events.push(event),
      onNote: (note) => notes.push(note),
      onFailure: ({ error }) => failures.push(error),
      now: () => Date.now() + world.aheadMs,
      clock: SYSTEM_CLOCK,
      metrics: NO_METRICS,
    });
  };
  let workloads: Workloads;
  const typeOf = (kind: Kind): ResourceType => CHILD_TYPES.find((type) => type.kind === kind) as ResourceType;
  const get = (kind: Kind, of: string): Promise<KubeObject | undefined> =>
    admin.get<KubeObject>(typeOf(kind), NAMESPACE, of).catch((error: unknown) => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
  const world: World = {
    plane,
    admin,
    stores,
    get workloads() {
      return workloads;
    },
    lead: (secrets) => {
      workloads = start(secrets);
    },
    listeners: () => listening,
    terms,
    events,
    notes,
    failures,
    tls,
    spools,
    health: undefined,
    ends: {},
    aheadMs: 0,
    typeOf,
    get,
    specOf: async (kind, of) => ((await get(kind, of)) as unknown as { spec: Record<string, unknown> }).spec,
    apply(yaml) {
      ({ settings } = inputsOf(yaml));
      workloads.look();
    },
    settled: () =>
      waitFor(
        'the children',
        async () => {
          if (workloads.busy > 0) return false;
          const objects = await Promise.all(CHILDREN.map(([kind, of]) => get(kind, of)));
          return objects.every((object) => object !== undefined && object.metadata.deletionTimestamp === undefined);
        },
        WAIT_MS,
      ),
    written: () =>
      plane
        .auditEvents()
        .filter(
          ({ user, verb }) =>
            user.username.endsWith(':sluice-operator') && ['patch', 'create', 'delete', 'update'].includes(verb),
        )
        .map(({ verb, objectRef }) => `${verb} ${objectRef?.resource ?? ''}/${objectRef?.name ?? ''}`),
    ownUid: () =>
      plane.kubectl(['get', 'deployment', 'sluice-operator', '-n', NAMESPACE, '-o', 'jsonpath={.metadata.uid}']),
    async stop() {
      await workloads.stop(1000);
      stopped.abort();
      await client.close();
      await admin.close();
      await plane.stop();
    },
  };
  world.lead();
  await world.settled();
  return world;
}
