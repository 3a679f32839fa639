import { PassThrough } from 'node:stream';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { consoleSender } from '../../../src/exporters/console/console-sender.ts';
import { otlpLines } from '../../../src/exporters/console/lines.ts';
import { encodeOtlp } from '../../../src/exporters/otlp/encode.ts';
import { requestsToJson } from '../../../src/exporters/otlp/json.ts';
import { EVERY_KIND } from '../otlp/every-kind.ts';
import { attribute, literal, metric } from '../telemetry.ts';

const EXPECTED = `\
2026-01-02T03:04:05.000000000Z gauge g.int 0 By text=/cart plain="" int=-1 float=-0.25 bool=false literal=always answer=42 | service.name=cart dns.rcode=3
2026-01-02T03:04:05.000000001Z gauge g.int -5000000000000 By text=base64:wEE= plain=ü€𝄞 int=9007199254740993 float=1e+300 bool=true literal=always answer=42 | service.name=cart dns.rcode=3
2026-01-02T03:04:05.000000000Z gauge g.float 0 | service.name=cart dns.rcode=3
2026-01-02T03:04:05.000000001Z gauge g.float 2.5 | service.name=cart dns.rcode=3
2026-01-02T03:04:05.000000000Z sum/delta s 7 1/s | service.name=cart dns.rcode=3
2026-01-02T03:04:05.000000001Z sum/delta s 8 1/s | service.name=cart dns.rcode=3
2026-01-02T03:04:05.000000000Z summary q count=4 sum=10.5 q0.5=2 q0.99=5 ns | service.name=cart dns.rcode=3
2026-01-02T03:04:05.000000000Z histogram/cumulative h count=6 sum=12.5 min=0.5 max=9 buckets=[≤1:1 ≤5:2 ≤∞:3] 1/s | service.name=cart dns.rcode=3
2026-01-02T03:04:05.000000000Z span/client "GET /cart" 1ms ok trace=0102030405060708090a0b0c0d0e0f10 span=0102030405060708 text=/cart plain="" int=-1 float=-0.25 bool=false literal=always answer=42 | service.name=cart dns.rcode=3
2026-01-02T03:04:05.000000001Z span/client "POST /cart" 1ms error broken trace=1112131415161718191a1b1c1d1e1f20 span=090a0b0c0d0e0f10 parent=0102030405060708 text=base64:wEE= plain=ü€𝄞 int=9007199254740993 float=1e+300 bool=true literal=always answer=42 | service.name=cart dns.rcode=3
2026-01-02T03:04:05.000000000Z log/INFO one text=/cart plain="" int=-1 float=-0.25 bool=false literal=always answer=42 | service.name=cart dns.rcode=3
2026-01-02T03:04:05.000000001Z log/INFO two text=base64:wEE= plain=ü€𝄞 int=9007199254740993 float=1e+300 bool=true literal=always answer=42 | service.name=cart dns.rcode=3
`;

test('every kind of item is one readable line', () => {
  const lines = [...otlpLines(requestsToJson(encodeOtlp(EVERY_KIND).requests))];
  expect(`${lines.join('\n')}\n`).toBe(EXPECTED);
});

test('the console destination prints these lines', async () => {
  const stream = new PassThrough();
  const sender = consoleSender(stream);
  for (const request of encodeOtlp(EVERY_KIND).requests) {
    expect(await sender.send(request, new AbortController().signal)).toEqual({ status: 'sent', rejected: 0 });
  }
  sender.close();
  stream.end();
  expect(await stream.toArray().then((chunks) => Buffer.concat(chunks).toString('utf8'))).toBe(EXPECTED);
});

test('a stream that is gone is an outcome', async () => {
  const stream = new PassThrough();
  stream.on('error', () => {});
  stream.destroy(new Error('gone'));
  const [request] = encodeOtlp([metric(1)]).requests;
  if (request === undefined) throw new Error('no request');
  expect(await consoleSender(stream).send(request, new AbortController().signal)).toMatchObject({
    status: 'retry',
    code: 'WRITE_FAILED',
  });
});

test('no text can begin a line or move the cursor', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const value = text.toWellFormed();
      const batch = metric(1, {
        name: value,
        unit: value,
        attributes: [attribute(value, literal(value))],
        resource: [attribute(value, literal(value))],
      });
      const lines = [...otlpLines(requestsToJson(encodeOtlp([batch]).requests))];
      expect(lines).toHaveLength(1);
      expect(lines[0]).not.toMatch(/[\p{C}\u2028\u2029]/u);
    }),
  );
});
