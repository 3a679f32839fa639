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
          machine = watchEnded(machine, good ? undefined : error, tookMs, nowMs, () => dice);
        } else if (machine.phase === 'Backoff') {
          nowMs += machine.delayMs;
          machine = waited(machine);
          expect(machine.phase).not.toBe('Backoff');
        }
        if (machine.phase !== 'Backoff') continue;
        const status = good || !(error instanceof ApiError) ? 0 : error.status;
        const asked = good || !(error instanceof ApiError) ? 0 : (error.retryAfterMs ?? 0);
        expect(machine.delayMs).toBeGreaterThanOrEqual(asked);
        expect(machine.delayMs).toBeLessThanOrEqual(Math.max(30_000, asked));
        if (status === 403 || status === 404) expect(machine.delayMs).toBe(30_000);
        const mustList = before.phase === 'Listing' || [403, 404, 410].includes(status);
        expect(machine.next).toBe(mustList ? 'Listing' : 'Watching');
      }
      expect(stopped(machine).phase).toBe('Stopped');
    }),
    { numRuns },
  );
});
