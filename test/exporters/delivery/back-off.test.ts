import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  ASKED_DELAY_MAX_MS,
  DELAY_MAX_MS,
  nextBackOff,
  type BackOff,
} from '../../../src/exporters/delivery/back-off.ts';

function delays(
  count: number,
  random: () => number,
  afterMs: (n: number) => number | undefined = () => undefined,
): number[] {
  const seen: number[] = [];
  let backOff: BackOff | undefined;
  for (let n = 0; n < count; n++) {
    backOff = nextBackOff(backOff, afterMs(n), random);
    seen.push(backOff.delayMs);
  }
  return seen;
}

test('the delay begins at one second, doubles, and stays at thirty', () => {
  expect(delays(8, () => 0.5)).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
});

test('jitter moves it between half and one and a half of that', () => {
  expect(delays(3, () => 0)).toEqual([500, 1000, 2000]);
  expect(delays(3, () => 0.999)).toEqual([1499, 2998, 5996]);
});

test('a delay that the destination asks for is waited for in full and is where doubling goes on', () => {
  expect(
    delays(
      4,
      () => 0.5,
      (n) => (n === 1 ? 7000 : undefined),
    ),
  ).toEqual([1000, 7000, 14_000, 28_000]);
  expect(
    delays(
      1,
      () => 0.5,
      () => 60_000,
    ),
  ).toEqual([60_000]);
  expect(
    delays(
      1,
      () => 0.5,
      () => 1e12,
    ),
  ).toEqual([ASKED_DELAY_MAX_MS]);
});

test('whatever was asked, the delay is never below it, never negative and bounded', () => {
  const asked = fc.option(fc.double({ min: -1e6, max: 1e9, noNaN: true }), { nil: undefined });
  fc.assert(
    fc.property(fc.array(asked, { maxLength: 30 }), fc.double({ min: 0, max: 0.999, noNaN: true }), (all, random) => {
      delays(
        all.length,
        () => random,
        (n) => all[n],
      ).forEach((delay, n) => {
        expect(delay).toBeGreaterThanOrEqual(Math.min(all[n] ?? 0, ASKED_DELAY_MAX_MS));
        expect(delay).toBeGreaterThan(0);
        expect(delay).toBeLessThanOrEqual(Math.max(DELAY_MAX_MS, Math.min(all[n] ?? 0, ASKED_DELAY_MAX_MS)));
      });
    }),
  );
});
