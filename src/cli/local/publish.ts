// Statuses out: computed by the pure functions of crds and controllers, shown by the view and written to the state folder.
import type { ScriptProgress } from '../../controllers/dispatch/contract.ts';
import { scheduleOfDesired, type Desired, type DesiredPlugin, type DesiredScript } from '../../controllers/desired.ts';
import { boundScriptStatus } from '../../crds/status-bounds.ts';
import { exportScriptStatus, heldUp } from '../../controllers/exportscript/status.ts';
import { NEW_RECORD, type ScriptRecord } from '../../controllers/exportscript/track.ts';
import type { ManifestProblem } from '../../crds/manifest.ts';
import { pluginConditions } from '../../crds/plugin-conditions.ts';
import { endpointHost } from '../../crds/printer-columns.ts';
import type { Fault } from '../../crds/script-conditions.ts';
import { boundPluginStatus } from '../../crds/status-bounds.ts';
import { mergeConditions, type ExportScriptStatus, type OtelPluginStatus } from '../../crds/status.ts';
import type { CompileResult } from '../../model/run.ts';
import type { TimeNs } from '../../model/time.ts';
import { boundaryAfter } from '../../schedule/window.ts';
import { createObservations, type Observed } from './observed.ts';
import type { View } from './view.ts';

interface ObjectId {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

/** What is kept of one script between reconciles. */
export interface ScriptEntry {
  readonly desired: DesiredScript;
  readonly compileKey: string;
  readonly compiled: CompileResult | undefined;
}

export interface Progress {
  readonly deliveredUntil: TimeNs | undefined;
  readonly nextWindow: { readonly start: TimeNs; readonly end: TimeNs } | undefined;
}

export interface Publisher {
  publish(
    desired: Desired,
    entries: ReadonlyMap<string, ScriptEntry>,
    records: ReadonlyMap<string, ScriptRecord>,
    progress: ReadonlyMap<string, Progress>,
  ): void;
  problems(problems: readonly ManifestProblem[]): void;
  /** Shows what was last published again: ages grow. */
  refresh(): void;
  /** The runtime's and the collector's own state, taken from time to time. */
  observe(facts: Observed): void;
}

/** Each script's progress as the dispatcher has it. */
export function dispatcherState(
  dispatcher: { progress(uid: string): Pick<ScriptProgress, 'deliveredUntil' | 'finishedUntil'> | undefined },
  desired: Desired,
): Map<string, Progress> {
  const progressOf = (script: DesiredScript): Progress => {
    const state = dispatcher.progress(script.uid);
    if (state === undefined) return { deliveredUntil: undefined, nextWindow: undefined };
    const { finishedUntil: start, deliveredUntil } = state;
    const { suspend, windowNs } = scheduleOfDesired(script);
    // what is finished need not end on the grid: the window's length may have been another one
    return { deliveredUntil, nextWindow: suspend ? undefined : { start, end: boundaryAfter(start, windowNs) } };
  };
  return new Map(desired.scripts.map((script) => [script.uid, progressOf(script)]));
}

export interface PublisherOptions {
  readonly view: View;
  readonly nowMs: () => number;
  readonly startedMs: number;
  /** Throws where it cannot. */
  readonly write: (id: ObjectId, status: unknown) => void;
  readonly remove: (id: ObjectId) => void;
  readonly onFault: (what: string, error: unknown) => void;
  readonly node: string;
}

export function createPublisher(options: PublisherOptions): Publisher {
  const { view, nowMs } = options;
  const scripts = new Map<string, ExportScriptStatus>();
  const plugins = new Map<string, OtelPluginStatus>();
  const written = new Map<string, { readonly id: ObjectId; text: string | undefined }>();
  let isWriteFailing = false;
  let last: Parameters<Publisher['publish']> | undefined;
  let found: readonly ManifestProblem[] = [];
  const observed = createObservations();

  /** A disk that is full must not hold up the work; it is told once, and tried again with each status. */
  function attemptWrite(work: () => void): boolean {
    try {
      work();
      isWriteFailing = false;
      return true;
    } catch (error) {
      if (!isWriteFailing) options.onFault('writing a status', error);
      isWriteFailing = true;
      return false;
    }
  }

  function write(kind: string, { namespace, name }: { namespace: string; name: string }, status: unknown): void {
    const id = { kind, namespace, name };
    const key = `${kind}/${namespace}/${name}`;
    const text = JSON.stringify(status);
    const entry = written.get(key) ?? { id, text: undefined };
    written.set(key, entry);
    if (entry.text !== text) entry.text = attemptWrite(() => options.write(id, status)) ? text : undefined;
  }

  /** Objects that are not there any more have no status. */
  function forget({ scripts: wantedScripts, plugins: wantedPlugins }: Desired): void {
    for (const [known, wanted] of [
      [scripts, wantedScripts],
      [plugins, wantedPlugins],
    ] as const) {
      const uids = new Set(wanted.map(({ uid }) => uid));
      for (const uid of known.keys()) if (!uids.has(uid)) known.delete(uid);
    }
    const keys = new Set([
      ...wantedScripts.map(({ namespace, name }) => `ExportScript/${namespace}/${name}`),
      ...wantedPlugins.map(({ namespace, name }) => `OtelPlugin/${namespace}/${name}`),
    ]);
    for (const [key, { id }] of written) {
      if (!keys.has(key) && attemptWrite(() => options.remove(id))) written.delete(key);
    }
  }

  /** What keeps all runs from being committed, of the scripts that run. */
  function stateFault([{ scripts: all }, , records, progress]: Parameters<Publisher['publish']>): Fault | undefined {
    return all
      .filter(({ uid }) => progress.get(uid)?.nextWindow !== undefined)
      .map(({ uid }) => heldUp(records.get(uid) ?? NEW_RECORD))
      .find((held) => held !== undefined && held.reason !== 'SpoolFull');
  }

  function pluginStatus(plugin: DesiredPlugin, facts: Parameters<Publisher['publish']>): OtelPluginStatus {
    const { uid, resolution, object } = plugin;
    const mine = facts[0].scripts.filter((script) => script.plugin?.uid === uid);
    const ready = mine.filter((script) =>
      scripts.get(script.uid)?.conditions.some(({ type, status }) => type === 'Ready' && status === 'True'),
    );
    const fault = resolution.ok ? undefined : resolution;
    const generation = object.metadata.generation ?? 1;
    const previous = plugins.get(uid)?.conditions ?? [];
    const pluginFacts = {
      enabled: object.spec.enabled ?? true,
      destination: fault?.condition === 'destination' ? fault.fault : undefined,
      credentials: fault?.condition === 'credentials' ? fault.fault : undefined,
      presets: plugin.presets,
      delivery: observed.delivery(uid),
      collector: observed.collectorFault(),
      runtime: stateFault(facts),
    };
    const conditions = pluginConditions(pluginFacts, { generation, previous, nowMs: nowMs() });
    return boundPluginStatus({
      observedGeneration: generation,
      endpoint: endpointHost(object.spec.destination.endpoint ?? ''),
      conditions: mergeConditions(previous, conditions, generation, new Date(nowMs()).toISOString()),
      scripts: `${ready.length}/${mine.length}`,
      ...observed.plugin(uid, options.node),
    });
  }

  function compute(): void {
    if (last === undefined) return;
    const [desired, entries, records, progress] = last;
    forget(desired);
    for (const script of desired.scripts) {
      const { uid, object } = script;
      const entry = entries.get(uid);
      const full = exportScriptStatus({
        generation: object.metadata.generation ?? 1,
        suspended: object.spec.suspend ?? false,
        plugin: script.pluginFault,
        pluginDisabled: script.plugin?.object.spec.enabled === false,
        source: script.sourceFault,
        compiled: entry?.compiled,
        schedule: undefined,
        retrying: script.plugin === undefined ? undefined : observed.retrying(script.plugin.uid),
        record: records.get(uid) ?? NEW_RECORD,
        deliveredUntil: progress.get(uid)?.deliveredUntil,
        nextWindow: progress.get(uid)?.nextWindow,
        previous: scripts.get(uid),
        nowMs: nowMs(),
      });
      const status = boundScriptStatus(full);
      scripts.set(uid, status);
      write('ExportScript', script, status);
    }
    for (const plugin of desired.plugins) {
      const status = pluginStatus(plugin, last);
      plugins.set(plugin.uid, status);
      write('OtelPlugin', plugin, status);
    }
    view.show({
      nowMs: nowMs(),
      startedMs: options.startedMs,
      capture: observed.capture,
      problems: found,
      scripts: desired.scripts.flatMap((script) => {
        const status = scripts.get(script.uid);
        return status === undefined ? [] : { ...script, status };
      }),
      plugins: desired.plugins.flatMap((plugin) => {
        const status = plugins.get(plugin.uid);
        return status === undefined ? [] : { ...plugin, status };
      }),
    });
  }

  return {
    publish(...facts) {
      last = facts;
      compute();
    },
    problems(problems) {
      found = problems;
    },
    refresh: compute,
    observe(facts) {
      observed.take(facts);
      compute();
    },
  };
}
