// R1–R4: whatever happens in whatever order, the reflector's next step is bounded.
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  advanced,
  initial,
  listed,
  listFailed,
  stopped,
  waited,
  watchEnded,
  type Machine,
} from '../../src/kube/reflector-machine.ts';
import { ApiError } from '../../src/kube/types.ts';

const numRuns = Number(process.env['SLUICE_FUZZ_RUNS'] ?? 300);

test('R1: a server that pages even the whole list, and lets its tokens expire, is not asked without end', () => {
  const whole = { ...initial, phase: 'Listing', whole: true } as const;
  const gone = new ApiError(410, 'Expired', '');
  const paged = listFailed({ ...whole, whole: false }, gone, true, 0, () => 0.5);
  expect(paged).toMatchObject({ phase: 'Listing', whole: true });
  const again = listFailed(whole, gone, true, 0, () => 0.5);
  expect(again).toMatchObject({ phase: 'Backoff', next: 'Listing', delayMs: 400 });
});

test('R4: after an outage of any length the store is whole again within 31 s, although the version has expired', () => {
  const gone = new ApiError(410, 'Expired', '');
  const refused = new Error('connect ECONNREFUSED');
  const dice = (): number => 0.999;
  let machine: Machine = listed(initial, '1');
  let nowMs = 0;
  for (let attempt = 0; attempt < 50; attempt++) {
    // ten seconds for each connection that nobody answers
    const startedMs = nowMs;
    nowMs += 10_000;
    machine = watchEnded(machine, { error: refused, livedMs: 10_000, wasOpen: false }, nowMs, dice);
    if (machine.phase !== 'Backoff') throw new Error(machine.phase);
    nowMs += machine.delayMs;
    expect(nowMs - startedMs).toBeLessThanOrEqual(30_000);
    machine = waited(machine);
  }
  // it is back and has forgotten what was before
  machine = watchEnded(machine, { error: gone, livedMs: 5, wasOpen: true }, nowMs, dice);
  expect(machine).toMatchObject({ phase: 'Backoff', next: 'Listing' });
  expect(machine.phase === 'Backoff' && machine.delayMs).toBeLessThan(800);
});

const failure = fc.oneof(
  fc.constantFrom(400, 403, 404, 410, 429, 500, 503).map((status) => new ApiError(status, '', '')),
  fc.nat(60_000).map((afterMs) => new ApiError(429, '', '', afterMs)),
  fc.constant(new Error('reset')),
);
const happening = fc.record({
  good: fc.boolean(),
  error: failure,
  paging: fc.boolean(),
  tookMs: fc.nat(400_000),
  dice: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
});

test('R2–R4: any history of answers', () => {
  fc.assert(
    fc.property(fc.array(happening, { maxLength: 60 }), (history) => {
      let machine: Machine = initial;
      let version = 0;
      let nowMs = 0;
      let last: string | undefined;
      for (const { good, error, paging, tookMs, dice } of history) {
        const before = machine;
        nowMs += tookMs;
        if (machine.phase === 'Listing') {
          last = good ? String(++version) : last;
          machine = good ? listed(machine, last ?? '') : listFailed(machine, error, paging, nowMs, () => dice);
        } else if (machine.phase === 'Watching') {
          // the version is that of the last list or event, never an older one
          expect(machine.resourceVersion).toBe(last);
          if (paging) {
            last = String(++version);
            machine = advanced(machine, last);
          }
          const watch = { error: good ? undefined : error, livedMs: tookMs, wasOpen: paging };
          machine = watchEnded(machine, watch, nowMs, () => dice);
        } else if (machine.phase === 'Backoff') {
          nowMs += machine.delayMs;
          machine = waited(machine);
          expect(machine.phase).not.toBe('Backoff');
        }
        if (machine.phase !== 'Backoff') continue;
        const status = good || !(error instanceof ApiError) ? 0 : error.status;
        const asked = good || !(error instanceof ApiError) ? 0 : (error.retryAfterMs ?? 0);
        expect(machine.delayMs).toBeGreaterThanOrEqual(Math.min(asked, 30_000));
        expect(machine.delayMs).toBeLessThanOrEqual(30_000);
        if (status === 403 || status === 404) expect(machine.delayMs).toBe(30_000);
        const mustList = before.phase === 'Listing' || [403, 404, 410].includes(status);
        expect(machine.next).toBe(mustList ? 'Listing' : 'Watching');
      }
      expect(stopped(machine).phase).toBe('Stopped');
    }),
    { numRuns },
  );
});
