// HTTP to one API server over shared connections: credentials that change while we run, time limits, retries of what may be
// sent twice. HTTP/1.1 on purpose: with one HTTP/2 session a single reset or a full
// window would end or stall every watch at once.
import type { Dispatcher } from 'undici';
import type { Metrics } from '../model/metrics.ts';
import { linkAbort } from './abort.ts';
import { wait, type Clock } from './timers.ts';
import type { Credentials, KubeAccess } from './config.ts';
import { openConnections, type Connections } from './transport-connections.ts';
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
  const connections = openConnections(access);

  const dispatch = async (
    on: Connections,
    request: Omit<KubeRequest, 'idempotent'>,
    credentials: Credentials,
    limits: { headersTimeout: number; bodyTimeout: number; signal: AbortSignal | undefined },
  ): Promise<Dispatcher.ResponseData> => {
    try {
      const response = await on.request({
        path: request.path,
        method: request.method,
        headers: { ...request.headers, 'user-agent': options.userAgent, ...credentials.headers },
        body: request.body ?? null,
        headersTimeout: limits.headersTimeout,
        bodyTimeout: limits.bodyTimeout,
        signal: limits.signal ?? null,
      });
      requests.add(1, { code: String(response.statusCode), method: request.method });
      return response;
    } catch (error) {
      // client-go's word for a request that got no answer
      requests.add(1, { code: '<error>', method: request.method });
      throw error;
    }
  };

  /** One answer; after a 401 once more with everything read again. */
  const authenticated = async (
    send: (credentials: Credentials) => Promise<Dispatcher.ResponseData>,
  ): Promise<Dispatcher.ResponseData> => {
    const response = await send(await access.credentials());
    if (response.statusCode !== 401) return response;
    await response.body.dump();
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
          headersTimeout: 0,
          bodyTimeout: 0,
          signal,
        }),
      );
      const body = await readBody(response.body, options.bodyBytesMax);
      if (response.statusCode >= 400) throw errorOf(response.statusCode, response.headers, body);
      return { status: response.statusCode, body };
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
          if (request.signal?.aborted === true) throw error;
          const delayMs = retryDelayMs(retry, error, request.idempotent, retries, options.random);
          if (delayMs === undefined) throw error;
          await wait(clock, delayMs, request.signal);
        }
      }
    },
    stream: async (request, silenceMs) => {
      const response = await authenticated((credentials) =>
        dispatch(connections.forWatches(credentials), request, credentials, {
          headersTimeout: request.timeoutMs ?? options.timeoutMs,
          bodyTimeout: silenceMs,
          signal: request.signal,
        }),
      );
      if (response.statusCode >= 400) {
        throw errorOf(response.statusCode, response.headers, await readBody(response.body, options.bodyBytesMax));
      }
      return response.body;
    },
    close: () => connections.close(),
  };
}
