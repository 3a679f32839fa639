import { describe, expect, test } from '@jest/globals';
import { http } from '../../../src/collector/protocols/http/http.ts';
import { close, createBench, drained, id, MS, open, opening, received, sent, START } from '../stream.ts';

const REQUEST = 'PATCH /cart/7?x=1 HTTP/1.1\r\nHost: shop\r\nContent-Length: 2\r\n\r\nhi';
const RESPONSE = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';

describe('the first request of a connection', () => {
  test.each(Array.from({ length: 12 }, (_, i) => i + 1))('makes its row when it comes cut after byte %i', (cut) => {
    const bench = createBench({ protocols: [http] });
    const connection = id();
    const at = START + 10 * MS;
    bench.feed(opening(), open(connection));
    bench.feed(
      received(REQUEST.slice(0, cut), 0, at, connection),
      received(REQUEST.slice(cut), cut, at + MS, connection),
    );
    bench.feed(
      sent(RESPONSE, 0, at + 2 * MS, connection),
      close(at + 3 * MS, RESPONSE.length, REQUEST.length, connection),
    );
    bench.feed(drained(at + 200 * MS));
    expect(bench.of('http_events').map(({ cells }) => [cells[12], cells[13], cells[17]])).toEqual([
      ['PATCH', '/cart/7?x=1', 200],
    ]);
    expect(bench.intake.metrics.bytesBeforeRecognised).toBe(0);
  });

  test('that is none after all is passed over, and the connection muted', () => {
    const bench = createBench({ protocols: [http] });
    const connection = id();
    bench.feed(opening(), open(connection));
    for (let i = 0; i < 10; i++) bench.feed(received('\u0001binary', i * 7, START + (10 + i) * MS, connection));
    expect(bench.of('http_events')).toEqual([]);
    expect(bench.intake.metrics).toMatchObject({ connectionsMuted: 1, bytesHeld: 0 });
  });
});

test('a message of a descriptor whose next life has begun is an exchange that is declared lost', () => {
  const bench = createBench({ protocols: [http] });
  const [older, newer] = [id(7, START + 5 * MS), id(7, START + 50 * MS)];
  bench.feed(opening(), open(newer), received(REQUEST, 0, START + 20 * MS, older), drained(START + 300 * MS));
  expect(bench.intake.metrics).toMatchObject({ framesStale: 1, exchangesLost: { unmatched: 1 } });
});
