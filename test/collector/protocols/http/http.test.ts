import { expect, test } from '@jest/globals';
import { http } from '../../../../src/collector/protocols/http/http.ts';
import { PROTOCOLS } from '../../../../src/collector/protocols/registry.ts';
import { MS, converse, listen, lostBytes, lostExchanges } from './conversation.ts';

const rowsOf = (conversation: string): string[] =>
  converse(conversation).rows.map(
    ({ method, path, reqBody, reqSize, status, respBody, respSize }) =>
      `${method} ${path} ${reqBody}/${reqSize} -> ${status} ${respBody}/${respSize}`,
  );

test('a request and its response are one row with every column', () => {
  const { rows, losses } = converse(String.raw`
    > POST /a?b=c HTTP/1.1\r\nHost: shop\r\nContent-Length: 5\r\n\r\nhello
    < HTTP/1.0 201 Created now\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}
  `);
  expect(losses).toEqual([]);
  expect(rows).toEqual([
    {
      time: 2 * MS,
      minor: 0,
      contentType: 1,
      reqHeaders: '{"Content-Length":"5","Host":"shop"}',
      method: 'POST',
      path: '/a?b=c',
      reqBody: 'hello',
      reqSize: 5,
      respHeaders: '{"Content-Length":"2","Content-Type":"application/json"}',
      status: 201,
      reason: 'Created now',
      respBody: '{}',
      respSize: 2,
      latency: MS,
    },
  ]);
});

test.each([
  [
    'chunked both ways, with extension and trailer',
    String.raw`
    > POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n1 \r\n!\r\n0\r\n\r\n
    < HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n0003\r\nabc\r\n0\r\nX: y\r\nX-Longer: yes\r\n\r\n`,
    ['POST / hello!/6 -> 200 abc/3'],
  ],
  [
    'a body until the connection closes',
    String.raw`
    > GET / HTTP/1.0\r\n\r\n
    < HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\nall\x20
    < of it
    . close`,
    ['GET / /0 -> 200 all of it/9'],
  ],
  [
    'HEAD, 204 and 304 without a body although they declare one',
    String.raw`
    > HEAD / HTTP/1.1\r\n\r\n
    < HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\n
    > GET /1 HTTP/1.1\r\n\r\n
    < HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n
    > GET /2 HTTP/1.1\r\n\r\n
    < HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n
    > GET /3 HTTP/1.1\r\n\r\n
    < HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n`,
    ['HEAD / /0 -> 200 /0', 'GET /1 /0 -> 204 /0', 'GET /2 /0 -> 304 /0', 'GET /3 /0 -> 200 /0'],
  ],
  [
    'pipelined requests, matched in order',
    String.raw`
    > GET /1 HTTP/1.1\r\n\r\nHEAD /2 HTTP/1.1\r\n\r\nPATCH /3 HT
    > TP/1.1\r\n\r\n
    < HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Type: text/x\r\n\r\noneHTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nHTT
    < P/1.1 500\r\nContent-Length: 0\r\n\r\n`,
    ['GET /1 /0 -> 200 one/3', 'HEAD /2 /0 -> 404 /0', 'PATCH /3 /0 -> 500 /0'],
  ],
  [
    'interim responses passed over',
    String.raw`
    > POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n
    < HTTP/1.1 100 Continue\r\n\r\n
    > hi
    < HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n`,
    ['POST / hi/2 -> 200 /0'],
  ],
  [
    'a body that was refused and never sent',
    String.raw`
    > POST /1 HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n
    < HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n
    > GET /2 HTTP/1.1\r\n\r\n
    < HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n`,
    ['POST /1 /0 -> 417 /0', 'GET /2 /0 -> 200 /0'],
  ],
  [
    'an answer before the request is complete',
    String.raw`
    > POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nab
    < HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n
    > cd
    > GET /2 HTTP/1.1\r\n\r\n
    < HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n`,
    ['POST / abcd/4 -> 413 /0', 'GET /2 /0 -> 200 /0'],
  ],
  [
    'targets in absolute, asterisk and authority form, and unknown methods',
    String.raw`
    > GET http://h:1/p HTTP/1.1\r\n\r\n
    < HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n
    > OPTIONS * HTTP/1.1\r\n\r\n
    < HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n
    > X-my_verb! /\xc3\xa9\xff HTTP/1.1\r\n\r\n
    < HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n`,
    ['GET http://h:1/p /0 -> 200 /0', 'OPTIONS * /0 -> 200 /0', 'X-my_verb! /Ã©ÿ /0 -> 200 /0'],
  ],
  [
    'bare LF, blank lines before a request, and heads cut anywhere',
    String.raw`
    > \r\n\nG
    > ET / HTTP/1.1\nHost: x\n
    > \n
    < HTTP/1.1 200 OK\r\nContent-Length: 0\r
    < \n\r
    < \n`,
    ['GET / /0 -> 200 /0'],
  ],
  [
    'a large body of which only the beginning was captured, and one sent by sendfile',
    String.raw`
    > GET /1 HTTP/1.1\r\n\r\n
    <95 HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 100\r\n\r\n01234
    > GET /2 HTTP/1.1\r\n\r\n
    < HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 70000\r\n\r\n
    <70000
    > GET /3 HTTP/1.1\r\n\r\n
    <32 HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n20\r\nab
    < 0\r\n\r\n`,
    [
      'GET /1 /0 -> 200 01234... [TRUNCATED]/100',
      'GET /2 /0 -> 200 ... [TRUNCATED]/70000',
      'GET /3 /0 -> 200 ab... [TRUNCATED]/32',
    ],
  ],
])('%s', (_, conversation, rows) => {
  expect(rowsOf(conversation)).toEqual(rows);
  expect(lostExchanges(converse(conversation))).toBe(0);
  expect(lostBytes(converse(conversation))).toBe(0);
});

test('the client side reads responses and writes requests', () => {
  const { rows } = converse('> GET / HTTP/1.1\\r\\n\\r\\n\n< HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n', {
    role: 'client',
  });
  expect(rows).toHaveLength(1);
});

test('an upgrade and a tunnel give their row and end tracing', () => {
  const upgrade = converse(String.raw`
    > GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n
    < HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x05hello
    > \x81\x00
    . close`);
  expect([upgrade.rows[0]?.status, upgrade.stopped, upgrade.losses]).toEqual([101, 'upgrade', []]);
  const tunnel = converse(String.raw`
    > CONNECT db:5432 HTTP/1.1\r\n\r\n
    < HTTP/1.1 200 Connection established\r\n\r\n
    > binary`);
  expect([tunnel.rows[0]?.path, tunnel.stopped]).toEqual(['db:5432', 'tunnel']);
  const refused = converse(String.raw`
    > CONNECT db:5432 HTTP/1.1\r\n\r\n
    < HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n`);
  expect([refused.rows[0]?.status, refused.stopped]).toEqual([403, undefined]);
  expect(converse('> PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n').stopped).toBe('HTTP/2');
});

test.each([
  ['GET / HTTP/1.1\\r\\n', 'request'],
  ['PATCH /long', 'request'],
  ['PURGE /x HTTP/1.0\\r\\n', 'request'],
  ['CONNECT h:1 ', 'request'],
  ['HTTP/1.1 200 OK\\r\\n', 'response'],
  ['HTTP/1.1 20', undefined],
  ['HTTP/2 200 OK\\r\\n', undefined],
  ['PRI * HTTP/2.0\\r\\n\\r\\n', undefined],
  ['CONNECT {"verbose":false}\\r\\n', undefined],
  ['CONNECT {"verb', undefined],
  ['PUB subject 5\\r\\nhello\\r\\n', undefined],
  ['GET key\\r\\n', undefined],
  ['*1\\r\\n$4\\r\\nPING\\r\\n', undefined],
  ['\\x16\\x03\\x01\\x02\\x00\\x01', undefined],
  ['', undefined],
])('%s is classified as %s', (text, kind) => {
  const bytes = Buffer.from(
    text
      .replaceAll('\\r', '\r')
      .replaceAll('\\n', '\n')
      .replaceAll(/\\x(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  );
  expect(http.classify(bytes, bytes.length)).toBe(kind);
});

test('heads are told apart though all payloads lie in one buffer that is used again', () => {
  const { heard, sink } = listen();
  const tracker = http.start('server', sink, true);
  const buffer = Buffer.alloc(256);
  const positions = [0, 0];
  const say = (sent: boolean, text: string, time: number): void => {
    const length = buffer.write(text, 'latin1');
    const direction = sent ? 1 : 0;
    tracker.message(sent, positions[direction] ?? 0, length, buffer.subarray(0, length), time);
    positions[direction] = (positions[direction] ?? 0) + length;
  };
  for (const [i, path] of ['a', 'a', 'a', 'b', 'a', 'c', 'c'].entries()) {
    say(false, `GET /${path} HTTP/1.1\r\n\r\n`, 2 * i);
    say(true, `HTTP/1.1 200 ${path}\r\nContent-Length: 0\r\n\r\n`, 2 * i + 1);
  }
  expect(heard.rows.map(({ path, reason }) => path + reason).join(' ')).toBe('/aa /aa /aa /bb /aa /cc /cc');
});

test('the registry offers HTTP by the id and table of the catalogue', () => {
  expect(PROTOCOLS.map(({ id, name, table }) => [id, name, table])).toEqual([[1, 'HTTP', 'http_events']]);
});
