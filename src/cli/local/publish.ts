// Statuses out: computed by the pure functions of crds and controllers, shown by the view and written to the state folder.
import type { Dispatcher } from '../../controllers/dispatcher.ts';
import { scheduleOf, type Desired, type DesiredPlugin, type DesiredScript } from '../../controllers/desired.ts';
import { exportScriptStatus } from '../../controllers/exportscript/status.ts';
import { NEW_RECORD, type ScriptRecord } from '../../controllers/exportscript/track.ts';
import type { ManifestProblem } from '../../crds/manifest.ts';
import { pluginConditions } from '../../crds/plugin-conditions.ts';
import type { Fault } from '../../crds/script-conditions.ts';
import { mergeConditions, type ExportScriptStatus, type OtelPluginStatus } from '../../crds/status.ts';
import type { CompileResult } from '../../model/run.ts';
import type { BlindSource } from '../../model/loss.ts';
import { timeNs, type TimeNs } from '../../model/time.ts';
import type { RuntimeState } from '../../runtime/runtime.ts';
import type { View } from './view.ts';

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

export interface Observed {
  readonly runtime: RuntimeState;
  readonly blind: readonly BlindSource[];
  readonly capture: string;
}

/** Each script's progress as the dispatcher has it. */
export function dispatcherState(dispatcher: Dispatcher, desired: Desired): Map<string, Progress> {
  const progressOf = (script: DesiredScript): Progress => {
    const state = dispatcher.progress(script.uid);
    if (state === undefined) return { deliveredUntil: undefined, nextWindow: undefined };
    const { finishedUntil: start, deliveredUntil } = state;
    return { deliveredUntil, nextWindow: { start, end: timeNs(start + scheduleOf(script).windowNs) } };
  };
  return new Map(desired.scripts.map((script) => [script.uid, progressOf(script)]));
}

export interface PublisherOptions {
  readonly view: View;
  readonly nowMs: () => number;
  readonly startedMs: number;
  readonly write: (id: { kind: string; namespace: string; name: string }, status: unknown) => void;
  readonly node: string;
}

export function createPublisher(options: PublisherOptions): Publisher {
  const { view, nowMs } = options;
  const scripts = new Map<string, ExportScriptStatus>();
  const plugins = new Map<string, OtelPluginStatus>();
  const written = new Map<string, string>();
  let last: Parameters<Publisher['publish']> | undefined;
  let found: readonly ManifestProblem[] = [];
  let observed: Observed | undefined;

  /** What a destination says while it does not take anything. */
  function retrying(uid: string): Fault | undefined {
    const delivery = observed?.runtime.destinations.find(({ name }) => name === uid)?.delivery;
    if (delivery?.activity !== 'backing-off' || delivery.lastError === undefined) return undefined;
    const { code, message } = delivery.lastError;
    return { reason: 'Retrying', message: message.startsWith(code) ? message : `${code}: ${message}` };
  }

  function collectorFault(): Fault | undefined {
    const [first] = observed?.blind ?? [];
    return first === undefined ? undefined : { reason: first.reason, message: `${first.source}: ${first.message}` };
  }

  function write(kind: string, { namespace, name }: { namespace: string; name: string }, status: unknown): void {
    const id = `${kind}/${namespace}/${name}`;
    const text = JSON.stringify(status);
    if (written.get(id) === text) return;
    written.set(id, text);
    options.write({ kind, namespace, name }, status);
  }

  function pluginStatus(plugin: DesiredPlugin, desired: Desired): OtelPluginStatus {
    const { uid, resolution, object } = plugin;
    const mine = desired.scripts.filter((script) => script.plugin?.uid === uid);
    const ready = mine.filter((script) =>
      scripts.get(script.uid)?.conditions.some(({ type, status }) => type === 'Ready' && status === 'True'),
    );
    const delivery = observed?.runtime.destinations.find(({ name }) => name === uid)?.delivery;
    const spool = observed?.runtime.spool.destinations.find(({ destination }) => destination === uid);
    const trouble = retrying(uid);
    const fault = resolution.ok ? undefined : resolution;
    const previous = plugins.get(uid)?.conditions ?? [];
    const facts = pluginConditions({
      enabled: object.spec.enabled ?? true,
      destination: fault?.condition === 'destination' ? fault.fault : undefined,
      credentials: fault?.condition === 'credentials' ? fault.fault : undefined,
      presets: plugin.presets,
      delivery:
        trouble === undefined && delivery?.lastSuccessAtMs === undefined
          ? undefined
          : { ok: trouble === undefined, fault: trouble },
      collector: collectorFault(),
      runtime: undefined,
    });
    const generation = object.metadata.generation ?? 1;
    return {
      observedGeneration: generation,
      conditions: mergeConditions(previous, facts, generation, new Date(nowMs()).toISOString()),
      scripts: `${ready.length}/${mine.length}`,
      ...(delivery?.lastSuccessAtMs === undefined
        ? {}
        : { lastSuccess: new Date(delivery.lastSuccessAtMs).toISOString() }),
      queue: { batches: spool?.batches ?? 0, bytes: spool?.bytes ?? 0 },
      nodes: {
        total: 1,
        ready: collectorFault() === undefined ? 1 : 0,
        blind: (observed?.blind ?? [])
          .slice(0, 10)
          .map(({ source, reason }) => ({ node: options.node, source, reason })),
      },
    };
  }

  function compute(): void {
    if (last === undefined) return;
    const [desired, entries, records, progress] = last;
    for (const script of desired.scripts) {
      const { uid, object } = script;
      const entry = entries.get(uid);
      const status = exportScriptStatus({
        generation: object.metadata.generation ?? 1,
        suspended: object.spec.suspend ?? false,
        plugin: script.pluginFault,
        pluginDisabled: script.plugin?.object.spec.enabled === false,
        source: script.sourceFault,
        compiled: entry?.compiled,
        schedule: undefined,
        retrying: script.plugin === undefined ? undefined : retrying(script.plugin.uid),
        record: records.get(uid) ?? NEW_RECORD,
        deliveredUntil: progress.get(uid)?.deliveredUntil,
        nextWindow: progress.get(uid)?.nextWindow,
        previous: scripts.get(uid),
        nowMs: nowMs(),
      });
      scripts.set(uid, status);
      write('ExportScript', script, status);
    }
    for (const plugin of desired.plugins) {
      const status = pluginStatus(plugin, desired);
      plugins.set(plugin.uid, status);
      write('OtelPlugin', plugin, status);
    }
    view.show({
      nowMs: nowMs(),
      startedMs: options.startedMs,
      capture: observed?.capture ?? '',
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
      observed = facts;
      compute();
    },
  };
}
