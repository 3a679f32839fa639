// Connections by Node's own HTTP, for the election's thread: undici parses by WebAssembly, and with its code that is some 12 MB in
// each thread that loads it. It takes less CPU for many requests, which is why the rest of a process has it.
import { Agent as HttpAgent, request as requestByHttp, type ClientRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as requestByHttps, type RequestOptions } from 'node:https';
import type { Duplex } from 'node:stream';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import { urlToHttpOptions } from 'node:url';
import type { Credentials, KubeAccess, TlsMaterial } from './config.ts';
import type { Answer, ConnectionPools, ConnectionRequest, Connections } from './connections.ts';
import { tunnelsThrough } from './transport-tunnel.ts';

const KEEP_ALIVE_PROBE_MS = 30_000;
/** An idle connection is kept for that long. */
const IDLE_MS = 30_000;
const CONNECT_MS = 10_000;

/** One pool for all, and as many connections as are asked for at once. */
export function openPlainConnections(access: KubeAccess): ConnectionPools {
  const running = new Set<ClientRequest>();
  const agents = new Set<HttpAgent>();
  const server = urlToHttpOptions(new URL(access.server));
  const send = access.server.startsWith('https:') ? requestByHttps : requestByHttp;
  let current: { readonly tlsId: string; readonly agent: HttpAgent } | undefined;
  let isClosed = false;

  const ask = async (agent: HttpAgent, request: ConnectionRequest): Promise<Answer> => {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const { method, path, headers, body, signal } = request;
    signal?.throwIfAborted();
    if (isClosed) throw new Error('the client is closed');
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
    const asked = send({ ...server, agent, method, path, headers: { ...headers, ...length } });
    running.add(asked);
    let answer: IncomingMessage | undefined;
    const abort = (): void => void (answer ?? asked).destroy(asError(signal?.reason));
    signal?.addEventListener('abort', abort, { once: true });
    asked.once('close', () => {
      running.delete(asked);
      signal?.removeEventListener('abort', abort);
    });
    asked.on('error', reject);
    const silent = (where: string, ms: number): Error => new Error(`${where}: nothing came for ${ms / 1000} s`);
    if (request.headersTimeoutMs > 0)
      asked.setTimeout(request.headersTimeoutMs, () => asked.destroy(silent(path, request.headersTimeoutMs)));
    asked.once('response', (response) => {
      answer = response;
      asked.setTimeout(0);
      if (request.bodyTimeoutMs > 0)
        response.setTimeout(request.bodyTimeoutMs, () => response.destroy(silent(path, request.bodyTimeoutMs)));
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body: response });
    });
    asked.end(body);
    return promise;
  };

  const of = ({ tls, tlsId }: Credentials): Connections => {
    if (current?.tlsId !== tlsId) {
      // the idle connections of the one before go by time
      current = { tlsId, agent: makeAgent(access, tls) };
      agents.add(current.agent);
    }
    const { agent } = current;
    return { request: (request) => ask(agent, request) };
  };

  return {
    forRequests: of,
    forWatches: of,
    close() {
      isClosed = true;
      for (const request of running) request.destroy(new Error('the client is closed'));
      for (const agent of agents) agent.destroy();
      return Promise.resolve();
    },
  };
}

const asError = (reason: unknown): Error => (reason instanceof Error ? reason : new Error(String(reason)));

function makeAgent(access: KubeAccess, tls: TlsMaterial): HttpAgent {
  const options = {
    keepAlive: true,
    keepAliveMsecs: KEEP_ALIVE_PROBE_MS,
    timeout: IDLE_MS,
    scheduling: 'lifo',
  } as const;
  const { proxyUrl } = access;
  const isSecure = access.server.startsWith('https:');
  const agent = isSecure ? new HttpsAgent({ ...options, ...tls }) : new HttpAgent(options);
  if (proxyUrl === undefined) return agent;
  const tunnels = tunnelsThrough(proxyUrl, CONNECT_MS);
  agent.createConnection = (
    to: RequestOptions & ConnectionOptions,
    done?: (error: Error | null, socket: Duplex) => void,
  ) => {
    tunnels.open(to.host ?? '', to.port ?? (isSecure ? 443 : 80), (error, socket) => {
      // @ts-expect-error -- without a socket where there is an error
      if (socket === undefined) done?.(error);
      else done?.(null, isSecure ? connectTls({ ...to, socket }) : socket);
    });
    return undefined;
  };
  return agent;
}
