// Leadership as the main thread has it (R24–R30, design.md section 6). The election runs in a thread of its own; what is valid is
// asked of memory that both share, in the moment of the write: `mayWrite` needs no message, no timer and no turn of the loop.
// A term that ends stops everything synchronously; when its work has ended the process is a candidate again, with warm caches.
//
// The lease alone is no mutual exclusion: what left the process before a deadline may arrive after it. For that
// runs and checkpoints carry an epoch, and other writes have a resourceVersion or say the same whoever sends them (R29).
import { Worker } from 'node:worker_threads';
import { NO_METRICS, type Metrics } from '../model/metrics.ts';
import type { LeaseTimes } from './leader-election.ts';
import { openLeaderMemory, processMs, type LeaderMemory } from './leader-memory.ts';
import type { FromElection, LeaderWorkerData, ToElection } from './leader-messages.ts';
import { startLoopBeat } from './loop-beat.ts';

export interface LeaderTerm {
  /** 1 for the first term of this process. */
  readonly number: number;
  /** `spec.leaseTransitions` of the lease as this term wrote it: no other term has the same. */
  readonly transitions: number;
  /** Aborted, synchronously, when the term ends. */
  readonly signal: AbortSignal;
  /** As `Leader.mayWrite`, for this term alone. */
  mayWrite(): boolean;
}

export interface LeaderOptions extends Partial<LeaseTimes> {
  /** Of the lease. */
  readonly namespace: string;
  /** `sluice-operator`. */
  readonly name: string;
  /** Of this process alone; a pod's name is not enough, since its container may start again. */
  readonly identity: string;
  /** How the election's thread finds the API server; as the main client's. */
  readonly access?: LeaderWorkerData['access'];
  readonly userAgent: string;
  /** The loop may stand still for that long; then the term ends (R28). Default 5000. */
  readonly loopLagMaxMs?: number;
  /** The work of a term may take that long to end. Default 5000. */
  readonly endingMaxMs?: number;
  readonly metrics?: Metrics;
  readonly onAcquired: (term: LeaderTerm) => void;
  /**
   * The term has ended; `mayWrite` is false and its signal aborted already. Resolves when nothing of it runs any more: the process
   * is no candidate before that.
   */
  readonly onLost: (reason: string) => Promise<void> | void;
  /** `onLost` took too long or threw: it cannot be said that nothing of an old term runs. The process has to end. */
  readonly onStuck: (reason: string) => void;
  /** Something to be logged: a failed attempt, a new holder. */
  readonly onNote?: (note: LeaderNote) => void;
}

export type LeaderNote =
  { readonly kind: 'observed'; readonly holder: string } | { readonly kind: 'failed'; readonly message: string };

export interface Leader {
  /**
   * Whether this process leads now. To be asked before every write, with no await between. Where it finds that the term is over it
   * ends it, callbacks included, before it answers.
   */
  mayWrite(): boolean;
  /** The current term; undefined for a candidate. */
  readonly term: LeaderTerm | undefined;
  /** Identity of who holds the lease, as last seen; empty: nobody. */
  readonly holder: string;
  /** The election's thread lives and has had an answer of the API server: readiness of leaders and followers alike (R31). */
  readonly isTakingPart: boolean;
  /** Ends the term (`onLost` is awaited), then releases the lease. Idempotent. */
  stop(): Promise<void>;
}

/** R24: windows wait for a successor, so failover is quick. */
const TIMES: LeaseTimes = { leaseDurationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 2000 };
const RESTART_MS = 1000;

/** Beside each other under `node` (sources) and after `tsc` (JavaScript). */
const WORKER = new URL(import.meta.url.endsWith('.ts') ? './leader-worker.ts' : './leader-worker.js', import.meta.url);

interface Thread {
  readonly worker: Worker;
  readonly memory: LeaderMemory;
  readonly stopped: Promise<void>;
  tell(message: ToElection): void;
}

/**
 * Takes part in the election at once.
 * @throws RangeError where the times make no lease
 */
export function startLeader(options: LeaderOptions): Leader {
  const times = timesOf(options);
  const loopLagMaxMs = options.loopLagMaxMs ?? 5000;
  const endingMaxMs = options.endingMaxMs ?? 5000;
  const metrics = options.metrics ?? NO_METRICS;
  const status = metrics.gauge('leader_election_master_status');
  const transitions = metrics.counter('sluice_leader_transitions_total');
  const labels = { name: options.name };

  let current: (LeaderTerm & { readonly end: AbortController }) | undefined;
  let termNumber = 0;
  let ending: Promise<void> = Promise.resolve();
  let deadline: NodeJS.Timeout | undefined;
  let restart: NodeJS.Timeout | undefined;
  let holder = '';
  let isTakingPart = false;
  let isStopped = false;

  status.set(0, labels);
  const beat = startLoopBeat(metrics, (nowMs) => {
    // a stall that the other thread has not seen yet ends the term before the pulse is good again
    mayWriteNow();
    thread.memory.beat(nowMs);
  });
  let thread = startThread();

  function startThread(): Thread {
    const memory = openLeaderMemory();
    memory.beat(processMs());
    const workerData: LeaderWorkerData = {
      ...times,
      buffer: memory.buffer,
      access: options.access ?? {},
      userAgent: options.userAgent,
      namespace: options.namespace,
      name: options.name,
      identity: options.identity,
      firstTerm: termNumber + 1,
      loopLagMaxMs,
    };
    const worker = new Worker(WORKER, { workerData, name: 'leader' });
    const { promise: stopped, resolve } = Promise.withResolvers<void>();
    const started: Thread = {
      worker,
      memory,
      stopped,
      tell: (message) => worker.postMessage(message, []),
    };
    worker.on('message', (message: FromElection) => {
      if (thread === started) onMessage(message);
    });
    worker.on('error', (error: Error) =>
      options.onNote?.({ kind: 'failed', message: `the election: ${error.message}` }),
    );
    worker.on('exit', () => {
      resolve();
      if (thread === started) onThreadEnd();
    });
    return started;
  }

  function onThreadEnd(): void {
    isTakingPart = false;
    if (isStopped) return;
    lose("the election's thread has ended");
    // not before the old term's work has ended: the new thread is a candidate at once
    void ending.then(() => {
      if (!isStopped) restart = setTimeout(() => (thread = startThread()), RESTART_MS);
      return undefined;
    });
  }

  function onMessage(message: FromElection): void {
    switch (message.kind) {
      case 'acquired':
        begin(message.term, message.transitions);
        break;
      case 'lost':
        if (current?.number === message.term) lose(message.reason);
        break;
      case 'observed':
        isTakingPart = true;
        holder = message.holder;
        options.onNote?.(message);
        break;
      case 'failed':
        options.onNote?.(message);
        break;
      case 'stopped':
        break;
      default:
        message satisfies never;
    }
  }

  const isValid = (term: number): boolean => {
    const nowMs = processMs();
    return thread.memory.isValid(term, nowMs) && nowMs - beat.lastMs <= loopLagMaxMs;
  };

  function begin(number: number, leaseTransitions: number): void {
    termNumber = number;
    if (isStopped || !isValid(number)) {
      // over before it was heard of
      thread.tell({ kind: 'step-down', term: number, reason: 'the main thread was not there' });
      thread.tell({ kind: 'rejoin', term: number });
      return;
    }
    const end = new AbortController();
    const mayWrite = (): boolean => current?.number === number && mayWriteNow();
    current = { number, transitions: leaseTransitions, signal: end.signal, end, mayWrite };
    status.set(1, labels);
    transitions.add(1, labels);
    watchDeadline();
    options.onAcquired(current);
  }

  /** For a process in which nobody asks: the term's signal is aborted at the deadline too. */
  function watchDeadline(): void {
    clearTimeout(deadline);
    const leftMs = thread.memory.deadlineMs - processMs();
    deadline = setTimeout(() => mayWriteNow() && watchDeadline(), Math.max(1, Math.ceil(leftMs)));
  }

  function mayWriteNow(): boolean {
    if (current === undefined) return false;
    if (isValid(current.number)) return true;
    const lagMs = processMs() - beat.lastMs;
    lose(
      lagMs > loopLagMaxMs
        ? `the event loop has stood still for ${(lagMs / 1000).toFixed(1)} s`
        : 'the renew deadline has passed',
    );
    return false;
  }

  function lose(reason: string): void {
    if (current === undefined) return;
    const { number, end } = current;
    current = undefined;
    thread.memory.revoke();
    clearTimeout(deadline);
    status.set(0, labels);
    transitions.add(1, labels);
    end.abort(new Error(`not the leader any more: ${reason}`));
    const told = thread;
    told.tell({ kind: 'step-down', term: number, reason });
    ending = endWork(reason).then(() => told.tell({ kind: 'rejoin', term: number }));
  }

  /** Never resolves where the work of a term does not end: then the process must not lead again. */
  function endWork(reason: string): Promise<void> {
    return new Promise((resolve) => {
      const stuck = setTimeout(
        () => options.onStuck(`the work of a term did not end within ${endingMaxMs / 1000} s (${reason})`),
        endingMaxMs,
      );
      const work = async (): Promise<void> => options.onLost(reason);
      work().then(
        () => {
          clearTimeout(stuck);
          resolve();
          return undefined;
        },
        (error: unknown) => {
          clearTimeout(stuck);
          options.onStuck(`ending the work of a term: ${error instanceof Error ? error.message : String(error)}`);
        },
      );
    });
  }

  let stopping: Promise<void> | undefined;
  async function stop(): Promise<void> {
    isStopped = true;
    clearTimeout(restart);
    lose('stopping');
    // the successor begins when the lease is released: nothing of this term may run then
    await ending;
    thread.tell({ kind: 'stop' });
    const { worker } = thread;
    const limit = setTimeout(() => void worker.terminate(), times.renewDeadlineMs);
    await thread.stopped;
    clearTimeout(limit);
    beat.stop();
  }

  return {
    mayWrite: mayWriteNow,
    get term() {
      return current;
    },
    get holder() {
      return holder;
    },
    get isTakingPart() {
      return isTakingPart;
    },
    stop: () => (stopping ??= stop()),
  };
}

function timesOf(options: Partial<LeaseTimes>): LeaseTimes {
  const { leaseDurationMs, renewDeadlineMs, retryPeriodMs } = { ...TIMES, ...options };
  const isWhole = leaseDurationMs >= 1000 && leaseDurationMs % 1000 === 0;
  if (!isWhole || !(leaseDurationMs > renewDeadlineMs && renewDeadlineMs > 2 * retryPeriodMs && retryPeriodMs > 0))
    throw new RangeError(
      `a lease needs whole seconds of duration, longer than the renew deadline, and that longer than two retry periods, not ${leaseDurationMs}, ${renewDeadlineMs}, ${retryPeriodMs} ms`,
    );
  return { leaseDurationMs, renewDeadlineMs, retryPeriodMs };
}
