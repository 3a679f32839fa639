// Statuses on their way to the API server. What a user waits for (the first status, an observed generation, a condition
// that changed) goes at once, a bounded number at a time; counters go when there is room: so many a second in all, each
// object at most so often. A status is made when it is written, so thousands that wait hold no memory.

export interface StatusChange {
  /** Differs whenever something that a user waits for does. */
  readonly urgentKey: string;
  /** Counters of this object are written at most this often. */
  readonly minIntervalMs: number;
  /** The whole status as it is now; undefined: there is nothing to write any more. */
  readonly make: () => object | undefined;
}

export interface StatusWriterOptions {
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

interface Entry {
  change: StatusChange;
  isWriting: boolean;
  /** Changed since the write under way began. */
  isAgain: boolean;
  writtenUrgentKey: string | undefined;
  writtenText: string | undefined;
  writtenAtMs: number;
  failures: number;
  notBeforeMs: number;
}

const RETRY_FIRST_MS = 1000;
const RETRY_MAX_MS = 60_000;

export function createStatusWriter(options: StatusWriterOptions): StatusWriter {
  const { nowMs } = options;
  const perSecond = options.perSecond ?? 20;
  const inFlightMax = options.inFlightMax ?? 32;
  const entries = new Map<string, Entry>();
  const urgent = new Set<string>();
  const counters = new Set<string>();
  let inFlight = 0;
  let tokens = perSecond;
  let refilledAtMs = nowMs();
  let cancelTimer: (() => void) | undefined;
  let timerAtMs = Infinity;
  /** No counters are due before; saves walking thousands that wait at each change. */
  let scanAtMs = 0;
  let stopping: { readonly resolve: () => void } | undefined;

  function refill(): void {
    const now = nowMs();
    tokens = Math.min(perSecond, tokens + ((now - refilledAtMs) / 1000) * perSecond);
    refilledAtMs = now;
  }

  function wakeIn(ms: number): void {
    const at = nowMs() + ms;
    if (at >= timerAtMs) return;
    cancelTimer?.();
    timerAtMs = at;
    cancelTimer = options.after(ms, () => {
      timerAtMs = Infinity;
      cancelTimer = undefined;
      pump();
    });
  }

  function takeUrgent(): string | undefined {
    let soonest = Infinity;
    for (const key of urgent) {
      const entry = entries.get(key);
      if (entry === undefined || entry.isWriting) continue;
      if (entry.notBeforeMs <= nowMs()) return key;
      soonest = Math.min(soonest, entry.notBeforeMs);
    }
    if (soonest < Infinity) wakeIn(soonest - nowMs());
    return undefined;
  }

  /** The set is in the order of first change, and an object's turn comes no sooner than its interval allows. */
  function takeCounters(): string | undefined {
    if (counters.size === 0) return undefined;
    if (nowMs() < scanAtMs && stopping === undefined) {
      wakeIn(scanAtMs - nowMs());
      return undefined;
    }
    refill();
    if (tokens < 1 && stopping === undefined) {
      wakeIn(((1 - tokens) / perSecond) * 1000);
      return undefined;
    }
    let soonest = Infinity;
    for (const key of counters) {
      const entry = entries.get(key);
      if (entry === undefined || entry.isWriting) continue;
      // at the end nobody waits for an interval any more, but what failed is not tried again without a pause
      const dueAt = stopping === undefined ? dueAtOf(entry) : entry.notBeforeMs;
      if (dueAt <= nowMs()) {
        tokens -= 1;
        return key;
      }
      soonest = Math.min(soonest, dueAt);
    }
    scanAtMs = soonest;
    if (soonest < Infinity) wakeIn(Math.max(1, soonest - nowMs()));
    return undefined;
  }

  const dueAtOf = (entry: Entry): number => Math.max(entry.notBeforeMs, entry.writtenAtMs + entry.change.minIntervalMs);

  function pump(): void {
    while (inFlight < inFlightMax) {
      const key = takeUrgent() ?? takeCounters();
      if (key === undefined) break;
      begin(key);
    }
    if (stopping !== undefined && inFlight === 0 && urgent.size === 0 && counters.size === 0) stopping.resolve();
  }

  function begin(key: string): void {
    const entry = entries.get(key);
    const wasUrgent = urgent.delete(key);
    counters.delete(key);
    const status = entry?.change.make();
    if (entry === undefined || status === undefined) return;
    const text = JSON.stringify(status);
    const { urgentKey } = entry.change;
    if (text === entry.writtenText) {
      entry.writtenUrgentKey = urgentKey;
      return;
    }
    entry.isWriting = true;
    entry.isAgain = false;
    inFlight += 1;
    void carryOut(key, entry, status, { text, urgentKey, urgency: wasUrgent ? 'urgent' : 'counters' });
  }

  async function carryOut(
    key: string,
    entry: Entry,
    status: object,
    now: { readonly text: string; readonly urgentKey: string; readonly urgency: 'urgent' | 'counters' },
  ): Promise<void> {
    try {
      const result = await options.write(key, status);
      entry.failures = 0;
      entry.notBeforeMs = 0;
      if (result === 'gone') {
        if (entries.get(key) === entry) forget(key);
      } else {
        entry.writtenText = now.text;
        entry.writtenUrgentKey = now.urgentKey;
        entry.writtenAtMs = nowMs();
        options.onWritten(key, now.urgency);
      }
    } catch (error) {
      entry.failures += 1;
      const pause = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(entry.failures - 1, 10));
      entry.notBeforeMs = nowMs() + pause * (0.5 + options.random() / 2);
      entry.isAgain = true;
      options.onError(key, error);
    } finally {
      inFlight -= 1;
      entry.isWriting = false;
      if (entry.isAgain && entries.get(key) === entry) enqueue(key, entry);
      pump();
    }
  }

  function enqueue(key: string, entry: Entry): void {
    if (entry.change.urgentKey !== entry.writtenUrgentKey) {
      counters.delete(key);
      urgent.add(key);
    } else if (!urgent.has(key)) {
      counters.add(key);
      scanAtMs = Math.min(scanAtMs, dueAtOf(entry));
    }
  }

  function forget(key: string): void {
    entries.delete(key);
    seeds.delete(key);
    urgent.delete(key);
    counters.delete(key);
  }

  const seeds = new Map<string, string>();

  function entryOf(key: string, change: StatusChange): Entry {
    const known = entries.get(key);
    if (known !== undefined) return known;
    const fresh: Entry = {
      change,
      isWriting: false,
      isAgain: false,
      writtenUrgentKey: seeds.get(key),
      writtenText: undefined,
      // an earlier process may have written it just now
      writtenAtMs: seeds.delete(key) ? nowMs() : -Infinity,
      failures: 0,
      notBeforeMs: 0,
    };
    entries.set(key, fresh);
    return fresh;
  }

  return {
    seed: (key, urgentKey) => void seeds.set(key, urgentKey),
    changed(key, change) {
      const entry = entryOf(key, change);
      entry.change = change;
      if (entry.isWriting) entry.isAgain = true;
      else enqueue(key, entry);
      pump();
    },
    overwritten(key) {
      const entry = entries.get(key);
      if (entry === undefined) return;
      entry.writtenText = undefined;
      entry.writtenUrgentKey = undefined;
      if (entry.isWriting) entry.isAgain = true;
      else enqueue(key, entry);
      pump();
    },
    forget,
    get waiting() {
      return urgent.size + counters.size + inFlight;
    },
    async stop(graceMs) {
      const { promise, resolve } = Promise.withResolvers<void>();
      stopping = { resolve };
      const cancel = options.after(graceMs, resolve);
      if (graceMs <= 0) {
        urgent.clear();
        counters.clear();
      }
      pump();
      await promise;
      cancel();
      cancelTimer?.();
      urgent.clear();
      counters.clear();
      entries.clear();
    },
  };
}
