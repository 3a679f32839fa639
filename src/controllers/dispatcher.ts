// Carries the schedule out, in `sluice local` and in the operator alike: keeps what is known of each script, hears from the
// runtimes, and has planning.ts decide who runs next and execution.ts run it.
import type { RunContract } from '../model/run.ts';
import { NO_METRICS, type Metrics } from '../model/metrics.ts';
import type { Delivery } from '../model/outcome.ts';
import type { TimeNs } from '../model/time.ts';
import { deliveredUntil } from '../schedule/script-state.ts';
import type {
  DispatcherListener,
  ManualRun,
  ProgressBook,
  RunTargets,
  ScheduledScript,
  ScriptProgress,
} from './dispatch/contract.ts';
import { dependsOn, Entry, lose, rehome, reportedUntil, settleElsewhere, uidOf } from './dispatch/entry.ts';
import { createExecution } from './dispatch/execution.ts';
import { createLane, type Lane } from './dispatch/lane.ts';
import { createHearing } from './dispatch/hearing.ts';
import { answerManual, askManual, isAnswered } from './dispatch/manual.ts';
import { createMeters, lagMs } from './dispatch/meters.ts';
import { oneRuntime } from './dispatch/one-runtime.ts';
import { createPlanning } from './dispatch/planning.ts';

export interface Dispatcher {
  /** The scripts that are to run from now on; others are cancelled and forgotten. Rejects where their ledger cannot be read. */
  apply(scripts: readonly ScheduledScript[]): Promise<void>;
  /** Adds or changes one script; what `hold` stopped goes on. */
  set(script: ScheduledScript): void;
  /** No new runs of it; the one under way is cancelled, its progress is kept. */
  hold(uid: string): void;
  /** Its run is cancelled and it is forgotten. */
  remove(uid: string): void;
  /** See `Dispatch.runNow`. */
  runNow(uid: string, token: string): Promise<ManualRun> | undefined;
  /** Takes a destination's verdict, where the targets do not bring it themselves. */
  delivered(delivery: Delivery): void;
  progress(uid: string): ScriptProgress | undefined;
  /** The runtimes that must answer before the script can run: its own, and those whose ledgers it still waits for. */
  awaits(uid: string): readonly number[];
  /** Runs of one runtime that are due and not started, and that are under way. */
  load(ordinal: number): { readonly due: number; readonly running: number };
  /** How many scripts' windows lie, or may lie, in the ledger of `ordinal` and are not delivered. */
  leftAt(ordinal: number): number;
  /** Whether every script is where it belongs and nothing of it is left to deliver elsewhere. */
  isSettled(): boolean;
  /** Synchronously: no new runs, those under way are cancelled. For a leader whose right to act is gone (R27). */
  halt(reason: Error): void;
  /** No new runs; resolves when those under way have ended or were cancelled after `graceMs`. */
  stop(graceMs: number): Promise<void>;
}

/** One runtime in this process, or several. */
type Runtimes = { readonly runtime: Pick<RunContract, 'run' | 'skip' | 'ledger'> } | { readonly targets: RunTargets };

export type DispatcherOptions = Runtimes & {
  readonly epoch: number;
  /** Never falls. */
  readonly now: () => TimeNs;
  /** Milliseconds that never step. */
  readonly monotonicMs?: () => number;
  /** With one runtime only; several know it themselves. */
  readonly oldestData?: () => TimeNs | undefined;
  readonly listener: DispatcherListener;
  /** Runs at once per runtime, of them at most a quarter (but one) for backlog. Default 8. */
  readonly runsMax?: number;
  /** Clocks are looked at this often even when nothing is due: they may have been set. Default 1000. */
  readonly tickMaxMs?: number;
  readonly checkpoint?: ProgressBook;
  /** Asked before each run and skip. */
  readonly mayRun?: () => boolean;
  readonly metrics?: Metrics;
  readonly onFault?: (what: string, error: unknown) => void;
};

const AUDIT_MS = 3000;
const GAUGES_MS = 5000;

export function createDispatcher(options: DispatcherOptions): Dispatcher {
  const { now, listener, checkpoint } = options;
  const targets = 'targets' in options ? options.targets : oneRuntime(options.runtime, options.oldestData);
  const monotonicMs = options.monotonicMs ?? ((): number => performance.now());
  const onFault = options.onFault ?? ((): void => undefined);
  const runsMax = options.runsMax ?? 8;
  const meters = createMeters(options.metrics ?? NO_METRICS);
  const entries = new Map<string, Entry>();
  const lanes = new Map<number, Lane>();
  const ended: { readonly entry: Entry; readonly lane: Lane }[] = [];
  let gaugesAtMs = 0;
  let auditAtMs = monotonicMs() + AUDIT_MS;
  let stopped = false;

  const isCurrent = (entry: Entry): boolean => entries.get(uidOf(entry)) === entry;

  function laneOf(ordinal: number): Lane {
    let lane = lanes.get(ordinal);
    if (lane === undefined) lanes.set(ordinal, (lane = createLane(ordinal, runsMax)));
    return lane;
  }

  function noted(entry: Entry): void {
    const { state } = entry;
    settleElsewhere(entry);
    if (state !== undefined) checkpoint?.note(uidOf(entry), deliveredUntil(state), state.suspended);
  }

  const planning = createPlanning({
    targets,
    now,
    monotonicMs,
    laneOf,
    settleHome,
    mayRun: options.mayRun ?? (() => true),
    onNoticed: noted,
    start(entry, state, work, runClass, lane, delayMs) {
      if (runClass === 'manual' && work.kind === 'run' && isAnswered(entry, state, work)) {
        answerManual(entry, 'AlreadyCommitted');
        endedOne(entry, lane);
        return;
      }
      if (delayMs !== undefined) meters.started(delayMs);
      execution.start(entry, state, work, runClass, lane);
    },
    onTick,
    tickMaxMs: options.tickMaxMs ?? 1000,
  });
  const execution = createExecution({
    targets,
    epoch: options.epoch,
    now,
    monotonicMs,
    listener,
    meters,
    isCurrent,
    onEnded(entry, lane) {
      hearing.acceptEarly(entry);
      if (isCurrent(entry)) noted(entry);
      endedOne(entry, lane);
    },
  });

  function endedOne(entry: Entry, lane: Lane): void {
    if (ended.push({ entry, lane }) === 1) setImmediate(goOn);
  }

  /** After runs: in a turn of its own, so that a runtime that answers at once leaves room for everything else. */
  function goOn(): void {
    const before = ended.splice(0);
    const time = now();
    for (const { entry } of before) if (isCurrent(entry)) planning.review(entry, time);
    for (const { lane } of before) planning.freed(lane);
  }

  /** Moves a script to where it belongs, once it is known what was committed where it was. */
  function settleHome(entry: Entry): boolean {
    const home = targets.ordinalOf(uidOf(entry));
    if (home === entry.ordinal) return true;
    // it went while a run was under way there
    if (!targets.ordinals().includes(entry.ordinal)) lose(entry, entry.ordinal);
    if (entry.unsure.length > 0) return false;
    // one that is away is not waited for only to count
    if (entry.uncounted.length > 0 && lanes.get(entry.ordinal)?.isUp === true) return false;
    rehome(entry, home);
    return true;
  }

  function onTick(): void {
    const time = monotonicMs();
    if (time >= gaugesAtMs) {
      gaugesAtMs = time + GAUGES_MS;
      meters.lanes([...lanes.values()]);
      meters.lag(lagMs(entries.values(), now()));
    }
    if (time < auditAtMs) return;
    auditAtMs = time + AUDIT_MS;
    hearing.audit();
  }

  const hearing = createHearing({
    targets,
    entries,
    lanes,
    laneOf,
    listener,
    meters,
    find: (uid) => checkpoint?.find(uid),
    noted,
    withdraw: (entry) => planning.withdraw(entry),
    review: (entry, time) => planning.review(entry, time),
    now,
    monotonicMs,
    isStopped: () => stopped,
    onFault,
  });

  function add(script: ScheduledScript): Entry {
    const { uid } = script.schedule;
    const entry = new Entry(script, targets.ordinalOf(uid));
    entries.set(uid, entry);
    hearing.ask(entry, targets.ledgersOf(uid));
    return entry;
  }

  function change(entry: Entry, script: ScheduledScript): void {
    planning.withdraw(entry);
    entry.script = script;
    entry.isHeld = false;
    if (entry.isLacking && entry.state !== undefined) entry.state = { ...entry.state, retryAt: undefined };
    entry.isLacking = false;
    planning.review(entry, now());
  }

  function remove(uid: string): void {
    const entry = entries.get(uid);
    if (entry === undefined) return;
    planning.withdraw(entry);
    entries.delete(uid);
    for (const ordinal of entry.asking) lanes.get(ordinal)?.toRead.delete(entry);
    answerManual(entry, 'Failed/REMOVED');
    entry.running?.cancel.abort(new Error('the script was removed'));
  }

  /** Scripts with progress that nobody has set yet: what ledgers have of them is not known. */
  function* unmet(): Iterable<string> {
    for (const uid of checkpoint?.uids() ?? []) if (!entries.has(uid)) yield uid;
  }

  function end(): void {
    stopped = true;
    planning.stop();
    for (const entry of entries.values()) answerManual(entry, 'Failed/STOPPING');
  }

  return {
    async apply(scripts) {
      const wanted = new Set(scripts.map(({ schedule }) => schedule.uid));
      for (const uid of entries.keys()) if (!wanted.has(uid)) remove(uid);
      for (const script of scripts) {
        const entry = entries.get(script.schedule.uid);
        if (entry === undefined) add(script);
        else change(entry, script);
      }
      await Promise.all([...lanes.values()].map((lane) => hearing.read(lane)));
    },
    set(script) {
      const entry = entries.get(script.schedule.uid);
      if (entry !== undefined) return change(entry, script);
      // in one page with others that are set now
      for (const ordinal of add(script).asking) queueMicrotask(() => hearing.readSoon(laneOf(ordinal)));
      return undefined;
    },
    hold(uid) {
      const entry = entries.get(uid);
      if (entry === undefined) return;
      entry.isHeld = true;
      planning.withdraw(entry);
      entry.running?.cancel.abort(new Error('the script cannot run now'));
    },
    remove,
    runNow(uid, token) {
      const entry = entries.get(uid);
      if (entry === undefined) return undefined;
      const answer = askManual(entry, token);
      planning.review(entry, now());
      return answer;
    },
    delivered: (delivery) => hearing.delivered(delivery),
    progress(uid) {
      const entry = entries.get(uid);
      if (entry?.state === undefined) return undefined;
      const { failures } = entry.state;
      const finishedUntil = reportedUntil(entry, entry.state);
      return { deliveredUntil: deliveredUntil(entry.state), finishedUntil, failures, ordinal: entry.ordinal };
    },
    awaits(uid) {
      const entry = entries.get(uid);
      return entry === undefined ? [targets.ordinalOf(uid)] : [entry.ordinal, ...entry.asking];
    },
    load(ordinal) {
      const lane = lanes.get(ordinal);
      return { due: lane?.due ?? 0, running: lane?.running ?? 0 };
    },
    leftAt(ordinal) {
      let left = 0;
      for (const entry of entries.values()) if (dependsOn(entry, ordinal)) left += 1;
      for (const uid of unmet()) if (targets.ledgersOf(uid).includes(ordinal)) left += 1;
      return left;
    },
    isSettled() {
      for (const entry of entries.values()) {
        if (entry.state === undefined || entry.asking.length > 0 || entry.elsewhere.length > 0) return false;
        if (entry.ordinal !== targets.ordinalOf(uidOf(entry))) return false;
      }
      for (const _ of unmet()) return false;
      return true;
    },
    halt(reason) {
      end();
      execution.cancel(reason);
    },
    async stop(graceMs) {
      end();
      await execution.drain(graceMs);
    },
  };
}
