// Who gets a slot, and when: under fake time, with runs that end when the test says so.
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { DispatcherListener, RunTargets, ScheduledScript } from '../../../src/controllers/dispatch/contract.ts';
import { createDispatcher, type Dispatcher } from '../../../src/controllers/dispatcher.ts';
import type { CommittedInterval, RunRequest, RunResult } from '../../../src/model/run.ts';
import { timeNs, type TimeNs } from '../../../src/model/time.ts';
import { lastDueBoundary } from '../../../src/schedule/plan.ts';
import { spreadNs } from '../../../src/schedule/window.ts';
import { outcomeOf } from './memory-runtime.ts';

const SECOND = 1_000_000_000n;
const MINUTE = 60n * SECOND;
/** A boundary of the minute. */
const BEGIN_MS = 1_764_028_800_000;
const begin = timeNs(BigInt(BEGIN_MS) * 1_000_000n);
const at = (seconds: number): TimeNs => timeNs(begin + BigInt(Math.round(seconds * 1000)) * 1_000_000n);

const QUIET: DispatcherListener = {
  committed: () => undefined,
  failed: () => undefined,
  delivered: () => undefined,
  broke: () => undefined,
  unknown: () => undefined,
};

interface Run extends RunRequest {
  readonly ordinal: number;
  commit(): void;
  fail(code: string): void;
  readonly signal: AbortSignal;
}

const script = (name: string, more: Partial<ScheduledScript['schedule']> = {}): ScheduledScript => ({
  schedule: {
    uid: name,
    windowNs: MINUTE,
    catchUp: { policy: 'All', maxAgeNs: 3600n * SECOND },
    suspend: false,
    ...more,
  },
  run: {
    scriptHash: 'h',
    scriptName: name,
    pluginUid: 'p',
    revision: '1',
    scope: 'x',
    limits: { timeoutMs: 1000, rowsMax: 10, watermarkWaitMs: 10 },
  },
});

describe('the slots of a dispatcher', () => {
  let running: Run[] = [];
  let begun: Run[] = [];
  let skipped: string[] = [];
  let ledgerCalls = 0;
  let wallNs = 0n;
  const known = new Map<string, readonly CommittedInterval[]>();
  let dispatcher: Dispatcher | undefined;

  const run = (ordinal: number, request: RunRequest, signal: AbortSignal): Promise<RunResult> =>
    new Promise((resolve) => {
      const end = (result: RunResult): void => {
        running = running.filter((other) => other !== one);
        resolve(result);
      };
      const one: Run = {
        ...request,
        ordinal,
        signal,
        commit: () => end({ status: 'committed', outcome: outcomeOf(request, 'Complete'), delivered: true }),
        fail: (code) => end({ status: 'failed', outcome: outcomeOf(request, 'Failed', code) }),
      };
      signal.addEventListener('abort', () => one.fail('CANCELLED'), { once: true });
      running.push(one);
      begun.push(one);
    });
  const targetsOf = (ordinals: readonly number[], ordinalOf: (uid: string) => number): RunTargets => ({
    ordinals: () => ordinals,
    ordinalOf,
    ledgersOf: (uid) => [ordinalOf(uid)],
    async ledger(_, uids) {
      ledgerCalls += 1;
      return new Map(uids.map((uid) => [uid, known.get(uid) ?? []]));
    },
    run,
    async skip(_, request) {
      skipped.push(`${request.uid} ${request.reason}`);
      return { status: 'committed', outcome: outcomeOf(request, 'Skipped', request.reason), delivered: true };
    },
    oldestData: () => undefined,
    listen: (listener) => ordinals.forEach((ordinal) => listener.up(ordinal, false)),
  });

  function start(
    options: {
      readonly runsMax?: number;
      readonly targets?: RunTargets;
      readonly listener?: Partial<DispatcherListener>;
    } = {},
  ): Dispatcher {
    dispatcher = createDispatcher({
      targets: options.targets ?? targetsOf([0], () => 0),
      epoch: 1,
      now: () => timeNs(BigInt(Date.now()) * 1_000_000n + wallNs),
      runsMax: options.runsMax ?? 8,
      listener: { ...QUIET, ...options.listener },
    });
    return dispatcher;
  }
  const pass = (ms: number): Promise<void> => jest.advanceTimersByTimeAsync(ms);
  const finishedUntil = (uid: string, time: TimeNs): void =>
    void known.set(uid, [{ start: timeNs(time - MINUTE), end: time, delivered: true }]);

  beforeEach(() => {
    jest.useFakeTimers({ now: BEGIN_MS, doNotFake: ['nextTick', 'queueMicrotask'] });
    [running, begun, skipped, ledgerCalls, wallNs] = [[], [], [], 0, 0n];
    known.clear();
  });
  afterEach(async () => {
    dispatcher?.halt(new Error('over'));
    await pass(10);
    jest.useRealTimers();
  });

  test('S7: what a script runs beyond its own pace holds a quarter of the slots, the oldest first; live runs go before', async () => {
    for (let i = 0; i < 20; i++) finishedUntil(`a/old-${i}`, at(-60 * (5 + (i % 10))));
    const one = start();
    await one.apply(Array.from({ length: 20 }, (_, i) => script(`a/old-${i}`)));
    await pass(50);
    expect(running.map(({ uid, start: from }) => `${uid} ${from}`).sort()).toEqual([
      `a/old-19 ${at(-840)}`,
      `a/old-9 ${at(-840)}`,
    ]);
    expect(one.load(0)).toEqual({ due: 18, running: 2 });
  });

  test('S7: live runs go before backlog', async () => {
    await pass(40_000);
    finishedUntil('a/old', at(-60 * 30));
    finishedUntil('a/older', at(-60 * 40));
    const one = start({ runsMax: 1 });
    await one.apply([script('a/old'), script('a/older'), script('b/live')]);
    await pass(10);
    // in this minute all have had their turn: what is run is backlog, until a live window is due
    for (let i = 0; i < 4; i++) {
      expect(running[0]?.uid).toBe('a/older');
      running[0]?.commit();
      await pass(10);
    }
    const dueMs = BEGIN_MS + 60_000 + Number(spreadNs('b/live', MINUTE) / 1_000_000n);
    await pass(dueMs - Date.now() + 20);
    const turns: string[] = [];
    for (let i = 0; i < 4; i++) {
      turns.push(running[0]?.uid ?? '');
      running[0]?.commit();
      await pass(10);
    }
    expect(turns.slice(1)).toContain('b/live');
  });

  test('S6: a script that is behind goes on at its own pace: one run per window length is no backlog', async () => {
    for (let i = 0; i < 6; i++) finishedUntil(`a/old-${i}`, at(-1800));
    const one = start();
    await one.apply(Array.from({ length: 6 }, (_, i) => script(`a/old-${i}`)));
    await pass(50);
    expect(running).toHaveLength(2);
    // in the next minute each has had its turn, although none has caught up
    await pass(91_000);
    expect(running).toHaveLength(6);
    expect(running.every(({ end }) => end <= at(-1740))).toBe(true);
  });

  test('S11: namespaces take turns', async () => {
    const one = start({ runsMax: 1 });
    await one.apply([
      ...Array.from({ length: 30 }, (_, i) => script(`many/s-${i}`)),
      ...Array.from({ length: 2 }, (_, i) => script(`few/s-${i}`)),
    ]);
    // all are due; the first holds the slot
    await pass(91_000);
    for (let i = 0; i < 8; i++) {
      running[0]?.commit();
      await pass(20);
    }
    expect(begun.slice(0, 8).filter(({ uid }) => uid.startsWith('few/'))).toHaveLength(2);
  });

  test('scripts that are known to be slow leave half of the slots to others, and are not shut out', async () => {
    const one = start({ runsMax: 4 });
    await one.apply(Array.from({ length: 4 }, (_, i) => script(`a/slow-${i}`)));
    await pass(91_000);
    expect(running).toHaveLength(4);
    await pass(5000);
    for (const each of running) each.commit();
    for (let i = 0; i < 8; i++) one.set(script(`b/fast-${i}`));
    await pass(120_000);
    expect(running.filter(({ uid }) => uid.startsWith('a/')).length).toBe(2);
    expect(running.filter(({ uid }) => uid.startsWith('b/')).length).toBe(2);
  });

  test('a runtime that never answers holds up its own scripts only', async () => {
    const one = start({ runsMax: 2, targets: targetsOf([0, 1], (uid) => (uid.startsWith('stuck/') ? 1 : 0)) });
    await one.apply([
      ...Array.from({ length: 10 }, (_, i) => script(`stuck/${i}`)),
      ...Array.from({ length: 10 }, (_, i) => script(`free/${i}`)),
    ]);
    for (let i = 0; i < 200; i++) {
      for (const each of running) if (each.ordinal === 0) each.commit();
      await pass(1000);
    }
    expect(begun.filter(({ ordinal }) => ordinal === 1)).toHaveLength(2);
    expect(one.load(1)).toEqual({ due: 8, running: 2 });
    // each of the others had all windows that were due
    for (let i = 0; i < 10; i++) {
      const due = lastDueBoundary(script(`free/${i}`).schedule, at(199));
      expect(one.progress(`free/${i}`)?.finishedUntil).toBe(due);
    }
  });

  test('S2, S11: each starts when its own turn comes, with one timer for all', async () => {
    const starts = new Map<string, number>();
    const one = start({ runsMax: 100 });
    const scripts = Array.from({ length: 100 }, (_, i) => script(`a/s-${i}`));
    await one.apply(scripts);
    expect(jest.getTimerCount()).toBe(1);
    for (let ms = 0; ms < 92_000; ms += 5) {
      await pass(5);
      for (const each of running) {
        starts.set(each.uid, Date.now());
        each.commit();
      }
    }
    expect(starts.size).toBe(100);
    for (const [uid, startMs] of starts) {
      const dueMs = BEGIN_MS + 60_000 + Number(spreadNs(uid, MINUTE) / 1_000_000n);
      expect(startMs - dueMs).toBeGreaterThanOrEqual(0);
      expect(startMs - dueMs).toBeLessThanOrEqual(25);
    }
  });

  test('S9: a clock that is set forward is noticed within a second', async () => {
    const one = start();
    await one.apply([script('a/s', { windowNs: 3600n * SECOND })]);
    await pass(5000);
    expect(begun).toHaveLength(0);
    wallNs += 3700n * SECOND;
    await pass(1100);
    expect(begun).toHaveLength(1);
  });

  test('a thousand scripts are read from the ledger in pages', async () => {
    const one = start();
    for (let i = 0; i < 1000; i++) one.set(script(`a/s-${i}`));
    await pass(10);
    expect(ledgerCalls).toBe(2);
    expect(one.progress('a/s-999')?.finishedUntil).toBe(begin);
  });

  test('hold cancels and keeps the progress; set goes on from it; remove forgets', async () => {
    const one = start();
    await one.apply([script('a/s')]);
    await pass(91_000);
    running[0]?.commit();
    await pass(60_000);
    const [second] = running;
    one.hold('a/s');
    expect(second?.signal.aborted).toBe(true);
    await pass(120_000);
    expect(begun).toHaveLength(2);
    expect(one.progress('a/s')?.finishedUntil).toBe(at(60));
    one.set(script('a/s'));
    await pass(10);
    expect(running.map(({ start: from }) => from)).toEqual([at(60)]);
    const [third] = running;
    one.remove('a/s');
    expect(third?.signal.aborted).toBe(true);
    expect(one.progress('a/s')).toBeUndefined();
    expect(ledgerCalls).toBe(1);
  });

  test('S8: a resumed script has its gap on record and goes on at the current window', async () => {
    const one = start();
    await one.apply([script('a/s', { suspend: true })]);
    await pass(600_000);
    expect(begun).toHaveLength(0);
    one.set(script('a/s'));
    await pass(92_000);
    expect(skipped).toEqual(['a/s Suspended']);
    expect(begun[0]?.start).toBe(at(600));
  });

  test('what the runtime lacks is told, counts as no failure, and is tried at once when it is given', async () => {
    const unknown: string[] = [];
    let lacks = true;
    const base = targetsOf([0], () => 0);
    const one = start({
      targets: {
        ...base,
        run: (ordinal, request, signal) =>
          lacks ? Promise.resolve({ status: 'unknown', what: 'script' }) : base.run(ordinal, request, signal),
      },
      listener: { unknown: (uid) => unknown.push(uid) },
    });
    await one.apply([script('a/s')]);
    await pass(91_000);
    expect(unknown[0]).toBe('a/s');
    expect(one.progress('a/s')?.failures).toBe(0);
    lacks = false;
    one.set(script('a/s'));
    await pass(1);
    expect(running).toHaveLength(1);
  });

  test('a verdict that was lost on its way is found in the ledger', async () => {
    const base = targetsOf([0], () => 0);
    const one = start({
      targets: {
        ...base,
        async run(_, request) {
          known.set(request.uid, [{ start: begin, end: request.end, delivered: true }]);
          return { status: 'committed', outcome: outcomeOf(request, 'Complete'), delivered: false };
        },
      },
    });
    await one.apply([script('a/s')]);
    await pass(91_000);
    expect(one.progress('a/s')).toMatchObject({ deliveredUntil: begin, finishedUntil: at(60) });
    await pass(70_000);
    expect((one.progress('a/s')?.deliveredUntil ?? 0n) >= at(60)).toBe(true);
  });

  describe('S12: a manual run', () => {
    test('runs the last complete window, also of a suspended script, once per token', async () => {
      const told: boolean[] = [];
      const one = start({ listener: { committed: (_, __, ___, { isManual }) => told.push(isManual) } });
      await one.apply([script('a/s', { suspend: true })]);
      await pass(30_000);
      const first = one.runNow('a/s', 'token-1');
      await pass(10);
      expect(running.map(({ start: from, end }) => [from, end])).toEqual([[at(-60), at(0)]]);
      running[0]?.commit();
      expect(await first).toEqual({ token: 'token-1', outcome: 'Complete' });
      expect(await one.runNow('a/s', 'token-1')).toEqual({ token: 'token-1', outcome: 'Complete' });
      expect(told).toEqual([true]);
      await pass(300_000);
      expect(begun).toHaveLength(1);
    });

    test('says so where the window is committed, and runs nothing', async () => {
      finishedUntil('a/s', begin);
      const one = start();
      await one.apply([script('a/s')]);
      const asked = one.runNow('a/s', 't');
      await pass(10);
      expect(await asked).toEqual({ token: 't', outcome: 'AlreadyCommitted' });
      expect(begun).toHaveLength(0);
    });

    test('waits for the run that is under way, and goes before everything else', async () => {
      const one = start({ runsMax: 1 });
      await one.apply([script('a/s'), script('b/s'), script('c/s')]);
      await pass(95_000);
      const asked = one.runNow('c/s', 't');
      const { uid } = running[0] ?? { uid: '' };
      running[0]?.commit();
      await pass(10);
      if (uid !== 'c/s') {
        expect(running[0]?.uid).toBe('c/s');
        running[0]?.commit();
        await pass(10);
      }
      expect((await asked)?.token).toBe('t');
    });

    test('that fails is answered, and puts nothing off', async () => {
      const manual: boolean[] = [];
      const one = start({ listener: { failed: (_, __, { isManual }) => manual.push(isManual) } });
      await one.apply([script('a/s')]);
      await pass(61_000);
      const asked = one.runNow('a/s', 't');
      await pass(10);
      running[0]?.fail('NODES_MISSING');
      expect(await asked).toEqual({ token: 't', outcome: 'Failed/NODES_MISSING' });
      expect(manual).toEqual([true]);
      expect(one.progress('a/s')?.failures).toBe(0);
    });

    test('of a script that is removed, or when leadership ends, is answered', async () => {
      const one = start();
      await one.apply([script('a/s'), script('b/s')]);
      const removed = one.runNow('a/s', 't');
      one.remove('a/s');
      expect(await removed).toEqual({ token: 't', outcome: 'Failed/REMOVED' });
      const ended = one.runNow('b/s', 't');
      one.halt(new Error('lease lost'));
      expect(await ended).toEqual({ token: 't', outcome: 'Failed/STOPPING' });
      expect(one.runNow('c/s', 't')).toBeUndefined();
    });
  });
});
