import { once } from 'node:events';
import { constants, createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2';
import { createServer, type AddressInfo } from 'node:net';
import { status } from '@grpc/grpc-js';
import { afterEach, expect, test } from '@jest/globals';
import { encodeOtlp } from '../../../src/exporters/otlp/encode.ts';
import { grpcSender } from '../../../src/exporters/otlp/grpc-send.ts';
import type { EncodedRequest, Sender } from '../../../src/exporters/sender.ts';
import type { Destination } from '../../../src/model/destination.ts';
import { attribute, literal, metric } from '../telemetry.ts';
import { destination } from './destination.ts';
import { scriptedServer, type Answer, type ScriptedServer } from './scripted-server.ts';

const never = new AbortController().signal;
const open: { close(): unknown }[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

const request = (points = 3): EncodedRequest => {
  const [first] = encodeOtlp([metric(points, { attributes: [attribute('path', literal('/cart'))] })]).requests;
  if (first === undefined) throw new Error('no request');
  return first;
};

async function serve(script: (n: number) => Answer): Promise<ScriptedServer> {
  const server = await scriptedServer(script);
  open.push(server);
  return server;
}

function sender(changes: Partial<Destination>, options: Parameters<typeof grpcSender>[1] = {}): Sender {
  const one = grpcSender(destination(changes), options);
  open.push(one);
  return one;
}

test.each([
  ['CANCELLED', 'retry'],
  ['UNKNOWN', 'refused'],
  ['INVALID_ARGUMENT', 'refused'],
  ['DEADLINE_EXCEEDED', 'retry'],
  ['NOT_FOUND', 'refused'],
  ['ALREADY_EXISTS', 'refused'],
  ['PERMISSION_DENIED', 'refused'],
  ['RESOURCE_EXHAUSTED', 'split'],
  ['FAILED_PRECONDITION', 'refused'],
  ['ABORTED', 'retry'],
  ['OUT_OF_RANGE', 'retry'],
  ['UNIMPLEMENTED', 'refused'],
  ['INTERNAL', 'refused'],
  ['UNAVAILABLE', 'retry'],
  ['DATA_LOSS', 'retry'],
  ['UNAUTHENTICATED', 'refused'],
] as const)('%s is %s', async (code, outcome) => {
  const server = await serve(() => ({ kind: 'status', code: status[code], details: 'why' }));
  expect(await sender({ endpoint: server.endpoint }).send(request(), never)).toEqual({
    status: outcome,
    code,
    message: 'why',
    // its answer leaves open whether what it was sent has an effect
    ...(code === 'CANCELLED' || code === 'DEADLINE_EXCEEDED' ? { isUnanswered: true } : {}),
  });
});

test.each(['RESOURCE_EXHAUSTED', 'UNAVAILABLE'] as const)(
  '%s with RetryInfo is tried again after the delay that it names',
  async (code) => {
    const server = await serve(() => ({
      kind: 'status',
      code: status[code],
      details: 'slow down',
      retryDelayMs: 7250,
    }));
    const outcome = await sender({ endpoint: server.endpoint }).send(request(), never);
    expect(outcome).toEqual({ status: 'retry', code, message: 'slow down', afterMs: 7250 });
  },
);

test('RetryInfo does not make a code retryable that is not', async () => {
  const server = await serve(() => ({ kind: 'status', code: status.INVALID_ARGUMENT, retryDelayMs: 1000 }));
  expect(await sender({ endpoint: server.endpoint }).send(request(), never)).toMatchObject({ status: 'refused' });
});

test("a message larger than the server's limit is to be split", async () => {
  const server = await serve(() => ({
    kind: 'status',
    code: status.RESOURCE_EXHAUSTED,
    details: 'grpc: received message larger than max (5000000 vs. 4194304)',
  }));
  expect(await sender({ endpoint: server.endpoint }).send(request(), never)).toMatchObject({
    status: 'split',
    code: 'TOO_LARGE',
  });
});

test.each([
  ['nothing rejected', { kind: 'ok' }, { status: 'sent', rejected: 0 }],
  ['an empty response', { kind: 'raw', bytes: Buffer.alloc(0) }, { status: 'sent', rejected: 0 }],
  [
    'items rejected',
    { kind: 'ok', rejected: 2, message: 'out of order' },
    { status: 'sent', rejected: 2, message: 'out of order' },
  ],
  ['a warning', { kind: 'ok', message: 'old version' }, { status: 'sent', rejected: 0, message: 'old version' }],
  [
    'more rejected than sent',
    { kind: 'ok', rejected: 99 },
    { status: 'sent', rejected: 3, message: '3 items rejected' },
  ],
  [
    'a response that is not OTLP',
    { kind: 'raw', bytes: Buffer.from([0x0a, 0xff]) },
    { status: 'sent', rejected: 0, message: 'accepted, but the response is not an OTLP response' },
  ],
] as const)('success with %s is final', async (_what, answer, expected) => {
  const server = await serve(() => answer);
  expect(await sender({ endpoint: server.endpoint }).send(request(), never)).toEqual(expected);
});

test('headers travel as metadata, the request once compressed, and we say who we are', async () => {
  const server = await serve(() => ({ kind: 'ok' }));
  const headers = [
    { name: 'api-key', value: 'secret' },
    { name: 'trace-bin', value: 'raw' },
  ];
  const one = request(500);
  await sender({ endpoint: server.endpoint, headers }, { version: '1.2.3' }).send(one, never);
  const [call] = server.calls;
  expect(call?.metadata.get('api-key')).toEqual(['secret']);
  expect(call?.metadata.get('trace-bin')).toEqual([Buffer.from('raw')]);
  expect(String(call?.metadata.get('user-agent')[0])).toMatch(/^OTel-OTLP-Exporter-Sluice\/1\.2\.3 /);
  expect(call?.bytes.equals(one.bytes)).toBe(true);
});

test.each([
  ['gzip', true],
  ['none', false],
] as const)('compression %s is what the wire shows', async (compression, isSmaller) => {
  const server = await serve(() => ({ kind: 'ok' }));
  let bytes = 0;
  const [, port = ''] = server.endpoint.split(':');
  const proxy = createServer((client) => {
    const upstream = (async () => (await import('node:net')).connect(Number(port), '127.0.0.1'))();
    client.on('error', () => {});
    client.pause();
    void upstream.then((socket) => {
      client.on('data', (chunk) => (bytes += chunk.length));
      client.pipe(socket).pipe(client);
      socket.on('error', () => client.destroy());
      return undefined;
    });
  }).listen(0, '127.0.0.1');
  open.push(proxy);
  await once(proxy, 'listening');
  const endpoint = `127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const one = request(5000);
  expect(await sender({ endpoint, compression }).send(one, never)).toMatchObject({ status: 'sent' });
  expect(bytes < one.bytes.length / 2).toBe(isSmaller);
});

test('a server that never answers costs the timeout and is tried again', async () => {
  const server = await serve(() => ({ kind: 'hang' }));
  const outcome = await sender({ endpoint: server.endpoint, timeoutMs: 100 }).send(request(), never);
  expect(outcome).toMatchObject({ status: 'retry', code: 'DEADLINE_EXCEEDED', isUnanswered: true });
});

test('an abort ends the call at once', async () => {
  const server = await serve(() => ({ kind: 'hang' }));
  const stop = new AbortController();
  const outcome = sender({ endpoint: server.endpoint }).send(request(), stop.signal);
  await server.called(1);
  stop.abort();
  expect(await outcome).toMatchObject({ status: 'retry', code: 'CANCELLED', isUnanswered: true });
  expect(await sender({ endpoint: server.endpoint }).send(request(), stop.signal)).toEqual({
    status: 'retry',
    code: 'CANCELLED',
    message: 'cancelled',
  });
});

/** An HTTP/2 server that does to each request what the test says. */
async function http2Server(onStream: (stream: ServerHttp2Stream) => void): Promise<string> {
  const server = createHttp2Server();
  server.on('stream', (stream) => {
    stream.on('error', () => {});
    onStream(stream);
  });
  server.on('sessionError', () => {});
  open.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const GRPC = { ':status': 200, 'content-type': 'application/grpc' };

test.each<[what: string, isUnanswered: boolean, (stream: ServerHttp2Stream) => void]>([
  ['cut off after the request', true, (stream) => stream.session?.destroy()],
  ['a stream that the server refuses', false, (stream) => stream.close(constants.NGHTTP2_REFUSED_STREAM)],
  ['a proxy that has nobody behind it', false, (stream) => stream.respond({ ':status': 503 }, { endStream: true })],
  ['a proxy that waited in vain', true, (stream) => stream.respond({ ':status': 504 }, { endStream: true })],
  [
    'an answer in trailers only',
    false,
    (stream) => stream.respond({ ...GRPC, 'grpc-status': String(status.UNAVAILABLE) }, { endStream: true }),
  ],
  [
    'an answer in trailers after headers',
    false,
    (stream) => {
      stream.respond(GRPC, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': String(status.UNAVAILABLE) }));
      stream.end();
    },
  ],
])('%s leaves open whether it was taken: %s', async (_what, isUnanswered, onStream) => {
  const endpoint = await http2Server(onStream);
  const outcome = await sender({ endpoint, timeoutMs: 10_000 }).send(request(), never);
  expect(outcome).toMatchObject({ status: 'retry', code: 'UNAVAILABLE' });
  expect('isUnanswered' in outcome).toBe(isUnanswered);
});

test('a connection that never comes about has not carried the request', async () => {
  const silent = createServer((socket) => open.push({ close: () => socket.destroy() })).listen(0, '127.0.0.1');
  open.push(silent);
  await once(silent, 'listening');
  const endpoint = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
  const outcome = await sender({ endpoint, timeoutMs: 200 }).send(request(), never);
  expect(outcome).toMatchObject({ status: 'retry', code: 'DEADLINE_EXCEEDED' });
  expect(outcome).not.toHaveProperty('isUnanswered');
});

test('a refused connection is tried again, and the next attempt really is one', async () => {
  const gone = createServer().listen(0, '127.0.0.1');
  await once(gone, 'listening');
  const endpoint = `127.0.0.1:${(gone.address() as AddressInfo).port}`;
  gone.close();
  await once(gone, 'close');
  const one = sender({ endpoint });
  expect(await one.send(request(), never)).toMatchObject({
    status: 'retry',
    code: 'UNAVAILABLE',
    message: expect.stringContaining('ECONNREFUSED'),
  });
  let connections = 0;
  const back = createServer((socket) => {
    connections++;
    socket.destroy();
  }).listen(Number(endpoint.split(':')[1]), '127.0.0.1');
  open.push(back);
  await once(back, 'listening');
  await one.send(request(), never);
  expect(connections).toBeGreaterThan(0);
});

test('a connection that is cut in the middle of a call is tried again', async () => {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.end(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])));
  }).listen(0, '127.0.0.1');
  open.push(server);
  await once(server, 'listening');
  const endpoint = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  expect(await sender({ endpoint, timeoutMs: 3000 }).send(request(), never)).toMatchObject({
    status: 'retry',
    code: 'UNAVAILABLE',
  });
});

test.each([
  ['a path', 'collector:4317/v1/metrics', 'INVALID_ENDPOINT'],
  ['nothing', '', 'INVALID_ENDPOINT'],
  ['no number as port', 'collector:http', 'INVALID_ENDPOINT'],
  ['user and password', 'http://user:hunter2@collector:4317', 'INVALID_ENDPOINT'],
])('an endpoint with %s is an outcome that says so, not an exception', async (_what, endpoint, code) => {
  const outcome = await sender({ endpoint }).send(request(), never);
  expect(outcome).toMatchObject({ status: 'retry', code, message: expect.stringContaining('host:port') });
  expect(JSON.stringify(outcome)).not.toContain('hunter2');
});

test('a header that HTTP/2 cannot carry is named, without its value', async () => {
  const server = await serve(() => ({ kind: 'ok' }));
  const outcome = await sender({ endpoint: server.endpoint, headers: [{ name: 'bad name', value: 'hunter2' }] }).send(
    request(),
    never,
  );
  expect(outcome).toMatchObject({
    status: 'retry',
    code: 'INVALID_HEADER',
    message: expect.stringContaining('bad name'),
  });
  expect(JSON.stringify(outcome)).not.toContain('hunter2');
});

test('a server that quotes what it was sent does not make a secret public', async () => {
  const value = 'Bearer s3cr3t/t0ken+=';
  const echoes = [value, 's3cr3t/t0ken+=', Buffer.from(value).toString('base64'), encodeURIComponent(value)];
  const server = await serve(() => ({
    kind: 'status',
    code: status.UNAUTHENTICATED,
    details: `bad token: ${echoes.join(' ')}\n${'x'.repeat(600)}`,
  }));
  const outcome = await sender({ endpoint: server.endpoint, headers: [{ name: 'authorization', value }] }).send(
    request(),
    never,
  );
  const { message = '' } = outcome;
  expect(message).toMatch(/^bad token: \*\*\* \*\*\* \*\*\* \*\*\* x+…$/);
  expect(Buffer.byteLength(message)).toBeLessThanOrEqual(512);
});

test('--connect-to changes where the connection goes and nothing that the server sees', async () => {
  const server = await serve(() => ({ kind: 'ok' }));
  const connectTo = new Map([['otel-collector.default.svc.cluster.local:4317', server.endpoint]]);
  const outcome = await sender({ endpoint: 'otel-collector.default.svc.cluster.local:4317' }, { connectTo }).send(
    request(),
    never,
  );
  expect(outcome).toEqual({ status: 'sent', rejected: 0 });
  expect(server.calls[0]?.authority).toBe('otel-collector.default.svc.cluster.local:4317');
});

test('a look-up decides which address is connected to, and may forbid them all', async () => {
  const server = await serve(() => ({ kind: 'ok' }));
  const endpoint = `collector.example:${server.endpoint.split(':')[1]}`;
  const asked: string[] = [];
  const found = sender({ endpoint }, { lookup: async (host) => (asked.push(host), { addresses: ['127.0.0.1'] }) });
  expect(await found.send(request(), never)).toEqual({ status: 'sent', rejected: 0 });
  expect(asked).toEqual(['collector.example']);
  const forbidden = sender({ endpoint }, { lookup: async () => ({ forbidden: '127.0.0.1 is a loopback address' }) });
  expect(await forbidden.send(request(), never)).toEqual({
    status: 'retry',
    code: 'ENDPOINT_FORBIDDEN',
    message: '127.0.0.1 is a loopback address',
  });
  const failing = sender({ endpoint }, { lookup: () => Promise.reject(new Error('ENOTFOUND collector.example')) });
  expect(await failing.send(request(), never)).toMatchObject({ status: 'retry', code: 'UNAVAILABLE' });
  const hanging = sender({ endpoint, timeoutMs: 50 }, { lookup: () => new Promise(() => {}) });
  expect(await hanging.send(request(), never)).toMatchObject({ status: 'retry', code: 'UNAVAILABLE' });
});
