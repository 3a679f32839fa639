// When each script is looked at, and where it waits: one heap of due times with one timer for all, then the queue of its
// runtime. A tick costs what is due, not what there is (operator.md S11).
import type { TimeNs } from '../../model/time.ts';
import { createDueHeap } from '../../schedule/due-heap.ts';
import { lastDueBoundary, nextTurn, planManualRun, planScript, type Decision } from '../../schedule/plan.ts';
import type { ScriptState } from '../../schedule/script-state.ts';
import type { Entry, RunClass } from './entry.ts';
import type { Work } from './execution.ts';
import type { Lane } from './lane.ts';
import type { RunTargets } from './contract.ts';

type Planned = Exclude<Decision, { readonly kind: 'idle' }>;

export interface PlanningOptions {
  readonly targets: Pick<RunTargets, 'oldestData'>;
  readonly now: () => TimeNs;
  readonly monotonicMs: () => number;
  readonly laneOf: (ordinal: number) => Lane;
  /** Moves it to the runtime where its runs belong; false where it is not known yet what was committed where it is. */
  readonly settleHome: (entry: Entry) => boolean;
  readonly mayRun: () => boolean;
  readonly onNoticed: (entry: Entry) => void;
  /** `delayMs`: since it was due; undefined for what is not live. */
  readonly start: (
    entry: Entry,
    state: ScriptState,
    work: Work,
    runClass: RunClass,
    lane: Lane,
    delayMs: number | undefined,
  ) => void;
  /** Once per tick, after what is due. */
  readonly onTick: () => void;
  /** Clocks are looked at this often even when nothing is due: they may have been set. */
  readonly tickMaxMs: number;
}

export interface Planning {
  /** Looks at one script anew and puts it where it has to wait: in the heap, or for a slot. */
  review(entry: Entry, time: TimeNs): void;
  /** Out of the heap and of every queue. */
  withdraw(entry: Entry): void;
  /** A slot of it is free: starts what waits. */
  freed(lane: Lane): void;
  stop(): void;
}

/** Wakes that are nearer than this are made together. */
const TICK_MIN_MS = 10;
/** A tick hands the event loop back after this. */
const TICK_BUDGET_MS = 5;
const NS_PER_MS = 1_000_000n;

/** Rounded up, so that what is due by its milliseconds is due by its nanoseconds. */
const msOf = (time: TimeNs): number => Number((time + NS_PER_MS - 1n) / NS_PER_MS);

export function createPlanning(options: PlanningOptions): Planning {
  const { now, monotonicMs, laneOf, tickMaxMs } = options;
  const tickMinMs = Math.min(TICK_MIN_MS, tickMaxMs);
  const heap = createDueHeap<Entry>();
  let timer: NodeJS.Timeout | undefined;
  let timerAtMs = Infinity;
  const waiting = new Set<Lane>();
  let pumping: NodeJS.Immediate | undefined;
  let stopped = false;

  function withdraw(entry: Entry): void {
    heap.remove(entry.due);
    if (entry.queued !== undefined) laneOf(entry.ordinal).withdraw(entry);
  }

  function decide(entry: Entry, state: ScriptState, time: TimeNs): Decision {
    const oldestData = options.targets.oldestData(entry.ordinal);
    const facts = oldestData === undefined ? { now: time } : { now: time, oldestData };
    const planned = planScript(entry.script.schedule, state, facts);
    entry.state = planned.state;
    if (planned.state !== state) options.onNoticed(entry);
    return planned.decision;
  }

  /**
   * Each script has one turn per window length, whichever window it then runs, so that one that is behind still goes at its
   * own pace. Only what it runs beyond is backlog: else a load of more than the backlog's share could never be caught up
   * with once it has been held up.
   */
  function classOf(entry: Entry, work: Planned, time: TimeNs): RunClass {
    if (work.kind === 'skip') return 'backlog';
    const due = lastDueBoundary(entry.script.schedule, time);
    entry.pacedUntil ??= due;
    if (!work.live && entry.pacedUntil >= due) return 'backlog';
    return entry.isSlow ? 'slow' : 'live';
  }

  function wake(entry: Entry, at: TimeNs, time: TimeNs): void {
    heap.put(entry.due, msOf(at));
    if (heap.first() === entry.due) schedule(entry.due.key - Number(time / NS_PER_MS));
  }

  function queue(entry: Entry, work: Planned, lane: Lane, sinceMs: number, time: TimeNs): void {
    const runClass = classOf(entry, work, time);
    entry.readyMs = sinceMs;
    lane.put(entry, runClass, msOf(work.end));
    // its next turn may come before the backlog's
    if (runClass === 'backlog') wake(entry, nextTurn(entry.script.schedule, time), time);
  }

  /** `sinceMs`: when it was to be looked at. */
  function reviewSince(entry: Entry, sinceMs: number, time: TimeNs): void {
    withdraw(entry);
    if (stopped || entry.running !== undefined || entry.asking.length > 0) return;
    if (entry.state === undefined) return;
    const isHome = options.settleHome(entry);
    const lane = laneOf(entry.ordinal);
    if (!isHome) {
      const { retryAt } = entry.state;
      if (retryAt !== undefined && retryAt > time) return wake(entry, retryAt, time);
      lane.put(entry, 'manual', 0);
    } else if (!entry.isHeld && entry.manual?.isPending === true) {
      const { retryAt } = entry.state;
      // a manual run waits for no pause but that in which the runtime is given what it lacks
      if (entry.isLacking && retryAt !== undefined && retryAt > time) return wake(entry, retryAt, time);
      lane.put(entry, 'manual', 0);
    } else {
      const decision = decide(entry, entry.state, time);
      if (entry.isHeld) return rest(entry, undefined, lane, time);
      if (decision.kind === 'idle') return rest(entry, decision.wakeAt, lane, time);
      queue(entry, decision, lane, sinceMs, time);
    }
    freed(lane);
    return undefined;
  }

  /** It runs nothing before `wakeAt`, and its runtime may be asked for windows of before meanwhile. */
  function rest(entry: Entry, wakeAt: TimeNs | undefined, lane: Lane, time: TimeNs): void {
    const question = questionOf(entry);
    const pauseEnd = question === undefined ? undefined : entry.state?.retryAt;
    const at = wakeAt ?? (pauseEnd !== undefined && pauseEnd > time ? pauseEnd : undefined);
    if (at !== undefined) wake(entry, at, time);
    // nobody waits for it, and at the beginning of a term there may be some of every script
    if (question === undefined || isPaused(entry, time)) return;
    lane.put(entry, 'backlog', msOf(question.end));
    freed(lane);
  }

  const isPaused = ({ state }: Entry, time: TimeNs): boolean => state?.retryAt !== undefined && state.retryAt > time;

  function freed(lane: Lane): void {
    waiting.add(lane);
    pumping ??= setImmediate(pumpAll);
  }

  /** After all of a page, a tick or a turn were looked at, so that the first in line is not just the first that was. */
  function pumpAll(): void {
    clearImmediate(pumping);
    pumping = undefined;
    const time = now();
    for (const lane of waiting) pump(lane, time);
    waiting.clear();
  }

  /** What is to be asked of the script's runtime: when it has nothing else to do, and before it moves to another. */
  function questionOf({ unsure: [unsure], uncounted: [uncounted] }: Entry): Work | undefined {
    if (unsure !== undefined) return { kind: 'settle', ...unsure };
    return uncounted === undefined ? undefined : { kind: 'count', ...uncounted };
  }

  function begin(entry: Entry, state: ScriptState, runClass: RunClass, lane: Lane, time: TimeNs): void {
    const question = questionOf(entry);
    if (question !== undefined && !options.settleHome(entry)) {
      options.start(entry, state, question, runClass, lane, undefined);
      return;
    }
    if (entry.manual?.isPending === true && !entry.isHeld) {
      const interval = planManualRun(entry.script.schedule, state, time);
      if (interval === undefined) return;
      options.start(entry, state, { kind: 'run', ...interval, live: true }, runClass, lane, undefined);
      return;
    }
    if (runClass === 'backlog' && question !== undefined && !isPaused(entry, time)) {
      options.start(entry, state, question, runClass, lane, undefined);
      return;
    }
    if (entry.isHeld) return;
    // time has passed since it began to wait
    const decision = decide(entry, state, time);
    if (decision.kind === 'idle') {
      if (decision.wakeAt !== undefined) wake(entry, decision.wakeAt, time);
      return;
    }
    const isPaced = runClass !== 'backlog';
    if (isPaced) entry.pacedUntil = lastDueBoundary(entry.script.schedule, time);
    const delayMs = isPaced ? Number(time / NS_PER_MS) - entry.readyMs : undefined;
    options.start(entry, entry.state ?? state, decision, runClass, lane, delayMs);
  }

  /** Starts what waits, as far as there is room. */
  function pump(lane: Lane, time: TimeNs): void {
    for (;;) {
      if (stopped || !lane.isUp || !options.mayRun()) return;
      const taken = lane.take();
      if (taken === undefined) return;
      const { entry } = taken;
      heap.remove(entry.due);
      if (entry.state !== undefined) begin(entry, entry.state, taken.class, lane, time);
    }
  }

  function tick(): void {
    timer = undefined;
    timerAtMs = Infinity;
    if (stopped) return;
    const began = monotonicMs();
    const time = now();
    const timeMs = Number(time / NS_PER_MS);
    for (let place = heap.first(); place !== undefined && place.key <= timeMs; place = heap.first()) {
      reviewSince(place.item, place.key, time);
      if (monotonicMs() - began > TICK_BUDGET_MS) break;
    }
    pumpAll();
    options.onTick();
    const first = heap.first();
    schedule(first === undefined ? tickMaxMs : first.key - timeMs, first !== undefined && first.key <= timeMs);
  }

  /** Makes sure of a tick within `ms`. `isHungry`: the last one left something over. */
  function schedule(ms: number, isHungry = false): void {
    if (stopped) return;
    const waitMs = isHungry ? 0 : Math.min(tickMaxMs, Math.max(tickMinMs, ms));
    const atMs = monotonicMs() + waitMs;
    if (atMs >= timerAtMs) return;
    clearTimeout(timer);
    timerAtMs = atMs;
    timer = setTimeout(tick, waitMs);
  }

  schedule(tickMaxMs);
  return {
    review: (entry, time) => reviewSince(entry, Number(time / NS_PER_MS), time),
    withdraw,
    freed,
    stop() {
      stopped = true;
      clearImmediate(pumping);
      clearTimeout(timer);
    },
  };
}
