// HTTP to one API server over shared connections: credentials that change while we run, time limits, retries of what may be
// sent twice. HTTP/1.1 on purpose: with one HTTP/2 session a single reset or a full
// window would end or stall every watch at once.
import type { Metrics } from '../model/metrics.ts';
import { linkAbort } from './abort.ts';
import { wait, type Clock } from './timers.ts';
import type { Credentials, KubeAccess } from './config.ts';
import type { Answer, ConnectionPools, ConnectionRequest, Connections } from './connections.ts';
import { errorOf, readBody } from './transport-body.ts';
import { retryDelayMs, type RetryPolicy } from './transport-retry.ts';
import { ApiError } from './types.ts';

export interface KubeRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** With its query. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** That it does no harm twice: a GET, a PUT, a DELETE, an apply, the creation of a named object. */
  readonly idempotent: boolean;
  /** A refusal which, after an attempt whose end we did not see, says that it was done: 404 for a DELETE. */
  readonly doneStatus?: number;
  /** For one attempt, connection to last byte. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
}

export interface KubeResponse {
  readonly status: number;
  readonly body: Buffer;
}

export interface TransportOptions {
  readonly access: KubeAccess;
  /** Connections by undici where absent. */
  readonly connections?: ConnectionPools;
  readonly userAgent: string;
  readonly metrics: Metrics;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly timeoutMs: number;
  readonly retry: RetryPolicy;
  readonly bodyBytesMax: number;
}

export interface Transport {
  /** Rejects with ApiError for every status from 400 on, else with what broke the connection. */
  request(request: KubeRequest): Promise<KubeResponse>;
  /** The bytes of an answer that does not end; not retried. Rejects like `request`. */
  stream(request: Omit<KubeRequest, 'idempotent'>, silenceMs: number): Promise<AsyncIterable<Uint8Array>>;
  /** Ends idle connections at once and the others with their requests. */
  close(): Promise<void>;
}

export function openTransport(options: TransportOptions): Transport {
  const { access, clock, retry } = options;
  const requests = options.metrics.counter('rest_client_requests_total');
  const connections = options.connections ?? loadedConnections(access);

  let isClosed = false;

  const dispatch = async (
    on: Connections,
    request: Omit<KubeRequest, 'idempotent'>,
    credentials: Credentials,
    limits: Pick<ConnectionRequest, 'headersTimeoutMs' | 'bodyTimeoutMs' | 'signal'>,
  ): Promise<Answer> => {
    if (isClosed) throw new Error('the client is closed');
    try {
      const response = await on.request({
        path: request.path,
        method: request.method,
        headers: { ...request.headers, 'user-agent': options.userAgent, ...credentials.headers },
        body: request.body,
        ...limits,
      });
      requests.add(1, { code: String(response.status), method: request.method });
      return response;
    } catch (error) {
      // client-go's word for a request that got no answer
      requests.add(1, { code: '<error>', method: request.method });
      throw error;
    }
  };

  /** One answer; after a 401 once more with everything read again. */
  const authenticated = async (send: (credentials: Credentials) => Promise<Answer>): Promise<Answer> => {
    const response = await send(await access.credentials());
    if (response.status !== 401) return response;
    await readBody(response.body, options.bodyBytesMax);
    return send(await access.credentials(true));
  };

  const attempt = async (request: KubeRequest): Promise<KubeResponse> => {
    const timeoutMs = request.timeoutMs ?? options.timeoutMs;
    const linked = linkAbort(request.signal);
    const { signal } = linked;
    const cancel = clock.after(timeoutMs, () =>
      linked.abort(new Error(`${request.method} ${request.path.slice(0, 200)}: no whole answer in ${timeoutMs} ms`)),
    );
    try {
      const response = await authenticated((credentials) =>
        dispatch(connections.forRequests(credentials), request, credentials, {
          headersTimeoutMs: 0,
          bodyTimeoutMs: 0,
          signal,
        }),
      );
      const body = await readBody(response.body, options.bodyBytesMax);
      const status = response.status;
      if (status >= 400) throw errorOf(status, response.headers, body);
      return { status, body };
    } finally {
      cancel();
      linked.unlink();
    }
  };

  return {
    request: async (request) => {
      for (let retries = 0; ; retries++) {
        try {
          return await attempt(request);
        } catch (error) {
          if (retries > 0 && error instanceof ApiError && error.status === request.doneStatus) {
            return { status: error.status, body: Buffer.alloc(0) };
          }
          if (isClosed || request.signal?.aborted === true) throw error;
          const delayMs = retryDelayMs(retry, error, request.idempotent, retries, options.random);
          if (delayMs === undefined) throw error;
          await wait(clock, delayMs, request.signal);
        }
      }
    },
    stream: async (request, silenceMs) => {
      const response = await authenticated((credentials) =>
        dispatch(connections.forWatches(credentials), request, credentials, {
          headersTimeoutMs: request.timeoutMs ?? options.timeoutMs,
          bodyTimeoutMs: silenceMs,
          signal: request.signal,
        }),
      );
      const status = response.status;
      if (status >= 400) {
        throw errorOf(status, response.headers, await readBody(response.body, options.bodyBytesMax));
      }
      return response.body;
    },
    close: () => {
      isClosed = true;
      return connections.close();
    },
  };
}

/** undici is loaded with the first request: a thread with other connections never needs it. */
function loadedConnections(access: KubeAccess): ConnectionPools {
  let opened: Promise<ConnectionPools> | undefined;
  const open = async (): Promise<ConnectionPools> =>
    (await import('./transport-connections.ts')).openConnections(access);
  const pools = (): Promise<ConnectionPools> => (opened ??= open());
  return {
    forRequests: (credentials) => ({
      request: async (request) => (await pools()).forRequests(credentials).request(request),
    }),
    forWatches: (credentials) => ({
      request: async (request) => (await pools()).forWatches(credentials).request(request),
    }),
    close: async () => (await opened)?.close(),
  };
}
