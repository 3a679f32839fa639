import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  addCentroid,
  addValue,
  createDigest,
  processDigest,
  readQuantiles,
} from '../../src/engine/aggregates/t-digest.ts';

/** The scale function of compression 1000. */
const scale = (q: number): number => (1000 * (Math.asin(2 * q - 1) + Math.PI / 2)) / Math.PI;

const digestOf = (values: readonly number[]) => {
  const digest = createDigest();
  for (const value of values) addValue(digest, value);
  processDigest(digest);
  return digest;
};

test('no centroid of several values spans more than one step of the scale, and neighbours could not be one', () => {
  // Below the buffer's size everything is merged in one go, so the rule holds exactly.
  const { means, sizes } = digestOf(Array.from({ length: 7000 }, (_, i) => (i * 7919) % 7000));
  let before = 0;
  for (let i = 0; i < means.length; i++) {
    const size = sizes[i] ?? 0;
    const left = before / 7000;
    const right = (before + size) / 7000;
    if (size > 1) expect(scale(right) - scale(left)).toBeLessThanOrEqual(1 + 1e-9);
    const next = sizes[i + 1];
    if (next !== undefined) expect(scale(Math.min(1, right + next / 7000)) - scale(left)).toBeGreaterThan(1 - 1e-9);
    before += size;
  }
  expect(before).toBe(7000);
  expect(means.length).toBeGreaterThan(500);
  expect(means.length).toBeLessThan(1300);
});

test('few values are kept as they are, and quantiles interpolate at position q·n − 0.5', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 500 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (values, q) => {
        const sorted = Float64Array.from(values, (value) => value + 0).sort();
        const position = Math.max(0, Math.min(sorted.length - 1, q * sorted.length - 0.5));
        const low = sorted[Math.floor(position)] ?? NaN;
        const high = sorted[Math.ceil(position)] ?? NaN;
        const expected = low + (high - low) * (position - Math.floor(position));
        expect(readQuantiles(digestOf(values), [q])[0]).toBeCloseTo(expected, 3);
      },
    ),
  );
});

test('weight is never lost, however values and centroids of others come', () => {
  const step = fc.oneof(
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.tuple(fc.double({ min: -1e9, max: 1e9, noNaN: true }), fc.integer({ min: 1, max: 1000 })),
  );
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 200 }), fc.array(fc.nat(200)), (steps, pauses) => {
      const digest = createDigest();
      let weight = 0;
      steps.forEach((one, i) => {
        if (typeof one === 'number') addValue(digest, one);
        else addCentroid(digest, ...one);
        weight += typeof one === 'number' ? 1 : one[1];
        if (pauses.includes(i)) processDigest(digest);
      });
      processDigest(digest);
      expect(digest.sizes.reduce((sum, size) => sum + size, 0)).toBe(weight);
      expect([...digest.means]).toEqual([...digest.means].sort((a, b) => a - b));
      const read = readQuantiles(digest, [0, 0.25, 0.5, 0.75, 1]);
      expect(read).toEqual([...read].sort((a, b) => a - b));
    }),
  );
});
