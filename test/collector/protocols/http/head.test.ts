import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { TRUNCATED } from '../../../../src/collector/protocols/cell.ts';
import { type Head, headEnd, parseHead } from '../../../../src/collector/protocols/http/head.ts';
import { HEADERS_BYTES_MAX } from '../../../../src/collector/protocols/http/header-json.ts';
import { unescape } from './conversation.ts';

const parse = (text: string, isRequest = true): Head | undefined => {
  const bytes = unescape(text);
  return parseHead(bytes, 0, bytes.length, isRequest);
};
const jsonOf = (fields: string): string | undefined => parse(`GET / HTTP/1.1\\r\\n${fields}\\r\\n`)?.headersJson;

test.each([
  ['no fields', '', '{}'],
  ['sorted ignoring case, names as sent', 'b: 2\\r\\nA: 1\\r\\nC:3\\r\\n', '{"A":"1","b":"2","C":"3"}'],
  [
    'repeated names as repeated keys in their order',
    'x: 1\\r\\nB: 0\\r\\nX: 2\\r\\nx: 3\\r\\n',
    '{"B":"0","x":"1","X":"2","x":"3"}',
  ],
  ['spaces around values and before the colon', 'a :  \\t b c \\t\\r\\n', '{"a":"b c"}'],
  ['quotes, backslashes, control bytes', 'a: "\\\\\\x01\\x00\\x7f\\r\\n', '{"a":"\\"\\\\\\u0001\\u0000\x7f"}'],
  ['UTF-8 as text, other bytes as latin1', 'a: \\xc3\\xa9\\r\\nb: \\xe9\\r\\n', '{"a":"é","b":"é"}'],
  ['folded lines', 'a: 1\\r\\n 2\\r\\n\\t3\\r\\nb: 4\\r\\n', '{"a":"1 2 3","b":"4"}'],
  ['lines that are no field', 'no colon\\r\\n: no name\\r\\na: 1\\r\\n', '{"a":"1"}'],
  ['empty values and bare LF', 'a:\\nb: 1\\n', '{"a":"","b":"1"}'],
])('header JSON: %s', (_, fields, json) => {
  expect(jsonOf(fields)).toBe(json);
});

test('header JSON is valid and within its limit however many and long the fields are', () => {
  const long = jsonOf(`Cookie: ${'c'.repeat(9000)}\\r\\nZ: last\\r\\n`) ?? '';
  expect(JSON.parse(long)).toEqual({ Cookie: 'c'.repeat(2048) + TRUNCATED, Z: 'last' });
  const many = jsonOf(Array.from({ length: 300 }, (_, i) => `X-${i}: ${'v'.repeat(100)}\\r\\n`).join('')) ?? '';
  expect(Buffer.byteLength(many)).toBeLessThanOrEqual(HEADERS_BYTES_MAX);
  const members = JSON.parse(many) as Record<string, string>;
  expect(members[TRUNCATED]).toBe(`${300 - (Object.keys(members).length - 1)} more`);
  const eighty = jsonOf(Array.from({ length: 80 }, (_, i) => `X-${i}: v\\r\\n`).join('')) ?? '';
  expect(Object.keys(JSON.parse(eighty) as object)).toHaveLength(80);
});

test('header JSON is valid for any bytes, with keys sorted', () => {
  const runs = Number(process.env['SLUICE_FUZZ_RUNS'] ?? 300);
  const line = fc.oneof(
    fc.uint8Array({ maxLength: 60 }).map((a) => Buffer.from(a).toString('latin1')),
    fc
      .tuple(fc.stringMatching(/^[A-Za-z-]{1,8}$/), fc.string({ maxLength: 3000 }))
      .map(([name, value]) => `${name}: ${value}`),
  );
  fc.assert(
    fc.property(fc.array(line, { maxLength: 40 }), (lines) => {
      const bytes = Buffer.from(`GET / HTTP/1.1\r\n${lines.map((text) => `${text}\r\n`).join('')}\r\n`, 'latin1');
      const end = headEnd(bytes, 0, bytes.length);
      const head = parseHead(bytes, 0, end, true);
      if (head === undefined) return;
      expect(Buffer.byteLength(head.headersJson)).toBeLessThanOrEqual(HEADERS_BYTES_MAX);
      JSON.parse(head.headersJson);
      const keys = [...head.headersJson.matchAll(/[{,]"((?:[^"\\]|\\.)*)":"(?:[^"\\]|\\.)*"/g)].map(
        (match) => match[1] ?? '',
      );
      const plain = keys.filter((key) => /^[A-Za-z-]+$/.test(key)).map((key) => key.toLowerCase());
      expect(plain).toEqual([...plain].sort());
    }),
    { numRuns: runs },
  );
});

test.each([
  ['GET / HTTP/1.1', true],
  ['GET / HTTP/1.0', true],
  ['GET /a b HTTP/1.1', true],
  ['GET  HTTP/1.1', false],
  ['GET /', false],
  ['GET / HTTP/2.0', false],
  ['GET / HTTP/1.x', false],
  [' GET / HTTP/1.1', false],
  ['G(T / HTTP/1.1', false],
  [`${'M'.repeat(33)} / HTTP/1.1`, false],
])('request line "%s": valid %s', (line, isValid) => {
  expect(parse(`${line}\\r\\n\\r\\n`) !== undefined).toBe(isValid);
});

test.each([
  ['HTTP/1.1 200 OK', 200, 'OK'],
  ['HTTP/1.0 404', 404, ''],
  ['HTTP/1.1 500 Oh "no" \\xe9', 500, 'Oh "no" é'],
  ['HTTP/1.1 099 OK', undefined, undefined],
  ['HTTP/1.1 20 OK', undefined, undefined],
  ['HTTP/1.1 2000', undefined, undefined],
  ['HTTP/3 200 OK', undefined, undefined],
])('status line "%s"', (line, status, reason) => {
  const head = parse(`${line}\\r\\n\\r\\n`, false);
  expect([head?.status, head?.reason]).toEqual([status, reason]);
});

test.each([
  ['Content-Length: 5\\r\\n', 5, 'none'],
  ['Content-Length: 5\\r\\ncontent-length: 5\\r\\n', 5, 'none'],
  ['Content-Length: 5, 5\\r\\n', 5, 'none'],
  ['Content-Length: 5\\r\\nTransfer-Encoding: chunked\\r\\n', 5, 'chunked'],
  ['Transfer-Encoding: gzip\\r\\nTransfer-Encoding: Chunked \\r\\n', -1, 'chunked'],
  ['Transfer-Encoding: gzip\\r\\n', -1, 'other'],
  ['Transfer-Encoding: identity\\r\\n', -1, 'none'],
])('framing of %s', (fields, length, coding) => {
  const head = parse(`POST / HTTP/1.1\\r\\n${fields}\\r\\n`);
  expect([head?.contentLength, head?.coding]).toEqual([length, coding]);
});

test.each(['5, 6', '-1', '', '0x10', '1e3', '12345678901234567890'])('Content-Length "%s" is malformed', (value) => {
  expect(parse(`POST / HTTP/1.1\\r\\nContent-Length: ${value}\\r\\n\\r\\n`)).toBeUndefined();
});

test('two different lengths are malformed', () => {
  expect(parse('POST / HTTP/1.1\\r\\nContent-Length: 1\\r\\nContent-Length: 2\\r\\n\\r\\n')).toBeUndefined();
});
