import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { rowsOf } from '../../src/columns/batch.ts';
import { fieldOf } from '../../src/columns/column.ts';
import { batchOfPiece, inTimeOrder, sortPiece, type Piece } from '../../src/tables/piece.ts';
import { ascendingOrder, lowerBound, upperBound } from '../../src/tables/time-order.ts';

const anyTime = fc.oneof(fc.bigInt({ min: 0n, max: 20n }), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }));

test('the order is ascending and stable, whatever the times, and undefined only where they ascend', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof({ weight: 9, arbitrary: fc.bigInt({ min: 0n, max: 20n }) }, anyTime)),
      fc.nat(5),
      (values, skip) => {
        const start = Math.min(skip, values.length);
        const expected = values
          .map((time, row) => ({ time, row }))
          .slice(start)
          .sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0))
          .map(({ row }) => row);
        const order = ascendingOrder(BigInt64Array.from(values), start);
        const isIdentity = expected.every((row, i) => row === start + i);
        if (order === undefined) expect(isIdentity).toBe(true);
        else expect([...order]).toEqual(expected);
      },
    ),
  );
});

test('bounds are those of a scan', () => {
  fc.assert(
    fc.property(fc.array(anyTime), anyTime, (values, time) => {
      const times = BigInt64Array.from(values).sort();
      expect(lowerBound(times, time)).toBe([...times].filter((t) => t < time).length);
      expect(upperBound(times, time)).toBe([...times].filter((t) => t <= time).length);
    }),
  );
});

test('pieces that overlap come out as one stable sort of all rows', () => {
  const overlapping = fc.array(fc.tuple(fc.nat(60), fc.array(fc.nat(40), { minLength: 1, maxLength: 12 })), {
    maxLength: 6,
  });
  fc.assert(
    fc.property(overlapping, (parts) => {
      let id = 0;
      const all: [bigint, bigint][] = [];
      const pieces = parts.map(([base, offsets]): Piece => {
        const times = BigInt64Array.from(offsets, (offset) => BigInt(base + offset)).sort();
        const ids = BigInt64Array.from(times, () => BigInt(id++));
        times.forEach((time, i) => all.push([time, ids[i]!]));
        return {
          times,
          columns: [
            { type: 'TIME64NS', length: times.length, values: times },
            { type: 'INT64', length: ids.length, values: ids },
          ],
        };
      });
      const schema = [fieldOf('time_', 'TIME64NS'), fieldOf('id', 'INT64')];
      const rows = [...inTimeOrder(pieces)].flatMap((piece) => rowsOf(batchOfPiece(schema, piece)));
      expect(rows).toEqual(all.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
      for (const piece of pieces) expect(sortPiece(piece)).toBe(piece);
    }),
    { numRuns: 500 },
  );
});
