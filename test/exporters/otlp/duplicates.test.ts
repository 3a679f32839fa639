import { expect, test } from '@jest/globals';
import { withoutDuplicates } from '../../../src/exporters/otlp/duplicates.ts';

test('points whose hashes collide are duplicates only if their bytes are the same', () => {
  const keys = ['aaaa', 'aaab', 'aaaa', 'aab'];
  const bytes = Buffer.from(keys.join(''));
  const starts = Int32Array.of(0, 4, 8, 12, 15);
  const items = {
    bytes,
    starts,
    oversize: 0,
    keyStarts: starts.slice(0, 4),
    keyEnds: starts.slice(1),
    hashes: new Int32Array(4).fill(7),
  };
  const { ranges, duplicates } = withoutDuplicates([{ items, from: 0, to: 4 }]);
  expect(duplicates).toBe(1);
  expect(ranges.map(({ from, to }) => [from, to])).toEqual([[1, 4]]);
});
