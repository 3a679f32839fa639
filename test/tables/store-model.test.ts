// The store against an array: whatever is appended, expired and read in between, a snapshot has the rows of its moment.
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { rowsOf } from '../../src/columns/batch.ts';
import { column, integer, text, time, type TableDefinition } from '../../src/model/catalogue/definition.ts';
import { timeNs } from '../../src/model/time.ts';
import { createTableStore } from '../../src/tables/store.ts';
import type { Snapshot } from '../../src/tables/snapshot.ts';

const EVENTS: TableDefinition = {
  name: 'events',
  description: '',
  kind: 'event',
  filled: true,
  columns: [
    time(''),
    integer('n', 'GENERAL', ''),
    text('s', ''),
    column('f', 'FLOAT64', ''),
    column('b', 'BOOLEAN', ''),
  ],
};

type Step =
  | {
      readonly kind: 'append';
      readonly ahead: number;
      readonly jitter: number;
      readonly textLength: number;
      readonly rows: number;
    }
  | { readonly kind: 'watermark'; readonly behind: number }
  | { readonly kind: 'read'; readonly start: number; readonly length: number; readonly columns: readonly string[] };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      ahead: fc.nat(20),
      jitter: fc.nat(60),
      textLength: fc.nat(900),
      rows: fc.integer({ min: 1, max: 60 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('watermark' as const), behind: fc.nat(80) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('read' as const),
      start: fc.nat(400),
      length: fc.nat(800),
      columns: fc.shuffledSubarray(['time_', 'n', 's', 'f', 'b'], { minLength: 1 }),
    }),
  },
);

interface Row {
  readonly at: bigint;
  readonly cells: readonly [bigint, bigint, string, number, boolean];
}

test('snapshots equal those of a naive array', () => {
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 5, maxLength: 80 }),
      fc.integer({ min: 30_000, max: 300_000 }),
      (steps, budgetBytes) => {
        const store = createTableStore({ tables: [EVENTS], budgetBytes });
        const arrived: Row[] = [];
        const taken: { snapshot: Snapshot; expected: unknown[][] }[] = [];
        let now = 1_000n;
        let watermark = 0n;
        let late = 0;
        for (const step of steps) {
          if (step.kind === 'append') {
            for (let i = 0; i < step.rows; i++) {
              now += BigInt(step.ahead);
              const n = BigInt(arrived.length);
              const at = now - BigInt((step.jitter * (i * 7 + 3)) % 61);
              const cells = [0n, n, `${n % 40n}`.padStart(step.textLength, 'x'), Number(n) / 2, n % 3n === 0n] as const;
              const isLate = at < watermark;
              expect(store.append('events', at, cells)).toBe(isLate ? 'late' : 'stored');
              if (isLate) late++;
              const stored = isLate ? watermark : at;
              arrived.push({ at: stored, cells: [stored, n, cells[2], cells[3], cells[4]] });
            }
          } else if (step.kind === 'watermark') {
            const next = now - BigInt(step.behind);
            store.setWatermark('events', timeNs(next));
            if (next > watermark) watermark = next;
          } else {
            const start = 1_000n + BigInt(step.start) * 10n;
            const end = start + BigInt(step.length) * 10n;
            const { rowsExpired } = store.stats('events');
            const names = EVENTS.columns.map((c) => c.name);
            const expected = arrived
              .slice(rowsExpired)
              .filter(({ at }) => at >= start && at < end)
              .sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0))
              .map(({ cells }) => step.columns.map((name) => cells[names.indexOf(name)]));
            const snapshot = store.snapshot('events', { start, end, columns: step.columns });
            expect(snapshot.rows).toBe(expected.length);
            const gone = arrived.slice(0, rowsExpired).filter(({ at }) => at >= start && at < end).length;
            expect(snapshot.rowsExpired).toBeGreaterThanOrEqual(gone);
            taken.push({ snapshot, expected });
          }
          const { rows, bytes, rowsExpired, rowsLate, goneUntil, minTime } = store.stats('events');
          expect(rows).toBe(arrived.length - rowsExpired);
          expect(rowsLate).toBe(late);
          // One check interval of rows may lie above the budget, and an active segment that is only just full.
          expect(bytes).toBeLessThan(budgetBytes + 200_000);
          const held = arrived.slice(rowsExpired).map(({ at }) => at);
          expect(minTime).toBe(held.length === 0 ? undefined : held.reduce((a, b) => (a < b ? a : b)));
          for (const { at } of arrived.slice(0, rowsExpired))
            if (goneUntil === undefined || at >= goneUntil) throw new Error('goneUntil is too early');
        }
        for (const { snapshot, expected } of taken) expect([...snapshot].flatMap(rowsOf)).toEqual(expected);
      },
    ),
    { numRuns: 60 },
  );
});
