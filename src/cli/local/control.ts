// The control loop of `sluice local`: gather from a folder, decide with the operator's own pure functions, apply to the
// in-process runtime, publish statuses. What the operator does with an API server, here with files.
import type { ScheduledScript } from '../../controllers/dispatch/contract.ts';
import { createDispatcher, type Dispatcher } from '../../controllers/dispatcher.ts';
import { desiredOf, scheduleOfDesired, type Desired } from '../../controllers/desired.ts';
import { isScriptStatus, resumeRecord } from '../../controllers/exportscript/resume.ts';
import { compileFault } from '../../controllers/exportscript/status.ts';
import {
  NEW_RECORD,
  onCommitted,
  onDelivery,
  onFailed,
  type ScriptRecord,
} from '../../controllers/exportscript/track.ts';
import { parseDurationMs } from '../../crds/duration.ts';
import type { ManifestProblem, Manifests } from '../../crds/manifest.ts';
import type { TimeNs } from '../../model/time.ts';
import { dispatcherState, type Publisher, type ScriptEntry } from './publish.ts';
import type { Runtime } from '../../runtime/runtime.ts';

export interface ControlOptions {
  readonly runtime: Runtime;
  readonly presetNames: readonly string[];
  readonly readManifests: () => Manifests;
  readonly now: () => TimeNs;
  readonly epoch: number;
  readonly publisher: Publisher;
  /** What an earlier process said of a script. */
  readonly previousStatus: (script: { readonly namespace: string; readonly name: string }) => unknown;
  readonly signal: AbortSignal;
  readonly onFault: (what: string, error: unknown) => void;
}

export interface Control {
  /** Reads the folder again and makes it so. Calls queue up; each sees the newest files. */
  reconcile(): Promise<void>;
  /** What was wrong with the manifests when they were last read. */
  problems(): readonly ManifestProblem[];
  /** @throws what made it impossible to go on: then it is better to end than to show old statuses. */
  check(): void;
  stop(graceMs: number): Promise<void>;
}

/** How long a destination that was taken away may still take what waits for it. */
const REMOVE_GRACE_MS = 30_000;
/** Destinations that scripts name themselves; they have no manifest. */
const SCRIPT_ENDPOINT = 'endpoint:';
/** Statuses are made of all scripts together, so not at each of hundreds of windows a second. */
const PUBLISH_MS = 100;
/** A run waits this long for the rows of its window. */
const WATERMARK_WAIT_MS = 10_000;

export function createControl(options: ControlOptions): Control {
  const { runtime, publisher, now } = options;
  const entries = new Map<string, ScriptEntry>();
  const records = new Map<string, ScriptRecord>();
  const put = new Map<string, string>();
  let broken: { readonly error: unknown } | undefined;
  let desired: Desired = { plugins: [], scripts: [] };
  let problems: readonly ManifestProblem[] = [];
  let queue: Promise<void> = Promise.resolve();
  let publishing: NodeJS.Timeout | undefined;

  const update = (uid: string, change: (record: ScriptRecord) => ScriptRecord): void => {
    records.set(uid, change(records.get(uid) ?? NEW_RECORD));
    publishing ??= setTimeout(publish, PUBLISH_MS);
  };
  const nowMs = (): number => Number(now() / 1_000_000n);

  const dispatcher: Dispatcher = createDispatcher({
    runtime,
    epoch: options.epoch,
    now,
    listener: {
      committed: (uid, outcome, delivered) => update(uid, (record) => onCommitted(record, outcome, delivered, nowMs())),
      failed: (uid, { error }, { isManual }) => update(uid, (record) => onFailed(record, error, isManual)),
      delivered: (delivery) => update(delivery.uid, (record) => onDelivery(record, delivery)),
      broke: (uid, error) => options.onFault(`a run of ${uid}`, error),
      // texts beyond the runtime's bound are forgotten: what it lacks is given again
      unknown: (uid, what) => {
        if (what === 'script') entries.delete(uid);
        else put.clear();
        void reconcile();
      },
    },
  });

  function publish(): void {
    clearTimeout(publishing);
    publishing = undefined;
    publisher.publish(desired, entries, records, dispatcherState(dispatcher, desired));
  }

  /** `isWhole`: no manifest has a problem. Only then is a plugin that is not there one that was taken away. */
  async function applyDestinations(isWhole: boolean): Promise<void> {
    const wanted = new Set(desired.plugins.map(({ uid }) => uid));
    for (const { uid, revision, resolution } of desired.plugins) {
      if (!resolution.ok || put.get(uid) === revision) continue;
      await runtime.putDestination(uid, revision, resolution.destination);
      put.set(uid, revision);
    }
    if (!isWhole) return;
    // what an earlier process left in the spool of a plugin that is gone meanwhile belongs here too
    const { spool } = await runtime.state();
    const left = spool.destinations
      .map(({ destination }) => destination)
      .filter((name) => !name.startsWith(SCRIPT_ENDPOINT));
    for (const uid of new Set([...put.keys(), ...left])) {
      if (wanted.has(uid)) continue;
      put.delete(uid);
      runtime
        .removeDestination(uid, REMOVE_GRACE_MS)
        .catch((error: unknown) => options.onFault('removing a destination', error));
    }
  }

  async function compileAll(): Promise<void> {
    const wanted = new Set(desired.scripts.map(({ uid }) => uid));
    for (const uid of entries.keys()) if (!wanted.has(uid)) entries.delete(uid);
    for (const script of desired.scripts) {
      const { uid, source } = script;
      const args = script.object.spec.args ?? {};
      const compileKey = JSON.stringify([source, args]);
      const before = entries.get(uid);
      if (before === undefined && !records.has(uid)) {
        const previous = options.previousStatus(script);
        if (isScriptStatus(previous)) records.set(uid, resumeRecord(previous));
      }
      const compiled =
        before?.compileKey === compileKey && before.compiled !== undefined
          ? before.compiled
          : source === undefined
            ? undefined
            : await runtime.compile({ script: source, args });
      entries.set(uid, { desired: script, compileKey, compiled });
    }
  }

  function scheduled(): ScheduledScript[] {
    return [...entries.values()].flatMap(({ desired: script, compiled }) => {
      const { plugin, pluginFault } = script;
      if (plugin === undefined || pluginFault !== undefined) return [];
      if (compiled === undefined || compileFault(compiled) !== undefined) return [];
      const { timeout = '30s', maxRows = 100_000 } = script.object.spec;
      return {
        schedule: scheduleOfDesired(script),
        run: {
          scriptHash: compiled.scriptHash,
          scriptName: `${script.namespace}/${script.name}`,
          pluginUid: plugin.uid,
          revision: plugin.revision,
          scope: '*',
          limits: {
            timeoutMs: parseDurationMs(timeout) ?? 30_000,
            rowsMax: maxRows,
            watermarkWaitMs: WATERMARK_WAIT_MS,
          },
        },
      };
    });
  }

  async function reconcileOnce(): Promise<void> {
    const manifests = options.readManifests();
    desired = desiredOf(manifests, options.presetNames);
    problems = manifests.problems;
    publisher.problems(problems);
    await applyDestinations(manifests.problems.length === 0);
    await compileAll();
    await dispatcher.apply(scheduled());
    publish();
  }

  function reconcile(): Promise<void> {
    queue = queue.then(reconcileOnce).catch((error: unknown) => options.onFault('applying the manifests', error));
    return queue;
  }

  async function followDeliveries(): Promise<void> {
    for await (const delivery of runtime.deliveries(options.epoch, options.signal)) dispatcher.delivered(delivery);
  }
  followDeliveries().catch((error: unknown) => {
    if (!options.signal.aborted) broken = { error };
  });

  return {
    reconcile,
    problems: () => problems,
    check() {
      if (broken !== undefined) throw broken.error;
    },
    async stop(graceMs) {
      await dispatcher.stop(graceMs);
      publish();
    },
  };
}
