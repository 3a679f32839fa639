// Real Node.js HTTP clients and servers on loopback, with a plain TCP proxy between that hands what passes to two
// trackers, as if it were read and written by the server and by the client. The rows must be what the server saw.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  Agent,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
  createServer,
  request,
} from 'node:http';
import { type AddressInfo, type Socket, connect, createServer as createTcpServer } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { http } from '../../../../src/collector/protocols/http/http.ts';
import type { ProtocolTracker } from '../../../../src/collector/protocols/protocol.ts';
import { type Heard, type Row, listen } from './conversation.ts';

interface Call {
  readonly method: string;
  readonly body: string;
  readonly isChunked: boolean;
  readonly status: number;
  readonly pieces: readonly string[];
  readonly hasLength: boolean;
  readonly type: string;
  readonly isGzip: boolean;
  readonly keepsAlive: boolean;
}

/** What the server saw of one call. */
interface Seen {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly status: number;
  readonly answer: string;
}

const text = fc.oneof(
  fc.string({ maxLength: 30 }),
  fc.constantFrom('x'.repeat(600), 'ä'.repeat(400), '{"a":[1,2,3]}'.repeat(1500)),
);
const call: fc.Arbitrary<Call> = fc.record({
  method: fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND'),
  body: text,
  isChunked: fc.boolean(),
  status: fc.constantFrom(200, 200, 201, 204, 304, 404, 500),
  pieces: fc.array(text, { maxLength: 4 }),
  hasLength: fc.boolean(),
  type: fc.constantFrom('text/plain', 'application/json', 'application/octet-stream'),
  isGzip: fc.boolean(),
  keepsAlive: fc.integer({ min: 0, max: 4 }).map((n) => n > 0),
});

const hasRequestBody = ({ method }: Call): boolean => ['POST', 'PUT', 'PATCH'].includes(method);
const closers: (() => void)[] = [];
afterEach(() => closers.splice(0).forEach((close) => close()));

const read = async (message: IncomingMessage): Promise<string> => {
  const parts: Buffer[] = [];
  for await (const part of message) parts.push(part as Buffer);
  return Buffer.concat(parts).toString('latin1');
};

/** A server that answers call /i as `calls[i]` says, and what it saw. */
async function serve(calls: readonly Call[]): Promise<{ port: number; seen: Seen[] }> {
  const seen: Seen[] = [];
  const answer = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const body = await read(incoming);
    const { method = '', url = '', headers } = incoming;
    const { status, pieces, hasLength, type, isGzip, keepsAlive } = calls[Number(url.slice(1).split('?')[0])] as Call;
    const plain = Buffer.from(pieces.join(''));
    const sent = isGzip ? gzipSync(plain) : plain;
    const isBodiless = status === 204 || status === 304;
    outgoing.statusCode = status;
    outgoing.setHeader('Content-Type', type);
    if (isGzip) outgoing.setHeader('Content-Encoding', 'gzip');
    if (!keepsAlive) outgoing.setHeader('Connection', 'close');
    if (hasLength && !isBodiless) outgoing.setHeader('Content-Length', sent.length);
    if (isGzip || hasLength) outgoing.write(sent);
    else pieces.forEach((piece) => outgoing.write(piece));
    outgoing.end();
    const isShown = method !== 'HEAD' && !isBodiless;
    seen.push({ method, path: url, headers, body, status, answer: isShown ? sent.toString('latin1') : '' });
  };
  const server = createServer((incoming, outgoing) => void answer(incoming, outgoing));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => server.close());
  closers.push(() => server.closeAllConnections());
  return { port: (server.address() as AddressInfo).port, seen };
}

/** A proxy that reports each chunk it passes, in the order of passing, to a tracker for either side. */
async function proxy(
  target: number,
): Promise<{ port: number; heard: Record<'server' | 'client', Heard>; closed: () => Promise<void> }> {
  const [server, client] = [listen(), listen()];
  let time = 1;
  const open = new Set<Promise<unknown>>();
  const listener = createTcpServer({ allowHalfOpen: true }, (near: Socket) => {
    const far = connect({ port: target, host: '127.0.0.1', allowHalfOpen: true });
    const trackers: [ProtocolTracker, boolean][] = [
      [http.start('server', server.sink, true), false],
      [http.start('client', client.sink, true), true],
    ];
    const positions = [0, 0];
    const pass = (from: Socket, to: Socket, isRequest: boolean): void => {
      const direction = isRequest ? 0 : 1;
      from.on('data', (bytes: Buffer) => {
        for (const [tracker, isClient] of trackers) {
          tracker.message(isRequest === isClient, positions[direction] ?? 0, bytes.length, bytes, (time += 1000));
        }
        positions[direction] = (positions[direction] ?? 0) + bytes.length;
        to.write(bytes);
      });
      from.on('end', () => to.end());
      from.on('error', () => to.destroy());
    };
    pass(near, far, true);
    pass(far, near, false);
    const finish = async (): Promise<void> => {
      await Promise.all([once(near, 'close'), once(far, 'close')]);
      const [requests = 0, responses = 0] = positions;
      for (const [tracker, isClient] of trackers) {
        tracker.close(isClient ? requests : responses, isClient ? responses : requests, (time += 1000));
      }
    };
    open.add(finish());
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  closers.push(() => listener.close());
  return {
    port: (listener.address() as AddressInfo).port,
    heard: { server: server.heard, client: client.heard },
    closed: async () => void (await Promise.all(open)),
  };
}

async function send(port: number, agent: Agent, id: number, one: Call): Promise<void> {
  const outgoing = request({ port, host: '127.0.0.1', agent, method: one.method, path: `/${id}?q=${one.method}` });
  const body = hasRequestBody(one) ? one.body : '';
  if (body !== '') {
    outgoing.setHeader('Content-Type', 'text/plain');
    if (!one.isChunked) outgoing.setHeader('Content-Length', Buffer.byteLength(body));
    for (let at = 0; at < body.length; at += 500) outgoing.write(body.slice(at, at + 500));
  }
  outgoing.end();
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  await read(response);
}

const hash = (value: string): string => createHash('sha256').update(value).digest('hex').slice(0, 8);

/** Fields sorted as one text each, so that their order does not matter. */
const byName = (fields: readonly unknown[]): string[] => fields.map((field) => JSON.stringify(field)).toSorted();

/** What row and server must agree on, as text. */
const fromSeen = ({ method, path, headers, body, status, answer }: Seen): string =>
  [
    method,
    path,
    JSON.stringify(byName(Object.entries(headers))),
    body.length,
    status,
    answer.length,
    hash(body.slice(0, 512)),
  ].join(' ');

function fromRow(row: Row): string {
  const headers = Object.entries(JSON.parse(row.reqHeaders) as Record<string, string>).map(([name, value]) => [
    name.toLowerCase(),
    value,
  ]);
  const body = row.reqBody.startsWith('bytes ') ? Buffer.from(row.reqBody.slice(6), 'hex') : Buffer.from(row.reqBody);
  const shown = body.toString('latin1').slice(0, Math.min(512, row.reqSize));
  return [
    row.method,
    row.path,
    JSON.stringify(byName(headers)),
    row.reqSize,
    row.status,
    row.respSize,
    hash(shown),
  ].join(' ');
}

test('rows are what a real server saw, from either side of the connection', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(call, { minLength: 1, maxLength: 12 }), async (calls) => {
      const { port: target, seen } = await serve(calls);
      const { port, heard, closed } = await proxy(target);
      const agents = [new Agent({ keepAlive: true, maxSockets: 1 }), new Agent({ keepAlive: true, maxSockets: 1 })];
      await Promise.all(
        agents.map(async (agent, i) => {
          for (const [id, one] of calls.entries()) if (id % 2 === i) await send(port, agent, id, one);
        }),
      );
      agents.forEach((agent) => agent.destroy());
      await closed();
      closers.splice(0).forEach((close) => close());
      for (const { rows, losses } of [heard.server, heard.client]) {
        expect(rows.map(fromRow).toSorted()).toEqual(seen.map(fromSeen).toSorted());
        expect(losses).toEqual([]);
        expectBodies(rows, calls);
      }
    }),
    { numRuns: Math.min(2000, Number(process.env['SLUICE_FUZZ_RUNS'] ?? 40)) },
  );
}, 600_000);

/** Cells of response bodies that are text show what the server meant, also where it was gzipped. */
function expectBodies(rows: readonly Row[], calls: readonly Call[]): void {
  for (const { path, respBody, respSize, method } of rows) {
    const { pieces, type } = calls[Number(path.slice(1).split('?')[0])] as Call;
    if (respSize === 0) {
      expect(respBody).toBe('');
      continue;
    }
    expect(method).not.toBe('HEAD');
    const plain = Buffer.from(pieces.join(''));
    if (type === 'application/octet-stream') expect(respBody).toBe('<removed: non-text content-type>');
    else if (plain.length <= 512) expect(respBody).toBe(plain.toString());
    else expect(respBody.length).toBeGreaterThan(200);
  }
}
