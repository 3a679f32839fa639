// Leaders on a real API server over real runtimes on real ledgers. The oracle is the destination: what it was sent of each
// script adds up to the rows that there were, each once.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Dispatch, DispatcherListener, Term } from '../../../src/controllers/dispatch/contract.ts';
import { ordinalOf } from '../../../src/controllers/dispatch/rendezvous.ts';
import { takeOver } from '../../../src/controllers/dispatch/takeover.ts';
import type { EncodedRequest } from '../../../src/exporters/sender.ts';
import { openKubeClient, userAgent, type OpenKubeClient } from '../../../src/kube/client.ts';
import { loadKubeAccess } from '../../../src/kube/config.ts';
import { NO_METRICS } from '../../../src/model/metrics.ts';
import type { CommittedInterval } from '../../../src/model/run.ts';
import { now, timeNs, type TimeNs } from '../../../src/model/time.ts';
import { risingClock } from '../../../src/schedule/clock.ts';
import { clusterMissing } from '../../cluster/binaries.ts';
import { startControlPlane, type ControlPlane } from '../../cluster/control-plane.ts';
import { CONSOLE, COUNT_BY_PATH } from '../../runtime/harness.ts';
import { tableNode, type TableNode } from '../../runtime/table-node.ts';
import { countByScript, startRealRuntime, type RealRuntime } from './real-runtime.ts';

const suite = clusterMissing === undefined ? describe : describe.skip;
if (clusterMissing !== undefined) process.stderr.write(`\nSKIPPED: leaders over real runtimes: ${clusterMissing}\n`);

const SECOND = 1_000_000_000n;
const UIDS = Array.from({ length: 8 }, (_, i) => `0000000${i}-aaaa-4bbb-8ccc-dddddddddddd`);

suite('a term of dispatch', () => {
  let plane: ControlPlane;
  let kube: OpenKubeClient;
  let node: TableNode;
  let namespace = '';
  let count = 0;
  let rows: TimeNs[] = [];
  let feeding: NodeJS.Timeout | undefined;
  const runtimes: RealRuntime[] = [];
  const sent: EncodedRequest[] = [];
  const leaders: { readonly dispatch: Dispatch; readonly lease: AbortController }[] = [];
  let repeated = 0;

  beforeAll(async () => {
    plane = await startControlPlane({ name: 'disp-lead', controllerManager: false });
    kube = openKubeClient(await loadKubeAccess({ kubeconfig: plane.kubeconfig }), {
      purpose: 'main',
      userAgent: userAgent('test', '0'),
    });
  }, 600_000);
  afterAll(async () => {
    await kube?.close();
    await plane?.stop();
  });
  beforeEach(async () => {
    namespace = `n${count++}`;
    await plane.kubectl(['create', 'namespace', namespace]);
    node = tableNode('node-1');
    rows = [];
    repeated = 0;
    sent.length = 0;
    feeding = setInterval(() => {
      const time = now();
      rows.push(time);
      node.http(time, { time_: time, req_path: '/', latency: 1n });
      node.advance(time);
    }, 40);
  });
  afterEach(async () => {
    clearInterval(feeding);
    for (const { dispatch } of leaders.splice(0)) await dispatch.stop(0);
    for (const one of runtimes.splice(0)) await one.close();
  });

  const addRuntime = async (): Promise<void> => {
    runtimes.push(await startRealRuntime(node, (request) => sent.push(request)));
  };

  async function elect(name: string, transitions: number, replicas: number): Promise<Dispatch> {
    const lease = new AbortController();
    const term: Term = { signal: lease.signal, mayWrite: () => !lease.signal.aborted, transitions, identity: name };
    const listener: DispatcherListener = {
      committed: (_, __, ___, { isRepeated }) => void (repeated += Number(isRepeated)),
      failed: () => undefined,
      delivered: () => undefined,
      broke: () => undefined,
      unknown: (uid) => void give(uid),
    };
    const dispatch = await takeOver({
      term,
      kube,
      namespace,
      labels: {},
      replicas,
      connect: (ordinal, events) => {
        const runtime = runtimes[ordinal];
        if (runtime === undefined) throw new Error(`no runtime ${ordinal}`);
        return runtime.connect(events);
      },
      listener,
      now: risingClock({ wall: now, monotonic: () => process.hrtime.bigint() }),
      random: Math.random,
      metrics: NO_METRICS,
      onFault: () => undefined,
    });
    leaders.push({ dispatch, lease });
    let isOver = false;
    void dispatch.ended.finally(() => (isOver = true));

    // as the reconcilers do: compiled by its runtime, given again when that has forgotten it
    async function give(uid: string): Promise<void> {
      const script = { kind: 'text', text: COUNT_BY_PATH } as const;
      const compiled = await dispatch.compile({ script, args: {}, uid }).catch(() => undefined);
      if (isOver) return;
      if (compiled === undefined) {
        setTimeout(() => void give(uid), 100);
        return;
      }
      dispatch.set({
        schedule: { uid, windowNs: SECOND, catchUp: { policy: 'All', maxAgeNs: 900n * SECOND }, suspend: false },
        run: {
          scriptHash: compiled.scriptHash,
          scriptName: `shop/${uid}`,
          pluginUid: 'plugin',
          revision: '1',
          scope: 'shop',
          limits: { timeoutMs: 5000, rowsMax: 1000, watermarkWaitMs: 5000 },
        },
      });
    }
    await dispatch.putDestination('plugin', '1', CONSOLE);
    for (const uid of UIDS) void give(uid);
    return dispatch;
  }

  const until = async (done: () => boolean | Promise<boolean>): Promise<void> => {
    while (!(await done())) await new Promise((resolve) => setTimeout(resolve, 20));
  };
  /** Every script's progress passes `time`. */
  const pass = (dispatch: Dispatch, time: TimeNs): Promise<void> =>
    until(() => UIDS.every((uid) => (dispatch.progress(uid)?.deliveredUntil ?? 0n) >= time));
  const later = (seconds: bigint): TimeNs => timeNs(now() + seconds * SECOND);

  /** Each script's windows in all ledgers: no hole, no overlap; what was sent is their rows, each once. */
  async function verify(): Promise<void> {
    const committed = async (): Promise<CommittedInterval[][]> => {
      const ofRuntimes = (uid: string) => Promise.all(runtimes.map((one) => one.committed(uid)));
      return (await Promise.all(UIDS.map(ofRuntimes))).map((parts) => parts.flat());
    };
    // what a leader that stops has committed last, its runtime sends without it
    let windows: CommittedInterval[][] = [];
    await until(async () => (windows = await committed()).flat().every(({ delivered }) => delivered));
    const sums = countByScript(sent);
    for (const [i, uid] of UIDS.entries()) {
      const all = (windows[i] ?? []).toSorted((a, b) => (a.start < b.start ? -1 : 1));
      for (const [k, one] of all.entries()) if (k > 0) expect([uid, one.start]).toEqual([uid, all[k - 1]?.end]);
      const [first, last] = [all[0]?.start ?? 0n, all.at(-1)?.end ?? 0n];
      const inside = rows.filter((time) => time >= first && time < last).length;
      expect(inside).toBeGreaterThan(0);
      expect([uid, sums.get(`sluice/${uid}`)]).toEqual([uid, inside]);
    }
    expect(repeated).toBe(0);
  }

  test('S10, T5: goes over to a second leader while the first still believes, and nothing is lost or doubled', async () => {
    await addRuntime();
    const first = await elect('a', 1, 1);
    await pass(first, later(1n));
    const second = await elect('b', 2, 1);
    expect(second.epoch).toBeGreaterThan(first.epoch);
    expect(await first.ended).toBe('Superseded');
    await pass(second, later(2n));
    await second.stop(5000);
    await until(() => runtimes.every(({ runtime }) => runtime !== undefined));
    await verify();
  });

  test('a runtime that restarts makes its own scripts wait, and they are caught up', async () => {
    await addRuntime();
    await addRuntime();
    const dispatch = await elect('a', 1, 2);
    const [mine] = UIDS.filter((uid) => ordinalOf(uid, 2) === 0);
    const [others] = UIDS.filter((uid) => ordinalOf(uid, 2) === 1);
    if (mine === undefined || others === undefined) throw new Error('both runtimes have scripts');
    await pass(dispatch, later(1n));
    await runtimes[0]?.stop();
    await until(() => dispatch.unavailable(mine) !== undefined);
    expect(dispatch.unavailable(mine)).toMatchObject({ reason: 'RuntimeUnavailable' });
    expect(dispatch.unavailable(others)).toBeUndefined();
    const stood = dispatch.progress(mine)?.finishedUntil;
    const goal = later(2n);
    await until(() => (dispatch.progress(others)?.deliveredUntil ?? 0n) >= goal);
    expect(dispatch.progress(mine)?.finishedUntil).toBe(stood);
    await runtimes[0]?.start();
    await pass(dispatch, later(1n));
    await dispatch.stop(5000);
    await verify();
  });

  test('scales up and down: scripts move, none runs twice, the leaving one may send what it has', async () => {
    await addRuntime();
    await addRuntime();
    const dispatch = await elect('a', 1, 1);
    await pass(dispatch, later(1n));
    dispatch.resize(2);
    await pass(dispatch, later(2n));
    expect(new Set(UIDS.map((uid) => dispatch.progress(uid)?.ordinal))).toEqual(new Set([0, 1]));
    dispatch.resize(1);
    expect(dispatch.replicasNeeded()).toBe(2);
    await until(() => dispatch.replicasNeeded() === 1);
    await pass(dispatch, later(1n));
    expect(new Set(UIDS.map((uid) => dispatch.progress(uid)?.ordinal))).toEqual(new Set([0]));
    await dispatch.stop(5000);
    await verify();
  });

  test('a disk that is lost: what was not delivered is run again and counted as repeated', async () => {
    await addRuntime();
    const dispatch = await elect('a', 1, 1);
    await pass(dispatch, later(1n));
    // the destination is not known any more: windows are committed and wait
    await dispatch.removeDestination('plugin', 0);
    await dispatch.putDestination('plugin', '1', { ...CONSOLE, type: 'Zipkin' });
    const finished = later(2n);
    await until(() => UIDS.every((uid) => (dispatch.progress(uid)?.finishedUntil ?? 0n) >= finished));
    const before = new Map(UIDS.map((uid) => [uid, dispatch.progress(uid)]));
    await runtimes[0]?.stop();
    await runtimes[0]?.start(true);
    await dispatch.putDestination('plugin', '1', CONSOLE);
    await pass(dispatch, later(1n));
    const lost = UIDS.reduce((sum, uid) => {
      const { finishedUntil = timeNs(0n), deliveredUntil = timeNs(0n) } = before.get(uid) ?? {};
      return sum + Number((finishedUntil - deliveredUntil) / SECOND);
    }, 0);
    expect(lost).toBeGreaterThan(0);
    expect(repeated).toBeGreaterThanOrEqual(lost);
    // and one run of each that may have been under way
    expect(repeated).toBeLessThanOrEqual(lost + UIDS.length * 2);
    await dispatch.stop(5000);
    const sums = countByScript(sent);
    for (const uid of UIDS) {
      const from = (await runtimes[0]?.committed(uid))?.[0]?.start ?? 0n;
      // the new ledger begins where the last delivery was, not later
      expect(from <= (before.get(uid)?.deliveredUntil ?? 0n)).toBe(true);
      expect(sums.get(`sluice/${uid}`)).toBeGreaterThan(0);
    }
  });

  test('a disk that is lost with the leader: what came due under the next one was run by nobody and is not repeated', async () => {
    await addRuntime();
    const first = await elect('a', 1, 1);
    await pass(first, later(1n));
    await first.stop(5000);
    await runtimes[0]?.stop();
    const second = await elect('b', 2, 1);
    const back = later(6n);
    await until(() => now() >= back);
    await runtimes[0]?.start(true);
    await second.putDestination('plugin', '1', CONSOLE);
    await pass(second, later(1n));
    // of each the window that ended before the second began, and one more on either side of a boundary
    expect(repeated).toBeLessThanOrEqual(UIDS.length * 3);
    await second.stop(5000);
  });

  test('R27: when the lease is lost it ends at once', async () => {
    await addRuntime();
    const dispatch = await elect('a', 1, 1);
    await pass(dispatch, later(0n));
    leaders[0]?.lease.abort(new Error('lease lost'));
    expect(await dispatch.ended).toBe('LeaseLost');
    const known = await runtimes[0]?.committed(UIDS[0] ?? '');
    const end = later(2n);
    await until(() => now() >= end);
    expect(await runtimes[0]?.committed(UIDS[0] ?? '')).toEqual(known);
  });

  test('a runtime that is not there when a leader takes over holds up nobody else', async () => {
    await addRuntime();
    await addRuntime();
    await runtimes[1]?.stop();
    const mine = UIDS.filter((uid) => ordinalOf(uid, 2) === 0);
    const passMine = (dispatch: Dispatch, time: TimeNs): Promise<void> =>
      until(() => mine.every((uid) => (dispatch.progress(uid)?.deliveredUntil ?? 0n) >= time));
    const first = await elect('a', 1, 2);
    await passMine(first, later(2n));
    await first.stop(1000);
    const second = await elect('b', 2, 2);
    await passMine(second, later(2n));
    expect(UIDS.filter((uid) => second.unavailable(uid) === undefined)).toEqual(mine);
    await runtimes[1]?.start();
    await pass(second, later(1n));
    await second.stop(5000);
    await verify();
  });
});
