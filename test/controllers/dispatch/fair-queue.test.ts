import { expect, test } from '@jest/globals';
import { createFairQueue } from '../../../src/controllers/dispatch/fair-queue.ts';

test('S11: groups take turns, first come first served within one', () => {
  const queue = createFairQueue<string>();
  for (const item of ['a1', 'a2', 'a3', 'b1', 'c1', 'c2']) queue.put(item.charAt(0), item);
  queue.put('a', 'a1');
  queue.remove('c', 'c1');
  queue.remove('c', 'not there');
  expect(queue.size).toBe(5);
  const taken = Array.from({ length: 6 }, () => queue.take());
  expect(taken).toEqual(['a1', 'b1', 'c2', 'a2', 'a3', undefined]);
  expect(queue.size).toBe(0);
});
