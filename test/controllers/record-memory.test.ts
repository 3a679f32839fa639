import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { packRecord, unpackRecord } from '../../src/controllers/exportscript/record-memory.ts';
import { NEW_RECORD, type ScriptRecord, type WindowRecord } from '../../src/controllers/exportscript/track.ts';
import { NO_TOTALS, type RunStatus } from '../../src/crds/status.ts';
import { formatTime, timeNs } from '../../src/model/time.ts';

const count = fc.nat({ max: 2 ** 40 });
const text = fc.string({ unit: 'binary', maxLength: 40 });
const time = fc.bigInt({ min: 0n, max: 4_000_000_000_000_000_000n });
const instant = fc.oneof(
  { weight: 8, arbitrary: time.map((ns) => formatTime(timeNs(ns), 3)) },
  { weight: 1, arbitrary: time.map((ns) => formatTime(timeNs(ns), 9)) },
  // whatever an API server may hold
  { weight: 1, arbitrary: text },
);
const window: fc.Arbitrary<WindowRecord> = fc.record(
  {
    start: instant,
    end: instant,
    outcome: fc.constantFrom('Complete', 'Partial', 'Skipped', 'Failed'),
    reason: text,
    metrics: count,
    spans: count,
    refused: count,
    lost: count,
  },
  { requiredKeys: ['start', 'end', 'outcome', 'metrics', 'spans', 'refused', 'lost'] },
);
const run: fc.Arbitrary<RunStatus> = fc.record({
  rows: count,
  metrics: count,
  spans: count,
  bytes: count,
  durationMs: count,
  nodes: fc.record({ expected: count, answered: count, missing: fc.array(text, { maxLength: 3 }) }),
});
const fault = fc.record({ reason: text, message: text });
const orNot = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(arbitrary, { nil: undefined });

const record: fc.Arbitrary<ScriptRecord> = fc
  .record({
    history: fc.array(window, { maxLength: 10 }),
    last: fc.oneof(fc.nat({ max: 9 }), orNot(window)),
    lastRun: orNot(run),
    pending: fc.array(fc.record({ window, run }), { maxLength: 4 }),
    totals: fc.record(Object.fromEntries(Object.keys(NO_TOTALS).map((key) => [key, count])) as never),
    countedUntil: orNot(time.map(timeNs)),
    consecutiveFailures: fc.nat({ max: 5 }),
    lastError: orNot(fc.record({ stage: fc.constantFrom('Query', 'Export'), code: text, message: text })),
    incomplete: orNot(fc.record({ fault, atMs: count })),
    delivery: orNot(fc.record({ ok: fc.boolean(), fault: orNot(fault), permanent: fc.boolean() })),
  })
  .map(
    ({ last, ...rest }) =>
      ({ ...rest, lastWindow: typeof last === 'number' ? rest.history[last] : last }) as unknown as ScriptRecord,
  );

test('a record comes back as it was', () => {
  const runs = Number(process.env['SLUICE_FUZZ_RUNS'] ?? 200);
  const property = fc.property(record, (one) => {
    const back = unpackRecord(packRecord(one));
    expect(back).toEqual(one);
    // what changes the window in the history is to find it as the last one, too
    expect(back.lastWindow === undefined ? -1 : back.history.indexOf(back.lastWindow)).toBe(
      one.lastWindow === undefined ? -1 : one.history.indexOf(one.lastWindow),
    );
  });
  fc.assert(property, { numRuns: runs });
  expect(unpackRecord(packRecord(NEW_RECORD))).toEqual(NEW_RECORD);
});

test('ten windows take less than 600 bytes', () => {
  const at = (ms: number): string => new Date(Date.UTC(2026, 0, 1) + ms).toISOString();
  const history = Array.from({ length: 10 }, (_, i) => {
    const [start, end] = [at(i * 60_000), at((i + 1) * 60_000)];
    return { start, end, outcome: 'Complete', metrics: 120, spans: 40, refused: 0, lost: 0 } as const;
  });
  expect(packRecord({ ...NEW_RECORD, history, lastWindow: history[0] }).length).toBeLessThan(600);
});
