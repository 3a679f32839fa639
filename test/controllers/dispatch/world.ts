// A cluster in memory for histories: pods with disks, leaders that come, go and overlap, scripts that people change. Time is
// the test's (fake timers). `check` holds what operator.md S4 promises against everything that ever happened.
import { jest } from '@jest/globals';
import type { Dispatch, ScheduledScript } from '../../../src/controllers/dispatch/contract.ts';
import { lead } from '../../../src/controllers/dispatch/takeover.ts';
import { NO_METRICS } from '../../../src/model/metrics.ts';
import { timeNs, type TimeNs } from '../../../src/model/time.ts';
import { risingClock } from '../../../src/schedule/clock.ts';
import { lastDueBoundary } from '../../../src/schedule/plan.ts';
import { subtractInterval, type Interval } from '../../../src/schedule/window.ts';
import { memoryCheckpoints, newStore } from './memory-checkpoints.ts';
import { connectTo, newDisk, startPod, type Disk, type Pod, type Stored } from './memory-runtime.ts';

export const SECOND = 1_000_000_000n;

export interface Person {
  uid: string;
  windowNs: bigint;
  suspend: boolean;
  policy: 'All' | 'Coalesce' | 'Skip';
  hash: string;
  isDeleted: boolean;
}

interface Leader {
  readonly name: string;
  readonly lease: AbortController;
  readonly cuts: Set<number>;
  dispatch: Dispatch | undefined;
  isOver: boolean;
}

export interface Faults {
  run: 'none' | 'fails' | 'dies before' | 'dies after' | 'answer lost';
  runMs: number;
  apiAway: boolean;
}

export class World {
  readonly store = newStore();
  readonly pods = new Map<number, Pod>();
  readonly disks: Disk[] = [];
  /** Sent, or skipped with a reason. */
  readonly settled: Stored[] = [];
  readonly scripts: Person[] = [];
  readonly leaders: Leader[] = [];
  readonly faults: Faults = { run: 'none', runMs: 5, apiAway: false };
  readonly reached = new Map<string, TimeNs>();
  /** Where each script's stored progress began. */
  readonly begun = new Map<string, TimeNs>();
  readonly told: string[] = [];
  /** Windows that were reported as committed, by `uid start end`, as long as a status would remember: how often. */
  readonly counted = new Map<string, number>();
  /** Reported while something before was still open: only a script's history tells a later leader that they were. */
  readonly ahead = new Set<string>();
  /** Reported by one whose successor had read what statuses said. */
  readonly unwritten = new Set<string>();
  /** What statuses say: every report is written at once. */
  readonly countedUntil = new Map<string, TimeNs>();
  repeated = 0;
  hasLostDisk = false;
  hasMoved = false;
  skewNs = 0n;
  replicas = 1;
  #names = 0;
  #transitions = 0;

  constructor(uids: readonly string[]) {
    for (const uid of uids) {
      this.scripts.push({ uid, windowNs: 10n * SECOND, suspend: false, policy: 'All', hash: 'h', isDeleted: false });
    }
    this.#pod(0);
  }

  wall = (): TimeNs => timeNs(BigInt(Date.now()) * 1_000_000n + this.skewNs);

  #pod(ordinal: number, disk = newDisk(`disk-${ordinal}-${this.#names++}`)): Pod {
    if (!this.disks.includes(disk)) {
      this.disks.push(disk);
      // no epoch is on it that would keep out one whose lease is over. Nothing has to: who may not write begins no run
      // (R27), and what it had under way went to the pod before
      for (const leader of this.leaders) if (leader !== this.acting && !leader.isOver) this.depose(leader);
    }
    const pod = startPod(ordinal, disk, (window) => this.settled.push(window));
    pod.fault = () => {
      const { run } = this.faults;
      if (run !== 'fails') this.faults.run = 'none';
      return run;
    };
    pod.runMs = () => this.faults.runMs;
    this.pods.set(ordinal, pod);
    // kubelet: a process that is gone comes back on the disk that is there
    pod.life.signal.addEventListener('abort', () => {
      setTimeout(() => {
        if (this.pods.get(ordinal) === pod) this.#pod(ordinal, disk);
      }, 1500);
    });
    return pod;
  }

  kill(ordinal: number, withDisk: boolean): void {
    const pod = this.pods.get(ordinal);
    if (pod === undefined) return;
    if (withDisk) {
      this.hasLostDisk = true;
      this.disks.splice(this.disks.indexOf(pod.disk), 1);
      this.pods.delete(ordinal);
      setTimeout(() => {
        if (!this.pods.has(ordinal) && ordinal < this.#podsWanted()) this.#pod(ordinal);
      }, 1500);
    }
    pod.life.abort(new Error('killed'));
  }

  get acting(): Leader | undefined {
    return this.leaders.findLast(({ isOver }) => !isOver);
  }

  #podsWanted = (): number => Math.max(this.replicas, this.acting?.dispatch?.replicasNeeded() ?? this.pods.size);

  /** The StatefulSet's controller, as our operator tells it. */
  reconcilePods(): void {
    const wanted = this.#podsWanted();
    for (let ordinal = 0; ordinal < wanted; ordinal++) {
      const isStarting = [...this.pods.values()].some((pod) => pod.ordinal === ordinal);
      if (!isStarting && !this.disks.some((disk) => disk.id.startsWith(`disk-${ordinal}-`))) this.#pod(ordinal);
    }
    for (const [ordinal, pod] of this.pods) {
      if (ordinal < wanted) continue;
      this.pods.delete(ordinal);
      this.hasLostDisk = true;
      this.disks.splice(this.disks.indexOf(pod.disk), 1);
      pod.life.abort(new Error('scaled down'));
    }
  }

  resize(replicas: number): void {
    this.replicas = replicas;
    this.hasMoved = true;
    for (const { dispatch, isOver } of this.leaders) if (!isOver) dispatch?.resize(replicas);
    this.reconcilePods();
  }

  /** A status of which no window was counted says nothing of where its totals end. */
  #hasCounted(uid: string): boolean {
    for (const key of this.counted.keys()) if (key.startsWith(`${uid} `)) return true;
    return false;
  }

  scheduled({ uid, windowNs, suspend, policy, hash }: Person): ScheduledScript {
    return {
      countedUntil: this.#hasCounted(uid) ? this.countedUntil.get(uid) : timeNs(0n),
      schedule: { uid, windowNs, suspend, catchUp: { policy, maxAgeNs: 900n * SECOND } },
      run: {
        scriptHash: hash,
        scriptName: `ns-${uid.at(-1)}/${uid}`,
        pluginUid: 'p',
        revision: '1',
        scope: 'x',
        limits: { timeoutMs: 1000, rowsMax: 10, watermarkWaitMs: 10 },
      },
    };
  }

  apply(person: Person): void {
    for (const { dispatch, isOver } of this.leaders) {
      if (isOver || dispatch === undefined) continue;
      if (person.isDeleted) dispatch.remove(person.uid);
      else dispatch.set(this.scheduled(person));
    }
  }

  /** A process takes the lease; those who had it may not know yet. */
  elect(): void {
    const leader: Leader = {
      name: `leader-${this.#names++}`,
      lease: new AbortController(),
      cuts: new Set(),
      dispatch: undefined,
      isOver: false,
    };
    this.leaders.push(leader);
    this.#transitions += 1;
    void this.#lead(leader, this.#transitions);
  }

  depose(leader: Leader): void {
    leader.isOver = true;
    leader.lease.abort(new Error('lease lost'));
  }

  async #lead(leader: Leader, transitions: number): Promise<void> {
    const now = risingClock({
      wall: this.wall,
      monotonic: () => BigInt(Math.round(performance.now() * 1000)) * 1000n,
    });
    while (!leader.isOver) {
      let isStopped = false;
      try {
        const term = {
          signal: leader.lease.signal,
          mayWrite: () => !leader.isOver,
          transitions,
          identity: leader.name,
        };
        const dispatch = await lead(
          {
            term,
            replicas: this.replicas,
            connect: (ordinal, listener) =>
              connectTo(
                ordinal,
                () => this.pods.get(ordinal),
                () => leader.cuts.has(ordinal),
                listener,
              ),
            listener: {
              committed: (uid, { start, end }, _, { isRepeated }) => {
                this.repeated += Number(isRepeated);
                const key = `${uid} ${start} ${end}`;
                // one that is not the leader any more writes no status, nor does a dispatch that has ended: totals
                // and the time that they reach to are written together or not at all
                if (leader !== this.acting || isStopped) {
                  this.unwritten.add(key);
                  return;
                }
                // those of before were on a disk that is gone
                this.counted.set(key, isRepeated ? 1 : (this.counted.get(key) ?? 0) + 1);
                const progress = leader.dispatch?.progress(uid);
                if (progress !== undefined) this.countedUntil.set(uid, progress.finishedUntil);
                if (progress !== undefined && end > progress.finishedUntil) this.ahead.add(key);
              },
              failed: () => undefined,
              delivered: () => undefined,
              broke: () => undefined,
              unknown: () => undefined,
            },
            now,
            random: () => 0.5,
            metrics: NO_METRICS,
            runsMax: 4,
            onFault: (what, error) => this.told.push(`${what}: ${String(error)}`),
          },
          (events) =>
            memoryCheckpoints({
              store: this.store,
              writer: leader.name,
              isAway: () => this.faults.apiAway,
              ...events,
            }),
        );
        leader.dispatch = dispatch;
        for (const person of this.scripts) if (!person.isDeleted) dispatch.set(this.scheduled(person));
        await dispatch.ended;
        isStopped = true;
      } catch (error) {
        this.told.push(String(error));
      }
      leader.dispatch = undefined;
      // superseded by one who came later: its own lease is over soon
      if (this.acting !== leader) this.depose(leader);
      else await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }

  async pass(ms: number): Promise<void> {
    await jest.advanceTimersByTimeAsync(ms);
    this.reconcilePods();
  }

  undelivered(): { readonly pod: Pod; readonly window: Stored }[] {
    return [...this.pods.values()].flatMap((pod) =>
      pod.life.signal.aborted
        ? []
        : pod.disk.windows.filter((one) => !one.delivered).map((window) => ({ pod, window })),
    );
  }

  windowsOf(uid: string): Stored[] {
    return this.disks
      .flatMap(({ windows }) => windows.filter((one) => one.uid === uid))
      .sort((a, b) => (a.start < b.start ? -1 : 1));
  }

  /** S4 (a) to (d) as far as they hold at any moment. */
  check(): void {
    for (const { uid } of this.scripts) {
      const progress = this.acting?.dispatch?.progress(uid);
      if (progress !== undefined) this.countedUntil.set(uid, progress.finishedUntil);
      const windows = this.windowsOf(uid);
      windows.forEach((one, i) => {
        const before = windows[i - 1];
        must(before === undefined || before.end <= one.start, `S4 b: ${uid} has ${text(before)} and ${text(one)}`);
        must(one.reason !== '', 'S4 d: a skip without a reason');
      });
      const until = this.store.entries.get(uid)?.deliveredUntil;
      const before = this.reached.get(uid);
      must(
        until === undefined || before === undefined || until >= before,
        `S4 c: ${uid} fell from ${before} to ${until}`,
      );
      if (until !== undefined) this.reached.set(uid, until);
      if (until !== undefined && !this.begun.has(uid)) this.begun.set(uid, until);
      const first = this.begun.get(uid);
      const answered = this.settled.filter((one) => one.uid === uid);
      if (until === undefined || first === undefined || until <= first) continue;
      const left = answered.reduce<readonly Interval[]>(subtractInterval, [{ start: first, end: until }]);
      must(left.length === 0, `${uid}: called delivered but is not: ${left.map(text).join()}`);
    }
  }

  /** Each committed window was reported once, whatever became of the answer to its run. */
  checkCounted(): void {
    for (const { uid, isDeleted } of this.scripts) {
      if (isDeleted) continue;
      for (const { start, end } of this.windowsOf(uid)) {
        const key = `${uid} ${start} ${end}`;
        const times = this.counted.get(key) ?? 0;
        // what was on a lost disk is run again, and not always known to be a repetition
        const isKnown = !this.hasLostDisk && !this.ahead.has(key);
        // a script does not stay with a runtime that is away only to be told of it
        const isOnce = times === 1 || (times > 1 ? !isKnown : this.hasMoved || this.unwritten.has(key));
        must(isOnce, `${uid} ${text({ start, end })} was reported ${times} times`);
      }
    }
  }

  /** Everything heals, and after a while all is caught up: no hole from the first window on. */
  async settle(): Promise<void> {
    Object.assign(this.faults, { run: 'none', runMs: 5, apiAway: false });
    for (const person of this.scripts) {
      person.suspend = false;
      this.apply(person);
    }
    for (const leader of this.leaders) leader.cuts.clear();
    for (const leader of this.leaders) if (leader !== this.acting && !leader.isOver) this.depose(leader);
    if (this.acting === undefined) this.elect();
    const isDone = (): boolean =>
      this.scripts.every((person) => {
        const progress = person.isDeleted ? undefined : this.acting?.dispatch?.progress(person.uid);
        if (person.isDeleted) return true;
        if (progress === undefined) return false;
        const { schedule } = this.scheduled(person);
        const due = lastDueBoundary(schedule, timeNs(this.wall() - 2n * SECOND));
        return progress.finishedUntil >= due && progress.deliveredUntil >= due;
      });
    let rounds = 0;
    do {
      await this.pass(2000);
      for (const { pod, window } of this.undelivered()) pod.deliver(window);
      await this.pass(500);
      this.check();
      rounds += 1;
      must(rounds < 600, `never caught up: ${this.state()}`);
    } while (rounds < 10 || !isDone());
    this.checkCounted();
    for (const { uid, isDeleted } of this.scripts) {
      if (isDeleted) continue;
      const begin = this.begun.get(uid);
      const end = this.acting?.dispatch?.progress(uid)?.finishedUntil;
      if (begin === undefined || end === undefined || end <= begin) continue;
      const left = [...this.windowsOf(uid), ...this.settled]
        .filter((one) => one.uid === uid)
        .reduce<readonly Interval[]>(subtractInterval, [{ start: begin, end }]);
      must(left.length === 0, `S4 a: ${uid} has holes: ${left.map(text).join(' ')}`);
    }
  }

  state(): string {
    return JSON.stringify(
      {
        leaders: this.leaders.map(({ name, isOver, dispatch }) => ({ name, isOver, facts: dispatch?.runtimes() })),
        pods: [...this.pods.values()].map(({ ordinal, disk, life }) => ({
          ordinal,
          id: disk.id,
          dead: life.signal.aborted,
        })),
        progress: this.scripts.map(({ uid }) => [
          uid,
          this.acting?.dispatch?.progress(uid),
          this.acting?.dispatch?.unavailable(uid),
        ]),
        runtimes: this.store.runtimes && { ...this.store.runtimes, ledgers: [...this.store.runtimes.ledgers] },
        now: this.wall(),
        told: this.told.slice(-10),
      },
      (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value),
    );
  }

  async end(): Promise<void> {
    for (const leader of this.leaders) this.depose(leader);
    for (const pod of this.pods.values()) pod.life.abort(new Error('over'));
    this.pods.clear();
    await jest.advanceTimersByTimeAsync(10_000);
  }
}

export function must(holds: boolean, what: string): void {
  if (!holds) throw new Error(`broken: ${what}`);
}

const text = (one: Interval | undefined): string => `[${one?.start}, ${one?.end})`;
