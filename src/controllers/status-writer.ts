// Statuses on their way to the API server. What a user waits for (the first status, an observed generation, a condition
// that changed) goes at once, a bounded number at a time; counters go when there is room: so many a second in all, each
// object at most so often. A status is made when it is written, and of what was written only hashes are kept: there may be ten
// thousand objects. Each change costs what is due, not what waits.
import { digest } from '../model/digest.ts';
import { createDueHeap, type HeapPlace } from '../schedule/due-heap.ts';

export interface StatusChange {
  /** Differs whenever something that a user waits for does; kept for each object, so a short one. */
  readonly urgentKey: string;
  /** Counters of this object are written at most this often. */
  readonly minIntervalMs: number;
}

export interface StatusWriterOptions {
  /** The whole status as it is now; undefined: there is nothing to write any more. */
  readonly make: (key: string) => object | undefined;
  /** Writes one status. `gone`: the object is not there. Rejects where it could not. */
  readonly write: (key: string, status: object) => Promise<'written' | 'gone'>;
  /** Counters a second in all. */
  readonly perSecond?: number;
  /** Writes under way at once. */
  readonly inFlightMax?: number;
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
  /** Calls back after `ms`; the function calls it off. */
  readonly after: (ms: number, call: () => void) => () => void;
  /** 0 to 1. */
  readonly random: () => number;
  readonly onWritten: (key: string, urgency: 'urgent' | 'counters') => void;
  readonly onError: (key: string, error: unknown) => void;
}

export interface StatusWriter {
  /** The object's status may have changed. */
  changed(key: string, change: StatusChange): void;
  /** What an earlier process wrote: the same again is nothing that a user waits for. Only before the first `changed`. */
  seed(key: string, urgentKey: string): void;
  /** Somebody else wrote into it: what was written last counts no more. */
  overwritten(key: string): void;
  forget(key: string): void;
  /** Objects whose status is not written yet. */
  readonly waiting: number;
  /** Writes what waits, for at most `graceMs`, and takes nothing more. */
  stop(graceMs: number): Promise<void>;
}

/** It is its own place in the one heap that it may be in. */
class Entry implements HeapPlace<Entry> {
  readonly item: Entry = this;
  key = 0;
  at = -1;
  readonly name: string;
  urgentKey = '';
  minIntervalMs = 0;
  /** `resting`: urgent, and not before its time, because it failed. */
  waits: 'no' | 'urgent' | 'resting' | 'counters' = 'no';
  isWriting = false;
  /** Changed since the write under way began. */
  isAgain = false;
  writtenUrgentKey: string | undefined;
  writtenHash: string | undefined = undefined;
  writtenAtMs: number;
  failures = 0;
  notBeforeMs = 0;

  constructor(name: string, writtenUrgentKey: string | undefined, writtenAtMs: number) {
    this.name = name;
    this.writtenUrgentKey = writtenUrgentKey;
    this.writtenAtMs = writtenAtMs;
  }
}

const RETRY_FIRST_MS = 1000;
const RETRY_MAX_MS = 60_000;

export function createStatusWriter(options: StatusWriterOptions): StatusWriter {
  const { nowMs } = options;
  const perSecond = options.perSecond ?? 20;
  const inFlightMax = options.inFlightMax ?? 32;
  const entries = new Map<string, Entry>();
  const seeds = new Map<string, string>();
  /** In the order of first change. */
  const urgent = new Set<Entry>();
  /** By when they may be tried again. */
  const resting = createDueHeap<Entry>();
  /** By when their interval is over. */
  const counters = createDueHeap<Entry>();
  let inFlight = 0;
  let tokens = perSecond;
  let refilledAtMs = nowMs();
  let cancelTimer: (() => void) | undefined;
  let timerAtMs = Infinity;
  let stopping: { readonly resolve: () => void } | undefined;
  let isOver = false;

  const waiting = (): number => urgent.size + resting.size + counters.size;

  function refill(): void {
    const now = nowMs();
    tokens = Math.min(perSecond, tokens + ((now - refilledAtMs) / 1000) * perSecond);
    refilledAtMs = now;
  }

  function wakeAt(at: number): void {
    if (at >= timerAtMs) return;
    cancelTimer?.();
    timerAtMs = at;
    cancelTimer = options.after(Math.max(1, at - nowMs()), () => {
      timerAtMs = Infinity;
      cancelTimer = undefined;
      pump();
    });
  }

  function withdraw(entry: Entry): void {
    if (entry.waits === 'urgent') urgent.delete(entry);
    else if (entry.waits === 'resting') resting.remove(entry);
    else if (entry.waits === 'counters') counters.remove(entry);
    entry.waits = 'no';
  }

  function enqueue(entry: Entry): void {
    if (entry.urgentKey === entry.writtenUrgentKey && entry.waits !== 'urgent' && entry.waits !== 'resting') {
      entry.waits = 'counters';
      counters.put(entry, dueAtOf(entry));
      return;
    }
    const isEarly = entry.notBeforeMs > nowMs();
    if (entry.waits === (isEarly ? 'resting' : 'urgent')) return;
    withdraw(entry);
    entry.waits = isEarly ? 'resting' : 'urgent';
    if (isEarly) resting.put(entry, entry.notBeforeMs);
    else urgent.add(entry);
  }

  function takeUrgent(): Entry | undefined {
    for (let place = resting.first(); place !== undefined; place = resting.first()) {
      if (place.key > nowMs()) {
        wakeAt(place.key);
        break;
      }
      resting.remove(place);
      place.item.waits = 'urgent';
      urgent.add(place.item);
    }
    for (const entry of urgent) return entry;
    return undefined;
  }

  function takeCounters(): Entry | undefined {
    const first = counters.first();
    if (first === undefined) return undefined;
    if (first.key > nowMs()) {
      wakeAt(first.key);
      return undefined;
    }
    refill();
    if (tokens < 1 && stopping === undefined) {
      wakeAt(nowMs() + ((1 - tokens) / perSecond) * 1000);
      return undefined;
    }
    tokens -= 1;
    return first.item;
  }

  /** At the end nobody waits for an interval any more, but what failed is not tried again without a pause. */
  const dueAtOf = ({ notBeforeMs, writtenAtMs, minIntervalMs }: Entry): number =>
    stopping === undefined ? Math.max(notBeforeMs, writtenAtMs + minIntervalMs) : notBeforeMs;

  function pump(): void {
    while (inFlight < inFlightMax) {
      const entry = takeUrgent() ?? takeCounters();
      if (entry === undefined) break;
      begin(entry);
    }
    if (stopping !== undefined && inFlight === 0 && waiting() === 0) stopping.resolve();
  }

  function begin(entry: Entry): void {
    const urgency = entry.waits === 'urgent' ? 'urgent' : 'counters';
    withdraw(entry);
    const status = options.make(entry.name);
    if (status === undefined) return;
    const text = digest(JSON.stringify(status));
    const { urgentKey } = entry;
    if (text === entry.writtenHash) {
      entry.writtenUrgentKey = urgentKey;
      return;
    }
    entry.isWriting = true;
    entry.isAgain = false;
    inFlight += 1;
    void carryOut(entry, status, { text, urgentKey, urgency });
  }

  async function carryOut(
    entry: Entry,
    status: object,
    now: { readonly text: string; readonly urgentKey: string; readonly urgency: 'urgent' | 'counters' },
  ): Promise<void> {
    const { name } = entry;
    try {
      const result = await options.write(name, status);
      entry.failures = 0;
      entry.notBeforeMs = 0;
      if (result === 'gone') {
        if (entries.get(name) === entry) forget(name);
      } else {
        entry.writtenHash = now.text;
        entry.writtenUrgentKey = now.urgentKey;
        entry.writtenAtMs = nowMs();
        options.onWritten(name, now.urgency);
      }
    } catch (error) {
      entry.failures += 1;
      const pause = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(entry.failures - 1, 10));
      entry.notBeforeMs = nowMs() + pause * (0.5 + options.random() / 2);
      entry.isAgain = true;
      // whoever leads next writes it
      if (!isOver) options.onError(name, error);
    } finally {
      inFlight -= 1;
      entry.isWriting = false;
      if (entry.isAgain && entries.get(name) === entry) enqueue(entry);
      pump();
    }
  }

  function forget(key: string): void {
    const entry = entries.get(key);
    if (entry !== undefined) withdraw(entry);
    entries.delete(key);
    seeds.delete(key);
  }

  function open(key: string): Entry {
    const known = entries.get(key);
    if (known !== undefined) return known;
    const seeded = seeds.get(key);
    // an earlier process may have written it just now
    const fresh = new Entry(key, seeded, seeds.delete(key) ? nowMs() : -Infinity);
    entries.set(key, fresh);
    return fresh;
  }

  function touch(entry: Entry): void {
    if (isOver) return;
    if (entry.isWriting) entry.isAgain = true;
    else enqueue(entry);
    pump();
  }

  function clear(): void {
    for (const entry of entries.values()) withdraw(entry);
  }

  return {
    seed: (key, urgentKey) => void seeds.set(key, urgentKey),
    changed(key, { urgentKey, minIntervalMs }) {
      const entry = open(key);
      // not a second text that is equal
      entry.urgentKey = urgentKey === entry.writtenUrgentKey ? entry.writtenUrgentKey : urgentKey;
      entry.minIntervalMs = minIntervalMs;
      touch(entry);
    },
    overwritten(key) {
      const entry = entries.get(key);
      if (entry === undefined) return;
      entry.writtenHash = undefined;
      entry.writtenUrgentKey = undefined;
      touch(entry);
    },
    forget,
    get waiting() {
      return waiting() + inFlight;
    },
    async stop(graceMs) {
      const { promise, resolve } = Promise.withResolvers<void>();
      stopping = { resolve };
      const cancel = options.after(graceMs, resolve);
      if (graceMs <= 0) clear();
      else for (const entry of entries.values()) if (entry.waits === 'counters') counters.put(entry, dueAtOf(entry));
      pump();
      await promise;
      cancel();
      cancelTimer?.();
      isOver = true;
      clear();
      entries.clear();
    },
  };
}
