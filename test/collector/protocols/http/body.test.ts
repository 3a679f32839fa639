import { gzipSync } from 'node:zlib';
import { expect, test } from '@jest/globals';
import { TRUNCATED } from '../../../../src/collector/protocols/cell.ts';
import { type Row, listen } from './conversation.ts';
import { http } from '../../../../src/collector/protocols/http/http.ts';

interface Message {
  readonly fields?: string;
  readonly body?: Buffer | string;
}

/** The row of one exchange with these fields and bodies. */
function exchange(request: Message, response: Message): Row {
  const { heard, sink } = listen();
  const tracker = http.start('server', sink, true);
  const send = (start: string, { fields = '', body = '' }: Message, sent: boolean, time: number): void => {
    const bytes = Buffer.concat([
      Buffer.from(`${start}\r\n${fields}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n`),
      Buffer.from(body),
    ]);
    tracker.message(sent, 0, bytes.length, bytes, time);
  };
  send('POST / HTTP/1.1', request, false, 1);
  send('HTTP/1.1 200 OK', response, true, 2);
  return heard.rows[0] as Row;
}

const hex = (bytes: Buffer): string => `bytes ${bytes.toString('hex')}`;
const JSON_TYPE = 'Content-Type: application/json; charset=utf-8\r\n';
const TEXT = 'Content-Type: text/html\r\n';
const GZIP = 'Content-Encoding: gzip\r\n';
const long = 'abcdefgh'.repeat(300);

test.each([
  ['no Content-Type', '', 'x', '<removed: unknown content-type>', 0],
  ['no Content-Type and no body', '', '', '', 0],
  ['neither JSON nor text', 'Content-Type: image/png\r\n', 'x', '<removed: non-text content-type>', 0],
  ['neither JSON nor text, and no body', 'Content-Type: image/png\r\n', '', '', 0],
  ['JSON', JSON_TYPE, '{"a":1}', '{"a":1}', 1],
  ['JSON by suffix', 'content-type: application/problem+json\r\n', '{}', '{}', 1],
  ['text in UTF-8', TEXT, 'é', 'é', 0],
  ['text in another charset, as bytes', TEXT, Buffer.from([0xe9, 0x21]), hex(Buffer.from([0xe9, 0x21])), 0],
  ['exactly the limit', TEXT, long.slice(0, 512), long.slice(0, 512), 0],
  ['more than the limit', TEXT, long.slice(0, 513), long.slice(0, 512) + TRUNCATED, 0],
  [
    'a cut through a character, as bytes',
    TEXT,
    `${'x'.repeat(511)}é`,
    hex(Buffer.concat([Buffer.from('x'.repeat(511)), Buffer.from([0xc3]), Buffer.from(TRUNCATED)])),
    0,
  ],
  ['gzip', JSON_TYPE + GZIP, gzipSync('{"a":1}'), '{"a":1}', 1],
  ['gzip of much', TEXT + GZIP, gzipSync(long), long.slice(0, 512) + TRUNCATED, 0],
  ['gzip of more than is kept', TEXT + GZIP, gzipSync(long, { level: 0 }), long.slice(0, 512) + TRUNCATED, 0],
  ['gzip that is none', TEXT + GZIP, 'plain', '<Failed to gunzip body>', 0],
  ['gzip that ends too early', TEXT + GZIP, gzipSync('hello').subarray(0, 14), '<Failed to gunzip body>', 0],
  ['gzip of nothing', TEXT + GZIP, gzipSync(''), '', 0],
  [
    'gzip of something else than text',
    `Content-Type: image/svg\r\n${GZIP}`,
    gzipSync('x'),
    '<removed: non-text content-type>',
    0,
  ],
  [
    'another encoding, as bytes',
    `${TEXT}Content-Encoding: br\r\n`,
    Buffer.from([0x80, 0xff]),
    hex(Buffer.from([0x80, 0xff])),
    0,
  ],
])('response body: %s', (_, fields, body, cell, contentType) => {
  const row = exchange({}, { fields, body });
  expect([row.respBody, row.respSize, row.contentType]).toEqual([cell, Buffer.byteLength(body), contentType]);
});

const FORM = 'Content-Type: application/x-www-form-urlencoded\r\n';

test.each([
  ['a form, URL-decoded', FORM, 'a=%41+b%2&c=%zz%C3%A9', 'a=A b%2&c=%zzé'],
  ['a form with a parameter, as it is', FORM.replace('\r', '; charset=x\r'), 'a=%41', 'a=%41'],
  ['a form longer than the limit', FORM, '%61'.repeat(600), `${'a'.repeat(341)}%${TRUNCATED}`],
  [
    'anything else, unfiltered',
    'Content-Type: image/png\r\n',
    Buffer.from([0x89, 0x50]),
    hex(Buffer.from([0x89, 0x50])),
  ],
  ['no type', '', 'x', 'x'],
  ['much', '', long, long.slice(0, 512) + TRUNCATED],
])('request body: %s', (_, fields, body, cell) => {
  const row = exchange({ fields, body }, {});
  expect([row.reqBody, row.reqSize]).toEqual([cell, Buffer.byteLength(body)]);
});

test('path, method and reason are cut at their limits', () => {
  const { heard, sink } = listen();
  const tracker = http.start('server', sink, true);
  const request = Buffer.from(`GET /${'p'.repeat(2000)} HTTP/1.1\r\n\r\n`);
  const response = Buffer.from(`HTTP/1.1 200 ${'r'.repeat(2000)}\r\nContent-Length: 0\r\n\r\n`);
  tracker.message(false, 0, request.length, request, 1);
  tracker.message(true, 0, response.length, response, 2);
  expect(heard.rows[0]?.path).toBe(`/${'p'.repeat(1023)}${TRUNCATED}`);
  expect(heard.rows[0]?.reason).toBe('r'.repeat(1024) + TRUNCATED);
});
