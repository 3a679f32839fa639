// The reconcile loop (R14, R16–R18, R20): changes become keys, keys wait in the queue, a bounded number of them is reconciled at a
// time. One lives as long as a leader's term (R30): the next term's begins with every key that its stores have.
import { SpanStatusCode, trace } from '@opentelemetry/api';
import { NO_METRICS, type Metrics } from '../model/metrics.ts';
import { createWorkQueue, type FailureKind, type Priority } from './queue.ts';
import type { Source } from './sources.ts';
import { SYSTEM_CLOCK, type Clock } from './timers.ts';
import { ApiError, isConflict } from './types.ts';

/** How a reconcile ended. Nothing returned is `done`. To throw is a failure: the key comes back after its back-off. */
export type ReconcileResult =
  | { readonly status: 'done' }
  /** Comes back in `afterMs`, as a timer's work (`background`). */
  | { readonly status: 'requeue'; readonly afterMs: number };

/** A failure of a system outside of the cluster's API: it is asked again less often. */
export class ExternalError extends Error {
  override readonly name = 'ExternalError';
  /** How long it asked us to wait, where it did. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, options: ErrorOptions & { readonly retryAfterMs?: number } = {}) {
    super(message, options);
    this.retryAfterMs = options.retryAfterMs;
  }
}

export interface ReconcileFailure {
  readonly controller: string;
  readonly key: string;
  readonly error: unknown;
  /** Failures of the key in a row, this one included. */
  readonly failures: number;
  readonly retryInMs: number;
}

export interface ControllerOptions {
  /** Label of the metrics. */
  readonly name: string;
  /**
   * Reads what is in the stores now and makes it so, whatever the change was. The signal is aborted after `timeoutMs` and
   * when the controller stops; each call that is made takes it. Never called twice at a time for a key.
   */
  readonly reconcile: (key: string, signal: AbortSignal) => Promise<ReconcileResult | void>;
  readonly sources: readonly Source[];
  /** What `reconcile` reads besides: nothing is reconciled before it has synced either (R11). */
  readonly reads?: readonly { readonly synced: Promise<void> }[];
  /** Keys reconciled at a time. Default 1. */
  readonly concurrency?: number;
  /** Default 30 000. */
  readonly timeoutMs?: number;
  /** What is looked at again every 10 h, ± 10 %, in case we missed something by a fault of our own. Default: all of `sources`. */
  readonly resync?: () => Iterable<string>;
  readonly clock?: Clock;
  readonly random?: () => number;
  readonly metrics?: Metrics;
  /** A key failed and comes back. Conflicts (409) and what the end aborted are no failures and not told. */
  readonly onFailure?: (failure: ReconcileFailure) => void;
}

export interface Controller {
  /** All sources and all that `reconcile` reads have synced. */
  readonly synced: Promise<void>;
  /** For changes that come from no store. */
  enqueue(key: string, priority?: Priority): void;
  enqueueAfter(key: string, afterMs: number, priority?: Priority): void;
  /** Keys that wait, keys that are being reconciled. */
  readonly depth: number;
  readonly active: number;
  /**
   * From this call on nothing is dispatched and no source is listened to. Lets what runs finish for `graceMs`, then aborts it;
   * at once where that is 0. Resolves when nothing runs any more.
   */
  stop(graceMs: number): Promise<void>;
}

const TIMEOUT_MS = 30_000;
const RESYNC_MS = 10 * 3_600_000;

/** Why a reconcile's signal was aborted: the key is not to blame. */
class Interrupted extends Error {
  override readonly name = 'AbortError';
}

export function startController(options: ControllerOptions): Controller {
  const { name, reconcile, sources, clock = SYSTEM_CLOCK, random = Math.random, metrics = NO_METRICS } = options;
  const { concurrency = 1, timeoutMs = TIMEOUT_MS, resync = keysOfSources } = options;
  const results = metrics.counter('controller_runtime_reconcile_total');
  const errors = metrics.counter('controller_runtime_reconcile_errors_total');
  const durations = metrics.histogram('controller_runtime_reconcile_time_seconds');
  const workers = metrics.gauge('controller_runtime_active_workers');
  const labels = { controller: name };

  const running = new Map<string, AbortController>();
  let hasSynced = false;
  let isStopped = false;
  let isPumping = false;
  let cancelResync: (() => void) | undefined;

  const queue = createWorkQueue({ name, clock, random, metrics, onReady: pump });
  workers.set(0, labels);
  const synced = waitForStores();
  const unsubscribes = sources.map((source) => source.onKey((key, priority) => queue.add(key, priority)));
  scheduleResync();

  async function waitForStores(): Promise<void> {
    await Promise.all([...sources, ...(options.reads ?? [])].map((store) => store.synced));
    if (isStopped) return;
    hasSynced = true;
    // stores that had their objects before we listened
    enqueueAll(keysOfSources());
    pump();
  }

  /** In a turn of its own, so that ten thousand quick reconciles leave room for everything else between them. */
  function pump(): void {
    if (isPumping) return;
    isPumping = true;
    setImmediate(() => {
      isPumping = false;
      while (mayStart()) {
        const key = queue.take();
        if (key === undefined) break;
        void run(key);
      }
    });
  }

  /** Asked before each key: what a reconcile does before its first await may stop the controller. */
  function mayStart(): boolean {
    return hasSynced && !isStopped && running.size < concurrency;
  }

  async function run(key: string): Promise<void> {
    const abort = new AbortController();
    running.set(key, abort);
    workers.set(running.size, labels);
    const startedAt = clock.now();
    const cancelTimeout = clock.after(timeoutMs, () =>
      abort.abort(new Error(`reconciling ${key} took longer than ${timeoutMs / 1000} s`)),
    );
    const priority = queue.priorityOf(key);
    const span = trace.getTracer('sluice.operator').startSpan('reconcile', { attributes: { controller: name, key } });
    let result = 'success';
    try {
      result = settle(key, await reconcile(key, abort.signal));
    } catch (error) {
      result = fail(key, error, abort.signal, priority);
    } finally {
      cancelTimeout();
      span.setAttribute('result', result);
      if (result === 'error') span.setStatus({ code: SpanStatusCode.ERROR });
      span.end();
      results.add(1, { controller: name, result });
      durations.record((clock.now() - startedAt) / 1000, labels);
      running.delete(key);
      workers.set(running.size, labels);
      queue.done(key);
      pump();
    }
  }

  function settle(key: string, result: ReconcileResult | void): string {
    queue.forget(key);
    if (result?.status !== 'requeue') return 'success';
    queue.addAfter(key, result.afterMs);
    return 'requeue_after';
  }

  /** The result's name for the metric. */
  function fail(key: string, error: unknown, signal: AbortSignal, priority: Priority | undefined): string {
    if (signal.reason instanceof Interrupted) return 'requeue';
    const kind: FailureKind = error instanceof ExternalError ? 'external' : 'internal';
    const asked = error instanceof ExternalError || error instanceof ApiError ? error.retryAfterMs : undefined;
    const retryInMs = queue.addFailed(key, kind, {
      ...(asked === undefined ? {} : { atLeastMs: asked }),
      ...(priority === undefined ? {} : { priority }),
    });
    // somebody else was faster; the store catches up and the next try sees it (C30)
    if (isConflict(error)) return 'requeue';
    errors.add(1, labels);
    options.onFailure?.({ controller: name, key, error, failures: queue.failures(key), retryInMs });
    return 'error';
  }

  function* keysOfSources(): Iterable<string> {
    for (const source of sources) yield* source.keys();
  }

  function enqueueAll(keys: Iterable<string>): void {
    for (const key of keys) queue.add(key, 'background');
  }

  function scheduleResync(): void {
    cancelResync = clock.after(RESYNC_MS * (0.9 + 0.2 * random()), () => {
      enqueueAll(resync());
      scheduleResync();
    });
  }

  function interrupt(reason: string): void {
    for (const abort of running.values()) abort.abort(new Interrupted(reason));
  }

  return {
    synced,
    enqueue: (key, priority) => queue.add(key, priority),
    enqueueAfter: (key, afterMs, priority) => queue.addAfter(key, afterMs, priority),
    get depth() {
      return queue.depth;
    },
    get active() {
      return running.size;
    },
    async stop(graceMs) {
      isStopped = true;
      cancelResync?.();
      for (const unsubscribe of unsubscribes) unsubscribe();
      const cancelGrace = graceMs > 0 ? clock.after(graceMs, () => interrupt('stopping')) : undefined;
      if (cancelGrace === undefined) interrupt('stopping');
      await queue.drain();
      cancelGrace?.();
    },
  };
}
