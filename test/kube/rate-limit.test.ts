import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createTokenBucket } from '../../src/kube/rate-limit.ts';

test('a burst at once, then the rate', () => {
  let now = 0;
  const bucket = createTokenBucket({ ratePerSecond: 10, burst: 3, now: () => now });
  expect([1, 2, 3, 4].map(() => bucket.tryTake())).toEqual([true, true, true, false]);
  now += 99;
  expect(bucket.tryTake()).toBe(false);
  now += 1;
  expect(bucket.tryTake()).toBe(true);
  now += 1_000_000;
  expect(bucket.tokens()).toBe(3);
});

test('reservations stand in a line', () => {
  let now = 0;
  const bucket = createTokenBucket({ ratePerSecond: 10, burst: 1, now: () => now });
  expect([1, 2, 3].map(() => bucket.reserve())).toEqual([0, 100, 200]);
  now = 100;
  expect(bucket.reserve()).toBeCloseTo(200);
  expect(bucket.tryTake()).toBe(false);
});

test('no interval sees more than burst plus rate times its length', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ ms: fc.nat(400), tries: fc.nat(9) }), { maxLength: 60 }),
      fc.integer({ min: 1, max: 50 }),
      fc.integer({ min: 1, max: 20 }),
      (steps, ratePerSecond, burst) => {
        let now = 0;
        const bucket = createTokenBucket({ ratePerSecond, burst, now: () => now });
        const taken: number[] = [];
        for (const { ms, tries } of steps) {
          now += ms;
          for (let i = 0; i < tries; i++) if (bucket.tryTake()) taken.push(now);
        }
        taken.forEach((from, i) => {
          taken.slice(i).forEach((to, count) => {
            expect(count + 1).toBeLessThanOrEqual(burst + ((to - from) * ratePerSecond) / 1000 + 1e-6);
          });
        });
      },
    ),
  );
});

test.each([
  [0, 1],
  [1, 0],
  [NaN, 1],
])('rate %d, burst %d make no bucket', (ratePerSecond, burst) => {
  expect(() => createTokenBucket({ ratePerSecond, burst, now: () => 0 })).toThrow(RangeError);
});
