import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createDueHeap, heapPlace } from '../../src/schedule/due-heap.ts';

test('S11: a heap of due times gives what a sorted list would, whatever is put, moved and taken out', () => {
  const operation = fc.record({ kind: fc.constantFrom('put', 'remove', 'pop'), i: fc.nat(19), key: fc.nat(50) });
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 200 }), (operations) => {
      const heap = createDueHeap<number>();
      const places = Array.from({ length: 20 }, (_, i) => heapPlace(i));
      const model = new Map<number, number>();
      const least = (): number => Math.min(...model.values());
      for (const { kind, i, key } of operations) {
        const place = places[i];
        if (place === undefined) continue;
        if (kind === 'put') {
          heap.put(place, key);
          model.set(i, key);
        } else if (kind === 'remove') {
          heap.remove(place);
          model.delete(i);
        } else {
          const first = heap.first();
          if (first === undefined) continue;
          expect(first.key).toBe(least());
          heap.remove(first);
          expect(model.get(first.item)).toBe(first.key);
          model.delete(first.item);
        }
        expect(heap.size).toBe(model.size);
        expect(heap.first()?.key).toBe(model.size === 0 ? undefined : least());
      }
    }),
  );
});
