import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createStore, DEFAULT_LIMITS } from '../../src/ledger/store.ts';
import { at, BASE, batch, temporaryFolder, window } from './samples.ts';

type Step =
  | {
      readonly kind: 'commit';
      readonly uid: string;
      readonly start: number;
      readonly length: number;
      readonly batches: number;
    }
  | { readonly kind: 'finish'; readonly pick: number }
  | { readonly kind: 'reopen' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('commit' as const),
      uid: fc.constantFrom('a', 'b'),
      start: fc.nat(60),
      length: fc.integer({ min: 1, max: 8 }),
      batches: fc.nat(2),
    }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('finish' as const), pick: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reopen' as const) }) },
);

/** The ledger as a person would keep it: for each script, which ticks are committed, and what still waits. */
class Model {
  readonly ticks = new Map<string, Set<number>>();
  readonly waiting = new Map<string, number>();

  commit(uid: string, start: number, end: number, batches: number): boolean {
    const ticks = this.ticks.get(uid) ?? new Set<number>();
    this.ticks.set(uid, ticks);
    const wanted = Array.from({ length: end - start }, (_, i) => start + i);
    if (wanted.some((tick) => ticks.has(tick))) return false;
    for (const tick of wanted) {
      ticks.add(tick);
      if (batches > 0) this.waiting.set(`${uid}/${tick}`, batches);
    }
    return true;
  }
}

test('any order of commits, verdicts and restarts keeps each tick once, with the right state', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const folder = temporaryFolder();
      const limits = { ...DEFAULT_LIMITS, windowsKept: 2 };
      let store = createStore(folder.path, limits);
      const model = new Model();
      try {
        for (const one of steps) {
          if (one.kind === 'reopen') {
            store.close();
            store = createStore(folder.path, limits);
          } else if (one.kind === 'commit') {
            const batches = Array.from({ length: one.batches }, () => batch());
            const end = one.start + one.length;
            const { status } = store.commit(window(one.uid, one.start, end, batches));
            expect(status).toBe(model.commit(one.uid, one.start, end, one.batches) ? 'committed' : 'overlap');
          } else {
            const pending = store.pending('plugin', 0, 1000, 1e9);
            const chosen = pending[one.pick % Math.max(1, pending.length)];
            if (chosen === undefined) continue;
            store.finish([{ id: chosen.id, verdict: { outcome: 'acknowledged', rejected: 0, attempts: 1 } }]);
            for (let t = Number(chosen.start - BASE); t < Number(chosen.end - BASE); t += 1) {
              const key = `${chosen.uid}/${t}`;
              const left = (model.waiting.get(key) ?? 0) - 1;
              if (left === 0) model.waiting.delete(key);
              else model.waiting.set(key, left);
            }
          }
          for (const [uid, ticks] of model.ticks) {
            const got = new Map<number, boolean>();
            let last = -1n;
            for (const { start, end, delivered } of store.committed([uid]).get(uid) ?? []) {
              expect(start >= last && end > start).toBe(true);
              last = end;
              for (let t = Number(start - BASE); t < Number(end - BASE); t += 1) got.set(t, delivered);
            }
            const want = new Map([...ticks].map((tick) => [tick, !model.waiting.has(`${uid}/${tick}`)] as const));
            expect(new Map([...got].sort(([a], [b]) => a - b))).toEqual(new Map([...want].sort(([a], [b]) => a - b)));
          }
        }
      } finally {
        store.close();
        folder.remove();
      }
    }),
    { numRuns: 40 },
  );
});

test('a script with holes all over keeps a bounded number of intervals and never runs the oldest again', () => {
  const folder = temporaryFolder();
  const store = createStore(folder.path, { ...DEFAULT_LIMITS, windowsKept: 1 });
  for (let i = 0; i < 300; i += 1) store.commit(window('a', i * 10, i * 10 + 5, []));
  const committed = store.committed(['a']).get('a') ?? [];
  expect(committed.length).toBeLessThanOrEqual(66);
  expect(committed[0]?.start).toBe(at(0));
  expect(store.commit(window('a', 7, 8, [])).status).toBe('overlap');
  expect(store.commit(window('a', 2987, 2988, [])).status).toBe('committed');
  store.close();
  folder.remove();
});
