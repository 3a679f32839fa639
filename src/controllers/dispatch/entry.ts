// One script as the dispatcher holds it, and what ledgers, lost disks and moves do to it. Kept small: there may be ten
// thousand, and nearly all of them are idle.
import type { Delivery } from '../../model/outcome.ts';
import type { CommittedInterval } from '../../model/run.ts';
import { timeNs, type TimeNs } from '../../model/time.ts';
import { heapPlace, type HeapPlace } from '../../schedule/due-heap.ts';
import {
  deliveredUntil,
  markDelivered,
  markLost,
  mergeLedger,
  startScript,
  type ScriptState,
} from '../../schedule/script-state.ts';
import {
  addInterval,
  boundaryBefore,
  earlier,
  later,
  overlapsAny,
  subtractInterval,
  type Interval,
} from '../../schedule/window.ts';
import type { ManualRun, ScheduledScript } from './contract.ts';

/** The order in which runs get slots: manual ones, then those at their own pace, then slow scripts', then backlog. */
export type RunClass = 'manual' | 'live' | 'slow' | 'backlog';

export interface Running {
  readonly cancel: AbortController;
  readonly class: RunClass;
  readonly ordinal: number;
  readonly startedMs: number;
}

export interface ManualAsk {
  readonly token: string;
  readonly answer: Promise<ManualRun>;
  readonly resolve: (run: ManualRun) => void;
  isPending: boolean;
}

/** A runtime that the script has moved away from, and whose ledger is needed for as long as the checkpoint does not answer for it. */
interface Elsewhere {
  readonly ordinal: number;
  readonly undelivered: readonly Interval[];
  /** Where its last window ends: all before is to be delivered without a hole. */
  readonly until: TimeNs;
}

// shared, so that an entry that has none costs nothing
const NONE: readonly never[] = [];

export class Entry {
  script: ScheduledScript;
  /** Undefined until all ledgers that may hold windows of it were read. */
  state: ScriptState | undefined = undefined;
  /** The runtime that its runs go to. */
  ordinal: number;
  /** Ledgers that are being read for it; it runs nothing meanwhile. */
  asking: readonly number[] = NONE;
  /** What ledgers said while others were still to be heard. */
  heard: readonly { readonly ordinal: number; readonly committed: readonly CommittedInterval[] }[] = NONE;
  isHeld = false;
  /**
   * Windows whose last call broke: they may be committed, or their run still be under way over there. Until the runtime has
   * answered for them, in line behind such a run, the script stays where it is.
   */
  unsure: readonly Interval[] = NONE;
  /**
   * Committed, as a ledger says, and never reported: the answer to their run was lost, or an earlier leader did not live to
   * write them down. Their outcomes are still to be asked of the script's runtime. May join several windows.
   */
  uncounted: readonly Interval[] = NONE;
  /** The runtime lacked something of it; `set` brings it. */
  isLacking = false;
  /** Its last run held a slot for long. */
  isSlow = false;
  running: Running | undefined = undefined;
  /** Where it waits for a slot. */
  queued: RunClass | undefined = undefined;
  /** When it was to be looked at, and began to wait. */
  readyMs = 0;
  /** In the heap of due times. */
  readonly due: HeapPlace<Entry>;
  /** In the heap of the backlog, by its window's end. */
  readonly order: HeapPlace<Entry>;
  /** Where a script that nothing was known of began; until the window before was run by hand. */
  firstStart: TimeNs | undefined = undefined;
  /** The newest due boundary for which it had its turn. */
  pacedUntil: TimeNs | undefined = undefined;
  /** Verdicts on the window that is just being committed: a fast destination answers before the run's result is here. */
  early: readonly Delivery[] = NONE;
  elsewhere: readonly Elsewhere[] = NONE;
  /** Of unknown fate since a disk was lost: what is committed here again is a repetition. */
  suspect: readonly Interval[] = NONE;
  manual: ManualAsk | undefined = undefined;

  constructor(script: ScheduledScript, ordinal: number) {
    this.script = script;
    this.ordinal = ordinal;
    this.due = heapPlace<Entry>(this);
    this.order = heapPlace<Entry>(this);
  }
}

export const uidOf = (entry: Entry): string => entry.script.schedule.uid;

/** The part of `scriptName` before the slash: slots are shared out by it. */
export function namespaceOf({ script }: Entry): string {
  const { scriptName } = script.run;
  return scriptName.slice(0, Math.max(0, scriptName.indexOf('/')));
}

/** The undelivered windows that lie in the ledger of `ordinal`. */
function undeliveredAt(entry: Entry, ordinal: number): readonly Interval[] {
  const { state, elsewhere } = entry;
  if (ordinal !== entry.ordinal) return elsewhere.find((one) => one.ordinal === ordinal)?.undelivered ?? NONE;
  return elsewhere
    .flatMap(({ undelivered }) => undelivered)
    .reduce((own: readonly Interval[], one) => subtractInterval(own, one), state?.undelivered ?? NONE);
}

/** Whether its windows lie, or may lie, in the ledger of `ordinal`. */
export const dependsOn = (entry: Entry, ordinal: number): boolean =>
  entry.ordinal === ordinal ||
  entry.asking.includes(ordinal) ||
  entry.elsewhere.some((one) => one.ordinal === ordinal) ||
  entry.heard.some((one) => one.ordinal === ordinal);

/** From now on its runs go to `ordinal`; what is not delivered stays where it is. */
export function rehome(entry: Entry, ordinal: number): void {
  const { state } = entry;
  const others = entry.elsewhere.filter((one) => one.ordinal !== ordinal && one.ordinal !== entry.ordinal);
  const undelivered = undeliveredAt(entry, entry.ordinal);
  const until = state?.ahead.at(-1)?.end ?? state?.finishedUntil;
  entry.uncounted = NONE;
  entry.elsewhere = until === undefined ? others : [...others, { ordinal: entry.ordinal, undelivered, until }];
  entry.ordinal = ordinal;
  settleElsewhere(entry);
}

/** Forgets runtimes that nothing is left at: all that they have is delivered, and lies before the checkpoint. */
export function settleElsewhere(entry: Entry): void {
  const { state, elsewhere } = entry;
  if (state === undefined || elsewhere.length === 0) return;
  const reached = deliveredUntil(state);
  const settled = (one: Interval): readonly Interval[] => state.undelivered.reduce(subtractInterval, [one]);
  entry.elsewhere = elsewhere
    .map((one) => ({
      ...one,
      undelivered: one.undelivered.flatMap(settled).reduce(subtractInterval, one.undelivered),
    }))
    .filter((one) => one.undelivered.length > 0 || one.until > reached);
}

/** What a ledger said of a script that is known already. Its early verdicts are applied by the caller. */
export function learn(entry: Entry, ordinal: number, committed: readonly CommittedInterval[]): void {
  if (entry.state === undefined) return;
  entry.state = mergeLedger(entry.state, committed);
  settleElsewhere(entry);
  if (ordinal !== entry.ordinal || entry.unsure.length === 0) return;
  // it was away, and is back: what its absence made fail need not wait longer
  entry.state = { ...entry.state, retryAt: undefined };
  for (const window of committed) entry.uncounted = addAll(entry.uncounted, intersect(entry.unsure, window));
  entry.unsure = committed.reduce(subtractInterval, entry.unsure);
}

const addAll = (set: readonly Interval[], more: readonly Interval[]): readonly Interval[] =>
  more.reduce(addInterval, set);

/** What of `set` is in `window`, too. */
const intersect = (set: readonly Interval[], window: Interval): readonly Interval[] =>
  subtractInterval(set, window).reduce(subtractInterval, set);

/**
 * The runtime named what it has committed, and some of it this process took for open: that is to be counted. To be called
 * before the state takes it over.
 */
export function discover(entry: Entry, committed: readonly CommittedInterval[]): void {
  const { state } = entry;
  if (state === undefined) return;
  const finished = [{ start: timeNs(0n), end: state.finishedUntil }, ...state.ahead];
  for (const { start, end } of committed) {
    entry.uncounted = addAll(entry.uncounted, finished.reduce(subtractInterval, [{ start, end }]));
  }
}

const firstStart = (set: readonly Interval[], otherwise: TimeNs): TimeNs =>
  set.reduce((least, { start }) => earlier(least, start), otherwise);

/** What `ScriptProgress.finishedUntil` says. An unsure window may lie before it: the one before the script's first, run by hand. */
export const reportedUntil = ({ uncounted, unsure }: Entry, { finishedUntil }: ScriptState): TimeNs =>
  firstStart(unsure, firstStart(uncounted, finishedUntil));

/** What was asked for was no window but holds these; what is not told apart any more has no outcome to ask for. */
export function splitUncounted(entry: Entry, work: Interval, committed: readonly CommittedInterval[]): void {
  const isPart = ({ start, end }: Interval): boolean =>
    start >= work.start && end <= work.end && (start > work.start || end < work.end);
  const parts = committed.filter(isPart).map(({ start, end }) => ({ start, end }));
  // not joined again: each is a window
  entry.uncounted = [...parts, ...subtractInterval(entry.uncounted, work)];
}

/** All ledgers were heard: the script's first state. `mayHaveRunUntil`: by ordinal, where its disk was lost. */
export function begin(
  entry: Entry,
  now: TimeNs,
  checkpoint: { readonly deliveredUntil: TimeNs; readonly wasSuspended: boolean } | undefined,
  mayHaveRunUntil: (ordinal: number) => TimeNs | undefined,
): void {
  const { heard } = entry;
  const { schedule } = entry.script;
  const committed = heard.flatMap((one) => one.committed).sort((a, b) => (a.start < b.start ? -1 : 1));
  const state = startScript(schedule, now, {
    committed,
    ...(checkpoint === undefined
      ? {}
      : { checkpoint: checkpoint.deliveredUntil, wasSuspended: checkpoint.wasSuspended }),
  });
  entry.state = state;
  entry.heard = NONE;
  entry.elsewhere = heard
    .filter(({ ordinal }) => ordinal !== entry.ordinal)
    .map(({ ordinal, committed: there }) => ({
      ordinal,
      undelivered: there.filter(({ delivered }) => !delivered).reduce(addInterval, NONE),
      until: there.at(-1)?.end ?? state.finishedUntil,
    }));
  settleElsewhere(entry);
  const { countedUntil } = entry.script;
  for (const window of heard.find(({ ordinal }) => ordinal === entry.ordinal)?.committed ?? []) {
    if (countedUntil === undefined || window.end <= countedUntil) continue;
    entry.uncounted = addInterval(entry.uncounted, { start: later(window.start, countedUntil), end: window.end });
  }
  if (checkpoint === undefined) {
    if (committed.length === 0) entry.firstStart = state.finishedUntil;
    return;
  }
  for (const { ordinal } of heard) {
    const until = mayHaveRunUntil(ordinal);
    if (until === undefined) continue;
    const end = boundaryBefore(until, schedule.windowNs);
    const start = checkpoint.deliveredUntil;
    if (start < end) entry.suspect = committed.reduce(subtractInterval, addInterval(entry.suspect, { start, end }));
  }
}

/** The disk of `ordinal` is gone, and with it all that it had not delivered. */
export function lose(entry: Entry, ordinal: number): void {
  const { state } = entry;
  if (state === undefined) {
    entry.heard = entry.heard.map((one) => {
      if (one.ordinal !== ordinal) return one;
      const isDelivered = ({ delivered }: CommittedInterval): boolean => delivered;
      entry.suspect = one.committed.filter((interval) => !isDelivered(interval)).reduce(addInterval, entry.suspect);
      return { ordinal, committed: one.committed.filter(isDelivered) };
    });
    return;
  }
  const lost = undeliveredAt(entry, ordinal);
  entry.suspect = lost.reduce(addInterval, entry.suspect);
  // committed perhaps, but nobody heard of it
  if (entry.running?.ordinal === ordinal && state.active !== undefined) {
    entry.suspect = addInterval(entry.suspect, state.active);
  }
  if (entry.ordinal === ordinal) {
    entry.suspect = entry.unsure.reduce(addInterval, entry.suspect);
    entry.unsure = NONE;
    entry.uncounted = NONE;
  }
  entry.state = markLost(state, lost);
  entry.elsewhere = entry.elsewhere.filter((one) => one.ordinal !== ordinal);
}

/** The runtime has answered for this window: whatever was begun of it is over. */
export function settleUnsure(entry: Entry, window: Interval): void {
  if (entry.unsure.length === 0) return;
  entry.unsure = entry.unsure.filter((one) => one.start >= window.end || one.end <= window.start);
}

/** Takes a window off the suspects; whether it was one. */
export function settleSuspect(entry: Entry, window: Interval): boolean {
  if (entry.suspect.length === 0 || !overlapsAny(entry.suspect, window)) return false;
  entry.suspect = subtractInterval(entry.suspect, window);
  return true;
}

export function settleDelivery(entry: Entry, delivery: Delivery): void {
  if (!delivery.windowDelivered || entry.state === undefined) return;
  entry.state = markDelivered(entry.state, delivery);
  settleElsewhere(entry);
}
