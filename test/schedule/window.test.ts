import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { NS_PER_SECOND, timeNs } from '../../src/model/time.ts';
import { risingClock } from '../../src/schedule/clock.ts';
import {
  addInterval,
  boundaryAfter,
  boundaryBefore,
  spreadNs,
  subtractInterval,
  type Interval,
} from '../../src/schedule/window.ts';

const interval = (start: number, end: number): Interval => ({ start: timeNs(BigInt(start)), end: timeNs(BigInt(end)) });

test('S1: boundaries lie on the epoch grid around any time, also before 1970', () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n }),
      fc.bigInt({ min: 1n, max: 86_400n * NS_PER_SECOND }),
      (time, length) => {
        const before = boundaryBefore(timeNs(time), length);
        const after = boundaryAfter(timeNs(time), length);
        expect(before % length).toBe(0n);
        expect(before <= time && time < after && after - before === length).toBe(true);
      },
    ),
  );
});

test('S2: the spread is the same each time, below half the window and below 30 s, and differs between scripts', () => {
  const spreads = Array.from({ length: 100 }, (_, i) => spreadNs(`script-${i}`, 10n * NS_PER_SECOND));
  expect(spreads).toEqual(Array.from({ length: 100 }, (_, i) => spreadNs(`script-${i}`, 10n * NS_PER_SECOND)));
  expect(spreads.every((spread) => spread >= 0n && spread < 5n * NS_PER_SECOND)).toBe(true);
  expect(new Set(spreads).size).toBe(100);
  expect(spreadNs('a', 86_400n * NS_PER_SECOND)).toBeLessThan(30n * NS_PER_SECOND);
});

test('interval sets add and subtract as sets of ticks do', () => {
  const change = fc.record({ add: fc.boolean(), start: fc.nat(40), length: fc.integer({ min: 1, max: 9 }) });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 30 }), (changes) => {
      let set: readonly Interval[] = [];
      const ticks = new Set<number>();
      for (const { add, start, length } of changes) {
        const one = interval(start, start + length);
        set = add ? addInterval(set, one) : subtractInterval(set, one);
        for (let tick = start; tick < start + length; tick += 1) {
          if (add) ticks.add(tick);
          else ticks.delete(tick);
        }
        const got = set.flatMap(({ start, end }) =>
          Array.from({ length: Number(end - start) }, (_, i) => Number(start) + i),
        );
        expect(got).toEqual([...ticks].sort((a, b) => a - b));
      }
    }),
  );
});

test('S9: the clock follows UTC upwards, and goes on at its own pace while the host’s clock is behind', () => {
  let wall = 1000n;
  let elapsed = 5n;
  const clock = risingClock({ wall: () => timeNs(wall), monotonic: () => elapsed });
  expect(clock()).toBe(1000n);
  wall += 500n;
  expect(clock()).toBe(1500n);
  wall -= 900n;
  elapsed += 10n;
  expect(clock()).toBe(1510n);
});
