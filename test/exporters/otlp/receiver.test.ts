import { gzipSync } from 'node:zlib';
import { Client, credentials, type ServiceError } from '@grpc/grpc-js';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { encodeOtlp } from '../../../src/exporters/otlp/encode.ts';
import { grpcSender } from '../../../src/exporters/otlp/grpc-send.ts';
import { requestsToJson } from '../../../src/exporters/otlp/json.ts';
import { startReceiver, type ReceivedRequest, type Receiver } from '../../../src/exporters/otlp/receiver.ts';
import { PROTOCOLS } from '../../../src/exporters/otlp/schema.ts';
import { metric } from '../telemetry.ts';
import { destination } from './destination.ts';
import { EVERY_KIND, EVERY_KIND_LOGS, EVERY_KIND_METRICS, EVERY_KIND_SPANS } from './every-kind.ts';

const BYTES_MAX = 2 ** 20;
let receiver: Receiver;
let url: string;
let received: ReceivedRequest[] = [];

beforeAll(async () => {
  receiver = await startReceiver({ grpc: '127.0.0.1:0', http: '127.0.0.1:0', requestBytesMax: BYTES_MAX });
  receiver.onRequest((request) => received.push(request));
  url = `http://127.0.0.1:${receiver.ports.http}`;
});
beforeEach(() => {
  received = [];
});
afterAll(() => receiver.close());

const EXPECTED = [
  { resourceMetrics: EVERY_KIND_METRICS },
  { resourceSpans: EVERY_KIND_SPANS },
  { resourceLogs: EVERY_KIND_LOGS },
];
const PROTOBUF = { 'content-type': 'application/x-protobuf' };
const JSON_TYPE = { 'content-type': 'application/json' };

const post = (path: string, body: string | Uint8Array, headers: Record<string, string>): Promise<Response> =>
  fetch(`${url}${path}`, { method: 'POST', body: typeof body === 'string' ? body : Buffer.from(body), headers });

test.each(['gzip', 'none'] as const)('takes all signals over gRPC (compression %s)', async (compression) => {
  const sender = grpcSender(destination({ endpoint: `127.0.0.1:${receiver.ports.grpc}`, compression }));
  for (const request of encodeOtlp(EVERY_KIND).requests) {
    expect(await sender.send(request, new AbortController().signal)).toEqual({ status: 'sent', rejected: 0 });
  }
  sender.close();
  expect(received.map(({ json }) => json)).toEqual(EXPECTED);
  expect(received.map(({ signal, transport }) => [signal, transport])).toEqual([
    ['metrics', 'grpc'],
    ['traces', 'grpc'],
    ['logs', 'grpc'],
  ]);
});

test.each([
  ['protobuf', false],
  ['protobuf', true],
  ['json', false],
  ['json', true],
])('takes all signals over HTTP as %s, gzip: %s', async (encoding, gzip) => {
  for (const request of encodeOtlp(EVERY_KIND).requests) {
    const plain = encoding === 'json' ? Buffer.from(JSON.stringify(requestsToJson([request]))) : request.bytes;
    const headers = {
      ...(encoding === 'json' ? JSON_TYPE : PROTOBUF),
      ...(gzip ? { 'content-encoding': 'gzip' } : {}),
    };
    const response = await post(PROTOCOLS[request.signal].httpPath, gzip ? gzipSync(plain) : plain, headers);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe(headers['content-type']);
    expect(await response.text()).toBe(encoding === 'json' ? '{"partialSuccess":{}}' : '');
  }
  expect(received.map(({ json }) => json)).toEqual(EXPECTED);
});

test('OTLP/JSON may have numbers for strings, upper-case ids, nulls and fields that nobody knows', async () => {
  const span = {
    traceId: 'AB'.repeat(16),
    spanId: 'CD'.repeat(8),
    startTimeUnixNano: 5,
    endTimeUnixNano: '6',
    status: null,
    unknown: { x: 1 },
  };
  const response = await post(
    '/v1/traces',
    JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] }),
    JSON_TYPE,
  );
  expect(response.status).toBe(200);
  expect(received[0]?.json.resourceSpans).toEqual([
    {
      scopeSpans: [
        { spans: [{ traceId: 'ab'.repeat(16), spanId: 'cd'.repeat(8), startTimeUnixNano: '5', endTimeUnixNano: '6' }] },
      ],
    },
  ]);
});

test.each([
  ['an unknown path', '/v1/profiles', '{}', JSON_TYPE, 404],
  ['a text', '/v1/logs', 'hello', { 'content-type': 'text/plain' }, 415],
  ['an unknown encoding', '/v1/logs', '{}', { ...JSON_TYPE, 'content-encoding': 'br' }, 415],
  ['broken JSON', '/v1/logs', '{', JSON_TYPE, 400],
  ['JSON that is no object', '/v1/logs', '[]', JSON_TYPE, 400],
  ['JSON of another shape', '/v1/logs', '{"resourceLogs":{}}', JSON_TYPE, 400],
  [
    'an id that is not hexadecimal',
    '/v1/traces',
    '{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"xy"}]}]}]}',
    JSON_TYPE,
    400,
  ],
  ['broken protobuf', '/v1/logs', Uint8Array.of(0x0a, 0xff), PROTOBUF, 400],
  ['broken gzip', '/v1/logs', 'nothing', { ...PROTOBUF, 'content-encoding': 'gzip' }, 400],
  ['too large a body', '/v1/logs', Buffer.alloc(BYTES_MAX + 1), PROTOBUF, 413],
  [
    'too large a body inside gzip',
    '/v1/logs',
    gzipSync(Buffer.alloc(BYTES_MAX + 1)),
    { ...PROTOBUF, 'content-encoding': 'gzip' },
    413,
  ],
])('over HTTP %s is refused with the status that says so', async (_what, path, body, headers, status) => {
  expect((await post(path, body, headers)).status).toBe(status);
  expect(received).toEqual([]);
  expect((await post('/v1/logs', '{}', JSON_TYPE)).status).toBe(200);
});

const callGrpc = (client: Client, method: string, bytes: Uint8Array): Promise<ServiceError | null> =>
  new Promise((resolve) => {
    client.makeUnaryRequest(
      method,
      (value: Uint8Array) => Buffer.from(value),
      (value: Buffer) => value,
      bytes,
      (error) => resolve(error),
    );
  });

test('over gRPC what is too large or no OTLP is refused, and the next request is served', async () => {
  const client = new Client(`127.0.0.1:${receiver.ports.grpc}`, credentials.createInsecure());
  const { method } = PROTOCOLS.metrics;
  expect((await callGrpc(client, method, Buffer.alloc(BYTES_MAX + 1)))?.details).toMatch(/larger than max/);
  expect((await callGrpc(client, method, Uint8Array.of(0x0a, 0xff)))?.details).toMatch(/^not an OTLP metrics request/);
  expect(
    (await callGrpc(client, '/opentelemetry.proto.collector.profiles.v1.ProfilesService/Export', Buffer.alloc(0)))
      ?.code,
  ).toBe(12);
  const [request] = encodeOtlp([metric(1)]).requests;
  expect(await callGrpc(client, method, request?.bytes ?? new Uint8Array(0))).toBeNull();
  client.close();
  expect(received).toHaveLength(1);
});

test('no bytes bring it down, over either transport', async () => {
  const client = new Client(`127.0.0.1:${receiver.ports.grpc}`, credentials.createInsecure());
  const valid = encodeOtlp(EVERY_KIND).requests.map(({ bytes }) => bytes);
  const mutated = fc
    .tuple(fc.constantFrom(...valid), fc.array(fc.tuple(fc.nat(2000), fc.nat(255)), { maxLength: 8 }), fc.nat(2000))
    .map(([bytes, changes, length]) => {
      const copy = Uint8Array.from(bytes.subarray(0, Math.max(1, length)));
      for (const [at, value] of changes) copy[at % copy.length] = value;
      return copy;
    });
  const anyBytes = fc.oneof(fc.uint8Array({ maxLength: 200 }), mutated);
  await fc.assert(
    fc.asyncProperty(
      anyBytes,
      fc.constantFrom('metrics', 'traces', 'logs'),
      fc.boolean(),
      async (bytes, signal, gzip) => {
        const { method, httpPath } = PROTOCOLS[signal];
        const error = await callGrpc(client, method, bytes);
        expect([null, 3]).toContain(error?.code ?? null);
        const response = await post(httpPath, bytes, { ...PROTOBUF, ...(gzip ? { 'content-encoding': 'gzip' } : {}) });
        expect([200, 400]).toContain(response.status);
        const asJson = await post(httpPath, bytes, JSON_TYPE);
        expect([200, 400]).toContain(asJson.status);
      },
    ),
    { numRuns: 150 },
  );
  client.close();
});

test('JSON nested however deep is refused or taken, never fatal', async () => {
  const depth = 50_000;
  const nested = `${'{"arrayValue":{"values":['.repeat(depth)}{}${']}}'.repeat(depth)}`;
  const body = `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":${nested}}]}]}]}`;
  expect([400, 413]).toContain((await post('/v1/logs', body, JSON_TYPE)).status);
  expect((await post('/v1/logs', '{}', JSON_TYPE)).status).toBe(200);
});

test('an address that is taken is named, with the reason, and nothing stays open', async () => {
  const http = `127.0.0.1:${receiver.ports.http}`;
  await expect(startReceiver({ grpc: '127.0.0.1:0', http })).rejects.toThrow(
    `cannot listen on ${http} for OTLP/HTTP: the port is in use (EADDRINUSE)`,
  );
  await expect(startReceiver({ grpc: http })).rejects.toThrow(
    `cannot listen on ${http} for OTLP/gRPC: the port is in use (EADDRINUSE)`,
  );
});
