// A runtime pod in memory, for many long histories: a disk with a ledger that refuses what overlaps and what is of an older
// epoch, runs that take time and can be killed at each step, deliveries that are handed out once, and a network that can be
// cut for one leader and not for another. What the real one promises is checked on the real one in contract.test.ts.
import { NO_LOSS } from '../../../src/model/loss.ts';
import type { Delivery, RunOutcome } from '../../../src/model/outcome.ts';
import type { CommittedInterval, RunRequest, RunResult, SkipRequest } from '../../../src/model/run.ts';
import type { TimeNs } from '../../../src/model/time.ts';
import type { ConnectionListener, RuntimeClient } from '../../../src/controllers/dispatch/contract.ts';
import { createLanes } from '../../../src/runtime/lanes.ts';

export interface Stored {
  readonly uid: string;
  readonly start: TimeNs;
  readonly end: TimeNs;
  /** Of a skip. */
  readonly reason: string | undefined;
  delivered: boolean;
}

export interface Disk {
  readonly id: string;
  openings: number;
  epoch: number;
  readonly windows: Stored[];
  /** Not handed out yet. */
  readonly deliveries: Delivery[];
}

export interface Pod {
  readonly ordinal: number;
  readonly disk: Disk;
  /** The process; a restart makes another. */
  readonly life: AbortController;
  readonly connections: Set<Connection>;
  /** How long a run takes. */
  runMs: () => number;
  /** `dies before` and `dies after` the commit: asked at each run. */
  fault: () => 'none' | 'fails' | 'dies before' | 'dies after' | 'answer lost';
  reader: Connection | undefined;
  news: PromiseWithResolvers<void>;
  run(request: RunRequest, cancelled: AbortSignal): Promise<RunResult>;
  skip(request: SkipRequest): RunResult;
  /** The destination has it; the ledger knows. */
  deliver(window: Stored): void;
  supersede(epoch: number): void;
  committed(uid: string): CommittedInterval[];
}

export interface Connection {
  readonly cut: AbortController;
}

export const outcomeOf = (
  { uid, start, end }: Pick<RunRequest, 'uid' | 'start' | 'end'>,
  outcome: RunOutcome['outcome'],
  code?: string,
): RunOutcome => ({
  uid,
  start,
  end,
  outcome,
  rowsRead: 1,
  rowsTruncated: 0,
  metricPoints: 1,
  spans: 0,
  logs: 0,
  bytes: 10,
  durationMs: 1,
  nodes: { expected: 1, answered: 1, missing: [] },
  loss: NO_LOSS,
  ...(code === undefined ? {} : { reason: code, error: { stage: 'Query', code, message: code } }),
});

const failed = (request: Pick<RunRequest, 'uid' | 'start' | 'end'>, code: string): RunResult => ({
  status: 'failed',
  outcome: outcomeOf(request, 'Failed', code),
});

/** As a ledger tells them. */
function joined(windows: readonly CommittedInterval[]): CommittedInterval[] {
  const found: CommittedInterval[] = [];
  for (const one of windows) {
    const last = found.at(-1);
    if (last?.end === one.start && last.delivered === one.delivered)
      found[found.length - 1] = { ...last, end: one.end };
    else found.push(one);
  }
  return found;
}

const sleep = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
  });

export const newDisk = (id: string): Disk => ({ id, openings: 0, epoch: 0, windows: [], deliveries: [] });

/** Starts a process on a disk. `onSettled`: a destination got the window, or it was committed as skipped. */
export function startPod(ordinal: number, disk: Disk, onSettled: (window: Stored) => void): Pod {
  disk.openings += 1;
  const life = new AbortController();
  const lanes = createLanes();
  const active = new Set<{ readonly epoch: number; readonly cancel: AbortController }>();
  const alive = (): boolean => !life.signal.aborted;

  const committed = (uid: string): CommittedInterval[] =>
    disk.windows
      .filter((one) => one.uid === uid)
      .sort((a, b) => (a.start < b.start ? -1 : 1))
      .map(({ start, end, delivered }) => ({ start, end, delivered }));

  function supersede(epoch: number): void {
    disk.epoch = Math.max(disk.epoch, epoch);
    for (const one of active) if (one.epoch < disk.epoch) one.cancel.abort(new Error('superseded'));
  }

  type Part = Pick<RunRequest, 'uid' | 'start' | 'end' | 'epoch'>;

  function answeredBefore(request: Part): RunResult | undefined {
    const { uid, start, end } = request;
    const before = disk.windows.find((one) => one.uid === uid && one.start === start && one.end === end);
    if (before !== undefined) {
      return { status: 'committed', outcome: outcomeOf(request, 'Complete'), delivered: before.delivered };
    }
    if (!disk.windows.some((one) => one.uid === uid && one.start < end && one.end > start)) return undefined;
    return { status: 'overlap', committed: committed(uid) };
  }

  function commit(request: Part, reason: string | undefined): RunResult {
    const { uid, start, end } = request;
    if (request.epoch < disk.epoch) return failed(request, 'SUPERSEDED');
    const before = answeredBefore(request);
    if (before !== undefined) return before;
    const delivered = reason !== undefined;
    const window = { uid, start, end, reason, delivered };
    disk.windows.push(window);
    if (delivered) onSettled(window);
    return { status: 'committed', outcome: outcomeOf(request, delivered ? 'Skipped' : 'Complete', reason), delivered };
  }

  async function execute(request: RunRequest, cancelled: AbortSignal): Promise<RunResult> {
    const cancel = new AbortController();
    const one = { epoch: request.epoch, cancel };
    active.add(one);
    supersede(request.epoch);
    try {
      if (request.epoch < disk.epoch) return failed(request, 'SUPERSEDED');
      const before = answeredBefore(request);
      if (before !== undefined) return before;
      if (request.scriptHash === '') return { status: 'unknown', what: 'script' };
      const fault = pod.fault();
      await sleep(pod.runMs(), AbortSignal.any([cancelled, cancel.signal, life.signal]));
      if (!alive() || fault === 'dies before') {
        life.abort(new Error('killed'));
        throw new Error('the process is gone');
      }
      if (cancel.signal.aborted) return failed(request, 'SUPERSEDED');
      if (cancelled.aborted) return failed(request, 'CANCELLED');
      if (fault === 'fails') return failed(request, 'NODES_MISSING');
      const result = commit(request, undefined);
      if (fault === 'dies after') life.abort(new Error('killed'));
      if (fault === 'dies after' || fault === 'answer lost') throw new Error('the answer is lost');
      return result;
    } finally {
      active.delete(one);
    }
  }

  const pod: Pod = {
    ordinal,
    disk,
    life,
    connections: new Set(),
    runMs: () => 5,
    fault: () => 'none',
    reader: undefined,
    supersede,
    committed,
    news: Promise.withResolvers(),
    run: (request, cancelled) => lanes(request.uid, () => execute(request, cancelled)),
    skip: (request) => {
      supersede(request.epoch);
      return commit(request, request.reason);
    },
    deliver(window) {
      window.delivered = true;
      onSettled(window);
      const { uid, start, end } = window;
      disk.deliveries.push({
        uid,
        start,
        end,
        batch: 0,
        outcome: 'acknowledged',
        metricPoints: 1,
        spans: 0,
        logs: 0,
        rejected: 0,
        bytes: 10,
        attempts: 1,
        windowDelivered: true,
        windowRepeated: false,
      });
      pod.news.resolve();
      pod.news = Promise.withResolvers();
    },
  };
  life.signal.addEventListener('abort', () => {
    for (const { cut } of pod.connections) cut.abort(new Error('the process is gone'));
  });
  return pod;
}

/** One leader's client of an ordinal: finds the pod that is there now, and finds it again after each break. */
export function connectTo(
  ordinal: number,
  find: () => Pod | undefined,
  isCut: () => boolean,
  listener: ConnectionListener,
): RuntimeClient {
  const closing = new AbortController();
  let current: { readonly pod: Pod; readonly connection: Connection } | undefined;

  function connection(): { readonly pod: Pod; readonly connection: Connection } {
    if (closing.signal.aborted) throw new Error('closed');
    const pod = find();
    if (pod === undefined || pod.life.signal.aborted || isCut()) throw new Error(`${ordinal} cannot be reached`);
    if (current?.pod === pod && !current.connection.cut.signal.aborted) return current;
    const fresh: Connection = { cut: new AbortController() };
    pod.connections.add(fresh);
    fresh.cut.signal.addEventListener('abort', () => pod.connections.delete(fresh));
    current = { pod, connection: fresh };
    return current;
  }

  /** What the other side answers, or a rejection as soon as the connection breaks; the other side goes on then. */
  async function ask<T>(work: (pod: Pod) => T | Promise<T>): Promise<T> {
    const { pod, connection: one } = connection();
    const { signal } = one.cut;
    return new Promise<T>((resolve, reject) => {
      signal.addEventListener('abort', () => reject(new Error('the connection broke')), { once: true });
      // over the wire: not in this turn
      void Promise.resolve()
        .then(() => work(pod))
        .then((value) => (signal.aborted ? undefined : resolve(value)), reject);
    });
  }

  async function* follow(epoch: number, signal: AbortSignal): AsyncGenerator<Delivery> {
    const ended = AbortSignal.any([signal, closing.signal]);
    while (!ended.aborted) {
      try {
        const { pod, connection: one } = connection();
        listener.connected(`${pod.disk.id}.${pod.disk.openings}`);
        pod.supersede(epoch);
        if (pod.disk.epoch > epoch) return;
        const me: Connection = one;
        pod.reader = me;
        const over = AbortSignal.any([ended, one.cut.signal]);
        const isOver = new Promise<void>((resolve) => over.addEventListener('abort', () => resolve(), { once: true }));
        while (!over.aborted && pod.reader === me) {
          const next = pod.news.promise;
          const [delivery] = pod.disk.deliveries;
          if (delivery === undefined) await Promise.race([next, isOver]);
          else {
            yield delivery;
            if (pod.disk.deliveries[0] === delivery) pod.disk.deliveries.shift();
          }
        }
        if (!over.aborted) return;
        if (one.cut.signal.aborted && !ended.aborted) throw new Error('the connection broke');
      } catch (error) {
        if (ended.aborted) return;
        listener.disconnected(error instanceof Error ? error : new Error(String(error)));
        await sleep(300, ended);
      }
    }
  }

  return {
    hello: (epoch) =>
      ask((pod) => {
        pod.supersede(epoch);
        return { incarnation: `${pod.disk.id}.${pod.disk.openings}`, highestEpoch: pod.disk.epoch };
      }),
    compile: async () => ({ scriptHash: 'h', outputs: [], diagnostics: [] }),
    putDestination: () => ask(() => undefined),
    removeDestination: () => ask(() => undefined),
    ledger: (uids) => ask((pod) => new Map(uids.map((uid) => [uid, joined(pod.committed(uid))]))),
    run: (request, signal) => ask((pod) => pod.run(request, signal)),
    skip: (request) => ask((pod) => pod.skip(request)),
    deliveries: follow,
    oldestData: async () => undefined,
    status: async () => ({ destinations: [] }),
    close() {
      closing.abort(new Error('closed'));
      current?.connection.cut.abort(new Error('closed'));
    },
  };
}
