import { describe, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { ordinalOf } from '../../../src/controllers/dispatch/rendezvous.ts';

describe('which runtime a script belongs to', () => {
  const uids = Array.from({ length: 10_000 }, () => randomUUID());

  test('is about evenly shared', () => {
    for (const count of [2, 3, 5, 16]) {
      const shares = new Map<number, number>();
      for (const uid of uids) shares.set(ordinalOf(uid, count), (shares.get(ordinalOf(uid, count)) ?? 0) + 1);
      expect([...shares.keys()].sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, i) => i));
      // five standard deviations of a fair share
      const spread = 5 * Math.sqrt(10_000 / count);
      for (const share of shares.values()) expect(Math.abs(share - 10_000 / count)).toBeLessThan(spread);
    }
  });

  test('one runtime more takes from all and moves nothing else', () => {
    for (let count = 1; count < 8; count++) {
      for (const uid of uids.slice(0, 1000)) {
        const [before, after] = [ordinalOf(uid, count), ordinalOf(uid, count + 1)];
        expect([before, count]).toContain(after);
      }
    }
  });

  test('never changes: ledgers of earlier versions are found by it', () => {
    const some = ['8a2c1b60-1111-4222-8333-444455556666', 'ffffffff-0000-4000-8000-000000000000', 'a'];
    expect(some.map((uid) => [2, 3, 5].map((count) => ordinalOf(uid, count)))).toMatchInlineSnapshot(`
     [
       [
         0,
         2,
         2,
       ],
       [
         0,
         2,
         4,
       ],
       [
         0,
         0,
         4,
       ],
     ]
    `);
  });
});
