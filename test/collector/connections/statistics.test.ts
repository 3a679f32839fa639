import { describe, expect, test } from '@jest/globals';
import { encodeBlind } from '../../../src/collector/frames/encode.ts';
import { timeNs } from '../../../src/model/time.ts';
import {
  MS,
  SECOND,
  START,
  clock,
  close,
  counts,
  createBench,
  drained,
  hello,
  id,
  join,
  open,
  opening,
  process,
  received,
  sent,
  snapshotEnd,
  wall,
} from '../stream.ts';
import type { Bench } from '../stream.ts';

const T = START + 10 * MS;
const TYPE = { FOLLOW: 64, MUTE: 65 };
/** An exchange as the server sees it. */
const served = (text: string, at: number, asked = 0, answered = 0, connection = id()): Uint8Array =>
  join(received(`Q${text}\n`, asked, at, connection), sent(`A${text}\n`, answered, at + MS, connection));
const paths = (bench: Bench): unknown[] => bench.of('http_events').map((row) => row.cells[13]);
const said = (bench: Bench): number[] => bench.controls.map((frame) => frame[4] ?? 0);
/** role, open, close, active, sent, received of the last row of conn_stats */
const totals = (bench: Bench): unknown[] => {
  const cells = bench.of('conn_stats').at(-1)?.cells ?? [];
  return [cells[4], ...cells.slice(8)];
};

describe('conn_stats', () => {
  test('has a row per changed key and second, cumulative, ports of clients collapsed', () => {
    const bench = createBench();
    const [a, b] = [id(7, T), id(8, T)];
    bench.feed(
      opening(),
      open(a),
      open(b, { remotePort: 50_001 }),
      counts(T, 100, 10, a),
      counts(T, 7, 1, b),
      drained(START + 1.01 * SECOND),
    );
    expect(totals(bench)).toEqual([2, 2, 0, 2, 107, 11]);
    bench.feed(drained(START + 2.01 * SECOND), drained(START + 3.01 * SECOND));
    const rows = bench.of('conn_stats').length;
    bench.feed(counts(START + 3.5 * SECOND, 150, 10, a), drained(START + 4.01 * SECOND));
    expect(bench.of('conn_stats')).toHaveLength(rows + 1);
    expect(totals(bench)).toEqual([2, 2, 0, 2, 157, 11]);
    expect(bench.of('conn_stats').at(-1)?.cells.slice(2, 4)).toEqual(['203.0.113.9', 0]);
  });

  test('has a row at once when a connection closes', () => {
    const bench = createBench();
    bench.feed(opening(), open(), drained(T + 10 * MS), drained(T + 20 * MS));
    const rows = bench.of('conn_stats').length;
    bench.feed(close(T + 25 * MS, 3, 4), drained(T + 30 * MS));
    expect(bench.of('conn_stats')).toHaveLength(rows + 1);
    expect(totals(bench)).toEqual([2, 1, 1, 0, 3, 4]);
  });

  test('never falls', () => {
    const bench = createBench();
    bench.feed(
      opening(),
      open(),
      counts(T, 100, 100),
      counts(T + 1, 90, 90),
      close(T + 2, 80, 80),
      drained(T + SECOND),
    );
    expect(totals(bench)).toEqual([2, 1, 1, 0, 100, 100]);
  });
});

describe('a probe that dies and comes again', () => {
  const START2 = START + 5 * SECOND;
  const again = (): Uint8Array =>
    join(encodeBlind({ ktime: START + 2 * SECOND, endKtime: START2 }), hello(START2), clock(START2), process(START2));

  test('leaves a blind interval', () => {
    const bench = createBench();
    bench.feed(opening(), again());
    const loss = bench.intake.loss.window(
      ['http_events'],
      timeNs(wall(START + 3 * SECOND)),
      timeNs(wall(START + 4 * SECOND)),
    );
    expect(loss.blind).toEqual([
      { source: 'probe', start: wall(START + 2 * SECOND), end: wall(START2), reason: 'ProbeNotRunning' },
    ]);
    expect(bench.intake.loss.window(['http_events'], timeNs(wall(START)), timeNs(wall(START + SECOND))).blind).toEqual(
      [],
    );
  });

  test('finds a connection that is still open: counted once, followed at once, bytes added up', () => {
    const bench = createBench();
    bench.feed(opening(), open(), served('one', T), counts(T + 10 * MS, 5, 5), drained(START + SECOND), again());
    const continued = id(7, START2);
    bench.feed(open(continued, { origin: 4, role: 2 }), snapshotEnd(START2 + MS));
    expect(said(bench)).toEqual([TYPE.FOLLOW, TYPE.FOLLOW]);
    bench.feed(
      served('two', START2 + 10 * MS, 0, 0, continued),
      counts(START2 + 20 * MS, 5, 5, continued),
      drained(START2 + SECOND),
    );
    expect(paths(bench)).toEqual(['Qone', 'Qtwo']);
    expect(totals(bench)).toEqual([2, 1, 0, 1, 10, 10]);
  });

  test('ends what it does not find again', () => {
    const bench = createBench();
    bench.feed(
      opening(),
      open(),
      served('one', T),
      drained(START + SECOND),
      again(),
      snapshotEnd(START2 + MS),
      drained(START2 + SECOND),
    );
    expect(totals(bench)).toEqual([2, 1, 1, 0, 5, 5]);
    expect(bench.intake.metrics.connectionsOpen).toBe(0);
  });

  test('does not ask the parser about what fell into the time that nobody saw', () => {
    const bench = createBench();
    bench.feed(
      opening(),
      open(),
      received('Qone\n', 0, T),
      again(),
      snapshotEnd(START2 + MS),
      drained(START2 + SECOND),
    );
    expect(bench.intake.metrics.exchangesLost.unmatched).toBe(0);
    expect(bench.intake.metrics.bytesHeld).toBe(0);
  });

  test('that only lost its listener is told again what to follow', () => {
    const bench = createBench();
    bench.feed(
      opening(),
      open(),
      served('one', T),
      again(),
      open(),
      snapshotEnd(START2 + MS),
      served('two', START2 + MS, 105, 105),
    );
    expect(said(bench)).toEqual([TYPE.FOLLOW, TYPE.FOLLOW]);
    expect(paths(bench)).toEqual(['Qone', 'Qtwo']);
    expect(bench.intake.metrics.exchangesLost.gap).toBe(2);
    bench.feed(drained(START2 + SECOND));
    expect(bench.intake.metrics.connectionsOpen).toBe(1);
  });
});

describe('bounds', () => {
  test('a parser that throws costs its exchange, then its connection, never the process', () => {
    const bench = createBench();
    bench.feed(
      opening(),
      open(),
      served('one', T),
      received('Qboom\n', 5, T + 5 * MS),
      served('two', T + 6 * MS, 11, 5),
    );
    expect(paths(bench)).toEqual(['Qone', 'Qtwo']);
    expect(bench.intake.metrics.exchangesLost.broken).toBeGreaterThan(0);
    for (let i = 0; i < 3; i += 1) bench.feed(received('Qboom\n', 16 + 6 * i, T + 10 * MS));
    expect(said(bench)).toEqual([TYPE.FOLLOW, TYPE.MUTE]);
    expect(bench.intake.metrics.connectionsBroken).toBe(1);
  });

  test('a parser that has seen enough mutes its connection', () => {
    const bench = createBench();
    bench.feed(
      opening(),
      open(),
      served('one', T),
      received('Qstop\n', 5, T + 5 * MS),
      served('two', T + 6 * MS, 11, 5),
    );
    expect(paths(bench)).toEqual(['Qone']);
    expect(said(bench)).toEqual([TYPE.FOLLOW, TYPE.MUTE]);
    expect(bench.intake.metrics.bytesHeld).toBe(0);
  });

  test('too many held bytes cost the connections that hold most, and are counted', () => {
    const bench = createBench({ bytesHeldMax: 3000 });
    bench.feed(opening(), open(id(7, T)), open(id(8, T)));
    for (let i = 0; i < 20; i += 1) bench.feed(received(`Q${'x'.repeat(198)}\n`, 200 * i, T + i, id(7, T)));
    bench.feed(served('small', T + MS, 0, 0, id(8, T)));
    expect(bench.intake.metrics.bytesHeld).toBeLessThanOrEqual(3000);
    expect(bench.intake.metrics.connectionsReset).toBe(1);
    expect(bench.intake.metrics.exchangesLost.limit).toBeGreaterThanOrEqual(16);
    expect(paths(bench)).toEqual(['Qsmall']);
  });

  test('too many connections cost the longest unused', () => {
    const bench = createBench({ connectionsMax: 3 });
    bench.feed(opening());
    for (let fd = 1; fd <= 5; fd += 1) bench.feed(open(id(fd, T + fd)));
    bench.feed(drained(T + SECOND));
    expect(bench.intake.metrics).toMatchObject({ connectionsOpen: 3, connectionsDropped: 2 });
    expect(totals(bench)).toEqual([2, 5, 2, 3, 0, 0]);
    expect(
      bench.intake.loss.window(['conn_stats'], timeNs(wall(START)), timeNs(wall(START + SECOND))).eventsDropped,
    ).toBe(2);
  });
});
