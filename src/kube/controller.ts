// The reconcile loop (R14, R16–R18, R20): changes become keys, keys wait in the queue, a bounded number of them is reconciled at a
// time. It can pause: without the leader's lease nothing is dispatched, but keys go on being collected (R30).
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
  | { readonly status: 'requeue'; readonly afterMs: number }
  /** Nothing will change without a change: no retry. Whoever returns it has said so in the object's conditions. */
  | { readonly status: 'terminal'; readonly message: string };

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
   * Reads what is in the stores now and makes it so, whatever the change was. The signal is aborted after `timeoutMs`, when
   * the controller is paused and when it stops; each call that is made takes it. Never called twice at a time for a key.
   */
  readonly reconcile: (key: string, signal: AbortSignal) => Promise<ReconcileResult | void>;
  readonly sources: readonly Source[];
  /** What `reconcile` reads besides: nothing is reconciled before it has synced either (R11). */
  readonly reads?: readonly { readonly synced: Promise<void> }[];
  /** Keys reconciled at a time. Default 1. */
  readonly concurrency?: number;
  /** Default 30 000. */
  readonly timeoutMs?: number;
  /** All keys again, ± 10 %, in case we missed something by a fault of our own. Default 10 h; 0: never. */
  readonly resyncMs?: number;
  /** Starts without dispatching, until `resume`. */
  readonly paused?: boolean;
  readonly clock?: Clock;
  readonly random?: () => number;
  readonly metrics?: Metrics;
  /** A key failed and comes back. Conflicts (409) and what a pause aborted are no failures and not told. */
  readonly onFailure?: (failure: ReconcileFailure) => void;
}

export interface Controller {
  /** All sources and all that `reconcile` reads have synced. */
  readonly synced: Promise<void>;
  /** For changes that come from no store. */
  enqueue(key: string, priority?: Priority): void;
  enqueueAfter(key: string, afterMs: number, priority?: Priority): void;
  /**
   * From this call on nothing is dispatched, and what runs is aborted. Resolves when nothing runs any more. Idempotent.
   * Keys that were aborted are reconciled again after `resume`.
   */
  pause(reason: string): Promise<void>;
  /** All keys are reconciled (a new leader takes nothing for granted), waiting user changes first. */
  resume(): void;
  /** Keys that wait, keys that are being reconciled. */
  readonly depth: number;
  readonly active: number;
  /** Lets what runs finish for `graceMs`, then aborts it. Resolves when nothing runs any more. */
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
  const { concurrency = 1, timeoutMs = TIMEOUT_MS, resyncMs = RESYNC_MS } = options;
  const results = metrics.counter('controller_runtime_reconcile_total');
  const errors = metrics.counter('controller_runtime_reconcile_errors_total');
  const durations = metrics.histogram('controller_runtime_reconcile_time_seconds');
  const workers = metrics.gauge('controller_runtime_active_workers');
  const labels = { controller: name };

  const running = new Map<string, AbortController>();
  const idle: (() => void)[] = [];
  let hasSynced = false;
  let isPaused = options.paused === true;
  let isStopped = false;
  let isPumping = false;
  let cancelResync: (() => void) | undefined;

  const queue = createWorkQueue({ name, clock, random, metrics, onReady: pump });
  workers.set(0, labels);
  const synced = waitForStores();
  for (const source of sources) source.onKey((key, priority) => queue.add(key, priority));
  scheduleResync();

  async function waitForStores(): Promise<void> {
    await Promise.all([...sources, ...(options.reads ?? [])].map((store) => store.synced));
    hasSynced = true;
    // stores that had their objects before we listened
    enqueueAll();
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

  /** Asked before each key: what a reconcile does before its first await may pause the controller. */
  function mayStart(): boolean {
    return hasSynced && !isPaused && !isStopped && running.size < concurrency;
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
      if (running.size === 0) idle.splice(0).forEach((resolve) => resolve());
      pump();
    }
  }

  function settle(key: string, result: ReconcileResult | void): string {
    queue.forget(key);
    if (result?.status === 'terminal') return 'terminal';
    if (result?.status !== 'requeue') return 'success';
    queue.addAfter(key, result.afterMs);
    return 'requeue_after';
  }

  /** The result's name for the metric. */
  function fail(key: string, error: unknown, signal: AbortSignal, priority: Priority | undefined): string {
    if (signal.reason instanceof Interrupted) {
      if (priority === undefined) queue.add(key);
      else queue.add(key, priority);
      return 'requeue';
    }
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

  function enqueueAll(): void {
    for (const source of sources) for (const key of source.keys()) queue.add(key, 'background');
  }

  function scheduleResync(): void {
    if (resyncMs <= 0) return;
    cancelResync = clock.after(resyncMs * (0.9 + 0.2 * random()), () => {
      enqueueAll();
      scheduleResync();
    });
  }

  function interrupt(reason: string): void {
    for (const abort of running.values()) abort.abort(new Interrupted(reason));
  }

  const whenIdle = async (): Promise<void> => {
    if (running.size > 0) await new Promise<void>((resolve) => idle.push(resolve));
  };

  return {
    synced,
    enqueue: (key, priority) => queue.add(key, priority),
    enqueueAfter: (key, afterMs, priority) => queue.addAfter(key, afterMs, priority),
    async pause(reason) {
      isPaused = true;
      interrupt(reason);
      await whenIdle();
    },
    resume() {
      if (!isPaused) return;
      isPaused = false;
      queue.forgetAll();
      enqueueAll();
      pump();
    },
    get depth() {
      return queue.depth;
    },
    get active() {
      return running.size;
    },
    async stop(graceMs) {
      isStopped = true;
      cancelResync?.();
      const cancelGrace = graceMs > 0 ? clock.after(graceMs, () => interrupt('stopping')) : undefined;
      if (cancelGrace === undefined) interrupt('stopping');
      await queue.drain();
      cancelGrace?.();
    },
  };
}
