// What the dispatcher hears: ledgers that are read before a script runs, destinations' verdicts, runtimes that come and go.
import type { Delivery } from '../../model/outcome.ts';
import type { CommittedInterval } from '../../model/run.ts';
import type { TimeNs } from '../../model/time.ts';
import type { DispatcherListener, ProgressBook, RunTargets } from './contract.ts';
import { overlapsAny } from '../../schedule/window.ts';
import { begin, dependsOn, learn, lose, settleDelivery, uidOf, type Entry } from './entry.ts';
import type { Lane } from './lane.ts';
import { createLedgerReading } from './ledger-reading.ts';
import type { Meters } from './meters.ts';

/** Verdicts that were lost on their way are found in the ledger: all scripts in this time, so many at once, for they wait meanwhile. */
const AUDIT_ROUND_MS = 60_000;
const AUDIT_PAGE = 500;

export interface HearingOptions {
  readonly targets: Pick<RunTargets, 'ledger' | 'listen'>;
  readonly entries: ReadonlyMap<string, Entry>;
  readonly lanes: Map<number, Lane>;
  /** Makes it where it is not there. */
  readonly laneOf: (ordinal: number) => Lane;
  readonly listener: Pick<DispatcherListener, 'delivered'>;
  readonly meters: Pick<Meters, 'delivered'>;
  readonly find: ProgressBook['find'];
  /** Its progress may have changed. */
  readonly noted: (entry: Entry) => void;
  readonly withdraw: (entry: Entry) => void;
  readonly review: (entry: Entry, time: TimeNs) => void;
  readonly now: () => TimeNs;
  readonly monotonicMs: () => number;
  readonly isStopped: () => boolean;
  readonly onFault: (what: string, error: unknown) => void;
}

export interface Hearing {
  /** The script runs nothing until these ledgers were read (again); `read` reads them. */
  ask(entry: Entry, ordinals: readonly number[]): void;
  /** Rejects with the first failure, and goes on by itself. */
  read(lane: Lane): Promise<void>;
  readSoon(lane: Lane): void;
  delivered(delivery: Delivery): void;
  /** After a run: verdicts that came before its result. */
  acceptEarly(entry: Entry): void;
  /** Asks ledgers about some of what waits for its delivery. To be called every few seconds. */
  audit(): void;
}

export function createHearing(options: HearingOptions): Hearing {
  const { targets, entries, lanes, laneOf, listener, meters, noted, now, onFault } = options;
  const startedAt = now();
  const read = createLedgerReading({ targets, onHeard: heard, onFault, isStopped: options.isStopped });

  /**
   * Windows that a runtime whose disk was lost may have run without our knowing: an earlier leader's, so none that ended after this
   * one began. Undefined where no disk was lost.
   */
  function mayHaveRunUntil(ordinal: number): TimeNs | undefined {
    const lostAt = lanes.get(ordinal)?.lostAt;
    return lostAt === undefined || lostAt < startedAt ? lostAt : startedAt;
  }

  function readSoon(lane: Lane): void {
    read(lane).catch((error: unknown) => onFault(`reading the ledger of runtime ${lane.ordinal}`, error));
  }

  /** On a window that is not reported yet: it is being run, or is still to be asked for. */
  const isEarly = ({ running, state, uncounted }: Entry, delivery: Delivery): boolean =>
    (running !== undefined && state?.active?.start === delivery.start && state.active.end === delivery.end) ||
    overlapsAny(uncounted, delivery);

  function accept(entry: Entry, delivery: Delivery): void {
    settleDelivery(entry, delivery);
    meters.delivered(delivery);
    listener.delivered(delivery);
  }

  /** Verdicts that came early; those on windows that are still not reported go on waiting. */
  function acceptEarly(entry: Entry): void {
    const { early } = entry;
    if (early.length === 0) return;
    entry.early = early.filter((one) => isEarly(entry, one));
    for (const delivery of early) if (!entry.early.includes(delivery)) accept(entry, delivery);
  }

  function delivered(delivery: Delivery): void {
    const entry = entries.get(delivery.uid);
    if (entry === undefined) listener.delivered(delivery);
    else if (entry.asking.length > 0 || isEarly(entry, delivery)) entry.early = [...entry.early, delivery];
    else {
      accept(entry, delivery);
      noted(entry);
    }
  }

  /** It runs nothing until these ledgers were read (again). */
  function ask(entry: Entry, ordinals: readonly number[]): void {
    options.withdraw(entry);
    entry.asking = [...new Set([...entry.asking, ...ordinals])];
    for (const ordinal of ordinals) laneOf(ordinal).toRead.add(entry);
  }

  function heard(entry: Entry, ordinal: number, committed: readonly CommittedInterval[]): void {
    if (entries.get(uidOf(entry)) !== entry) return;
    entry.asking = entry.asking.filter((one) => one !== ordinal);
    if (entry.state === undefined) {
      const others = entry.heard.filter((one) => one.ordinal !== ordinal);
      entry.heard = [...others, { ordinal, committed }];
    } else {
      learn(entry, ordinal, committed);
      noted(entry);
    }
    if (entry.asking.length > 0) return;
    if (entry.state === undefined) begin(entry, now(), options.find(uidOf(entry)), mayHaveRunUntil);
    acceptEarly(entry);
    noted(entry);
    options.review(entry, now());
  }

  let left: Iterator<Entry> | undefined;
  let roundAtMs = options.monotonicMs();

  function audit(): void {
    if (left === undefined && options.monotonicMs() - roundAtMs < AUDIT_ROUND_MS) return;
    left ??= entries.values();
    roundAtMs = options.monotonicMs();
    for (let asked = 0; asked < AUDIT_PAGE;) {
      const next = left.next();
      if (next.done === true) {
        left = undefined;
        break;
      }
      const entry = next.value;
      if (entry.state === undefined || entry.state.undelivered.length === 0) continue;
      // one that is down is asked when it comes back
      const there = [entry.ordinal, ...entry.elsewhere.map(({ ordinal }) => ordinal)];
      const awake = there.filter((ordinal) => lanes.get(ordinal)?.isUp);
      if (awake.length === 0) continue;
      ask(entry, awake);
      asked += 1;
    }
    for (const lane of lanes.values()) readSoon(lane);
  }

  targets.listen({
    delivered,
    up(ordinal, isLost) {
      const lane = laneOf(ordinal);
      lane.isUp = true;
      lane.connection += 1;
      if (isLost) lane.lostAt = now();
      for (const entry of entries.values()) {
        if (!dependsOn(entry, ordinal)) continue;
        if (isLost) lose(entry, ordinal);
        // what was heard before counts for nothing: it may have another disk
        if (entry.state !== undefined || entry.heard.length > 0) ask(entry, [ordinal]);
      }
      readSoon(lane);
    },
    down(ordinal) {
      laneOf(ordinal).isUp = false;
    },
    gone(ordinal) {
      const lane = laneOf(ordinal);
      const time = now();
      lane.isUp = false;
      lane.lostAt = time;
      lane.connection += 1;
      lane.toRead.clear();
      for (const entry of entries.values()) {
        if (dependsOn(entry, ordinal)) lose(entry, ordinal);
        if (entry.asking.includes(ordinal)) heard(entry, ordinal, []);
        else {
          acceptEarly(entry);
          options.review(entry, time);
        }
      }
      lanes.delete(ordinal);
    },
    moved() {
      const time = now();
      for (const entry of entries.values()) options.review(entry, time);
    },
  });

  return { ask, read, readSoon, delivered, acceptEarly, audit };
}
