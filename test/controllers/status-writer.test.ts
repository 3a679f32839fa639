import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createStatusWriter, type StatusWriterOptions } from '../../src/controllers/status-writer.ts';

/** Time that a test moves; calls that are due are made in their order. */
function virtualTime() {
  let now = 0;
  const calls = new Set<{ readonly at: number; readonly call: () => void }>();
  const settle = async (): Promise<void> => {
    for (let i = 0; i < 20; i++) await Promise.resolve();
  };
  return {
    nowMs: () => now,
    after: (ms: number, call: () => void) => {
      const one = { at: now + Math.max(0, ms), call };
      calls.add(one);
      return () => void calls.delete(one);
    },
    settle,
    async advance(ms: number): Promise<void> {
      const end = now + ms;
      await settle();
      for (;;) {
        const next = [...calls].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
        if (next === undefined) break;
        calls.delete(next);
        now = Math.max(now, next.at);
        next.call();
        await settle();
      }
      now = end;
    },
  };
}

function bench(write?: StatusWriterOptions['write'], more: Partial<StatusWriterOptions> = {}) {
  const time = virtualTime();
  const written: { readonly at: number; readonly key: string; readonly status: object; readonly urgency: string }[] =
    [];
  const last = new Map<string, object>();
  const made = new Map<string, object>();
  const errors: unknown[] = [];
  const writer = createStatusWriter({
    make: (key) => made.get(key),
    nowMs: time.nowMs,
    after: time.after,
    random: () => 1,
    write: async (key, status) => {
      const result = (await write?.(key, status)) ?? 'written';
      last.set(key, status);
      return result;
    },
    onWritten: (key, urgency) => void written.push({ at: time.nowMs(), key, status: last.get(key) ?? {}, urgency }),
    onError: (_, error) => void errors.push(error),
    ...more,
  });
  const put = (key: string, urgentKey: string, count: number, minIntervalMs = 10_000): void => {
    made.set(key, { urgentKey, count });
    writer.changed(key, { urgentKey, minIntervalMs });
  };
  return { time, writer, written, errors, put, last };
}

describe('S14 statuses', () => {
  test('the first status and a changed condition go at once, counters at most once an interval', async () => {
    const { time, written, put } = bench();
    put('a', 'ready', 1);
    await time.settle();
    put('a', 'ready', 2);
    put('a', 'ready', 3);
    await time.advance(9999);
    expect(written.map(({ status }) => status)).toEqual([{ urgentKey: 'ready', count: 1 }]);
    await time.advance(1);
    expect(written.at(-1)).toMatchObject({ at: 10_000, status: { count: 3 }, urgency: 'counters' });
    put('a', 'failing', 4);
    await time.settle();
    expect(written.at(-1)).toMatchObject({ at: 10_000, status: { urgentKey: 'failing' }, urgency: 'urgent' });
  });

  test('S15 the same status is not written again', async () => {
    const { time, written, put } = bench();
    put('a', 'ready', 1);
    await time.settle();
    put('a', 'ready', 1);
    await time.advance(60_000);
    expect(written).toHaveLength(1);
  });

  test('twenty counters a second in all, however many wait; urgent ones do not wait for them', async () => {
    const { time, written, put, writer } = bench();
    for (let i = 0; i < 500; i++) writer.seed(`s${i}`, 'ready');
    for (let i = 0; i < 500; i++) put(`s${i}`, 'ready', 1, 0);
    await time.settle();
    expect(written).toHaveLength(20);
    put('new', 'pending', 0);
    await time.settle();
    expect(written.at(-1)).toMatchObject({ key: 'new', at: 0 });
    await time.advance(10_000);
    expect(written.length).toBeGreaterThanOrEqual(219);
    expect(written.length).toBeLessThanOrEqual(221);
    await time.advance(15_000);
    expect(written).toHaveLength(501);
  });

  test('R19 a status that somebody else overwrote is written again', async () => {
    const { time, written, put, writer } = bench();
    put('a', 'ready', 1);
    await time.settle();
    writer.overwritten('a');
    await time.settle();
    expect(written).toHaveLength(2);
  });

  test('a write that fails is tried again after a pause, with what is true then; one key never holds up another', async () => {
    let isBroken = true;
    const { time, written, errors, put } = bench(async (key) => {
      if (key === 'a' && isBroken) throw new Error('503');
      return 'written';
    });
    put('a', 'pending', 1);
    put('b', 'pending', 1);
    await time.settle();
    expect(written.map(({ key }) => key)).toEqual(['b']);
    put('a', 'ready', 2);
    await time.advance(999);
    expect(errors).toHaveLength(1);
    await time.advance(1);
    expect(errors).toHaveLength(2);
    isBroken = false;
    await time.advance(2000);
    expect(written.at(-1)).toMatchObject({ key: 'a', status: { urgentKey: 'ready', count: 2 } });
  });

  test('an object that is gone is forgotten', async () => {
    const { time, writer, put, written } = bench(async () => 'gone');
    put('a', 'ready', 1);
    await time.advance(1000);
    expect([writer.waiting, written.length]).toEqual([0, 0]);
  });

  test('the end writes what waits', async () => {
    const { time, writer, put, last } = bench();
    put('a', 'ready', 1);
    await time.settle();
    put('a', 'ready', 2);
    const stopped = writer.stop(1000);
    await time.advance(1000);
    await stopped;
    expect(last.get('a')).toMatchObject({ count: 2 });
  });

  test('R27: at the end what cannot be written is tried again after a pause only, and given up in time', async () => {
    let isOver = false;
    let tries = 0;
    const { time, writer, put } = bench(async () => {
      tries += 1;
      // an event loop that is never let go of would not come to its timers
      if (tries > 1000) throw new Error('hot');
      if (isOver) throw new Error('this process is not the leader');
      return 'written';
    });
    put('a', 'k', 1);
    await time.advance(0);
    put('a', 'k', 2);
    await time.advance(0);
    isOver = true;
    const stopped = writer.stop(1000);
    await time.advance(1000);
    await stopped;
    expect(tries).toBeLessThan(5);
  });

  test('R27: an end without grace begins nothing more', async () => {
    const { time, writer, put, written } = bench();
    for (const count of [1, 2]) {
      put('a', 'k', count);
      await time.advance(0);
    }
    const stopped = writer.stop(0);
    await time.advance(0);
    await stopped;
    expect(written).toHaveLength(1);
  });

  test.each([0, 1000])(
    'R27: what fails once the end has come is nobody’s news: whoever leads next writes it (grace of %d ms)',
    async (graceMs) => {
      const underWay = Promise.withResolvers<'written'>();
      let tries = 0;
      const { time, writer, errors, put } = bench(() => {
        tries += 1;
        return underWay.promise;
      });
      put('a', 'k', 1);
      await time.settle();
      const stopped = writer.stop(graceMs);
      await time.advance(graceMs);
      await stopped;
      underWay.reject(new Error('this process is not the leader'));
      await time.advance(600_000);
      expect([tries, errors]).toEqual([1, []]);
    },
  );

  test('whatever happens, the last status of each object is written in the end, and limits hold', async () => {
    const step = fc.record({
      key: fc.integer({ min: 0, max: 5 }),
      urgent: fc.integer({ min: 0, max: 2 }),
      waitMs: fc.constantFrom(0, 0, 1, 500, 20_000),
      fails: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        let fails = false;
        let inFlight = 0;
        let most = 0;
        const { time, put, last, written } = bench(
          async () => {
            inFlight += 1;
            most = Math.max(most, inFlight);
            await Promise.resolve();
            inFlight -= 1;
            if (fails) throw new Error('no');
            return 'written';
          },
          { inFlightMax: 2, perSecond: 2 },
        );
        const wanted = new Map<string, object>();
        for (const [i, { key, urgent, waitMs, fails: now }] of steps.entries()) {
          fails = now;
          put(`k${key}`, `u${urgent}`, i);
          wanted.set(`k${key}`, { urgentKey: `u${urgent}`, count: i });
          await time.advance(waitMs);
        }
        fails = false;
        await time.advance(600_000);
        expect(last).toEqual(wanted);
        expect(most).toBeLessThanOrEqual(2);
        const counters = written.filter(({ urgency }) => urgency === 'counters');
        for (const one of counters) {
          const within = counters.filter(({ at }) => at >= one.at && at < one.at + 1000);
          expect(within.length).toBeLessThanOrEqual(4);
        }
      }),
      { numRuns: Number(process.env['SLUICE_FUZZ_RUNS'] ?? 200) },
    );
  });
});
