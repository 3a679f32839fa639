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
import { startReflector, type ReflectedStore } from '../../kube/reflector.ts';
import type { Clock } from '../../kube/timers.ts';
import type { KubeClient, KubeObject, Store } from '../../kube/types.ts';
import { unionStore } from '../../kube/union-store.ts';
import type { Metrics } from '../../model/metrics.ts';
import { EXPORT_SCRIPTS, objectOf, OTEL_PLUGINS } from './kinds.ts';

/** What can be read of the watched namespaces: of each that is in it both kinds have synced. */
export interface KindView {
  /** One `undefined`: all. */
  readonly namespaces: readonly (string | undefined)[];
  readonly scripts: Store<SlimScript>;
  readonly plugins: Store<SlimPlugin>;
  /** Whether this one is watched and cannot be read yet: that something is not there says nothing (R11). */
  isUnread(namespace: string): boolean;
  /** No namespace is unread. */
  readonly isWhole: boolean;
}

export interface KindStores {
  /** Of all namespaces; not to be read before `view` has them. */
  readonly scripts: Pick<Store<SlimScript>, 'onChange'>;
  readonly plugins: Pick<Store<SlimPlugin>, 'onChange'>;
  readonly texts: ScriptTexts;
  /** As it is now. */
  view(): KindView;
  /** Resolves once some namespace can be read, and each other one can be read or is refused. */
  readonly begun: Promise<void>;
  /** After `begun`: one more namespace can be read. One listener. */
  onGrown(listener: (namespace: string) => void): void;
  /** True, or what keeps them from being whole, with the namespaces. */
  state(): true | string;
}

export interface KindStoresOptions {
  readonly client: Pick<KubeClient, 'list' | 'watch'>;
  /** One `undefined`: all. */
  readonly namespaces: readonly (string | undefined)[];
  readonly metrics: Metrics;
  readonly signal: AbortSignal;
  /** Not again for the same failure in a row. */
  readonly onError: (what: string, error: unknown) => void;
  readonly clock?: Clock;
}

interface Pair {
  readonly namespace: string | undefined;
  readonly scripts: ReflectedStore<SlimScript>;
  readonly plugins: ReflectedStore<SlimPlugin>;
}

const storesOf = ({ scripts, plugins }: Pair): readonly ReflectedStore<KubeObject>[] => [scripts, plugins];
const isReadable = (pair: Pair): boolean => storesOf(pair).every(({ hasSynced }) => hasSynced);
const isRefused = (store: ReflectedStore<KubeObject>): boolean =>
  !store.hasSynced && store.state().lastError?.status === 403;

export function startKindStores(options: KindStoresOptions): KindStores {
  const { client, namespaces, metrics, signal, onError, clock } = options;
  const texts = createScriptTexts();
  const begun = Promise.withResolvers<void>();
  let hasBegun = false;
  const readable = new Set<string | undefined>();
  let grown: ((namespace: string) => void) | undefined;

  const common = (kind: string, namespace: string | undefined) => {
    const what = namespace === undefined ? kind : `${kind} of namespace ${namespace}`;
    let told = '';
    return {
      client,
      metrics,
      signal,
      ...(clock === undefined ? {} : { clock }),
      ...(namespace === undefined ? {} : { scope: { namespace } }),
      onError: (error: unknown, during: string) => {
        const text = `${during} ${String(error)}`;
        // a right that is missing is so every half minute
        if (text !== told) onError(`${during} ${what}`, error);
        told = text;
        look();
      },
      onRecovered: () => {
        told = '';
      },
    };
  };
  const pairs = namespaces.map((namespace): Pair => ({
    namespace,
    scripts: startReflector<KubeObject, SlimScript>({
      ...common('exportscripts', namespace),
      type: EXPORT_SCRIPTS,
      transform: (object, before) => slimScript(objectOf(EXPORT_SCRIPTS, object), texts, before),
      indexes: {
        [BY_PLUGIN]: ({ metadata, spec }) =>
          spec === undefined ? [] : [`${spec.pluginRef.namespace ?? metadata.namespace}/${spec.pluginRef.name}`],
        [BY_OWNER]: ownerOf,
      },
    }),
    plugins: startReflector<KubeObject, SlimPlugin>({
      ...common('otelplugins', namespace),
      type: OTEL_PLUGINS,
      transform: (object) => slimPlugin(objectOf(OTEL_PLUGINS, object)),
    }),
  }));

  function look(): void {
    for (const pair of pairs) {
      if (readable.has(pair.namespace) || !isReadable(pair)) continue;
      readable.add(pair.namespace);
      if (hasBegun) grown?.(pair.namespace ?? '');
    }
    const isKnown = (store: ReflectedStore<KubeObject>): boolean => store.hasSynced || isRefused(store);
    if (hasBegun || readable.size === 0 || !pairs.flatMap(storesOf).every(isKnown)) return;
    hasBegun = true;
    begun.resolve();
  }
  for (const store of pairs.flatMap(storesOf)) void store.synced.then(look);

  return {
    scripts: unionStore<SlimScript>(pairs.map(({ scripts }) => scripts)),
    plugins: unionStore<SlimPlugin>(pairs.map(({ plugins }) => plugins)),
    texts,
    begun: begun.promise,
    onGrown: (listener) => {
      grown = listener;
    },
    view() {
      const read = pairs.filter(({ namespace }) => readable.has(namespace));
      const unread = new Set(namespaces.filter((namespace) => !readable.has(namespace)));
      return {
        namespaces: read.map(({ namespace }) => namespace),
        scripts: unionStore<SlimScript>(read.map(({ scripts }) => scripts)),
        plugins: unionStore<SlimPlugin>(read.map(({ plugins }) => plugins)),
        isUnread: (namespace) => unread.has(namespace),
        isWhole: unread.size === 0,
      };
    },
    state() {
      const faults = pairs.flatMap((pair) => {
        const store = storesOf(pair).find(({ hasSynced }) => !hasSynced);
        if (store === undefined) return [];
        const { lastError } = store.state();
        const why = lastError === undefined ? 'not listed yet' : `${lastError.reason}: ${lastError.message}`;
        return [pair.namespace === undefined ? why : `namespace ${pair.namespace}: ${why}`];
      });
      return faults.length === 0 || faults.join('; ');
    },
  };
}
