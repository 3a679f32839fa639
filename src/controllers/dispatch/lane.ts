// The slots of one runtime and who waits for them. Each runtime has its own, so that a slow one holds up nobody else's
// scripts; within one, scripts that are known to be slow and windows of the past never hold all slots.
import type { TimeNs } from '../../model/time.ts';
import { createDueHeap } from '../../schedule/due-heap.ts';
import { namespaceOf, type Entry, type RunClass } from './entry.ts';
import { createFairQueue } from './fair-queue.ts';

export interface Lane {
  readonly ordinal: number;
  /** It answers, as far as is known. */
  isUp: boolean;
  /** Counts how often it came up. */
  connection: number;
  /** When it was found with an empty disk, in this term. */
  lostAt: TimeNs | undefined;
  /** Scripts whose ledger entries are to be read before they run. */
  readonly toRead: Set<Entry>;
  isReading: boolean;
  /** It is read again in a moment. */
  isReadAgain: boolean;
  readonly running: number;
  /** Waiting for a slot, of all classes. */
  readonly due: number;
  /** `key` orders the backlog: the end of its window. */
  put(entry: Entry, runClass: RunClass, key: number): void;
  /** Takes an entry out of whatever queue it is in. */
  withdraw(entry: Entry): void;
  /** The next entry that may have a slot; undefined: none waits, or the rest must wait. */
  take(): { readonly entry: Entry; readonly class: RunClass } | undefined;
  started(runClass: RunClass): void;
  ended(runClass: RunClass): void;
}

/**
 * `runsMax` slots. Backlog holds at most a quarter of them (but one), slow scripts at most half (but one); live runs and
 * manual ones may have all.
 */
export function createLane(ordinal: number, runsMax: number): Lane {
  const manual = new Set<Entry>();
  const live = createFairQueue<Entry>();
  const slow = createFairQueue<Entry>();
  const backlog = createDueHeap<Entry>();
  const running: Record<RunClass, number> = { manual: 0, live: 0, slow: 0, backlog: 0 };
  const most: Record<RunClass, number> = {
    manual: runsMax,
    live: runsMax,
    slow: Math.max(1, Math.floor(runsMax / 2)),
    backlog: Math.max(1, Math.floor(runsMax / 4)),
  };

  const firstOf = (waiting: Iterable<Entry>): Entry | undefined => {
    for (const entry of waiting) return entry;
    return undefined;
  };
  const takeFrom: Record<RunClass, () => Entry | undefined> = {
    manual: () => {
      const entry = firstOf(manual);
      if (entry !== undefined) manual.delete(entry);
      return entry;
    },
    live: () => live.take(),
    slow: () => slow.take(),
    backlog: () => {
      const place = backlog.first();
      if (place !== undefined) backlog.remove(place);
      return place?.item;
    },
  };
  const total = (): number => running.manual + running.live + running.slow + running.backlog;

  function take(): { readonly entry: Entry; readonly class: RunClass } | undefined {
    if (total() >= runsMax) return undefined;
    // slow scripts go first while none of them runs: others must not shut them out for good
    const order: readonly RunClass[] =
      running.slow === 0 ? ['manual', 'slow', 'live', 'backlog'] : ['manual', 'live', 'slow', 'backlog'];
    for (const runClass of order) {
      if (running[runClass] >= most[runClass]) continue;
      const entry = takeFrom[runClass]();
      if (entry === undefined) continue;
      entry.queued = undefined;
      return { entry, class: runClass };
    }
    return undefined;
  }

  const lane: Lane = {
    ordinal,
    isUp: false,
    connection: 0,
    lostAt: undefined,
    toRead: new Set(),
    isReading: false,
    isReadAgain: false,
    get running() {
      return total();
    },
    get due() {
      return manual.size + live.size + slow.size + backlog.size;
    },
    put(entry, runClass, key) {
      lane.withdraw(entry);
      entry.queued = runClass;
      if (runClass === 'manual') manual.add(entry);
      else if (runClass === 'backlog') backlog.put(entry.order, key);
      else (runClass === 'live' ? live : slow).put(namespaceOf(entry), entry);
    },
    withdraw(entry) {
      switch (entry.queued) {
        case 'manual':
          manual.delete(entry);
          break;
        case 'live':
          live.remove(namespaceOf(entry), entry);
          break;
        case 'slow':
          slow.remove(namespaceOf(entry), entry);
          break;
        case 'backlog':
          backlog.remove(entry.order);
          break;
        case undefined:
          break;
        default:
          entry.queued satisfies never;
      }
      entry.queued = undefined;
    },
    take,
    started(runClass) {
      running[runClass] += 1;
    },
    ended(runClass) {
      running[runClass] -= 1;
    },
  };
  return lane;
}
