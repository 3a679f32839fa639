// Carries the schedule out: one timer for all scripts, one run per script at a time, live windows before backlog. The
// schedule decides, the runtime runs; this is the loop between them, in `sluice local` and in the operator alike.
import type { Delivery, RunOutcome } from '../model/outcome.ts';
import type { CommittedInterval, RunContract, RunRequest, RunResult } from '../model/run.ts';
import type { TimeNs } from '../model/time.ts';
import { planScript, type Decision } from '../schedule/plan.ts';
import {
  deliveredUntil,
  markCancelled,
  markDelivered,
  markFailed,
  markFinished,
  markOverlap,
  markStarted,
  startScript,
  type ScriptSchedule,
  type ScriptState,
} from '../schedule/script-state.ts';

/** A script that compiles and whose destination is known. */
export interface ScheduledScript {
  readonly schedule: ScriptSchedule;
  readonly run: Pick<RunRequest, 'scriptHash' | 'scriptName' | 'pluginUid' | 'revision' | 'scope' | 'limits'>;
}

/** What the outside is told. All calls are made after the state has changed. */
export interface DispatcherListener {
  committed(uid: string, outcome: RunOutcome, delivered: boolean): void;
  failed(uid: string, outcome: RunOutcome): void;
  /** A destination's verdict; never before the window that it is about was reported as committed. */
  delivered(delivery: Delivery): void;
  /** A call to the runtime did not come back with a result; the window is tried again. */
  broke(uid: string, error: unknown): void;
  /** The runtime does not know the script or the destination (it restarted): give them again. */
  unknown(uid: string, what: 'script' | 'destination'): void;
}

export interface Dispatcher {
  /** The scripts that are to run from now on; others are cancelled and forgotten. */
  apply(scripts: readonly ScheduledScript[]): Promise<void>;
  /** Takes a destination's verdict, from the runtime's stream. */
  delivered(delivery: Delivery): void;
  progress(
    uid: string,
  ): { readonly deliveredUntil: TimeNs; readonly finishedUntil: TimeNs; readonly failures: number } | undefined;
  /** No new runs; resolves when those under way have ended or were cancelled after `graceMs`. */
  stop(graceMs: number): Promise<void>;
}

export interface DispatcherOptions {
  readonly runtime: RunContract;
  readonly epoch: number;
  /** Never falls. */
  readonly now: () => TimeNs;
  readonly oldestData?: () => TimeNs | undefined;
  readonly listener: DispatcherListener;
  /** Runs at once, of them at most a quarter (but one) for backlog. */
  readonly runsMax?: number;
  /** Clocks are looked at this often even when nothing is due: they may have been set. */
  readonly tickMaxMs?: number;
}

interface Entry {
  script: ScheduledScript;
  state: ScriptState;
  running: { readonly cancel: AbortController; readonly done: Promise<void>; readonly live: boolean } | undefined;
  /** Verdicts on the window that is just being committed: a fast destination answers before the run's result is here. */
  early: Delivery[];
}

type Work = Exclude<Decision, { readonly kind: 'idle' }>;

export function createDispatcher(options: DispatcherOptions): Dispatcher {
  const { runtime, epoch, now, listener } = options;
  const runsMax = options.runsMax ?? 8;
  const tickMaxMs = options.tickMaxMs ?? 1000;
  const backlogMax = Math.max(1, Math.floor(runsMax / 4));
  const entries = new Map<string, Entry>();
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  const uidOf = (entry: Entry): string => entry.script.schedule.uid;
  const isCurrent = (entry: Entry): boolean => entries.get(uidOf(entry)) === entry;

  function accept(entry: Entry | undefined, delivery: Delivery): void {
    if (entry !== undefined && delivery.windowDelivered) entry.state = markDelivered(entry.state, delivery);
    listener.delivered(delivery);
  }

  function settle(entry: Entry, work: Work, result: RunResult): void {
    switch (result.status) {
      case 'committed':
        entry.state = markFinished(entry.state, work, result.delivered);
        listener.committed(uidOf(entry), result.outcome, result.delivered);
        break;
      case 'failed':
        entry.state = markFailed(entry.state, now());
        listener.failed(uidOf(entry), result.outcome);
        break;
      case 'overlap':
        entry.state = markOverlap(entry.state, now(), result.committed);
        break;
      case 'unknown':
        // counts as a failure for the pause only: whoever listens gives the runtime what it lacks
        entry.state = { ...markFailed(entry.state, now()), failures: entry.state.failures };
        listener.unknown(uidOf(entry), result.what);
        break;
      default:
        result satisfies never;
    }
  }

  async function execute(entry: Entry, work: Work, signal: AbortSignal): Promise<void> {
    const uid = uidOf(entry);
    const { start, end } = work;
    try {
      const result =
        work.kind === 'skip'
          ? await runtime.skip({ epoch, uid, start, end, reason: work.reason })
          : await runtime.run({ ...entry.script.run, runId: `${uid}/${start}`, epoch, uid, start, end }, signal);
      if (isCurrent(entry) && !signal.aborted) settle(entry, work, result);
      else if (isCurrent(entry))
        entry.state =
          result.status === 'committed'
            ? markFinished(entry.state, work, result.delivered)
            : markCancelled(entry.state);
      entry.early.splice(0).forEach((delivery) => accept(isCurrent(entry) ? entry : undefined, delivery));
    } catch (error) {
      // whether it was committed is not known; the window is asked for again, and the ledger knows
      if (isCurrent(entry)) entry.state = markFailed(entry.state, now());
      listener.broke(uid, error);
    } finally {
      entry.running = undefined;
      schedule(0);
    }
  }

  function begin(entry: Entry, work: Work): void {
    const cancel = new AbortController();
    entry.state = markStarted(entry.state, work);
    const live = work.kind === 'run' && work.live;
    // `execute` resolves later than this assignment, so `running` is there when it clears it
    const done = Promise.resolve().then(() => execute(entry, work, cancel.signal));
    entry.running = { cancel, done, live };
  }

  /** Starts what is due, as far as there is room, and says when to look again. */
  function tick(): void {
    timer = undefined;
    if (stopped) return;
    const time = now();
    const oldestData = options.oldestData?.();
    let wake: TimeNs | undefined;
    const due: { readonly entry: Entry; readonly work: Work }[] = [];
    for (const entry of entries.values()) {
      const facts = oldestData === undefined ? { now: time } : { now: time, oldestData };
      const { state, decision } = planScript(entry.script.schedule, entry.state, facts);
      entry.state = state;
      if (entry.running !== undefined) continue;
      if (decision.kind !== 'idle') due.push({ entry, work: decision });
      else if (decision.wakeAt !== undefined && (wake === undefined || decision.wakeAt < wake)) wake = decision.wakeAt;
    }
    const running = [...entries.values()].flatMap(({ running: run }) => run ?? []);
    let [slots, backlog] = [runsMax - running.length, backlogMax - running.filter(({ live }) => !live).length];
    const isLive = (work: Work): boolean => work.kind === 'run' && work.live;
    due.sort((a, b) => Number(isLive(b.work)) - Number(isLive(a.work)) || Number(a.work.end - b.work.end));
    for (const { entry, work } of due) {
      if (slots === 0) break;
      if (!isLive(work) && backlog === 0) continue;
      slots--;
      if (!isLive(work)) backlog--;
      begin(entry, work);
    }
    const waitMs = wake === undefined ? tickMaxMs : Number((wake - time) / 1_000_000n) + 1;
    schedule(Math.min(tickMaxMs, Math.max(1, waitMs)));
  }

  function schedule(ms: number): void {
    if (stopped) return;
    clearTimeout(timer);
    timer = setTimeout(tick, ms);
  }

  return {
    async apply(scripts) {
      const wanted = new Map(scripts.map((script) => [script.schedule.uid, script]));
      for (const [uid, entry] of entries) {
        if (wanted.has(uid)) continue;
        entries.delete(uid);
        entry.running?.cancel.abort(new Error('the script was removed'));
      }
      const fresh = scripts.filter(({ schedule: { uid } }) => !entries.has(uid));
      const known: ReadonlyMap<string, readonly CommittedInterval[]> =
        fresh.length === 0 ? new Map() : await runtime.ledger(fresh.map((script) => script.schedule.uid));
      for (const [uid, script] of wanted) {
        const entry = entries.get(uid);
        if (entry !== undefined) entry.script = script;
        else {
          const state = startScript(script.schedule, now(), { committed: known.get(uid) ?? [] });
          entries.set(uid, { script, state, running: undefined, early: [] });
        }
      }
      schedule(0);
    },
    delivered(delivery) {
      const entry = entries.get(delivery.uid);
      const active = entry?.state.active;
      if (entry !== undefined && active?.start === delivery.start && active.end === delivery.end)
        entry.early.push(delivery);
      else accept(entry, delivery);
    },
    progress(uid) {
      const state = entries.get(uid)?.state;
      if (state === undefined) return undefined;
      return { deliveredUntil: deliveredUntil(state), finishedUntil: state.finishedUntil, failures: state.failures };
    },
    async stop(graceMs) {
      stopped = true;
      clearTimeout(timer);
      const running = [...entries.values()].flatMap(({ running: run }) => run ?? []);
      const cancel = setTimeout(() => running.forEach((run) => run.cancel.abort(new Error('stopping'))), graceMs);
      await Promise.allSettled(running.map(({ done }) => done));
      clearTimeout(cancel);
    },
  };
}
