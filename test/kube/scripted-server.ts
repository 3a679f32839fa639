// An HTTP server whose every answer the test writes by hand, byte by byte: for what a connection can do to its reader, not for
// what an API server says.
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { KubeAccess } from '../../src/kube/config.ts';

export interface Exchange {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** The whole answer; objects are sent as JSON. */
  answer(status: number, body: string | Buffer | object, headers?: Record<string, string>): void;
  /** The head of an answer with status 200. */
  open(): void;
  /** Part of an answer with status 200; resolves when it is on its way. */
  write(text: string | Buffer): Promise<void>;
  /** One line of a watch. */
  event(type: string, object: object): Promise<void>;
  end(): void;
  reset(): void;
  /** Resolves when the client has gone away, or the answer is sent. */
  readonly closed: Promise<void>;
}

export interface ScriptedServer {
  readonly url: string;
  readonly access: KubeAccess;
  /** The next request, in order of arrival. */
  next(): Promise<Exchange>;
  /** Requests that arrived and were not taken by `next`. */
  readonly waiting: number;
  readonly connections: number;
  /** Connections since the start. */
  readonly accepted: number;
  /** New connections use these. */
  setTls(tls: { cert: Buffer; key: Buffer }): void;
  stop(): Promise<void>;
}

export async function startScriptedServer(tls?: { cert: Buffer; key: Buffer; ca?: Buffer }): Promise<ScriptedServer> {
  const arrived: Exchange[] = [];
  const takers: ((exchange: Exchange) => void)[] = [];
  const sockets = new Set<Socket>();
  let accepted = 0;
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const exchange = await exchangeOf(request, response);
    const taker = takers.shift();
    if (taker === undefined) arrived.push(exchange);
    else taker(exchange);
  };
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    serve(request, response).catch(() => {});
  };
  const secure =
    tls === undefined ? undefined : createTlsServer({ ...tls, requestCert: true, rejectUnauthorized: false }, listener);
  const server = secure ?? createServer(listener);
  server.on('connection', (socket: Socket) => {
    accepted++;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    access: {
      server: url,
      namespace: undefined,
      proxyUrl: undefined,
      credentials: () => Promise.resolve({ headers: {}, tls: { rejectUnauthorized: true }, tlsId: '' }),
    },
    next: () => {
      const first = arrived.shift();
      return first === undefined ? new Promise((resolve) => takers.push(resolve)) : Promise.resolve(first);
    },
    get waiting() {
      return arrived.length;
    },
    get connections() {
      return sockets.size;
    },
    get accepted() {
      return accepted;
    },
    setTls: (context) => secure?.setSecureContext(context),
    stop: async () => {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, 'close');
    },
  };
}

async function exchangeOf(request: IncomingMessage, response: ServerResponse): Promise<Exchange> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
  const write = (text: string | Buffer): Promise<void> => {
    if (!response.headersSent) response.writeHead(200, { 'content-type': 'application/json' });
    return new Promise((resolve) => {
      response.write(text, () => resolve());
    });
  };
  return {
    method: request.method ?? '',
    path: pathname,
    query: searchParams,
    headers: request.headers,
    body: Buffer.concat(chunks).toString('utf8'),
    answer: (status, body, headers = {}) => {
      response.writeHead(status, headers);
      response.end(typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body));
    },
    open: () => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.flushHeaders();
    },
    write,
    event: (type, object) => write(`${JSON.stringify({ type, object })}\n`),
    end: () => {
      if (!response.headersSent) response.writeHead(200);
      response.end();
    },
    reset: () => {
      if ('encrypted' in request.socket) request.socket.destroy();
      else request.socket.resetAndDestroy();
    },
    closed: new Promise((resolve) => response.once('close', () => resolve())),
  };
}
