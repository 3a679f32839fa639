// One run or skip: the call to the runtime, and what its result does to the script.
import type { RunOutcome } from '../../model/outcome.ts';
import type { RunResult } from '../../model/run.ts';
import type { TimeNs } from '../../model/time.ts';
import type { Decision } from '../../schedule/plan.ts';
import {
  markCancelled,
  markFailed,
  markFinished,
  markOverlap,
  markStarted,
  type ScriptState,
} from '../../schedule/script-state.ts';
import { addInterval, subtractInterval, type Interval } from '../../schedule/window.ts';
import type { DispatcherListener, RunTargets } from './contract.ts';
import {
  discover,
  settleSuspect,
  settleUnsure,
  splitUncounted,
  uidOf,
  type Entry,
  type RunClass,
  type Running,
} from './entry.ts';
import type { Lane } from './lane.ts';
import { answerManual } from './manual.ts';
import type { Meters } from './meters.ts';

export type Work =
  | Exclude<Decision, { readonly kind: 'idle' }>
  /** Only asks whether a window whose run broke is committed, in line behind that run. */
  | { readonly kind: 'settle'; readonly start: TimeNs; readonly end: TimeNs }
  /** Asks for the outcome of a window that is committed, to report it. Changes nothing of the schedule. */
  | { readonly kind: 'count'; readonly start: TimeNs; readonly end: TimeNs };

export interface ExecutionOptions {
  readonly targets: Pick<RunTargets, 'run' | 'skip'>;
  readonly epoch: number;
  readonly now: () => TimeNs;
  readonly monotonicMs: () => number;
  readonly listener: DispatcherListener;
  readonly meters: Meters;
  /** Whether the script is still this one: not removed, and not another of the same uid. */
  readonly isCurrent: (entry: Entry) => boolean;
  readonly onEnded: (entry: Entry, lane: Lane) => void;
}

export interface Execution {
  start(entry: Entry, state: ScriptState, work: Work, runClass: RunClass, lane: Lane): void;
  /** Cancels all at once. */
  cancel(reason: Error): void;
  /** Resolves when all that runs now has ended; after `graceMs` it is cancelled. */
  drain(graceMs: number): Promise<void>;
}

/** A script whose run held a slot longer than this shares half of the slots with its like. */
const SLOW_MS = 2000;
/** Not the script's failures: the window is another's to run, or to be tried again. */
const NOT_ITS_FAULT = new Set(['CANCELLED', 'SUPERSEDED', 'STOPPING']);

function windowsIn({ script }: Entry, { start, end }: Interval): number {
  const { windowNs } = script.schedule;
  return Number((end - start + windowNs - 1n) / windowNs);
}

const codeOf = ({ error, reason }: RunOutcome): string => error?.code ?? reason ?? '';

/** For `status.lastManualRun`. */
const manualText = (outcome: RunOutcome): string => {
  const code = outcome.outcome === 'Complete' ? '' : codeOf(outcome);
  return code === '' ? outcome.outcome : `${outcome.outcome}/${code}`;
};

export function createExecution(options: ExecutionOptions): Execution {
  const { targets, epoch, now, listener, meters } = options;
  const active = new Map<Running, Promise<void>>();

  function settleFailed(entry: Entry, state: ScriptState, work: Work, outcome: RunOutcome, isManual: boolean): void {
    const paused = markFailed(state, now());
    if (NOT_ITS_FAULT.has(codeOf(outcome))) entry.state = { ...paused, failures: state.failures };
    else {
      // one try, whose answer the user reads; the schedule's own tries are not put off by it
      entry.state = isManual ? markCancelled(state) : paused;
      const notes = { isRepeated: false, isManual, windows: windowsIn(entry, work) };
      meters.ended(outcome, notes);
      listener.failed(uidOf(entry), outcome, notes);
    }
    if (isManual) answerManual(entry, manualText(outcome));
  }

  /** The window before the script's first is finished like any other now. */
  function noteFirst(entry: Entry, { end }: Interval): void {
    if (entry.firstStart !== undefined && end <= entry.firstStart) entry.firstStart = undefined;
  }

  function count(entry: Entry, state: ScriptState, work: Interval, result: RunResult): void {
    entry.state = markCancelled(state);
    if (result.status === 'overlap') return splitUncounted(entry, work, result.committed);
    entry.uncounted = subtractInterval(entry.uncounted, work);
    // what else it may say (its disk was changed, its file cannot be read): there is nothing to report
    if (result.status !== 'committed') return undefined;
    const notes = { isRepeated: false, isManual: false, windows: windowsIn(entry, work) };
    meters.ended(result.outcome, notes);
    listener.committed(uidOf(entry), result.outcome, result.delivered, notes);
    return undefined;
  }

  function settle(entry: Entry, work: Work, result: RunResult, isManual: boolean): void {
    const { state } = entry;
    if (state === undefined) return;
    if (result.status === 'committed' || result.status === 'overlap') noteFirst(entry, work);
    if (work.kind === 'count') return count(entry, state, work, result);
    settleUnsure(entry, work);
    switch (result.status) {
      case 'committed': {
        entry.state = markFinished(state, work, result.delivered);
        const isRepeated = settleSuspect(entry, work) && work.kind !== 'skip';
        const notes = { isRepeated, isManual, windows: windowsIn(entry, work) };
        meters.ended(result.outcome, notes);
        listener.committed(uidOf(entry), result.outcome, result.delivered, notes);
        if (isManual) answerManual(entry, manualText(result.outcome));
        break;
      }
      case 'failed':
        settleFailed(entry, state, work, result.outcome, isManual);
        break;
      case 'overlap':
        discover(entry, result.committed);
        entry.state = markOverlap(state, now(), result.committed);
        if (isManual) answerManual(entry, 'AlreadyCommitted');
        break;
      case 'unknown':
        if (work.kind === 'settle') {
          entry.state = markCancelled(state);
          break;
        }
        // counts as a failure for the pause only: whoever listens gives the runtime what it lacks
        entry.state = { ...markFailed(state, now()), failures: state.failures };
        entry.isLacking = true;
        listener.unknown(uidOf(entry), result.what);
        break;
      default:
        result satisfies never;
    }
    return undefined;
  }

  // async, so that what it throws is a rejection
  async function call(entry: Entry, work: Work, ordinal: number, signal: AbortSignal): Promise<RunResult> {
    const uid = uidOf(entry);
    const { start, end } = work;
    if (work.kind === 'skip') return targets.skip(ordinal, { epoch, uid, start, end, reason: work.reason });
    // a runtime looks for the window before it looks for the script, and there is no script of this hash
    const scriptHash = work.kind === 'run' ? entry.script.run.scriptHash : '';
    return targets.run(
      ordinal,
      { ...entry.script.run, scriptHash, runId: `${uid}/${start}`, epoch, uid, start, end },
      signal,
    );
  }

  async function execute(entry: Entry, work: Work, running: Running, lane: Lane): Promise<void> {
    const { signal } = running.cancel;
    const isManual = running.class === 'manual' && work.kind === 'run';
    try {
      const result = await call(entry, work, running.ordinal, signal);
      if (!options.isCurrent(entry) || entry.state === undefined) return;
      if (signal.aborted && result.status !== 'committed') {
        settleUnsure(entry, work);
        entry.state = markCancelled(entry.state);
      } else settle(entry, work, result, isManual);
    } catch (error) {
      if (!options.isCurrent(entry) || entry.state === undefined) return;
      if (work.kind === 'count') {
        entry.state = { ...markFailed(entry.state, now()), failures: entry.state.failures };
        if (!signal.aborted) meters.broke();
        return;
      }
      // whether it was committed is not known; the window is asked for again, and the ledger knows
      entry.unsure = addInterval(entry.unsure, work);
      entry.state = signal.aborted ? markCancelled(entry.state) : markFailed(entry.state, now());
      if (signal.aborted) return;
      meters.broke();
      listener.broke(uidOf(entry), error);
      if (isManual) answerManual(entry, 'Failed/RUNTIME_UNAVAILABLE');
    } finally {
      entry.isSlow = options.monotonicMs() - running.startedMs > SLOW_MS;
      entry.running = undefined;
      active.delete(running);
      lane.ended(running.class);
      options.onEnded(entry, lane);
    }
  }

  return {
    start(entry, state, work, runClass, lane) {
      const running: Running = {
        cancel: new AbortController(),
        class: runClass,
        ordinal: lane.ordinal,
        startedMs: options.monotonicMs(),
      };
      entry.state = markStarted(state, work);
      entry.running = running;
      lane.started(runClass);
      active.set(running, execute(entry, work, running, lane));
    },
    cancel(reason) {
      for (const { cancel } of active.keys()) cancel.abort(reason);
    },
    async drain(graceMs) {
      const timer = setTimeout(() => {
        for (const { cancel } of active.keys()) cancel.abort(new Error('stopping'));
      }, graceMs);
      await Promise.allSettled(active.values());
      clearTimeout(timer);
    },
  };
}
