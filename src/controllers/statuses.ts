// The statuses of both kinds while this process leads: made of entries and of what is known of runtimes and nodes, handed to
// the writer, and written again where somebody else changed them.
import { setImmediate } from 'node:timers/promises';
import { reviewAtMs } from '../crds/attempt.ts';
import { boundScriptStatus } from '../crds/status-bounds.ts';
import { hashConditions, packConditions, unpackConditions } from '../crds/condition-memory.ts';
import { API_VERSION } from '../crds/parts.ts';
import type { Fault } from '../crds/script-conditions.ts';
import type { Condition, ExportScriptStatus, OtelPluginStatus } from '../crds/status.ts';
import type { Dispatch } from './dispatch/contract.ts';
import type { ScriptEntries, ScriptEntry } from './exportscript/entries.ts';
import { conditionIn, remember, scriptStatusOf, urgentKeyOf } from './exportscript/publish.ts';
import { heldUp } from './exportscript/status.ts';
import type { PluginEntry } from './otelplugin/entries.ts';
import { pluginStatusOf } from './otelplugin/publish.ts';
import type { RuntimeStates } from './runtime-states.ts';
import { createApplyStatus } from './apply-status.ts';
import { trackStatusVersions } from './status-versions.ts';
import { createStatusWriter } from './status-writer.ts';
import type { Events } from '../kube/events.ts';
import { isNotFound, type KubeClient, type KubeObject, type ResourceType, type Store } from '../kube/types.ts';
import type { Metrics } from '../model/metrics.ts';
import type { TimeNs } from '../model/time.ts';
import type { SlimScript } from './exportscript/ingest.ts';
import type { SlimPlugin } from './otelplugin/ingest.ts';
import type { WorkloadHealth } from './workloads/health.ts';

export interface Statuses {
  /** Looks again; returns in how many ms its conditions change by the mere passing of time. */
  script(entry: ScriptEntry): number | undefined;
  /** A run or a delivery has changed its record: looks again soon, once for all that come together. */
  recorded(entry: ScriptEntry): void;
  scriptGone(entry: ScriptEntry): void;
  plugin(entry: PluginEntry): number | undefined;
  pluginGone(entry: PluginEntry): void;
  /** The number of scripts of a plugin, or of ready ones, has changed. */
  counted(pluginKey: string): void;
  allPlugins(): void;
  destinationsChanged(changed: readonly { readonly name: string; readonly isFailing: boolean }[]): void;
  runtimesChanged(): void;
  /** What an earlier leader wrote of a script. */
  seed(scriptKey: string, urgentKey: string): void;
  /** Where what is there is not what was written, writes it again; `later` is asked for another look where it is too early to tell. */
  heal(kind: Kind, key: string, later: (ms: number) => void): void;
  stop(graceMs: number): Promise<void>;
}

type Kind = 'ExportScript' | 'OtelPlugin';

export interface StatusesOptions {
  readonly client: Pick<KubeClient, 'apply'>;
  readonly scripts: Store<SlimScript>;
  readonly plugins: Store<SlimPlugin>;
  readonly types: { readonly script: ResourceType; readonly plugin: ResourceType };
  readonly events: Pick<Events, 'record'>;
  /** UTC that never falls. */
  readonly now: () => TimeNs;
  /** Monotonic milliseconds. */
  readonly clock: () => number;
  readonly random: () => number;
  readonly metrics: Metrics;
  /** Of the workloads; undefined until they were looked at. */
  readonly health: () => WorkloadHealth | undefined;
  readonly onFault: (what: string, error: unknown) => void;
  readonly entries: ScriptEntries;
  readonly pluginEntries: ReadonlyMap<string, PluginEntry>;
  readonly dispatch: Pick<Dispatch, 'progress' | 'unavailable' | 'runtimes'>;
  readonly states: RuntimeStates;
  /** At the beginning of a term, while runtimes are being connected: what was written before is not taken back for that. */
  readonly isSettling: () => boolean;
  /** Name of the scripts' index by plugin. */
  readonly byPlugin: string;
}

/** What was written of a plugin. */
interface Written {
  conditions: string;
  hash: string | undefined;
  atMs: number;
}

const COUNTERS_PER_SECOND = 20;
/** A watch brings our own write later than its answer; before that nothing can be told. */
const HEAL_AFTER_MS = 5000;
const PLUGIN_INTERVAL_MS = 1000;
const COUNT_AFTER_MS = 250;
/** A window's result and its destination's answer mostly come within it. */
const RECORDS_AFTER_MS = 200;
const SCRIPTS_PER_TURN = 100;

export function createStatuses(options: StatusesOptions): Statuses {
  const { entries, pluginEntries, dispatch, states } = options;
  const plugins = new Map<string, Written>();
  const applyStatus = createApplyStatus(options);
  const [scriptVersions, pluginVersions] = [trackStatusVersions(options.scripts), trackStatusVersions(options.plugins)];
  /** Scripts that a full or broken state holds up, by uid. */
  const heldByState = new Map<string, Fault>();
  const nowMs = (): number => Number(options.now() / 1_000_000n);
  const written = options.metrics.counter('sluice_status_writes_total');
  const failed = options.metrics.counter('sluice_status_write_failures_total');

  const writer = createStatusWriter({
    perSecond: COUNTERS_PER_SECOND,
    nowMs: options.clock,
    after: (ms, call) => {
      const timer = setTimeout(call, ms);
      return () => clearTimeout(timer);
    },
    random: options.random,
    make: (key) => {
      const [kind, ...name] = key.split('/');
      return kind === 'ExportScript' ? makeScript(name.join('/')) : makePlugin(name.join('/'));
    },
    write,
    onWritten: (_, urgency) => written.add(1, { urgency }),
    onError: (key, error) => {
      failed.add(1);
      options.onFault(`writing the status of ${key}`, error);
    },
  });

  async function write(key: string, status: object): Promise<'written' | 'gone'> {
    const [kind, namespace = '', name = ''] = key.split('/');
    const isScript = kind === 'ExportScript';
    const type = isScript ? options.types.script : options.types.plugin;
    const versions = isScript ? scriptVersions : pluginVersions;
    try {
      const answer = await versions.writing(namespace, name, (metadata) => applyStatus(type, metadata, status));
      if (answer === undefined) return 'gone';
      noteWritten(isScript, `${namespace}/${name}`, answer);
      return 'written';
    } catch (error) {
      if (isNotFound(error)) return 'gone';
      throw error;
    }
  }

  function noteWritten(isScript: boolean, key: string, answer: KubeObject): void {
    const status: unknown = Reflect.get(answer, 'status');
    const conditions: unknown = typeof status === 'object' && status !== null ? Reflect.get(status, 'conditions') : [];
    const hash = hashConditions(conditions);
    const entry = isScript ? entries.get(key) : undefined;
    if (entry !== undefined) {
      entry.writtenHash = hash;
      entry.writtenAtMs = options.clock();
    }
    const plugin = isScript ? undefined : plugins.get(key);
    if (plugin !== undefined) {
      plugin.hash = hash;
      plugin.atMs = options.clock();
    }
  }

  const statusOf = (entry: ScriptEntry): ExportScriptStatus | undefined =>
    scriptStatusOf(entry, {
      progress: dispatch.progress(entry.uid),
      unavailable: options.isSettling() ? undefined : dispatch.unavailable(entry.uid),
      destination: entry.view?.pluginUid === undefined ? undefined : states.destination(entry.view.pluginUid),
      nowMs: nowMs(),
    });

  function makeScript(key: string): ExportScriptStatus | undefined {
    const entry = entries.get(key);
    if (entry === undefined || !isThere(options.scripts, key, entry.uid)) return undefined;
    const status = statusOf(entry);
    if (status === undefined) return undefined;
    tell('ExportScript', entry.key, entry.uid, conditionsBefore(entry.conditions), status.conditions);
    remember(entry, status);
    return boundScriptStatus(status);
  }

  /** Another object of that name may be there already, and be looked at in a moment. */
  function isThere(store: Pick<Store<SlimScript | SlimPlugin>, 'get'>, key: string, uid: string): boolean {
    const [namespace = '', name = ''] = key.split('/');
    return store.get(namespace, name)?.metadata.uid === uid;
  }

  const conditionsBefore = (packed: string): Condition[] => unpackConditions(packed);

  /** Events only where Ready changes, never one a window (C33). */
  function tell(kind: Kind, key: string, uid: string, before: readonly Condition[], after: readonly Condition[]): void {
    const [was, is] = [conditionIn(before, 'Ready'), conditionIn(after, 'Ready')];
    if (is === undefined || (was?.status === is.status && was.reason === is.reason) || is.reason === 'Pending') return;
    const [namespace = '', name = ''] = key.split('/');
    options.events.record({
      regarding: { apiVersion: API_VERSION, kind, namespace, name, uid },
      type: is.status === 'True' ? 'Normal' : 'Warning',
      reason: is.reason,
      action: 'Reconcile',
      note: is.message === '' ? `Ready is ${is.status}` : is.message,
    });
  }

  function script(entry: ScriptEntry): number | undefined {
    const status = statusOf(entry);
    if (status === undefined) return undefined;
    const { view } = entry;
    const fault = heldUp(entry.record);
    if (fault?.reason.startsWith('State') === true) heldByState.set(entry.uid, fault);
    else heldByState.delete(entry.uid);
    const isReady = conditionIn(status.conditions, 'Ready')?.status === 'True';
    if (isReady !== entry.isReady) {
      entry.isReady = isReady;
      counted(view?.pluginKey ?? '');
    }
    writer.changed(`ExportScript/${entry.key}`, {
      urgentKey: urgentKeyOf(status),
      minIntervalMs: Math.max(
        Number((view?.windowNs ?? 0n) / 1_000_000n),
        (options.scripts.size / COUNTERS_PER_SECOND) * 1000,
      ),
    });
    return inMs(status.conditions);
  }

  function inMs(conditions: readonly Condition[]): number | undefined {
    const at = reviewAtMs(conditions);
    return at === undefined ? undefined : Math.max(1000, at - nowMs());
  }

  function pluginStatus(entry: PluginEntry): OtelPluginStatus | undefined {
    const previous = unpackConditions(writtenOf(entry).conditions);
    const { generation } = entry.object.metadata;
    if (options.isSettling() && previous.some((one) => one.observedGeneration === generation)) return undefined;
    const mine = options.scripts.by(options.byPlugin, entry.key);
    const ready = mine.filter(({ metadata }) => entries.byUid(metadata.uid)?.isReady === true).length;
    return pluginStatusOf(entry, {
      destination: states.destination(entry.uid),
      nodes: states.nodes(),
      health: options.health(),
      runtimes: dispatch.runtimes(),
      stateFault: heldByState.values().next().value,
      scripts: { ready, total: mine.length },
      previous,
      nowMs: nowMs(),
    });
  }

  function writtenOf({ key, namespace, name }: PluginEntry): Written {
    const known = plugins.get(key);
    if (known !== undefined) return known;
    const conditions = options.plugins.get(namespace, name)?.conditions ?? '';
    const fresh: Written = { conditions, hash: undefined, atMs: 0 };
    plugins.set(key, fresh);
    return fresh;
  }

  function makePlugin(key: string): OtelPluginStatus | undefined {
    const entry = pluginEntries.get(key);
    if (entry === undefined || !isThere(options.plugins, key, entry.uid)) return undefined;
    const status = pluginStatus(entry);
    if (status === undefined) return undefined;
    const before = writtenOf(entry);
    tell('OtelPlugin', key, entry.uid, conditionsBefore(before.conditions), status.conditions);
    before.conditions = packConditions(status.conditions);
    return status;
  }

  function plugin(entry: PluginEntry): number | undefined {
    const status = pluginStatus(entry);
    if (status === undefined) return undefined;
    writer.changed(`OtelPlugin/${entry.key}`, {
      urgentKey: urgentKeyOf(status),
      minIntervalMs: PLUGIN_INTERVAL_MS,
    });
    return inMs(status.conditions);
  }

  const toCount = new Set<string>();
  let counting: NodeJS.Timeout | undefined;

  /** Once for all that change together: each plugin's scripts are gone through. */
  function counted(pluginKey: string): void {
    toCount.add(pluginKey);
    counting ??= setTimeout(countAll, COUNT_AFTER_MS);
  }

  function countAll(): void {
    clearTimeout(counting);
    counting = undefined;
    for (const key of toCount) {
      const entry = pluginEntries.get(key);
      if (entry !== undefined) plugin(entry);
    }
    toCount.clear();
  }

  /** Some at a time: ten thousand at once would hold up the event loop. */
  async function lookAt(keys: readonly string[]): Promise<void> {
    for (const [i, key] of keys.entries()) {
      if (i % SCRIPTS_PER_TURN === SCRIPTS_PER_TURN - 1) await setImmediate();
      const entry = entries.get(key);
      if (entry !== undefined) script(entry);
    }
  }

  const onLookFault = (error: unknown): void => options.onFault('looking at scripts', error);
  const recorded = new Set<string>();
  let recording: NodeJS.Timeout | undefined;

  function takeRecorded(): string[] {
    clearTimeout(recording);
    recording = undefined;
    const keys = [...recorded];
    recorded.clear();
    return keys;
  }

  const allPlugins = (): void => {
    for (const entry of pluginEntries.values()) plugin(entry);
  };

  return {
    script,
    recorded({ key }) {
      recorded.add(key);
      recording ??= setTimeout(() => void lookAt(takeRecorded()).catch(onLookFault), RECORDS_AFTER_MS);
    },
    scriptGone(entry) {
      writer.forget(`ExportScript/${entry.key}`);
      heldByState.delete(entry.uid);
      counted(entry.view?.pluginKey ?? '');
    },
    plugin,
    pluginGone({ key }) {
      writer.forget(`OtelPlugin/${key}`);
      plugins.delete(key);
    },
    counted,
    allPlugins,
    destinationsChanged(changed) {
      const failing = new Set(changed.filter(({ isFailing }) => isFailing).map(({ name }) => name));
      const all = new Set(changed.map(({ name }) => name));
      for (const entry of pluginEntries.values()) {
        if (!all.has(entry.uid)) continue;
        plugin(entry);
        if (!failing.has(entry.uid)) continue;
        for (const { metadata } of options.scripts.by(options.byPlugin, entry.key)) {
          const one = entries.byUid(metadata.uid);
          if (one !== undefined) script(one);
        }
      }
    },
    runtimesChanged() {
      allPlugins();
      lookAt([...entries.all()].map(({ key }) => key)).catch(onLookFault);
    },
    seed: (key, urgentKey) => writer.seed(`ExportScript/${key}`, urgentKey),
    heal(kind, key, later) {
      const [namespace = '', name = ''] = key.split('/');
      const isScript = kind === 'ExportScript';
      const there = (isScript ? options.scripts : options.plugins).get(namespace, name)?.conditionsHash;
      const entry = isScript ? entries.get(key) : undefined;
      const plugged = isScript ? undefined : plugins.get(key);
      const hash = entry?.writtenHash ?? plugged?.hash;
      const atMs = entry?.writtenAtMs ?? plugged?.atMs ?? 0;
      if (hash === undefined || there === undefined || there === hash) return;
      const age = options.clock() - atMs;
      if (age < HEAL_AFTER_MS) later(HEAL_AFTER_MS - age + 1);
      else writer.overwritten(`${kind}/${key}`);
    },
    async stop(graceMs) {
      const keys = takeRecorded();
      if (graceMs > 0) {
        await lookAt(keys);
        countAll();
      }
      clearTimeout(counting);
      await writer.stop(graceMs);
      scriptVersions.stop();
      pluginVersions.stop();
    },
  };
}
