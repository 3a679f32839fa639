// A script's facts and its record -> the status that users read. Pure.
import { mergeConditions, type ExportScriptStatus, type KeptCondition } from '../../crds/status.ts';
import { scriptConditions, type Fault } from '../../crds/script-conditions.ts';
import type { CompileResult } from '../../model/run.ts';
import { formatTime, type TimeNs } from '../../model/time.ts';
import { incompleteOf, isOfState, refusedInARow, type ScriptRecord } from './track.ts';

export interface StatusInput {
  readonly generation: number;
  readonly suspended: boolean;
  readonly plugin: Fault | undefined;
  readonly pluginDisabled: boolean;
  readonly source: Fault | undefined;
  readonly compiled: CompileResult | undefined;
  readonly schedule: Fault | undefined;
  /** What the destination is doing now, where it is not taking anything. */
  readonly retrying: Fault | undefined;
  readonly record: ScriptRecord;
  readonly deliveredUntil: TimeNs | undefined;
  readonly nextWindow: { readonly start: TimeNs; readonly end: TimeNs } | undefined;
  readonly previous:
    { readonly conditions: readonly KeptCondition[]; readonly deliveredUntil?: string | undefined } | undefined;
  readonly nowMs: number;
}

/** The first error of a compile as a fault: `line:column text`. */
export function compileFault(result: CompileResult): Fault | undefined {
  const errors = result.diagnostics.filter(({ severity }) => severity === 'error');
  const [first] = errors;
  if (first === undefined) return undefined;
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : '';
  const hint = first.suggestion === undefined ? '' : `; ${first.suggestion}`;
  return { reason: 'CompileFailed', message: `${first.line}:${first.column} ${first.message}${hint}${more}` };
}

/** A state folder that cannot be written, or a spool without room, holds runs up: by the last failure of `record`. */
export function heldUp({ consecutiveFailures, lastError }: ScriptRecord): Fault | undefined {
  if (consecutiveFailures === 0 || lastError === undefined) return undefined;
  const { code, message } = lastError;
  return isOfState(lastError) ? { reason: code === 'SPOOL_FULL' ? 'SpoolFull' : code, message } : undefined;
}

/** The whole status, not yet bounded to what may be written; `previous` keeps transition times. */
export function exportScriptStatus(input: StatusInput): ExportScriptStatus {
  const { record, compiled, nowMs } = input;
  const fault = compiled === undefined ? undefined : compileFault(compiled);
  const facts = {
    suspended: input.suspended,
    plugin: input.plugin,
    pluginDisabled: input.pluginDisabled,
    source: input.source,
    compiled:
      compiled === undefined
        ? undefined
        : { fault, warnings: compiled.diagnostics.filter(({ severity }) => severity === 'warning').length },
    schedule: input.schedule ?? heldUp(record),
    consecutiveFailures: Math.max(record.consecutiveFailures, refusedInARow(record)),
    delivery: input.retrying === undefined ? record.delivery : { ok: false, fault: input.retrying, permanent: false },
    incomplete: incompleteOf(record, nowMs),
  };
  const previous = input.previous?.conditions ?? [];
  const conditions = scriptConditions(facts, { generation: input.generation, previous, nowMs });
  const [first] = compiled?.diagnostics.filter(({ severity }) => severity === 'error') ?? [];
  const compileError =
    first === undefined
      ? undefined
      : { stage: 'Compile' as const, code: first.code, message: first.message, line: first.line, column: first.column };
  const lastError = compileError ?? record.lastError;
  const { lastWindow } = record;
  // of a script that cannot run now the last is still true
  const deliveredUntil =
    input.deliveredUntil === undefined ? input.previous?.deliveredUntil : formatTime(input.deliveredUntil, 3);
  return {
    observedGeneration: input.generation,
    scriptHash: compiled?.scriptHash ?? '',
    conditions: mergeConditions(previous, conditions, input.generation, new Date(nowMs).toISOString()),
    ...(deliveredUntil === undefined ? {} : { deliveredUntil }),
    ...(lastWindow === undefined
      ? {}
      : { lastWindow: { start: lastWindow.start, end: lastWindow.end, outcome: lastWindow.outcome } }),
    ...(record.lastRun === undefined ? {} : { lastRun: record.lastRun }),
    totals: record.totals,
    ...(input.nextWindow === undefined
      ? {}
      : { nextWindow: { start: formatTime(input.nextWindow.start, 3), end: formatTime(input.nextWindow.end, 3) } }),
    ...(lastError === undefined ? {} : { lastError }),
    history: record.history,
  };
}
