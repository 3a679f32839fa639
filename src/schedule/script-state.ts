// What is known of one script's progress, and how results change it. Plain data and pure functions: the runtime's ledger
// and the checkpoint rebuild it after a restart.
import { NS_PER_SECOND, timeNs, type TimeNs } from '../model/time.ts';
import type { CommittedInterval } from '../model/run.ts';
import { addInterval, boundaryBefore, earlier, later, subtractInterval, type Interval } from './window.ts';

export interface ScriptSchedule {
  readonly uid: string;
  readonly windowNs: bigint;
  readonly catchUp: { readonly policy: 'All' | 'Coalesce' | 'Skip'; readonly maxAgeNs: bigint };
  readonly suspend: boolean;
}

export interface ScriptState {
  /**
   * All before is finished: committed, or skipped with a reason. The next window starts here. Falls only where a lost
   * disk took windows with it that were not delivered; `deliveredUntil` never does.
   */
  readonly finishedUntil: TimeNs;
  /** Finished beyond that point (a manual run, or what a ledger held): sorted, disjoint, not touching. */
  readonly ahead: readonly Interval[];
  /** Finished, with batches that no destination has answered for yet: sorted, disjoint. */
  readonly undelivered: readonly Interval[];
  /** The one run or skip that is under way. */
  readonly active: Interval | undefined;
  /** Seen suspended. */
  readonly suspended: boolean;
  /** After a resume: what lies before is to be recorded as Suspended. */
  readonly resumedAt: TimeNs | undefined;
  /** Runs that failed since the last that did not. */
  readonly failures: number;
  /** Not before this after a failure. */
  readonly retryAt: TimeNs | undefined;
}

/** Failures in a row after which a script counts as failing (`Ready=False`). It is tried on all the same. */
export const FAILURE_THRESHOLD = 3;

const RETRY_FIRST_NS = NS_PER_SECOND;
export const RETRY_MAX_NS = 30n * NS_PER_SECOND;

/**
 * The state at start: from the script's committed intervals (sorted, as the ledger gives them) and its checkpoint; the
 * later of both wins. Without a checkpoint the first committed window is where the script began. A script that nothing is
 * known of starts with the current window.
 */
export function startScript(
  schedule: ScriptSchedule,
  now: TimeNs,
  known: {
    readonly committed: readonly CommittedInterval[];
    readonly checkpoint?: TimeNs;
    /** It was suspended when it was last seen; now it may not be. */
    readonly wasSuspended?: boolean;
  },
): ScriptState {
  const first = known.committed[0];
  const fresh: ScriptState = {
    finishedUntil: known.checkpoint ?? first?.start ?? boundaryBefore(now, schedule.windowNs),
    ahead: [],
    undelivered: [],
    active: undefined,
    suspended: known.wasSuspended ?? schedule.suspend,
    resumedAt: undefined,
    failures: 0,
    retryAt: undefined,
  };
  return known.committed.reduce((state, interval) => recordFinished(state, interval, interval.delivered), fresh);
}

/** All before is finished and answered for by destinations: what a checkpoint may say. Never falls. */
export const deliveredUntil = (state: ScriptState): TimeNs =>
  earlier(state.finishedUntil, state.undelivered[0]?.start ?? state.finishedUntil);

export const isFailing = (state: ScriptState): boolean => state.failures >= FAILURE_THRESHOLD;

/** A run or skip of [start, end) begins. */
export const markStarted = (state: ScriptState, { start, end }: Interval): ScriptState => ({
  ...state,
  active: { start, end },
});

/** The active run was given up for reasons that are not its own (shutdown, lost lease). */
export const markCancelled = (state: ScriptState): ScriptState => ({ ...state, active: undefined });

/** [start, end) is committed. `delivered`: nothing of it is left to send. */
export const markFinished = (state: ScriptState, interval: Interval, delivered: boolean): ScriptState => ({
  ...recordFinished(state, interval, delivered),
  active: undefined,
  failures: 0,
  retryAt: undefined,
});

/** The active run failed; its window stays and is tried again after a pause that doubles up to 30 s. */
export function markFailed(state: ScriptState, now: TimeNs): ScriptState {
  const pause = RETRY_FIRST_NS << BigInt(Math.min(state.failures, 10));
  return {
    ...state,
    active: undefined,
    failures: state.failures + 1,
    retryAt: timeNs(now + (pause < RETRY_MAX_NS ? pause : RETRY_MAX_NS)),
  };
}

/**
 * The runtime refused: some of the window is committed already. Its intervals are taken over. Where that teaches nothing
 * it counts as a failure, so that a disagreement cannot become a hot loop.
 */
export function markOverlap(state: ScriptState, now: TimeNs, committed: readonly CommittedInterval[]): ScriptState {
  const learned = committed.reduce((known, interval) => recordFinished(known, interval, interval.delivered), state);
  const progressed = learned.finishedUntil > state.finishedUntil || !sameSet(learned.ahead, state.ahead);
  // A manual run of what is finished already holds nothing up.
  const isNext = state.active?.start === state.finishedUntil;
  return progressed || !isNext ? { ...learned, active: undefined, retryAt: undefined } : markFailed(learned, now);
}

/** The last batch of [start, end) is final. */
export const markDelivered = (state: ScriptState, interval: Interval): ScriptState => ({
  ...state,
  undelivered: subtractInterval(state.undelivered, interval),
});

/** What a ledger says, taken over: what it has committed is finished, what it calls delivered is. */
export function mergeLedger(before: ScriptState, committed: readonly CommittedInterval[]): ScriptState {
  const state = committed.reduce((known, interval) => recordFinished(known, interval, interval.delivered), before);
  if (state.undelivered.length === 0) return state;
  const undelivered = committed
    .filter(({ delivered }) => delivered)
    .reduce((left, interval) => subtractInterval(left, interval), state.undelivered);
  return { ...state, undelivered };
}

/**
 * `lost` (sorted, disjoint, undelivered) was on a disk that is gone: whether it was sent is not known, so it is to be run
 * again. All else that is finished stays so.
 */
export function markLost(state: ScriptState, lost: readonly Interval[]): ScriptState {
  const [first] = lost;
  if (first === undefined) return state;
  const finishedUntil = earlier(state.finishedUntil, first.start);
  const finished =
    finishedUntil < state.finishedUntil
      ? [{ start: finishedUntil, end: state.finishedUntil }, ...state.ahead]
      : state.ahead;
  return {
    ...state,
    finishedUntil,
    ahead: lost.reduce(subtractInterval, finished),
    undelivered: lost.reduce(subtractInterval, state.undelivered),
    retryAt: undefined,
  };
}

function recordFinished(state: ScriptState, interval: Interval, delivered: boolean): ScriptState {
  // What ends before the present point was accounted for when the point passed it.
  const start = later(interval.start, state.finishedUntil);
  if (start >= interval.end) return state;
  const fresh = { start, end: interval.end };
  const ahead = addInterval(state.ahead, fresh);
  const nearest = ahead[0];
  const joins = nearest !== undefined && nearest.start <= state.finishedUntil;
  return {
    ...state,
    finishedUntil: joins ? nearest.end : state.finishedUntil,
    ahead: joins ? ahead.slice(1) : ahead,
    undelivered: delivered ? state.undelivered : addInterval(state.undelivered, fresh),
  };
}

const sameSet = (a: readonly Interval[], b: readonly Interval[]): boolean =>
  a.length === b.length && a.every(({ start, end }, i) => start === b[i]?.start && end === b[i]?.end);
