// What runs while this process leads: dispatch, the two kinds' reconciles, and their statuses on the way to the API server.
// Made at each acquisition of the lease and thrown away when it is lost; the stores outlive it.
import { setTimeout as sleep } from 'node:timers/promises';
import { startController, type Controller, type ReconcileFailure } from '../kube/controller.ts';
import type { Events } from '../kube/events.ts';
import type { KubeClient, ResourceType, Store, StoreChange } from '../kube/types.ts';
import type { Metrics } from '../model/metrics.ts';
import type { TimeNs } from '../model/time.ts';
import type { RunClient } from '../rpc/run-client.ts';
import type { ConnectionListener, DispatchEnd, Term } from './dispatch/contract.ts';
import { takeOver } from './dispatch/takeover.ts';
import { createScriptEntries, type ScriptEntry } from './exportscript/entries.ts';
import { createFirstLook, type FirstLook } from './exportscript/first-look.ts';
import type { ScriptTexts, SlimScript } from './exportscript/ingest.ts';
import { scriptListener } from './exportscript/listener.ts';
import { createScriptReconcile } from './exportscript/reconcile.ts';
import type { PluginEntry } from './otelplugin/entries.ts';
import type { SlimPlugin } from './otelplugin/ingest.ts';
import { createPluginReconcile, pendingPlugin, unreadPlugin } from './otelplugin/reconcile.ts';
import type { Follow } from './references.ts';
import { createReferences } from './references.ts';
import { createRuntimeStates } from './runtime-states.ts';
import { startSettling } from './settling.ts';
import { createStatuses } from './statuses.ts';
import type { WorkloadHealth } from './workloads/health.ts';

export interface LeadingOptions {
  readonly term: Term;
  /** Refuses writes when the term is over. */
  readonly client: KubeClient;
  /** The operator's own. */
  readonly namespace: string;
  /** Of the checkpoints. */
  readonly labels: Readonly<Record<string, string>>;
  /** Namespaces that are watched and can be read; one `undefined` for all. */
  readonly namespaces: readonly (string | undefined)[];
  /** Whether a namespace is watched and cannot be read yet: what is not there may be there all the same (R11). */
  readonly isUnread: (namespace: string) => boolean;
  /** None is unread. */
  readonly isWhole: boolean;
  readonly replicas: number;
  readonly connect: (ordinal: number, listener: ConnectionListener) => RunClient;
  readonly scripts: Store<SlimScript>;
  readonly plugins: Store<SlimPlugin>;
  readonly types: { readonly script: ResourceType; readonly plugin: ResourceType };
  readonly texts: ScriptTexts;
  readonly follow: Follow;
  readonly presetNames: readonly string[];
  readonly health: () => WorkloadHealth | undefined;
  readonly events: Pick<Events, 'record'>;
  /** UTC that never falls. */
  readonly now: () => TimeNs;
  /** Monotonic milliseconds. */
  readonly clock: () => number;
  readonly random: () => number;
  readonly metrics: Metrics;
  readonly onFault: (what: string, error: unknown) => void;
}

export interface Leading {
  readonly epoch: number;
  scriptChanged(change: StoreChange<SlimScript>): void;
  pluginChanged(change: StoreChange<SlimPlugin>): void;
  /** The workloads are otherwise than before: statuses of plugins say so. */
  healthChanged(): void;
  resize(replicas: number): void;
  /** What the StatefulSet of the runtimes may have now. */
  replicasNeeded(): number;
  readonly ended: Promise<DispatchEnd>;
  stop(graceMs: number): Promise<void>;
}

/** The index of scripts by the plugin that they name, `namespace/name`. */
export const BY_PLUGIN = 'plugin';

const STATES_EVERY_MS = 2000;
const STATES_TIMEOUT_MS = 8000;
const SETTLING_EVERY_MS = 100;
/** Nothing is said of a script before a runtime is reached, or this has passed. */
const CONNECT_MS = 500;
/** Most of a reconcile is waiting for the compiler. */
const SCRIPTS_AT_ONCE = 32;
/** At the end statuses are written for this long; less than a term has to end in. */
const STATUSES_MS = 3000;

const keyOf = ({ metadata: { namespace, name } }: SlimScript | SlimPlugin): string => `${namespace}/${name}`;

/** The lease is ours: takes over where the last leader was, and begins. Rejects where the API server does not answer. */
export async function startLeading(options: LeadingOptions): Promise<Leading> {
  const { term, scripts, plugins, onFault } = options;
  const resumed = new Map<string, Partial<ScriptEntry>>();
  const entries = createScriptEntries(resumed);
  const pluginEntries = new Map<string, PluginEntry>();
  const clients = new Map<number, RunClient>();
  /** What dispatch tells while it takes over is in what it answers afterwards. */
  let hasBegun = false;
  let firstLook: FirstLook | undefined;
  const states = createRuntimeStates({
    runtimes: () => clients,
    timeoutMs: STATES_TIMEOUT_MS,
    onDestinations: (changed) => statuses.destinationsChanged(changed),
    onNodes: () => statuses.allPlugins(),
  });
  const listener = scriptListener({
    entries,
    nowMs: () => Number(options.now() / 1_000_000n),
    onChange: (entry) => void (hasBegun && statuses.recorded(entry)),
    onUnknown: (key) => scripting.enqueue(key, 'background'),
    onFault,
  });
  const dispatch = await takeOver({
    term,
    kube: options.client,
    namespace: options.namespace,
    labels: options.labels,
    replicas: options.replicas,
    connect: (ordinal, connection) => connected(ordinal, connection),
    listener: { ...listener, delivered: (delivery) => (firstLook ?? listener).delivered(delivery) },
    onRuntimes: () => {
      if (!hasBegun) return;
      statuses.runtimesChanged();
      firstLook?.compileAll();
    },
    now: options.now,
    random: options.random,
    metrics: options.metrics,
    onFault,
  });

  /** The client that dispatch has of an ordinal is the one whose state is asked for. */
  function connected(ordinal: number, connection: ConnectionListener): RunClient {
    const client = options.connect(ordinal, connection);
    clients.set(ordinal, client);
    return {
      ...client,
      close: () => {
        if (clients.get(ordinal) === client) clients.delete(ordinal);
        client.close();
      },
    };
  }

  const references = createReferences(options.follow, (user) => {
    const [kind, ...key] = user.split('/');
    (kind === 'otelplugin' ? plugging : scripting).enqueue(key.join('/'), 'user');
  });
  const settled = Promise.withResolvers<void>();
  const settling = startSettling(() => {
    settled.resolve();
    statuses.runtimesChanged();
  });
  const statuses = createStatuses({
    ...options,
    entries,
    pluginEntries,
    dispatch,
    states,
    isSettling: () => settling.isOn,
    byPlugin: BY_PLUGIN,
  });

  const pending = (namespace: string, name: string): PluginEntry | undefined => {
    const plugin = plugins.get(namespace, name);
    // one that is being deleted is not waited for, however long somebody's finalizer holds it
    const isThere = plugin !== undefined && plugin.metadata.deletionTimestamp === undefined;
    if (isThere) return pendingPlugin(plugin);
    return options.isUnread(namespace) ? unreadPlugin(namespace, name) : undefined;
  };

  const reconcileScript = createScriptReconcile({
    scripts,
    entries,
    plugin: (namespace, name) => pluginEntries.get(`${namespace}/${name}`) ?? pending(namespace, name),
    references,
    texts: options.texts,
    client: options.client,
    type: options.types.script,
    dispatch,
    presetNames: options.presetNames,
    namespace: options.namespace,
    onChange: (entry) => {
      const reviewInMs = statuses.script(entry);
      if (reviewInMs !== undefined) scripting.enqueueAfter(entry.key, reviewInMs);
    },
    onGone: (entry) => statuses.scriptGone(entry),
    onFault,
  });
  const reconcilePlugin = createPluginReconcile({
    plugins,
    scripts,
    entries: pluginEntries,
    references,
    client: options.client,
    scriptType: options.types.script,
    pluginType: options.types.plugin,
    dispatch,
    presetNames: options.presetNames,
    operatorNamespace: options.namespace,
    onChange: (key, entry) => {
      for (const script of scripts.by(BY_PLUGIN, key)) scripting.enqueue(keyOf(script), 'background');
      if (entry === undefined) return;
      const reviewInMs = statuses.plugin(entry);
      if (reviewInMs !== undefined) plugging.enqueueAfter(key, reviewInMs);
    },
    onGone: (entry) => statuses.pluginGone(entry),
    onFault,
  });
  const common = {
    sources: [],
    metrics: options.metrics,
    random: options.random,
    onFailure: ({ controller, key, error }: ReconcileFailure) => onFault(`reconciling ${controller} ${key}`, error),
  };
  const keysOf = (store: Store<SlimScript | SlimPlugin>) => (): Iterable<string> =>
    Array.from(store.all(), (object) => keyOf(object));
  const plugging: Controller = startController({
    ...common,
    name: 'otelplugin',
    resync: keysOf(plugins),
    concurrency: 2,
    reconcile: async (key, signal) => {
      const result = await reconcilePlugin(key, signal);
      statuses.heal('OtelPlugin', key, (ms) => plugging.enqueueAfter(key, ms));
      return result;
    },
  });
  const scripting: Controller = startController({
    ...common,
    name: 'exportscript',
    resync: keysOf(scripts),
    concurrency: SCRIPTS_AT_ONCE,
    reconcile: async (key, signal) => {
      await firstLook?.reconcile(key, signal);
      statuses.heal('ExportScript', key, (ms) => scripting.enqueueAfter(key, ms));
    },
  });

  hasBegun = true;
  if (options.isWhole) {
    // what was left in a spool of a plugin that was deleted while nobody led
    dispatch.retainDestinations(new Set([...plugins.all()].map(({ metadata }) => metadata.uid)));
    dispatch.retain(new Set([...scripts.all()].map(({ metadata }) => metadata.uid)));
  }
  for (const plugin of plugins.all()) plugging.enqueue(keyOf(plugin), 'background');

  const over = new AbortController();
  const ends = AbortSignal.any([term.signal, over.signal]);
  const look = createFirstLook({
    ...options,
    type: options.types.script,
    signal: ends,
    entries,
    resumed,
    canCompile: (uid) => dispatch.unavailable(uid) === undefined,
    seed: (key, urgentKey) => statuses.seed(key, urgentKey),
    enqueue: (key) => scripting.enqueue(key, 'background'),
    reconcile: reconcileScript,
    deliver: (delivery) => listener.delivered(delivery),
  });
  firstLook = look;
  async function beginScripts(): Promise<void> {
    // with a runtime that compiles it is one time through all, and one status each
    await Promise.race([settled.promise, sleep(CONNECT_MS, undefined, { signal: ends }).catch(() => undefined)]);
    if (!ends.aborted) look.begin();
  }
  beginScripts().catch((error: unknown) => onFault('beginning with the scripts', error));
  async function followStates(): Promise<void> {
    while (!ends.aborted) {
      await states.refresh(ends);
      const isUp = dispatch.runtimes().every(({ state }) => state === 'Ready' || state === 'Leaving');
      if (isUp && !ends.aborted) settling.end();
      await sleep(settling.isOn ? SETTLING_EVERY_MS : STATES_EVERY_MS, undefined, { signal: ends }).catch(
        () => undefined,
      );
    }
  }
  followStates().catch((error: unknown) => onFault('asking the runtimes', error));

  /** Plugins of a namespace whose presets mean this name. */
  function presetOwners({ metadata: { namespace, name } }: SlimScript): string[] {
    return [...pluginEntries.values()]
      .filter((entry) => entry.namespace === namespace && name.startsWith(`${entry.name}-`))
      .map(({ key }) => key);
  }

  let stopping: Promise<void> | undefined;
  async function end(graceMs: number): Promise<void> {
    over.abort();
    settling.stop();
    await Promise.all([scripting.stop(0), plugging.stop(0)]);
    await dispatch.stop(graceMs);
    await statuses.stop(term.mayWrite() ? Math.min(graceMs, STATUSES_MS) : 0);
    references.stop();
    options.texts.close();
    for (const client of clients.values()) client.close();
  }

  return {
    epoch: dispatch.epoch,
    scriptChanged({ before, after, isInitial }) {
      const script = after ?? before;
      if (script === undefined) return;
      if (before === undefined || after === undefined) {
        for (const key of presetOwners(script)) plugging.enqueue(key, 'background');
        const { pluginRef } = script.spec ?? {};
        if (pluginRef !== undefined)
          statuses.counted(`${pluginRef.namespace ?? script.metadata.namespace}/${pluginRef.name}`);
      }
      const [was, is] = [before, after].map((one) => one?.spec?.pluginRef);
      if (before !== undefined && after !== undefined && was !== undefined && is !== undefined) {
        const [from, to] = [was, is].map((ref) => `${ref.namespace ?? script.metadata.namespace}/${ref.name}`);
        // a script that stays Ready, and now belongs to the other
        for (const key of from === to ? [] : [from, to]) statuses.counted(key ?? '');
      }
      if (before !== undefined && after !== undefined && !concerns(before, after)) {
        statuses.heal('ExportScript', keyOf(script), (ms) => scripting.enqueueAfter(keyOf(script), ms));
        return;
      }
      // whatever of it is its plugin's somebody may have changed
      for (const key of before === undefined ? [] : controllersOf(script)) plugging.enqueue(key, 'background');
      scripting.enqueue(keyOf(script), isInitial ? 'background' : 'user');
    },
    pluginChanged({ before, after, isInitial }) {
      const plugin = after ?? before;
      if (plugin === undefined) return;
      if (before !== undefined && after !== undefined && !concerns(before, after)) {
        statuses.heal('OtelPlugin', keyOf(plugin), (ms) => plugging.enqueueAfter(keyOf(plugin), ms));
        return;
      }
      plugging.enqueue(keyOf(plugin), isInitial ? 'background' : 'user');
    },
    healthChanged: () => statuses.allPlugins(),
    resize: (replicas) => dispatch.resize(replicas),
    replicasNeeded: () => dispatch.replicasNeeded(),
    ended: dispatch.ended,
    // whoever waits for dispatch's end stops it as well: what the first one gives is not cut short by the second
    stop: (graceMs) => (stopping ??= end(graceMs)),
  };
}

/** The plugin that controls it, `namespace/name`. */
const controllersOf = ({ metadata }: SlimScript): string[] =>
  (metadata.ownerReferences ?? [])
    .filter(({ kind, controller }) => controller === true && kind === 'OtelPlugin')
    .map(({ name }) => `${metadata.namespace}/${name}`);

/** Whether anything but the status has changed (R19). */
function concerns(before: SlimScript | SlimPlugin, after: SlimScript | SlimPlugin): boolean {
  const token = (object: SlimScript | SlimPlugin): string | undefined =>
    'runNow' in object ? object.runNow : undefined;
  return (
    before.metadata.generation !== after.metadata.generation ||
    before.metadata.deletionTimestamp !== after.metadata.deletionTimestamp ||
    JSON.stringify(before.metadata.ownerReferences) !== JSON.stringify(after.metadata.ownerReferences) ||
    token(before) !== token(after)
  );
}
