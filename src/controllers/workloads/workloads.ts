// What the operator deploys, as one term of a leader does it: the reconciler behind a queue of one key.
import { startController, type ReconcileFailure } from '../../kube/controller.ts';
import { storeSource } from '../../kube/sources.ts';
import type { KubeObject, Store } from '../../kube/types.ts';
import type { Metrics } from '../../model/metrics.ts';
import { workloadReconciler, type WorkloadsOptions } from './reconcile.ts';

export interface StartWorkloadsOptions extends WorkloadsOptions {
  readonly metrics: Metrics;
  readonly onFailure: (failure: ReconcileFailure) => void;
}

export interface Workloads {
  /** The settings have changed, or a spool is empty now. */
  look(): void;
  /** Looks that wait or run. */
  readonly busy: number;
  /** Lets a look that runs finish for `graceMs`, then aborts it. Afterwards the stores know nothing of this term. */
  stop(graceMs: number): Promise<void>;
}

const KEY = 'workloads';

/** Begins at once; the stores outlive it. */
export function startWorkloads(options: StartWorkloadsOptions): Workloads {
  const { stores, metrics, clock } = options;
  const work = workloadReconciler(options);
  const controller = startController({
    name: KEY,
    reconcile: (_, signal) => work.reconcile(signal),
    // there is one key: every change of anything asks for a look at everything
    sources: [stores.deployments, ...stores.children.values(), stores.pods, stores.nodes].map(
      (store: Store<KubeObject>) => storeSource(store, { keysOf: () => [KEY] }),
    ),
    clock,
    metrics,
    onFailure: options.onFailure,
  });
  const look = (): void => controller.enqueue(KEY, 'user');
  // where the Deployment is missing no store has a key, and that is worth saying too
  look();
  return {
    look,
    get busy() {
      return controller.depth + controller.active;
    },
    async stop(graceMs) {
      await controller.stop(graceMs);
      work.stop();
    },
  };
}
