// The promise "no window lost, none twice", against arbitrary histories. The ledger of this model is a list of ticks.
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { CommittedInterval } from '../../src/model/run.ts';
import { NS_PER_SECOND, timeNs, type TimeNs } from '../../src/model/time.ts';
import { planManualRun, planScript } from '../../src/schedule/plan.ts';
import {
  deliveredUntil,
  markCancelled,
  markDelivered,
  markFailed,
  markFinished,
  markOverlap,
  markStarted,
  startScript,
  type ScriptSchedule,
  type ScriptState,
} from '../../src/schedule/script-state.ts';
import { boundaryBefore, later, spreadNs, type Interval } from '../../src/schedule/window.ts';

const ORIGIN = 1_764_028_800n * NS_PER_SECOND;

const event = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({ kind: fc.constant('wait' as const), seconds: fc.integer({ min: 1, max: 40 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('outage' as const), seconds: fc.integer({ min: 100, max: 5000 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('clock back' as const), seconds: fc.integer({ min: 1, max: 2000 }) }),
  },
  { weight: 12, arbitrary: fc.constant({ kind: 'plan' as const }) },
  { weight: 10, arbitrary: fc.record({ kind: fc.constant('committed' as const), delivered: fc.boolean() }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'failed' as const }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'committed, answer lost' as const }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('delivery' as const), pick: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('restart' as const), checkpoint: fc.boolean() }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'suspend or resume' as const }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('window' as const), seconds: fc.integer({ min: 1, max: 90 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('policy' as const),
      policy: fc.constantFrom('All' as const, 'Coalesce' as const, 'Skip' as const),
    }),
  },
  { weight: 4, arbitrary: fc.constant({ kind: 'manual' as const }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('data gone' as const), seconds: fc.integer({ min: 0, max: 500 }) }),
  },
);

interface Entry extends Interval {
  readonly reason: string | undefined;
  delivered: boolean;
}

function must(holds: boolean, invariant: string): void {
  if (!holds) throw new Error(`broken: ${invariant}`);
}

class World {
  now: TimeNs = timeNs(ORIGIN + 7n * NS_PER_SECOND);
  schedule: ScriptSchedule = {
    uid: 'some-script',
    windowNs: 10n * NS_PER_SECOND,
    catchUp: { policy: 'All', maxAgeNs: 900n * NS_PER_SECOND },
    suspend: false,
  };
  oldestData: TimeNs = timeNs(ORIGIN);
  readonly ledger: Entry[] = [];
  readonly begin = timeNs(ORIGIN);
  state: ScriptState = startScript(this.schedule, this.now, { committed: [] });
  checkpoint: TimeNs = this.begin;
  activeReason: string | undefined;

  /** As the real ledger: refuses what overlaps. */
  commit({ start, end }: Interval, delivered: boolean): boolean {
    if (this.ledger.some((one) => one.start < end && one.end > start)) return false;
    this.ledger.push({ start, end, reason: this.activeReason, delivered });
    this.ledger.sort((a, b) => (a.start < b.start ? -1 : 1));
    return true;
  }

  committed(): CommittedInterval[] {
    return this.ledger.map(({ start, end, delivered }) => ({ start, end, delivered }));
  }

  start(interval: Interval, reason: string | undefined): void {
    must(interval.start < interval.end, 'an interval has a length');
    must(interval.end <= this.now, 'nothing is run before it is over');
    this.activeReason = reason;
    this.state = markStarted(this.state, interval);
  }

  plan(): boolean {
    const { now, oldestData } = this;
    const { state, decision } = planScript(this.schedule, this.state, { now, oldestData });
    this.state = state;
    if (decision.kind === 'idle') return false;
    if (decision.kind === 'run' && this.schedule.catchUp.policy !== 'Coalesce') {
      const grid = boundaryBefore(timeNs(decision.end - 1n), this.schedule.windowNs);
      must(grid <= decision.start, 'a run crosses no boundary');
    }
    this.start(decision, decision.kind === 'skip' ? decision.reason : undefined);
    return true;
  }

  settle(delivered: boolean): void {
    const { active } = this.state;
    if (active === undefined) return;
    // A window that is committed already is answered from the ledger.
    const stored = this.ledger.find(({ start, end }) => start === active.start && end === active.end);
    if (stored !== undefined) {
      this.state = markFinished(this.state, active, stored.delivered);
      return;
    }
    this.state = this.commit(active, delivered)
      ? markFinished(this.state, active, delivered)
      : markOverlap(this.state, this.now, this.committed());
  }

  deliver(pick: number): void {
    const waiting = this.ledger.filter(({ delivered }) => !delivered);
    const one = waiting[pick % Math.max(1, waiting.length)];
    if (one === undefined) return;
    one.delivered = true;
    this.state = markDelivered(this.state, one);
  }

  apply(step: typeof event extends fc.Arbitrary<infer E> ? E : never): void {
    const wait = (seconds: number): void => void (this.now = timeNs(this.now + BigInt(seconds) * NS_PER_SECOND));
    switch (step.kind) {
      case 'wait':
      case 'outage':
        return wait(step.seconds);
      case 'clock back':
        return wait(-step.seconds);
      case 'plan':
        return void this.plan();
      case 'committed':
        return this.settle(step.delivered);
      case 'failed':
        if (this.state.active !== undefined) this.state = markFailed(this.state, this.now);
        return;
      case 'committed, answer lost':
        if (this.state.active === undefined) return;
        this.commit(this.state.active, false);
        this.state = markCancelled(this.state);
        return;
      case 'delivery':
        return this.deliver(step.pick);
      case 'restart':
        this.checkpoint = deliveredUntil(this.state);
        this.state = startScript(this.schedule, this.now, {
          committed: this.committed(),
          // Without a checkpoint the ledger's first window is where the script began.
          ...(step.checkpoint || this.ledger[0]?.start !== this.begin ? { checkpoint: this.checkpoint } : {}),
        });
        return;
      case 'suspend or resume':
        this.schedule = { ...this.schedule, suspend: !this.schedule.suspend };
        return;
      case 'window':
        this.schedule = { ...this.schedule, windowNs: BigInt(step.seconds) * NS_PER_SECOND };
        return;
      case 'policy':
        this.schedule = { ...this.schedule, catchUp: { ...this.schedule.catchUp, policy: step.policy } };
        return;
      case 'manual': {
        const manual = planManualRun(this.schedule, this.state, this.now);
        if (manual !== undefined && manual.start >= this.begin) this.start(manual, undefined);
        return;
      }
      case 'data gone':
        this.oldestData = timeNs(this.now - BigInt(step.seconds) * NS_PER_SECOND);
    }
  }

  /** No hole and no overlap up to where all is said to be finished; what is ahead is in the ledger too. */
  check(): void {
    let reached = this.begin;
    for (const { start, end } of this.ledger) {
      must(start >= reached, 'windows are disjoint');
      must(start >= this.state.finishedUntil || start === reached, 'there is no hole before finishedUntil');
      reached = end;
    }
    const known = (end: TimeNs): boolean => end === this.begin || this.ledger.some((one) => one.end === end);
    must(known(this.state.finishedUntil), 'finishedUntil is the end of a committed window');
    must(
      this.state.ahead.every(({ end }) => known(end)),
      'what is ahead is committed',
    );
    const until = deliveredUntil(this.state);
    must(
      this.ledger.every(({ start, delivered }) => delivered || start >= until),
      'what is called delivered is',
    );
  }
}

test('S4: finished windows have no hole and no overlap, and nothing falls back, whatever happens', () => {
  fc.assert(
    fc.property(fc.array(event, { minLength: 1, maxLength: 150 }), (events) => {
      const world = new World();
      for (const step of events) {
        const before = { finished: world.state.finishedUntil, delivered: deliveredUntil(world.state) };
        world.apply(step);
        world.check();
        expect(world.state.finishedUntil >= before.finished).toBe(true);
        expect(deliveredUntil(world.state) >= before.delivered).toBe(true);
      }
      // Afterwards, in quiet times, every script catches up and everything is delivered.
      world.schedule = { ...world.schedule, suspend: false };
      // a pause after a failure is over, too
      const { finishedUntil, retryAt = world.now } = world.state;
      world.now = timeNs(later(later(world.now, finishedUntil), retryAt) + 100n * NS_PER_SECOND);
      world.settle(true);
      for (let rounds = 0; world.plan(); rounds += 1) {
        expect(rounds).toBeLessThan(2000);
        world.settle(true);
        world.now = timeNs(world.now + 1000n);
      }
      while (world.ledger.some(({ delivered }) => !delivered)) world.deliver(0);
      world.check();
      const { uid, windowNs } = world.schedule;
      const due = boundaryBefore(timeNs(world.now - spreadNs(uid, windowNs)), windowNs);
      expect(world.state.finishedUntil >= due).toBe(true);
      expect(deliveredUntil(world.state)).toBe(world.state.finishedUntil);
    }),
    { numRuns: 1500 },
  );
});
