// The copies of our two kinds that the operator works from, over the whole cluster or over the watched namespaces.
import {
  createScriptTexts,
  slimScript,
  type ScriptTexts,
  type SlimScript,
} from '../../controllers/exportscript/ingest.ts';
import { BY_PLUGIN } from '../../controllers/leading.ts';
import { slimPlugin, type SlimPlugin } from '../../controllers/otelplugin/ingest.ts';
import { BY_OWNER, ownerOf } from '../../controllers/otelplugin/reconcile.ts';
import { startReflector } from '../../kube/reflector.ts';
import type { KubeClient, KubeObject, Store } from '../../kube/types.ts';
import { unionStore } from '../../kube/union-store.ts';
import type { Metrics } from '../../model/metrics.ts';
import { EXPORT_SCRIPTS, objectOf, OTEL_PLUGINS } from './kinds.ts';

export interface KindStores {
  readonly scripts: Store<SlimScript>;
  readonly plugins: Store<SlimPlugin>;
  readonly texts: ScriptTexts;
  /** True, or what keeps them from being whole. */
  state(): true | string;
}

export interface KindStoresOptions {
  readonly client: Pick<KubeClient, 'list' | 'watch'>;
  /** One `undefined`: all. */
  readonly namespaces: readonly (string | undefined)[];
  readonly metrics: Metrics;
  readonly signal: AbortSignal;
  readonly onError: (what: string, error: unknown) => void;
}

export function startKindStores({ client, namespaces, metrics, signal, onError }: KindStoresOptions): KindStores {
  const texts = createScriptTexts();
  const common = (what: string, namespace: string | undefined) => ({
    client,
    metrics,
    signal,
    ...(namespace === undefined ? {} : { scope: { namespace } }),
    onError: (error: unknown, during: string) => onError(`${during} ${what}`, error),
  });
  const scripts = namespaces.map((namespace) =>
    startReflector<KubeObject, SlimScript>({
      ...common('exportscripts', namespace),
      type: EXPORT_SCRIPTS,
      transform: (object, before) => slimScript(objectOf(EXPORT_SCRIPTS, object), texts, before),
      indexes: {
        [BY_PLUGIN]: ({ metadata, spec }) =>
          spec === undefined ? [] : [`${spec.pluginRef.namespace ?? metadata.namespace}/${spec.pluginRef.name}`],
        [BY_OWNER]: ownerOf,
      },
    }),
  );
  const plugins = namespaces.map((namespace) =>
    startReflector<KubeObject, SlimPlugin>({
      ...common('otelplugins', namespace),
      type: OTEL_PLUGINS,
      transform: (object) => slimPlugin(objectOf(OTEL_PLUGINS, object)),
    }),
  );
  return {
    scripts: unionStore<SlimScript>(scripts),
    plugins: unionStore<SlimPlugin>(plugins),
    texts,
    state() {
      for (const store of [...scripts, ...plugins]) {
        if (store.hasSynced) continue;
        const { lastError } = store.state();
        return lastError === undefined ? 'not listed yet' : `${lastError.reason}: ${lastError.message}`;
      }
      return true;
    },
  };
}
