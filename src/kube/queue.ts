// The keys that wait to be reconciled (R15, R16). Everything in it is synchronous, timers aside: there is no promise per
// waiting worker; `onReady` says that `take` would have something, and who has a free slot takes it. So ten thousand keys
// are two sets and a heap, and a model can follow every step.
import type { Metrics } from '../model/metrics.ts';
import { NO_METRICS } from '../model/metrics.ts';
import { createDelays } from './delays.ts';
import { createFifo, type Fifo } from './fifo.ts';
import { createQueueMetrics } from './queue-metrics.ts';
import type { Clock } from './timers.ts';

/** `user`: somebody changed something and waits. `background`: initial lists, resyncs, timers. The first go first. */
export type Priority = 'user' | 'background';

/** Whose fault a failure was: ours (and the API server's), or that of a system outside, which needs longer to get well. */
export type FailureKind = 'internal' | 'external';

/** First delay, doubled with every further failure of the key, and the longest. Milliseconds. */
const BACKOFF: Readonly<Record<FailureKind, { readonly firstMs: number; readonly maxMs: number }>> = {
  internal: { firstMs: 5, maxMs: 1_000_000 },
  external: { firstMs: 1000, maxMs: 300_000 },
};

/** So much of a back-off is random, downwards: what failed together is not tried again together. */
const JITTER = 0.1;

export interface WorkQueue {
  /** One pending entry per key: a key that waits already keeps its place unless `priority` is better. */
  add(key: string, priority?: Priority): void;
  /** As `add`, in `delayMs` (any size, ≤ 0 is now). Of several delays of a key the earliest counts. */
  addAfter(key: string, delayMs: number, priority?: Priority): void;
  /**
   * Counts a failure of the key and adds it after its back-off, or after `atLeastMs` (Retry-After) where that is
   * longer. Returns the delay in milliseconds.
   */
  addFailed(key: string, kind: FailureKind, options?: FailedOptions): number;
  /** The key's failures are over: the next one starts with the shortest delay. */
  forget(key: string): void;
  /** How often the key has failed since it was last forgotten. */
  failures(key: string): number;
  /** The next key; it is in process, and not handed out again, until `done`. Undefined where none waits. */
  take(): string | undefined;
  /** Ends the processing of a key; released again at once if it was added meanwhile. */
  done(key: string): void;
  /** With which priority a key that is in process was handed out. */
  priorityOf(key: string): Priority | undefined;
  /** Keys that wait and could be taken now. */
  readonly depth: number;
  readonly processing: number;
  /** Forgets what waits; later adds are ignored, `take` yields nothing. Idempotent. */
  shutDown(): void;
  /** Shuts down; resolves when no key is in process any more. */
  drain(): Promise<void>;
}

export interface FailedOptions {
  readonly atLeastMs?: number;
  readonly priority?: Priority;
}

export interface WorkQueueOptions {
  /** Label `name` of the metrics. */
  readonly name: string;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  /** Called, synchronously, whenever a key has become available. Must not throw. */
  readonly onReady: () => void;
  readonly metrics?: Metrics;
}

interface InProcess {
  readonly priority: Priority;
  readonly since: number;
  /** Added meanwhile. */
  held: { priority: Priority; readonly since: number } | undefined;
}

const better = (one: Priority, other: Priority): Priority => (one === 'user' ? one : other);

export function createWorkQueue(options: WorkQueueOptions): WorkQueue {
  const { clock, onReady, random } = options;
  const ready: Readonly<Record<Priority, Fifo>> = { user: createFifo(), background: createFifo() };
  /** When a waiting key became available. */
  const waitingSince = new Map<string, number>();
  const inProcess = new Map<string, InProcess>();
  const failed = new Map<string, Record<FailureKind, number>>();
  const delays = createDelays<Priority>(clock, release);
  const metrics = createQueueMetrics(options.metrics ?? NO_METRICS, options.name, clock, oldestStart);
  const drained: (() => void)[] = [];
  let isShutDown = false;

  /** Insertion order is the order of starting. */
  function oldestStart(): number | undefined {
    for (const { since } of inProcess.values()) return since;
    return undefined;
  }

  function push(key: string, priority: Priority, since: number): void {
    ready[priority].add(key);
    waitingSince.set(key, since);
    metrics.depth(waitingSince.size);
    onReady();
  }

  function add(key: string, priority: Priority): void {
    if (isShutDown) return;
    const current = inProcess.get(key);
    if (current !== undefined) {
      if (current.held === undefined) {
        metrics.added();
        current.held = { priority, since: clock.now() };
      } else current.held.priority = better(current.held.priority, priority);
      return;
    }
    if (!waitingSince.has(key)) {
      metrics.added();
      push(key, priority, clock.now());
    } else if (priority === 'user' && ready.background.delete(key)) ready.user.add(key);
  }

  function release(key: string, priority: Priority): void {
    add(key, priority);
  }

  function addAfter(key: string, delayMs: number, priority: Priority): void {
    if (isShutDown) return;
    if (delayMs > 0) delays.set(key, clock.now() + delayMs, priority);
    else add(key, priority);
  }

  function countFailure(key: string, kind: FailureKind): number {
    const counts = failed.get(key) ?? { internal: 0, external: 0 };
    failed.set(key, counts);
    return counts[kind]++;
  }

  return {
    add: (key, priority = 'user') => add(key, priority),
    addAfter: (key, delayMs, priority = 'background') => addAfter(key, delayMs, priority),
    addFailed(key, kind, { atLeastMs = 0, priority = 'background' } = {}) {
      const { firstMs, maxMs } = BACKOFF[kind];
      // the exponent is bounded before the power is: 2 ** 2000 is no delay
      const backoffMs = Math.min(maxMs, firstMs * 2 ** Math.min(countFailure(key, kind), 32));
      const delayMs = Math.max(atLeastMs, backoffMs * (1 - JITTER * random()));
      metrics.retried();
      addAfter(key, delayMs, priority);
      return delayMs;
    },
    forget(key) {
      failed.delete(key);
    },
    failures(key) {
      const counts = failed.get(key);
      return counts === undefined ? 0 : counts.internal + counts.external;
    },
    take() {
      const priority: Priority = ready.user.size > 0 ? 'user' : 'background';
      const key = ready[priority].take();
      if (key === undefined) return undefined;
      const now = clock.now();
      metrics.taken(now - (waitingSince.get(key) ?? now));
      waitingSince.delete(key);
      inProcess.set(key, { priority, since: now, held: undefined });
      metrics.depth(waitingSince.size);
      return key;
    },
    done(key) {
      const current = inProcess.get(key);
      if (current === undefined) return;
      inProcess.delete(key);
      metrics.worked(clock.now() - current.since);
      if (current.held !== undefined && !isShutDown) push(key, current.held.priority, current.held.since);
      if (isShutDown && inProcess.size === 0) drained.splice(0).forEach((resolve) => resolve());
    },
    priorityOf: (key) => inProcess.get(key)?.priority,
    get depth() {
      return waitingSince.size;
    },
    get processing() {
      return inProcess.size;
    },
    shutDown,
    async drain() {
      shutDown();
      if (inProcess.size > 0) await new Promise<void>((resolve) => drained.push(resolve));
      metrics.stop();
    },
  };

  function shutDown(): void {
    if (isShutDown) return;
    isShutDown = true;
    delays.clear();
    ready.user.clear();
    ready.background.clear();
    waitingSince.clear();
    failed.clear();
    metrics.depth(0);
    if (inProcess.size === 0) metrics.stop();
  }
}
