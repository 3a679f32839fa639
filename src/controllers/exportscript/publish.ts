// A script's entry -> the status to write, and what of it a user waits for. Pure.
import { packConditions, unpackConditions } from '../../crds/condition-memory.ts';
import { pendingScriptConditions, type Fault } from '../../crds/script-conditions.ts';
import { mergeConditions, NO_TOTALS, type Condition, type ExportScriptStatus } from '../../crds/status.ts';
import { digest } from '../../model/digest.ts';
import { boundaryAfter } from '../../schedule/window.ts';
import type { ScriptProgress } from '../dispatch/contract.ts';
import type { DestinationFacts } from '../runtime-states.ts';
import type { ScriptEntry } from './entries.ts';
import { exportScriptStatus } from './status.ts';

export interface ScriptWorld {
  readonly progress: ScriptProgress | undefined;
  /** The runtime of this script is not reached. */
  readonly unavailable: Fault | undefined;
  readonly destination: DestinationFacts | undefined;
  readonly nowMs: number;
}

const isPending = (fault: Fault | undefined): boolean => fault?.reason === 'Pending';

/** Not yet bounded to what may be written. Undefined: nothing is known that would be better than what was written. */
export function scriptStatusOf(entry: ScriptEntry, world: ScriptWorld): ExportScriptStatus | undefined {
  const { view, record } = entry;
  if (view === undefined) return undefined;
  const previous = unpackConditions(entry.conditions);
  if (isPending(view.pluginFault) || isPending(view.sourceFault)) {
    return previous.length > 0 ? undefined : pendingStatus(entry, world.nowMs);
  }
  const isOpen = entry.compiled === undefined && view.sourceFault === undefined;
  const before = isOpen && entry.before?.generation === view.generation ? entry.before : undefined;
  // it did not compile and is compiled again: what was written says why, and still holds
  if (before !== undefined && before.compiled === undefined && previous.length > 0) return undefined;
  const { progress } = world;
  const start = progress?.finishedUntil;
  const isPaused = view.suspended || view.pluginDisabled;
  const status = exportScriptStatus({
    generation: view.generation,
    suspended: view.suspended,
    plugin: view.pluginFault,
    pluginDisabled: view.pluginDisabled,
    source: view.sourceFault,
    compiled: view.sourceFault === undefined ? (entry.compiled ?? before?.compiled) : undefined,
    schedule: world.unavailable,
    retrying: world.destination?.failing?.fault,
    record,
    deliveredUntil: progress?.deliveredUntil,
    // what is finished need not end on the grid: the window's length may have been another one
    nextWindow: start === undefined || isPaused ? undefined : { start, end: boundaryAfter(start, view.windowNs) },
    previous: { conditions: previous, deliveredUntil: entry.deliveredUntil },
    nowMs: world.nowMs,
  });
  return entry.manual === undefined ? status : { ...status, lastManualRun: entry.manual };
}

function pendingStatus({ view }: ScriptEntry, nowMs: number): ExportScriptStatus {
  const generation = view?.generation ?? 1;
  return {
    observedGeneration: generation,
    scriptHash: '',
    conditions: mergeConditions([], pendingScriptConditions(), generation, new Date(nowMs).toISOString()),
    totals: NO_TOTALS,
    history: [],
  };
}

/** Differs whenever something does that a user waits for: a condition, the generation, the script, a manual run's answer. */
export const urgentKeyOf = (status: {
  readonly observedGeneration: number;
  readonly conditions: readonly Condition[];
  readonly scriptHash?: string;
  readonly lastManualRun?: { readonly token: string; readonly outcome: string };
}): string =>
  digest(
    JSON.stringify([
      status.observedGeneration,
      status.scriptHash,
      status.lastManualRun?.token,
      status.conditions.map(({ type, status: is, reason }) => [type, is, reason]),
    ]),
  );

/** What is kept of a status that was made. */
export function remember(entry: ScriptEntry, status: ExportScriptStatus): void {
  entry.conditions = packConditions(status.conditions);
  entry.deliveredUntil = status.deliveredUntil;
}

export const conditionIn = (conditions: readonly Condition[], type: string): Condition | undefined =>
  conditions.find((condition) => condition.type === type);
