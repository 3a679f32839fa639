import { expect, test } from '@jest/globals';
import { NS_PER_SECOND, timeNs, type TimeNs } from '../../src/model/time.ts';
import { planManualRun, planScript, type Decision } from '../../src/schedule/plan.ts';
import {
  deliveredUntil,
  isFailing,
  markDelivered,
  markFailed,
  markFinished,
  markOverlap,
  markStarted,
  startScript,
  type ScriptSchedule,
  type ScriptState,
} from '../../src/schedule/script-state.ts';
import { spreadNs } from '../../src/schedule/window.ts';

const DAY = 1_764_028_800;
/** Seconds after a midnight. */
const s = (seconds: number): TimeNs => timeNs(BigInt(DAY * 1000 + Math.round(seconds * 1000)) * 1_000_000n);
const seconds = (time: TimeNs): number => Number(time / 1_000_000n - BigInt(DAY) * 1000n) / 1000;

const schedule = (more: Partial<ScriptSchedule> = {}): ScriptSchedule => ({
  uid: 'uid',
  windowNs: 10n * NS_PER_SECOND,
  catchUp: { policy: 'All', maxAgeNs: 900n * NS_PER_SECOND },
  suspend: false,
  ...more,
});

const spread = Number(spreadNs('uid', 10n * NS_PER_SECOND)) / 1e9;

const short = (decision: Decision): string => {
  if (decision.kind === 'idle') return 'idle';
  const range = `${seconds(decision.start)}..${seconds(decision.end)}`;
  return decision.kind === 'run' ? `run ${range}` : `skip ${range} ${decision.reason}`;
};

/** Plans until idle, letting everything succeed. */
function carryOut(
  script: ScriptSchedule,
  start: ScriptState,
  now: TimeNs,
  oldestData?: TimeNs,
): [string[], ScriptState] {
  const done: string[] = [];
  let state = start;
  for (;;) {
    const planned = planScript(script, state, { now, ...(oldestData === undefined ? {} : { oldestData }) });
    state = planned.state;
    if (planned.decision.kind === 'idle') return [done, state];
    done.push(short(planned.decision));
    state = markFinished(markStarted(state, planned.decision), planned.decision, true);
  }
}

const at = (finished: number, script = schedule()): ScriptState =>
  startScript(script, s(finished), { committed: [], checkpoint: s(finished) });

test('a new script starts with the current window and runs it when it is over and its turn has come', () => {
  const state = startScript(schedule(), s(103), { committed: [] });
  const idle = planScript(schedule(), state, { now: s(109) }).decision;
  expect(idle).toMatchObject({ kind: 'idle' });
  expect(idle.kind === 'idle' && idle.wakeAt !== undefined && seconds(idle.wakeAt)).toBeCloseTo(110 + spread, 2);
  expect(short(planScript(schedule(), state, { now: s(110 + spread + 0.001) }).decision)).toBe('run 100..110');
});

test.each([
  ['All', ['run 100..110', 'run 110..120', 'run 120..130']],
  ['Coalesce', ['run 100..130']],
  ['Skip', ['skip 100..120 CatchUpSkip', 'run 120..130']],
] as const)('after an outage, %s does what it says', (policy, want) => {
  const script = schedule({ catchUp: { policy, maxAgeNs: 900n * NS_PER_SECOND } });
  expect(carryOut(script, at(100), s(136))[0]).toEqual(want);
});

test('S7: windows older than maxAge are skipped in one record, however many they are', () => {
  const script = schedule({ catchUp: { policy: 'All', maxAgeNs: 25n * NS_PER_SECOND } });
  expect(carryOut(script, at(100), s(5_000_006))[0]).toEqual([
    'skip 100..4999980 CatchUpMaxAge',
    'run 4999980..4999990',
    'run 4999990..5000000',
  ]);
});

test('S7: the newest due window is tried even if maxAge is shorter than its turn', () => {
  const script = schedule({ catchUp: { policy: 'All', maxAgeNs: 1n } });
  expect(carryOut(script, at(100), s(146))[0]).toEqual(['skip 100..130 CatchUpMaxAge', 'run 130..140']);
});

test('S7: windows that no table reaches back to are finished as expired, and a partly covered one is run', () => {
  expect(carryOut(schedule(), at(100), s(146), s(125))[0]).toEqual([
    'skip 100..120 DataExpired',
    'run 120..130',
    'run 130..140',
  ]);
});

test('S8: suspended, nothing is planned; resumed, it goes on at the current window and the gap is on record', () => {
  const suspended = planScript(schedule({ suspend: true }), at(100), { now: s(200) });
  expect(suspended.decision).toEqual({ kind: 'idle', wakeAt: undefined });
  expect(carryOut(schedule(), suspended.state, s(233))[0]).toEqual(['skip 100..230 Suspended']);
  const again = carryOut(schedule(), suspended.state, s(233))[1];
  expect(carryOut(schedule(), again, s(246))[0]).toEqual(['run 230..240']);
});

test('a script that is found suspended at start is resumed like any other', () => {
  const state = startScript(schedule({ suspend: true }), s(100), { committed: [], checkpoint: s(50) });
  expect(carryOut(schedule(), state, s(133))[0]).toEqual(['skip 50..130 Suspended']);
});

test('S8: another window length begins with a short window up to the next boundary of its own', () => {
  const script = schedule({ windowNs: 60n * NS_PER_SECOND });
  expect(carryOut(script, at(110, script), s(300))[0].slice(0, 2)).toEqual(['run 110..120', 'run 120..180']);
});

test('a failed window is tried again after a pause, before any other, and three failures make it failing', () => {
  let state = at(100);
  const pauses: number[] = [];
  for (let i = 0; i < 7; i += 1) {
    expect(isFailing(state)).toBe(i >= 3);
    state = markFailed(markStarted(state, { start: s(100), end: s(110) }), s(200));
    const { decision } = planScript(schedule(), state, { now: s(200) });
    if (decision.kind === 'idle' && decision.wakeAt !== undefined) pauses.push(seconds(decision.wakeAt) - 200);
  }
  expect(pauses).toEqual([1, 2, 4, 8, 16, 30, 30]);
  expect(short(planScript(schedule(), state, { now: s(230) }).decision)).toBe('run 100..110');
  expect(isFailing(markFinished(state, { start: s(100), end: s(110) }, true))).toBe(false);
});

test('S9: a clock that was set back does not stretch the pause after a failure', () => {
  const state = markFailed(at(100), s(9000));
  expect(short(planScript(schedule(), state, { now: s(200) }).decision)).toBe('run 100..110');
});

test('S6: one run at a time: while one is under way there is nothing to do', () => {
  const state = markStarted(at(100), { start: s(100), end: s(110) });
  expect(planScript(schedule(), state, { now: s(500) }).decision).toEqual({ kind: 'idle', wakeAt: undefined });
  expect(planManualRun(schedule(), state, s(500))).toBeUndefined();
});

test('what is delivered advances in order only, however deliveries come', () => {
  let state = at(100);
  for (const start of [100, 110, 120]) state = markFinished(state, { start: s(start), end: s(start + 10) }, false);
  const seen = [seconds(deliveredUntil(state))];
  for (const start of [110, 100, 120]) {
    state = markDelivered(state, { start: s(start), end: s(start + 10) });
    seen.push(seconds(deliveredUntil(state)));
  }
  expect(seen).toEqual([100, 100, 120, 130]);
});

test('S3: a restart goes on where the ledger and the checkpoint say, the later of both', () => {
  const committed = [
    { start: s(0), end: s(100), delivered: true },
    { start: s(100), end: s(120), delivered: false },
    { start: s(140), end: s(150), delivered: true },
  ];
  const fromLedger = startScript(schedule(), s(170), { committed });
  expect([fromLedger.finishedUntil, deliveredUntil(fromLedger)].map(seconds)).toEqual([120, 100]);
  expect(carryOut(schedule(), fromLedger, s(176))[0]).toEqual([
    'run 120..130',
    'run 130..140',
    'run 150..160',
    'run 160..170',
  ]);
  const fromBoth = startScript(schedule(), s(170), { committed, checkpoint: s(145) });
  expect(seconds(fromBoth.finishedUntil)).toBe(150);
});

test('S12: a manual run takes the last complete window, and the schedule goes round it', () => {
  const manual = planManualRun(schedule(), at(100), s(143));
  expect(manual && [seconds(manual.start), seconds(manual.end)]).toEqual([130, 140]);
  if (manual === undefined) return;
  const state = markFinished(markStarted(at(100), manual), manual, true);
  expect(seconds(state.finishedUntil)).toBe(100);
  expect(carryOut(schedule(), state, s(156))[0]).toEqual([
    'run 100..110',
    'run 110..120',
    'run 120..130',
    'run 140..150',
  ]);
});

test('a manual run of what is finished names the whole window, for the ledger to answer', () => {
  expect(planManualRun(schedule(), at(140), s(143))).toEqual({ start: s(130), end: s(140) });
  expect(planManualRun(schedule(), at(135), s(143))).toEqual({ start: s(135), end: s(140) });
});

test('a refusal for overlap teaches what is committed; one that teaches nothing makes it pause', () => {
  const learned = markOverlap(at(100), s(200), [{ start: s(100), end: s(130), delivered: false }]);
  expect([learned.finishedUntil, deliveredUntil(learned)].map(seconds)).toEqual([130, 100]);
  expect(learned.failures).toBe(0);
  const next = markStarted(at(100), { start: s(100), end: s(110) });
  expect(markOverlap(next, s(200), []).retryAt).toBe(s(201));
});
