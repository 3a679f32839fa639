// What the operator deploys, under one roof: stores, reconciler and queue.
import { startController, type Controller, type ReconcileFailure } from '../../kube/controller.ts';
import { storeSource, type Source } from '../../kube/sources.ts';
import { SYSTEM_CLOCK, type Clock } from '../../kube/timers.ts';
import type { KubeClient, KubeObject, Store } from '../../kube/types.ts';
import type { Metrics } from '../../model/metrics.ts';
import { workloadReconciler, type WorkloadsOptions } from './reconcile.ts';
import { startWorkloadStores, type WorkloadStores } from './stores.ts';

export interface StartWorkloadsOptions extends Omit<WorkloadsOptions, 'client' | 'stores' | 'clock'> {
  readonly client: KubeClient;
  readonly metrics: Metrics;
  /** Ends the stores. */
  readonly signal: AbortSignal;
  readonly onFailure: (failure: ReconcileFailure) => void;
  /** A store's connection; it comes back by itself. */
  readonly onError: (what: string, error: unknown) => void;
  readonly clock?: Clock;
}

export interface Workloads {
  /** Begins paused: who leads resumes it. */
  readonly controller: Controller;
  /** Others may read what is followed here anyway. */
  readonly stores: WorkloadStores;
  /** The settings have changed, or a spool is empty now. */
  look(): void;
}

const KEY = 'workloads';

/** There is one key: every change of anything asks for a look at everything. */
const changes = <T extends KubeObject>(store: Store<T>): Source => storeSource(store, { keysOf: () => [KEY] });

export function startWorkloads(options: StartWorkloadsOptions): Workloads {
  const { clock = SYSTEM_CLOCK, metrics, namespace, client, signal } = options;
  const stores = startWorkloadStores({ client, namespace, metrics, signal, onError: options.onError });
  const reconcile = workloadReconciler({ ...options, stores, clock });
  const controller = startController({
    name: KEY,
    reconcile: (_, aborted) => reconcile(aborted),
    sources: [stores.deployments, ...stores.children.values(), stores.pods, stores.nodes].map((store) =>
      changes(store),
    ),
    paused: true,
    clock,
    metrics,
    onFailure: options.onFailure,
  });
  // where the Deployment is missing no store has a key, and that is worth saying too
  controller.enqueue(KEY, 'background');
  return { controller, stores, look: () => controller.enqueue(KEY, 'user') };
}
