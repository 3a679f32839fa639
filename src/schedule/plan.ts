// What a script should do now. Pure and in closed form: a script that slept for a year is planned as fast as one that
// did not. The caller carries a decision out, marks its result, and asks again.
import { timeNs, type TimeNs } from '../model/time.ts';
import { RETRY_MAX_NS, type ScriptSchedule, type ScriptState } from './script-state.ts';
import { boundaryAfter, boundaryBefore, earlier, later, spreadNs, subtractInterval, type Interval } from './window.ts';

export type SkipReason = 'Suspended' | 'DataExpired' | 'CatchUpMaxAge' | 'CatchUpSkip';

export type Decision =
  /** `live`: the newest window that is due, not a backlog. */
  | { readonly kind: 'run'; readonly start: TimeNs; readonly end: TimeNs; readonly live: boolean }
  /** To be committed as Skipped. May span many windows. */
  | { readonly kind: 'skip'; readonly start: TimeNs; readonly end: TimeNs; readonly reason: SkipReason }
  /** Nothing before `wakeAt`; undefined: nothing before something else changes. */
  | { readonly kind: 'idle'; readonly wakeAt: TimeNs | undefined };

export interface ScheduleFacts {
  readonly now: TimeNs;
  /** No table holds rows older than this, on any node. Absent where it is not known. */
  readonly oldestData?: TimeNs;
}

export interface Planned {
  readonly state: ScriptState;
  readonly decision: Decision;
}

/** The next thing to do for a script, and the state with what was noticed (suspended, resumed). */
export function planScript(schedule: ScriptSchedule, before: ScriptState, facts: ScheduleFacts): Planned {
  const state = noticeSuspension(schedule, before, facts.now);
  return { state, decision: decide(schedule, state, facts) };
}

function noticeSuspension(schedule: ScriptSchedule, state: ScriptState, now: TimeNs): ScriptState {
  if (schedule.suspend === state.suspended) return state;
  if (schedule.suspend) return { ...state, suspended: true };
  return { ...state, suspended: false, resumedAt: boundaryBefore(now, schedule.windowNs), retryAt: undefined };
}

function decide(schedule: ScriptSchedule, state: ScriptState, facts: ScheduleFacts): Decision {
  if (state.active !== undefined || state.suspended) return { kind: 'idle', wakeAt: undefined };
  const { now } = facts;
  const { retryAt } = state;
  // A clock that was set back must not stretch the pause.
  if (retryAt !== undefined && now < retryAt && retryAt - now <= RETRY_MAX_NS) return { kind: 'idle', wakeAt: retryAt };

  const start = state.finishedUntil;
  const gapEnd = state.ahead[0]?.start;
  const within = (time: TimeNs): TimeNs => (gapEnd === undefined ? time : earlier(time, gapEnd));
  const lastDue = lastDueBoundary(schedule, now);

  for (const { reason, until } of skips(schedule, state, facts, lastDue)) {
    if (until > start) return { kind: 'skip', start, end: within(until), reason };
  }
  const next = within(boundaryAfter(start, schedule.windowNs));
  const dueAt = timeNs(next + spreadOf(schedule));
  if (now < dueAt) return { kind: 'idle', wakeAt: dueAt };
  const end = schedule.catchUp.policy === 'Coalesce' ? within(later(next, lastDue)) : next;
  return { kind: 'run', start, end, live: end >= lastDue };
}

// a hash is dear beside the rest of a decision, and a schedule's never changes
const spreads = new WeakMap<ScriptSchedule, bigint>();

/** `spreadNs` of a schedule. */
export function spreadOf(schedule: ScriptSchedule): bigint {
  let spread = spreads.get(schedule);
  if (spread === undefined) spreads.set(schedule, (spread = spreadNs(schedule.uid, schedule.windowNs)));
  return spread;
}

/** The end of the newest window that is due: over, and its script's turn has come. */
export const lastDueBoundary = (schedule: ScriptSchedule, now: TimeNs): TimeNs =>
  boundaryBefore(timeNs(now - spreadOf(schedule)), schedule.windowNs);

/** When the next turn of a script comes, whatever it has done until now. */
export const nextTurn = (schedule: ScriptSchedule, now: TimeNs): TimeNs =>
  timeNs(lastDueBoundary(schedule, now) + schedule.windowNs + spreadOf(schedule));

/** Up to where windows are given up, and why. The first that reaches beyond what is finished counts. */
function skips(
  { windowNs, catchUp }: ScriptSchedule,
  state: ScriptState,
  { now, oldestData }: ScheduleFacts,
  lastDue: TimeNs,
): { readonly reason: SkipReason; readonly until: TimeNs }[] {
  // The newest due window is always tried, however short maxAge is.
  const newest = timeNs(lastDue - windowNs);
  const tooOld = earlier(boundaryBefore(timeNs(now - catchUp.maxAgeNs), windowNs), newest);
  const never = state.finishedUntil;
  return [
    { reason: 'Suspended', until: state.resumedAt ?? never },
    {
      reason: 'DataExpired',
      until: oldestData === undefined ? never : boundaryBefore(earlier(oldestData, now), windowNs),
    },
    { reason: 'CatchUpMaxAge', until: tooOld },
    { reason: 'CatchUpSkip', until: catchUp.policy === 'Skip' ? newest : never },
  ];
}

/**
 * The window of a manual run: the last complete one, cut to what is not finished yet. Where all of it is finished it is
 * the whole window: the runtime then answers from its ledger. Suspension does not matter. Undefined while a run is under
 * way.
 */
export function planManualRun(schedule: ScriptSchedule, state: ScriptState, now: TimeNs): Interval | undefined {
  if (state.active !== undefined) return undefined;
  const end = boundaryBefore(now, schedule.windowNs);
  const last = { start: timeNs(end - schedule.windowNs), end };
  const { finishedUntil } = state;
  if (finishedUntil >= end) return last;
  const open = state.ahead.reduce(subtractInterval, [
    { start: later(last.start, finishedUntil), end },
  ] as readonly Interval[]);
  return open.at(-1) ?? last;
}
