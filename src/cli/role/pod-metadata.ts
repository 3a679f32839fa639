// Pods of this node and the cluster's Services, from the API server into the collector's names: two watches a node, of which
// the first brings this node's pods only and the second changes seldom.
import { createPodMetadata, type PodMetadata } from '../../collector/identity/cluster.ts';
import { slimPod, slimService, type PodJson, type ServiceJson } from '../../collector/identity/objects.ts';
import { startReflector } from '../../kube/reflector.ts';
import { PODS, SERVICES } from '../../kube/resources.ts';
import type { KubeClient, KubeObject } from '../../kube/types.ts';
import type { Metrics } from '../../model/metrics.ts';

export interface FollowedMetadata {
  readonly pods: PodMetadata;
  /** True, or why names may be missing. */
  state(): true | string;
}

export interface MetadataOptions {
  readonly client: Pick<KubeClient, 'list' | 'watch'>;
  readonly node: string;
  readonly metrics: Metrics;
  readonly signal: AbortSignal;
  readonly onError: (what: string, error: unknown) => void;
}

const LOOK_EVERY_MS = 1000;
/** A watch that was reset is opened again within seconds: nothing is stale for that. */
const STALE_AFTER_MS = 10_000;

export function followMetadata({ client, node, metrics, signal, onError }: MetadataOptions): FollowedMetadata {
  const metadata = createPodMetadata({ now: Date.now });
  const common = (what: string) => ({
    client,
    metrics,
    signal,
    onError: (error: unknown, during: string) => onError(`${during} ${what}`, error),
  });
  const pods = startReflector<KubeObject, PodJson>({
    ...common('pods'),
    type: PODS,
    scope: { fieldSelector: `spec.nodeName=${node}` },
    transform: slimPod,
  });
  const services = startReflector<KubeObject, ServiceJson>({
    ...common('services'),
    type: SERVICES,
    transform: slimService,
  });
  pods.onChange((change) => metadata.pod(change));
  services.onChange((change) => metadata.service(change));
  let troubleSinceMs: number | undefined;

  function state(): true | string {
    for (const store of [pods, services]) {
      const { lastError } = store.state();
      if (lastError !== undefined) return `${lastError.reason}: ${lastError.message}`;
      if (!store.hasSynced) return 'not listed yet';
    }
    return true;
  }

  function look(): void {
    const now = state();
    if (now === true) {
      troubleSinceMs = undefined;
      metadata.fresh();
      return;
    }
    troubleSinceMs ??= performance.now();
    const hasSynced = pods.hasSynced && services.hasSynced;
    if (hasSynced && performance.now() - troubleSinceMs >= STALE_AFTER_MS)
      metadata.stale('ApiServerUnavailable', `names of new pods are missing: ${now}`);
  }
  void Promise.all([pods.synced, services.synced]).then(look);
  const timer = setInterval(look, LOOK_EVERY_MS).unref();
  signal.addEventListener('abort', () => clearInterval(timer), { once: true });
  return { pods: metadata, state };
}
