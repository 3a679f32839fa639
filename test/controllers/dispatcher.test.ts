import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { DispatcherListener, ScheduledScript } from '../../src/controllers/dispatch/contract.ts';
import { createDispatcher } from '../../src/controllers/dispatcher.ts';
import { NO_LOSS } from '../../src/model/loss.ts';
import type { Delivery, RunOutcome } from '../../src/model/outcome.ts';
import type { RunContract, RunRequest, RunResult } from '../../src/model/run.ts';
import { timeNs, type TimeNs } from '../../src/model/time.ts';

const SECOND = 1_000_000_000n;
const WINDOW = 10n * SECOND;

const outcome = (uid: string, start: TimeNs, end: TimeNs): RunOutcome => ({
  uid,
  start,
  end,
  outcome: 'Complete',
  rowsRead: 1,
  rowsTruncated: 0,
  metricPoints: 1,
  spans: 0,
  logs: 0,
  bytes: 10,
  durationMs: 1,
  nodes: { expected: 1, answered: 1, missing: [] },
  loss: NO_LOSS,
});

const delivery = (uid: string, start: TimeNs, end: TimeNs): Delivery => ({
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

const scriptOf = (uid: string): ScheduledScript => ({
  schedule: { uid, windowNs: WINDOW, catchUp: { policy: 'All', maxAgeNs: 3600n * SECOND }, suspend: false },
  run: {
    scriptHash: 'h',
    scriptName: `default/${uid}`,
    pluginUid: 'p',
    revision: '1',
    scope: '*',
    limits: { timeoutMs: 1000, rowsMax: 10, watermarkWaitMs: 10 },
  },
});

const QUIET: DispatcherListener = {
  committed: () => undefined,
  failed: () => undefined,
  delivered: () => undefined,
  unknown: () => undefined,
  broke: () => undefined,
};

/** A runtime that keeps its ledger in memory and answers as told. */
function memoryRuntime(answer: (request: RunRequest) => 'commit' | 'fail' | 'throw away'): RunContract & {
  readonly windows: { readonly uid: string; readonly start: TimeNs; readonly end: TimeNs }[];
  readonly most: () => number;
} {
  const windows: { uid: string; start: TimeNs; end: TimeNs }[] = [];
  let [active, most] = [0, 0];
  const commit = (uid: string, start: TimeNs, end: TimeNs): RunResult => {
    const overlapping = windows.filter((one) => one.uid === uid && one.start < end && start < one.end);
    if (overlapping.length > 0) {
      return { status: 'overlap', committed: overlapping.map((one) => ({ ...one, delivered: true })) };
    }
    windows.push({ uid, start, end });
    return { status: 'committed', outcome: outcome(uid, start, end), delivered: true };
  };
  return {
    windows,
    most: () => most,
    hello: async () => ({ incarnation: 'i', highestEpoch: 0 }),
    compile: async () => ({ scriptHash: 'h', outputs: [], diagnostics: [] }),
    putDestination: async () => undefined,
    removeDestination: async () => undefined,
    ledger: async (uids) =>
      new Map(
        uids.map((uid) => [uid, windows.filter((one) => one.uid === uid).map((one) => ({ ...one, delivered: true }))]),
      ),
    async run(request) {
      most = Math.max(most, ++active);
      await new Promise(setImmediate);
      active--;
      const verdict = answer(request);
      if (verdict === 'fail')
        return {
          status: 'failed',
          outcome: { ...outcome(request.uid, request.start, request.end), outcome: 'Failed' },
        };
      const result = commit(request.uid, request.start, request.end);
      // the answer is lost on its way: the runtime has committed, the caller does not know
      return verdict === 'throw away'
        ? { status: 'failed', outcome: outcome(request.uid, request.start, request.end) }
        : result;
    },
    skip: async ({ uid, start, end }) => commit(uid, start, end),
    async *deliveries() {},
  };
}

/** Waits until `done` holds, without a clock of its own: the dispatcher's events drive it. */
const until = async (done: () => boolean): Promise<void> => {
  while (!done()) await new Promise((resolve) => setTimeout(resolve, 1));
};

describe('the dispatcher', () => {
  test('makes windows that are contiguous and disjoint, whatever the runtime answers', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom('commit', 'fail', 'throw away' as const), { minLength: 1, maxLength: 30 }),
        async (verdicts) => {
          let time = timeNs(1_000n * WINDOW + 3n);
          let i = 0;
          const runtime = memoryRuntime(() => verdicts[i++ % verdicts.length] ?? 'commit');
          const dispatcher = createDispatcher({
            runtime,
            epoch: 1,
            tickMaxMs: 1,
            // time passes whenever somebody looks: retries and windows come without waiting
            now: () => (time = timeNs(time + 2n * SECOND)),
            listener: QUIET,
          });
          await dispatcher.apply(['a', 'b', 'c'].map(scriptOf));
          await until(() => i > 12 || time > 1_100n * WINDOW);
          await dispatcher.stop(0);
          for (const uid of ['a', 'b', 'c']) {
            const mine = runtime.windows.filter((one) => one.uid === uid).sort((x, y) => Number(x.start - y.start));
            mine.forEach((one, at) => {
              if (at > 0) expect(one.start).toBe(mine[at - 1]?.end);
            });
          }
        },
      ),
      { numRuns: 10 },
    );
  });

  test('goes on where the ledger ends', async () => {
    const runtime = memoryRuntime(() => 'commit');
    const end = timeNs(1_000n * WINDOW);
    runtime.windows.push({ uid: 'a', start: timeNs(end - WINDOW), end });
    let time = timeNs(end + 3n * WINDOW);
    const dispatcher = createDispatcher({
      runtime,
      epoch: 1,
      tickMaxMs: 1,
      now: () => (time = timeNs(time + SECOND)),
      listener: QUIET,
    });
    await dispatcher.apply([scriptOf('a')]);
    await until(() => runtime.windows.length >= 4);
    await dispatcher.stop(0);
    expect(runtime.windows[1]?.start).toBe(end);
  });

  test('runs no more at once than it may', async () => {
    const runtime = memoryRuntime(() => 'commit');
    let time = timeNs(1_000n * WINDOW);
    const dispatcher = createDispatcher({
      runtime,
      epoch: 1,
      tickMaxMs: 1,
      now: () => (time = timeNs(time + 5n * SECOND)),
      listener: QUIET,
      runsMax: 3,
    });
    await dispatcher.apply(Array.from({ length: 20 }, (_, i) => scriptOf(`s${i}`)));
    await until(() => runtime.windows.length >= 40);
    await dispatcher.stop(0);
    expect(runtime.most()).toBe(3);
  });

  test('reports a verdict only after the window that it is about', async () => {
    const events: string[] = [];
    const base = memoryRuntime(() => 'commit');
    let time = timeNs(1_000n * WINDOW);
    const dispatcher = createDispatcher({
      runtime: {
        ...base,
        async run(request, signal) {
          const result = await base.run(request, signal);
          // the destination answers before the result is returned
          dispatcher.delivered(delivery(request.uid, request.start, request.end));
          return result.status === 'committed' ? { ...result, delivered: false } : result;
        },
      },
      epoch: 1,
      tickMaxMs: 1,
      now: () => (time = timeNs(time + SECOND)),
      listener: {
        ...QUIET,
        committed: (_, { start }) => events.push(`committed ${start}`),
        delivered: ({ start }) => events.push(`delivered ${start}`),
      },
    });
    await dispatcher.apply([scriptOf('a')]);
    await until(() => events.length >= 4);
    await dispatcher.stop(0);
    const [first, second] = events;
    expect(second).toBe(first?.replace('committed', 'delivered'));
    const progress = dispatcher.progress('a');
    expect(progress?.deliveredUntil).toBe(progress?.finishedUntil);
  });

  test('takes note of a verdict also where the runtime had the window already', async () => {
    const base = memoryRuntime(() => 'commit');
    let time = timeNs(1_000n * WINDOW);
    const dispatcher = createDispatcher({
      runtime: {
        ...base,
        async run(request, signal) {
          await base.run(request, signal);
          const { uid, start, end } = request;
          // read from the ledger just before the last batch was acknowledged
          const committed = [{ start, end, delivered: false }];
          dispatcher.delivered(delivery(uid, start, end));
          return { status: 'overlap', committed };
        },
      },
      epoch: 1,
      tickMaxMs: 1,
      now: () => (time = timeNs(time + SECOND)),
      listener: QUIET,
    });
    await dispatcher.apply([scriptOf('a')]);
    await until(() => base.windows.length >= 3);
    await dispatcher.stop(1000);
    const progress = dispatcher.progress('a');
    expect(progress?.deliveredUntil).toBe(progress?.finishedUntil);
  });

  test('asks again for a window whose run never answered', async () => {
    const base = memoryRuntime(() => 'commit');
    const broken: unknown[] = [];
    let [time, calls] = [timeNs(1_000n * WINDOW), 0];
    const dispatcher = createDispatcher({
      runtime: {
        ...base,
        run: (request, signal) => (++calls % 2 === 1 ? Promise.reject(new Error('gone')) : base.run(request, signal)),
      },
      epoch: 1,
      tickMaxMs: 1,
      now: () => (time = timeNs(time + SECOND)),
      listener: { ...QUIET, broke: (_, error) => broken.push(error) },
    });
    await dispatcher.apply([scriptOf('a')]);
    await until(() => base.windows.length >= 3);
    await dispatcher.stop(0);
    expect(broken.length).toBeGreaterThanOrEqual(3);
    base.windows.forEach((one, i) => {
      if (i > 0) expect(one.start).toBe(base.windows[i - 1]?.end);
    });
  });
});
