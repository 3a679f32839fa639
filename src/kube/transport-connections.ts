// Two pools for one API server: short requests, and watches, so that hundreds of watches never stand before a status write.
// Both are made anew when TLS material changes; what still runs on the old ones ends by itself.
import type { Dispatcher } from 'undici';
import type { Credentials, KubeAccess, TlsMaterial } from './config.ts';
import type { ConnectionPools, Connections } from './connections.ts';
import { HttpAgent, requestOn } from './http-dispatcher.ts';
import { connectThrough } from './transport-proxy.ts';

/** More requests than that wait for a connection; each costs the API server a TLS handshake and us some 50 KB. */
const REQUEST_CONNECTIONS = 32;
const KEEP_ALIVE_PROBE_MS = 30_000;

export function openConnections(access: KubeAccess): ConnectionPools {
  const requests = pool(access, REQUEST_CONNECTIONS);
  const watches = pool(access, null);
  return {
    forRequests: (credentials) => requests.of(credentials),
    forWatches: (credentials) => watches.of(credentials),
    close: async () => {
      await Promise.all([requests.close(), watches.close()]);
    },
  };
}

interface Pool {
  of(credentials: Credentials): Connections;
  close(): Promise<void>;
}

function pool(access: KubeAccess, connections: number | null): Pool {
  const open = new Set<Dispatcher>();
  let current: { readonly tlsId: string; readonly dispatcher: Dispatcher } | undefined;
  return {
    of: ({ tls, tlsId }) => {
      if (current?.tlsId !== tlsId) {
        const old = current?.dispatcher;
        old?.close().then(
          () => open.delete(old),
          () => open.delete(old),
        );
        current = { tlsId, dispatcher: makeDispatcher(access, tls, connections) };
        open.add(current.dispatcher);
      }
      const { dispatcher } = current;
      return {
        request: async ({ headersTimeoutMs, bodyTimeoutMs, body, signal, ...rest }) => {
          const answer = await requestOn(dispatcher, {
            ...rest,
            origin: access.server,
            body: body ?? null,
            headersTimeout: headersTimeoutMs,
            bodyTimeout: bodyTimeoutMs,
            signal: signal ?? null,
          });
          return { status: answer.statusCode, headers: answer.headers, body: answer.body };
        },
      };
    },
    close: async () => {
      await Promise.all([...open].map((dispatcher) => dispatcher.destroy()));
    },
  };
}

function makeDispatcher(access: KubeAccess, tls: TlsMaterial, connections: number | null): Dispatcher {
  const connect = { ...tls, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_PROBE_MS, timeout: 10_000 };
  const shared = { connections, allowH2: false, pipelining: 1, keepAliveTimeout: 30_000 };
  const { proxyUrl } = access;
  return new HttpAgent({ ...shared, connect: proxyUrl === undefined ? connect : connectThrough(proxyUrl, connect) });
}
