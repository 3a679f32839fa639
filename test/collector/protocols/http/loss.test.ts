import { expect, test } from '@jest/globals';
import { http } from '../../../../src/collector/protocols/http/http.ts';
import { type Heard, MS, converse, listen, lostBytes, lostExchanges } from './conversation.ts';

const paths = (heard: Heard): string => heard.rows.map(({ path, status }) => `${path}:${status}`).join(' ');

/** An exchange with an empty body. */
const get = (id: number): string => String.raw`
    > GET /${id} HTTP/1.1\r\n\r\n
    < HTTP/1.1 20${id} OK\r\nContent-Length: 0\r\n\r\n`;

// name, conversation, rows as path:status, lost exchanges, lost bytes
test.each<[string, string, string, number, number]>([
  ['nothing lost', `${get(1)}${get(2)}`, '/1:201 /2:202', 0, 0],
  [
    'a response: its exchange, and the next, whose answer might have been in the gap too',
    String.raw`
    > GET /1 HTTP/1.1\r\n\r\n
    <! HTTP/1.1 201 OK\r\nContent-Length: 0\r\n\r\n ${get(2)}${get(3)}
    . close`,
    '/3:203',
    2,
    38,
  ],
  [
    'a request: its exchange, and the next, before which more might have been lost',
    String.raw`${get(1)}
    >! GET /2 HTTP/1.1\r\n\r\n
    < HTTP/1.1 202 OK\r\nContent-Length: 0\r\n\r\n${get(3)}${get(4)}
    . close`,
    '/1:201 /4:204',
    2,
    19,
  ],
  [
    'the middle of a body of known length: nothing but those bytes of the cell',
    String.raw`
    > POST /1 HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc
    >! def
    > ghi
    < HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\nabc
    <! def
    < ghi${get(2)}
    . close`,
    '/1:200 /2:202',
    0,
    0,
  ],
  [
    'the end of a response body: its time is not known, alignment is',
    String.raw`
    > GET /1 HTTP/1.1\r\n\r\n
    < HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc
    <! def
    +30 ${get(2)}
    . close`,
    '/2:202',
    1,
    0,
  ],
  [
    'the end of a request body: its time is not known, alignment is',
    String.raw`
    > POST /1 HTTP/1.1\r\nContent-Length: 6\r\n\r\nabc
    >! def
    < HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n
    +30 ${get(2)}
    . close`,
    '/2:202',
    1,
    0,
  ],
  [
    'the middle of a chunk',
    String.raw`
    > GET /1 HTTP/1.1\r\n\r\n
    < HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc
    <! def
    < ghi\r\n0\r\n\r\n${get(2)}
    . close`,
    '/1:200 /2:202',
    0,
    0,
  ],
  [
    'a chunk boundary: that response cannot be told from its end on',
    String.raw`
    > GET /1 HTTP/1.1\r\n\r\n
    < HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n
    <! 3\r\ndef\r\n
    < 0\r\n\r\n
    +30 ${get(2)}`,
    '/2:202',
    1,
    13,
  ],
  [
    'chunk boundaries beyond the capture limit: only that row',
    String.raw`
    > GET /1 HTTP/1.1\r\n\r\n
    <30 HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\n
    < 3\r\nxyz\r\n0\r\n\r\n${get(2)}`,
    '/2:202',
    1,
    25,
  ],
  [
    'chunk boundaries and the end of the body beyond the capture limit',
    String.raw`
    > GET /1 HTTP/1.1\r\n\r\n
    <30 HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\n${get(2)}`,
    '/2:202',
    1,
    25,
  ],
  [
    'chunk boundaries that may hide a whole response: nothing is paired until the next burst',
    String.raw`
    > GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\n
    <90 HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\n
    < HTTP/1.1 203 OK\r\nContent-Length: 0\r\n\r\n${get(4)}`,
    '/4:204',
    3,
    85,
  ],
  [
    'a request, by a client that then overlaps its requests for the first time',
    String.raw`${get(1)}
    >! GET /2 HTTP/1.1\r\n\r\n
    > GET /3 HTTP/1.1\r\n\r\n
    < HTTP/1.1 202 OK\r\nContent-Length: 0\r\n\r\n
    > GET /4 HTTP/1.1\r\n\r\n
    < HTTP/1.1 203 OK\r\nContent-Length: 0\r\n\r\n
    < HTTP/1.1 204 OK\r\nContent-Length: 0\r\n\r\n${get(5)}
    . close`,
    '/1:201 /5:205',
    3,
    19,
  ],
  [
    'rubbish that looks like a request at first, again and again, is one loss',
    String.raw`
    > \x00
    > HELLO WOR
    > LD\r\n
    > HELLO WOR
    > LD\r\n
    < HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n${get(2)}`,
    '/2:202',
    1,
    27,
  ],
  [
    'part of a head beyond the capture limit',
    String.raw`
    >10 GET /1 HTTP/1.1\r\nCookie: 
    < HTTP/1.1 201 OK\r\nContent-Length: 0\r\n\r\n${get(2)}${get(3)}
    . close`,
    '/2:202 /3:203',
    1,
    34,
  ],
  [
    'a request that is no HTTP, answered',
    String.raw`
    > \x00\x01rubbish\r\n\r\n
    < HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n${get(2)}`,
    '/2:202',
    1,
    13,
  ],
  [
    'a response with more bytes than it declares',
    String.raw`
    > GET /1 HTTP/1.1\r\n\r\n
    < HTTP/1.1 201 OK\r\nContent-Length: 3\r\n\r\nabcdef${get(2)}`,
    '/1:201 /2:202',
    0,
    3,
  ],
  [
    'a request without an answer when the connection closes',
    String.raw`${get(1)}
    > GET /2 HTTP/1.1\r\n\r\nGET /3 HT
    . close`,
    '/1:201',
    2,
    0,
  ],
  [
    'an answer that nobody asked for',
    String.raw`${get(1)}
    < HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n
    . close`,
    '/1:201',
    1,
    0,
  ],
  [
    'the last response',
    String.raw`${get(1)}
    > GET /2 HTTP/1.1\r\n\r\n
    <! HTTP/1.1 202 OK\r\nContent-Length: 0\r\n\r\n
    . close`,
    '/1:201',
    1,
    38,
  ],
  [
    'the last exchange, both halves: as many as the bytes can hold',
    String.raw`${get(1)}
    >! GET /2 HTTP/1.1\r\n\r\n
    <! HTTP/1.1 202 OK\r\nContent-Length: 0\r\n\r\n
    . close`,
    '/1:201',
    2,
    57,
  ],
  [
    'bytes within a body that lasts until the close',
    String.raw`
    > GET /1 HTTP/1.0\r\n\r\n
    < HTTP/1.0 200 OK\r\n\r\nabc
    <! def
    < ghi
    . close`,
    '/1:200',
    0,
    0,
  ],
  [
    'the end of a body that lasts until the close',
    String.raw`
    > GET /1 HTTP/1.0\r\n\r\n
    < HTTP/1.0 200 OK\r\n\r\nabc
    <! def
    . close`,
    '',
    1,
    0,
  ],
])('%s', (_, conversation, rows, exchanges, bytes) => {
  const heard = converse(conversation);
  expect([paths(heard), lostExchanges(heard), lostBytes(heard)]).toEqual([rows, exchanges, bytes]);
});

test('a cell shows the unbroken beginning of a body, never what comes after missing bytes', () => {
  const { rows } = converse(String.raw`
    > POST /1 HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc
    >! def
    > ghi
    < HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\nab
    <! cde
    < fghi
    . close`);
  expect(rows.map(({ reqBody, respBody }) => [reqBody, respBody])).toEqual([
    ['abc... [TRUNCATED]', 'ab... [TRUNCATED]'],
  ]);
});

test('a body cut by the close has the size of what came', () => {
  const { rows, losses } = converse(String.raw`
    > GET / HTTP/1.1\r\n\r\n
    < HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\nabc
    . close`);
  expect(rows.map(({ respSize, respBody }) => [respSize, respBody])).toEqual([[3, 'abc']]);
  expect(losses).toEqual([]);
});

test('a connection joined within a response begins with the next exchange, and nothing is counted', () => {
  const late = { fromOpen: false };
  const head = converse(`< HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n${get(1)}${get(2)}`, late);
  expect([paths(head), lostExchanges(head)]).toEqual(['/2:202', 1]);
  const body = converse(`< rest of a body${get(1)}`, late);
  expect([paths(body), lostExchanges(body), lostBytes(body)]).toEqual(['/1:201', 0, 14]);
});

test.each([
  ['the end of a body', 'a', 'GET', 'GET', ['/1', '/3', '/4']],
  ['a method in front of another', 'PROP', 'PATCH', 'PATCH', ['/1', '/4']],
  ['the rest of a method', 'G', 'ET', 'GET', ['/1', '/4']],
])('after a loss %s is not taken for the beginning of a method', (_, before, after, method, expected) => {
  const { rows } = converse(String.raw`${get(1)}
    >! POST /2 HTTP/1.1\r\n\r\n and so on
    ${before === 'G' ? '' : `> ${before}`}
    < HTTP/1.1 202 OK\r\nContent-Length: 0\r\n\r\n
    ${before === 'G' ? `> ${before}` : ''}
    > ${after} /3 HTTP/1.1\r\n\r\n
    < HTTP/1.1 203 OK\r\nContent-Length: 0\r\n\r\n${get(4)}
    . close`);
  expect(rows.map(({ path }) => path)).toEqual(expected);
  expect(rows.filter(({ path }) => path === '/3').every((row) => row.method === method)).toBe(true);
});

test('responses before the first request are counted once it shows that requests were lost', () => {
  const heard = converse(
    String.raw`
    >! GET /0 HTTP/1.1\r\n\r\n
    < HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n${get(1)}${get(2)}
    +30
    . tick`,
    { fromOpen: false },
  );
  expect(lostExchanges(heard) + heard.rows.length).toBeGreaterThanOrEqual(3);
});

test('an unanswered request expires once, and a late answer is not another one', () => {
  const heard = converse(String.raw`
    > GET /1 HTTP/1.1\r\n\r\n
    +300001
    . tick
    . tick
    < HTTP/1.1 201 OK\r\nContent-Length: 0\r\n\r\n${get(2)}`);
  expect(heard.losses).toEqual([{ exchanges: 1, bytes: 0, reason: 'expired' }]);
  expect(paths(heard)).toBe('/2:202');
});

test('a response that overtakes its request waits for it', () => {
  const { heard, sink } = listen();
  const tracker = http.start('client', sink, true);
  const response = Buffer.from('HTTP/1.1 204 No\r\n\r\n');
  const request = Buffer.from('GET / HTTP/1.1\r\n\r\n');
  tracker.message(false, 0, response.length, response, 2 * MS);
  tracker.message(true, 0, request.length, request, 3 * MS);
  expect(heard.rows.map(({ time, latency }) => [time, latency])).toEqual([[2 * MS, 0]]);
});

test('a client that was seen to overlap its requests is not paired after a loss until it falls silent', () => {
  const ok = String.raw`< HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n`;
  const ask = (id: string): string => String.raw`> GET /${id} HTTP/1.1\r\n\r\n`;
  const heard = converse(
    [
      ask('1'),
      ask('2'),
      ok,
      ask('3'),
      ok,
      ok,
      ask('4'),
      ok.replace('<', '<!'),
      ask('5'),
      ok,
      ask('6'),
      ok,
      '+300001',
      '. tick',
      ask('7'),
      ok,
    ].join('\n'),
  );
  expect(heard.rows.map(({ path }) => path)).toEqual(['/1', '/2', '/3', '/7']);
  expect(lostExchanges(heard)).toBe(3);
});

test('a head without an end is given up at its limit, in bounded memory', () => {
  const { heard, sink } = listen();
  const tracker = http.start('server', sink, true);
  const line = Buffer.from(`GET / HTTP/1.1\r\n${'X: y\r\n'.repeat(100)}`);
  for (let i = 0; i < 300; i++) {
    tracker.message(false, i * line.length, line.length, line, i);
    expect(tracker.bytesHeld).toBeLessThanOrEqual(128 * 1024);
  }
  expect(heard.losses[0]?.reason).toBe('limit');
});

test('thousands of unanswered requests are given up beyond the limit, in bounded memory', () => {
  const { heard, sink } = listen();
  const tracker = http.start('server', sink, true);
  const request = Buffer.from(`GET /${'p'.repeat(900)} HTTP/1.1\r\n\r\n`);
  for (let i = 0; i < 10_000; i++) {
    tracker.message(false, i * request.length, request.length, request, i);
    expect(tracker.bytesHeld).toBeLessThanOrEqual(512 * 1024);
  }
  tracker.close(0, 10_000 * request.length, 10_000);
  expect(lostExchanges(heard)).toBe(10_000);
});
