// Rows and losses at the border between two windows: what comes after a window was read must not belong to it.
import { describe, expect, test } from '@jest/globals';
import { encodeDrops, encodeFeature } from '../../src/collector/frames/encode.ts';
import { http } from '../../src/collector/protocols/http/http.ts';
import { timeNs } from '../../src/model/time.ts';
import { MS, SECOND, START, close, createBench, drained, id, open, opening, received, sent, wall } from './stream.ts';

const T = START + 10 * MS;
const ASK = 'GET /a HTTP/1.1\r\nHost: shop\r\n\r\n';
const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}';

/** Rounds of reading, 10 ms apart, from after `from` to `to`. */
const rounds = (from: number, to: number): Uint8Array[] => {
  const list: Uint8Array[] = [];
  for (let at = from + 10 * MS; at <= to; at += 10 * MS) list.push(drained(at));
  return list;
};
const make = () => {
  const bench = createBench({ protocols: [http] });
  bench.feed(opening(), open(), drained(T));
  return bench;
};
const lossIn = (bench: ReturnType<typeof make>, table: string, second: number) =>
  bench.intake.loss.window([table], timeNs(wall(START + second * SECOND)), timeNs(wall(START + (second + 1) * SECOND)));

describe('a row is never late', () => {
  test('where it waits behind a hole on a connection that then falls silent', () => {
    const bench = make();
    bench.feed(received(ASK, 0, T + MS), sent(ANSWER, 0, T + 2 * MS));
    // one exchange is lost whole; of what comes after it the second can be told
    const [asked, answered] = [2 * ASK.length, 2 * ANSWER.length];
    bench.feed(received(ASK, asked, T + 5 * MS), sent(ANSWER, answered, T + 6 * MS));
    bench.feed(received(ASK, asked + ASK.length, T + 7 * MS), sent(ANSWER, answered + ANSWER.length, T + 8 * MS));
    bench.feed(...rounds(T, START + 2 * SECOND));
    expect(bench.of('http_events').length).toBeGreaterThan(1);
    expect(bench.intake.metrics).toMatchObject({ rowsLate: 0, bytesHeld: 0 });
    for (const row of bench.of('http_events')) expect(row.time).toBeLessThan(wall(T + 10 * MS));
  });

  test('where only the close, seconds later, says that its body is over; its latency ends with the body', () => {
    const bench = make();
    const answer = 'HTTP/1.0 200 OK\r\n\r\nhello';
    bench.feed(received(ASK, 0, T + MS), sent(answer, 0, T + 3 * MS), ...rounds(T, T + 3 * SECOND));
    bench.feed(close(T + 3 * SECOND + MS, answer.length, ASK.length), ...rounds(T + 3 * SECOND, T + 4 * SECOND));
    const [row] = bench.of('http_events');
    expect(row?.time).toBe(wall(T + 3 * SECOND + MS));
    expect(row?.cells.at(-1)).toBe(2 * MS);
    expect(bench.intake.metrics.rowsLate).toBe(0);
  });

  test('where its request goes on for seconds after the answer', () => {
    const bench = make();
    const head = 'POST /big HTTP/1.1\r\nHost: shop\r\nContent-Length: 10\r\n\r\n';
    bench.feed(received(`${head}12345`, 0, T + MS), sent(ANSWER, 0, T + 3 * MS), ...rounds(T, T + 3 * SECOND));
    bench.feed(received('67890', head.length + 5, T + 3 * SECOND + MS), ...rounds(T + 3 * SECOND, T + 4 * SECOND));
    expect(bench.of('http_events').map(({ time }) => time)).toEqual([wall(T + 3 * SECOND + MS)]);
    expect(bench.intake.metrics.rowsLate).toBe(0);
  });
});

describe('what is behind the watermark all the same', () => {
  test('is missing in the window that it was of, and not new in the one that gets it', () => {
    const bench = make();
    bench.feed(drained(START + 3 * SECOND));
    bench.feed(received(ASK, 0, T + MS), sent(ANSWER, 0, T + 2 * MS));
    expect(bench.of('http_events').map(({ time }) => time)).toEqual([wall(START + 3 * SECOND - 50 * MS)]);
    expect(lossIn(bench, 'http_events', 0)).toMatchObject({ exchangesLost: 1, rowsLate: 0 });
    expect(lossIn(bench, 'http_events', 2)).toMatchObject({ exchangesLost: 0, rowsLate: 1 });
  });

  test('as a loss is told to the window that can still be told, too', () => {
    const bench = make();
    bench.feed(drained(START + 5 * SECOND));
    // a question without an answer, seen three seconds behind
    bench.feed(received(ASK, 0, START + 2.6 * SECOND));
    bench.feed(close(START + 2.7 * SECOND, 0, ASK.length), drained(START + 6 * SECOND));
    const lost = [2, 3, 4, 5].map((second) => lossIn(bench, 'http_events', second).exchangesLost);
    expect(lost[0]).toBeGreaterThan(0);
    expect(lost.slice(1)).toEqual([0, lost[0], 0]); // the watermark is in the second before 5 s
  });

  test('as a drop that is told late counts from where it may have happened to where it can still be told', () => {
    const bench = make();
    bench.feed(drained(START + 5 * SECOND));
    const none = { controlRingFull: 0, connectionsFull: 0, payloadFaults: 0, recursionMisses: 0, compatCalls: 0 };
    bench.feed(encodeDrops({ ktime: START + 5.02 * SECOND, dataRingFull: 3, ...none }));
    expect([4, 5].map((second) => lossIn(bench, 'http_events', second).eventsDropped)).toEqual([0, 3]);
  });
});

test('a connection that is dropped for room costs the window of now, not the one it was last heard in', () => {
  const bench = createBench({ protocols: [http], connectionsMax: 1 });
  bench.feed(opening(), open(), received(ASK, 0, T + MS), ...rounds(T, START + 4.5 * SECOND));
  bench.feed(open(id(8, START + 4.6 * SECOND)));
  expect(bench.intake.metrics.connectionsDropped).toBe(1);
  expect([0, 4].map((second) => lossIn(bench, 'http_events', second).eventsDropped)).toEqual([0, 1]);
});

test('a source that does not run is a blind interval of the tables that it would fill', () => {
  const bench = make();
  const feature = (id: number, name: string) => encodeFeature({ ktime: START, id, error: 1, name, reason: 'no' });
  bench.feed(feature(4, 'process_sample'), feature(3, 'process_events'));
  const blind = (table: string) => bench.intake.blindIn([table]).map(({ source, reason }) => [source, reason]);
  expect(blind('process_stats')).toEqual([['process_sample', 'MissingCapability']]);
  expect(blind('proc_exit_events')).toEqual([['process_events', 'MissingCapability']]);
  expect(blind('http_events')).toEqual([]);
  bench.feed(feature(0, 'sys_exit'));
  expect(blind('http_events')).toEqual([['sys_exit', 'MissingCapability']]);
  expect(blind('conn_stats')).toEqual([['sys_exit', 'MissingCapability']]);
});
