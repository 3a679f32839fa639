import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { encodeDrops, encodeFeature, encodeSampleEnd } from '../../src/collector/frames/encode.ts';
import { timeNs } from '../../src/model/time.ts';
import {
  MS,
  SECOND,
  START,
  TGID,
  clock,
  close,
  counts,
  createBench,
  drained,
  exit,
  hello,
  id,
  join,
  open,
  opening,
  printed,
  process,
  received,
  sample,
  sent,
  snapshotEnd,
  wall,
} from './stream.ts';

const T = START + 10 * MS;
const exchange = (ask: string, answer: string, at: number, askAt = 0, answerAt = 0, connection = id()): Uint8Array =>
  join(received(`Q${ask}\n`, askAt, at, connection), sent(`A${answer}\n`, answerAt, at + 3 * MS, connection));

/** A little of everything, over three seconds. */
const day = (): Uint8Array =>
  join(
    opening(), open(), exchange('one', 'eins', T), drained(T + 10 * MS),
    exchange('two', 'zwei', T + 20 * MS, 5, 6), counts(T + 900 * MS, 12, 10), drained(START + 1.2 * SECOND),
    open(id(9, T)), exchange('three', 'drei', T + 1300 * MS, 0, 0, id(9, T)), close(T + 1400 * MS, 6, 7, id(9, T)),
    drained(START + 1.5 * SECOND), clock(START + 1.6 * SECOND), drained(START + 2.1 * SECOND),
    exit(START + 2.5 * SECOND, 3 << 8), drained(START + 3 * SECOND),
  ); // prettier-ignore

describe('a stream of frames', () => {
  test('makes the same rows however it is cut into chunks', () => {
    const whole = createBench();
    whole.feed(day());
    expect(whole.of('http_events')).toHaveLength(3);
    expect(whole.of('conn_stats').length).toBeGreaterThan(2);
    expect(whole.of('proc_exit_events')).toHaveLength(1);
    const bytes = day();
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1 }), (sizes) => {
        const bench = createBench();
        let at = 0;
        for (let i = 0; at < bytes.length; i += 1) {
          const end = at + (sizes[i % sizes.length] ?? 1);
          bench.feed(bytes.slice(at, end));
          at = end;
        }
        expect(printed(bench.rows)).toBe(printed(whole.rows));
      }),
      { numRuns: 100 },
    );
  });

  test('makes the same rows when it is played again', () => {
    const [first, second] = [createBench(), createBench()];
    first.feed(day());
    first.intake.finish();
    second.feed(day());
    second.intake.finish();
    expect(printed(second.rows)).toBe(printed(first.rows));
  });

  test('gives a row the wall-clock time of its last event', () => {
    const bench = createBench();
    bench.feed(opening(), open(), exchange('one', 'eins', T));
    expect(bench.of('http_events')[0]?.time).toBe(wall(T + 3 * MS));
  });

  test('whose bytes are damaged never hangs and never throws anything but a frame error', () => {
    const bytes = day();
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 20 }),
        (hits) => {
          const damaged = bytes.slice();
          for (const [at, value] of hits) damaged[at] = value;
          const bench = createBench();
          try {
            bench.feed(damaged);
            bench.intake.finish();
          } catch (error) {
            expect(error).toHaveProperty('name', 'FrameError');
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('time', () => {
  test('that UTC sets back goes on rising, and the step is counted once', () => {
    const bench = createBench();
    bench.feed(opening(), open(), exchange('one', 'eins', T));
    const back = START + 1 * SECOND;
    bench.feed(clock(back, wall(back) - 5_000_000_000n), exchange('two', 'zwei', back + MS, 5, 6));
    bench.feed(
      clock(back + SECOND, wall(back + SECOND) - 5_000_000_000n),
      exchange('three', 'drei', back + SECOND + MS, 10, 12),
    );
    expect(bench.of('http_events').map((row) => row.time)).toEqual(
      [T, back + MS, back + SECOND + MS].map((ktime) => wall(ktime + 3 * MS)),
    );
    expect(bench.intake.metrics.clockStepsBack).toBe(1);
  });

  test('that UTC sets forward is followed at once', () => {
    const bench = createBench();
    bench.feed(opening(), open(), clock(T, wall(T) + 7n), exchange('one', 'eins', T));
    expect(bench.of('http_events')[0]?.time).toBe(wall(T + 3 * MS) + 7n);
  });

  test('before which everything has been read is the watermark, 50 ms less', () => {
    const bench = createBench();
    bench.feed(opening(), drained(START + SECOND));
    expect(bench.intake.watermarks.of('http_events')).toBe(wall(START + SECOND - 50 * MS));
    expect(bench.intake.watermarks.lowest(['http_events', 'process_stats'])).toBe(0n);
  });

  test('of a row behind the watermark becomes the watermark, and the row is counted as late', () => {
    const bench = createBench();
    bench.feed(opening(), open(), drained(START + 2 * SECOND), exchange('one', 'eins', T));
    const mark = wall(START + 2 * SECOND - 50 * MS);
    expect(bench.of('http_events')[0]).toMatchObject({ time: mark });
    expect(bench.of('http_events')[0]?.cells[0]).toBe(mark);
    expect(bench.intake.loss.window(['http_events'], timeNs(mark), timeNs(mark + 1n)).rowsLate).toBe(1);
    expect(bench.intake.metrics.rowsLate).toBe(1);
  });

  test('is waited for until it has come, and no longer than the caller wants', async () => {
    const bench = createBench();
    bench.feed(opening());
    const waiting = bench.intake.watermarks.waitFor(
      ['http_events'],
      timeNs(wall(START + SECOND)),
      new AbortController().signal,
    );
    const impatient = new AbortController();
    const refused = bench.intake.watermarks.waitFor(['process_stats'], timeNs(wall(START)), impatient.signal);
    bench.feed(drained(START + SECOND + 50 * MS));
    await expect(waiting).resolves.toBeUndefined();
    impatient.abort(new Error('too late'));
    await expect(refused).rejects.toThrow('too late');
  });

  test('of sampled tables runs with events where nothing is sampled', () => {
    const bench = createBench();
    bench.feed(
      opening(),
      encodeFeature({ ktime: START, id: 4, error: 1, name: 'process_sample', reason: 'not permitted' }),
      drained(START + SECOND),
    );
    expect(bench.intake.watermarks.of('process_stats')).toBe(wall(START + SECOND - 50 * MS));
    expect(bench.intake.blind()).toEqual([
      { source: 'process_sample', reason: 'MissingCapability', message: 'not permitted' },
    ]);
  });
});

describe('loss', () => {
  const drops = (ktime: number, dataRingFull: number, controlRingFull = 0): Uint8Array =>
    encodeDrops({
      ktime,
      dataRingFull,
      controlRingFull,
      connectionsFull: 0,
      payloadFaults: 0,
      recursionMisses: 0,
      compatCalls: 0,
    });
  const window = (bench: ReturnType<typeof createBench>, tables: string[], start: number, seconds = 1) =>
    bench.intake.loss.window(tables, timeNs(wall(start)), timeNs(wall(start + seconds * SECOND)));

  test('of the data ring belongs to the second in which it happened and to the tables that payload fills', () => {
    const bench = createBench();
    bench.feed(opening(), drained(START + 3.1 * SECOND), drops(START + 3.2 * SECOND, 5), drained(START + 3.2 * SECOND));
    bench.feed(drops(START + 5.2 * SECOND, 7), drained(START + 5.2 * SECOND));
    expect(window(bench, ['http_events'], START + 3 * SECOND).eventsDropped).toBe(5 + 2);
    expect(window(bench, ['http_events'], START + 2 * SECOND).eventsDropped).toBe(0);
    expect(window(bench, ['http_events'], START + 5 * SECOND).eventsDropped).toBe(2);
    expect(window(bench, ['conn_stats', 'process_stats'], START + 3 * SECOND).eventsDropped).toBe(0);
    expect(bench.intake.metrics.dataRingFull).toBe(7);
  });

  test('of the control ring belongs to connections and exits too', () => {
    const bench = createBench();
    bench.feed(opening(), drained(START + SECOND), drops(START + SECOND + MS, 0, 4));
    for (const table of ['http_events', 'conn_stats', 'proc_exit_events'])
      expect(window(bench, [table], START + SECOND).eventsDropped).toBe(4);
  });

  test('that a probe had before anybody listened is not ours', () => {
    const bench = createBench();
    bench.feed(
      hello(START, { startKtime: START - 100 * SECOND }),
      clock(),
      drops(START, 1000),
      snapshotEnd(),
      drops(START + 2 * MS, 1003),
    );
    expect(bench.intake.metrics.dataRingFull).toBe(3);
  });

  test('starts from nothing again when the probe does', () => {
    const bench = createBench();
    bench.feed(opening(), drops(START + SECOND, 50), hello(START + 2 * SECOND), drops(START + 3 * SECOND, 2));
    expect(bench.intake.metrics.dataRingFull).toBe(52);
  });
});

test('an exit is a row with code, signal and name, and ends the connections of its process', () => {
  const bench = createBench();
  bench.feed(opening(), open(), exit(T, (3 << 8) | 9), drained(T + 10 * MS));
  expect(bench.of('proc_exit_events')[0]?.cells.slice(2)).toEqual([3, 9, 'nginx']);
  expect(bench.of('conn_stats').at(-1)?.cells.slice(8, 11)).toEqual([1, 1, 0]);
  expect(bench.intake.metrics.connectionsOpen).toBe(0);
});

test('a process that no sample shows any more is gone, with its connections; without samples nobody can tell', () => {
  const other = TGID + 1;
  const streamTo = (end: number, sampled: boolean): number => {
    const bench = createBench();
    bench.feed(opening(), process(START, { tgid: other }), open(), open(id(7, T, other)));
    for (let at = START; at <= end; at += SECOND) {
      if (sampled) bench.feed(sample(at, other));
      bench.feed(drained(at));
    }
    return bench.intake.metrics.connectionsOpen;
  };
  expect(streamTo(START + 25 * SECOND, true)).toBe(2);
  expect(streamTo(START + 45 * SECOND, true)).toBe(1);
  expect(streamTo(START + 45 * SECOND, false)).toBe(2);
});

test('a sample is a row of raw counters at the time of its round', () => {
  const bench = createBench();
  bench.feed(opening(), sample(START + SECOND), encodeSampleEnd(START + SECOND));
  expect(bench.of('process_stats').map((row) => [row.time, ...row.cells.slice(2)])).toEqual([
    [wall(START + SECOND), 1, 2, 3e9, 4e9, 3, 5, 6, 7, 8, 9, 10],
  ]);
  expect(bench.intake.watermarks.of('process_stats')).toBe(wall(START + SECOND));
});
