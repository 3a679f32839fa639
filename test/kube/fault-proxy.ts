// A proxy in front of a real API server that breaks things when told to. Plain HTTP/1.1 on 127.0.0.1; requests that carry a
// bearer token go on with that token and nothing else (so RBAC is real), all others as the administrator of the kubeconfig.
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { isAbsolute, join } from 'node:path';
import { parse } from 'yaml';

/** What a request asks for, in the words of RBAC. */
export interface SeenRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly verb: 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete' | 'deletecollection' | 'other';
  /** `pods`, `leases`, `exportscripts`, … ; empty outside of kinds. */
  readonly resource: string;
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
  readonly headers: Readonly<IncomingMessage['headers']>;
}

export interface RequestMatch {
  readonly verb?: SeenRequest['verb'];
  readonly resource?: string;
  readonly subresource?: string;
  readonly where?: (request: SeenRequest) => boolean;
}

export type Fault =
  /** Reset; the API server never sees the request. */
  | { readonly kind: 'reset' }
  /** The API server does it, the answer is lost in a reset. */
  | { readonly kind: 'lose-answer' }
  /** An answer of our own; the API server never sees the request. */
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly headers?: Record<string, string>;
      readonly body?: string | Buffer;
    }
  /** A reset after that many bytes of the answer's body. */
  | { readonly kind: 'cut'; readonly afterBytes: number }
  /** The connection stays, no byte ever comes; with `afterBytes` only then. */
  | { readonly kind: 'half-open'; readonly afterBytes?: number }
  | { readonly kind: 'delay'; readonly ms: number };

export interface InjectOptions extends RequestMatch {
  readonly fault: Fault;
  /** How many requests it hits; all of them by default. */
  readonly times?: number;
  /** Each k-th of the matching requests only. */
  readonly every?: number;
}

export interface Injection {
  /** How many requests it has hit. */
  readonly hits: number;
  remove(): void;
}

export interface FaultProxy {
  readonly url: string;
  /** Writes a kubeconfig for the proxy; with `token` as that identity, else as the administrator. Returns its path. */
  kubeconfig(file: string, token?: string): string;
  /** The first injection that matches a request is the one that hits it. */
  inject(options: InjectOptions): Injection;
  /** Removes every injection. */
  heal(): void;
  /** Resets what is open now; all of it without a match. Returns how many requests that ended. */
  resetNow(match?: RequestMatch): number;
  /** Half of what comes next on these answers, then a reset: in the middle of a line where it is a watch. */
  cutNext(match?: RequestMatch): number;
  /** What is open now goes silent: no byte more, no end. */
  stallNow(match?: RequestMatch): number;
  /** Nobody can connect, and what is open is reset. */
  refuse(): Promise<void>;
  /** Connections are taken again, at the same place. */
  accept(): Promise<void>;
  /** All requests so far, in order of arrival. */
  readonly seen: readonly SeenRequest[];
  count(match: RequestMatch): number;
  /** Resolves when `count` of matching requests have arrived since the start; at once where they have. */
  arrived(match: RequestMatch, count: number): Promise<void>;
  /** Requests that have no whole answer yet. */
  open(match?: RequestMatch): number;
  /** TCP connections that clients hold. */
  readonly connections: number;
  stop(): Promise<void>;
}

interface Upstream {
  readonly server: URL;
  readonly admin: Agent;
  readonly anonymous: Agent;
}

interface OpenRequest {
  readonly seen: SeenRequest;
  readonly socket: Socket;
  mode: 'pass' | 'cut-next' | 'stalled';
}

/** `kubeconfig`: path of one with a client certificate. */
export async function startFaultProxy(kubeconfig: string): Promise<FaultProxy> {
  const upstream = readUpstream(kubeconfig);
  const seen: SeenRequest[] = [];
  const rules: { readonly options: InjectOptions; matched: number; hits: number }[] = [];
  const open = new Set<OpenRequest>();
  const sockets = new Set<Socket>();
  const waiting = new Set<() => void>();
  const timers = new Set<NodeJS.Timeout>();

  const faultFor = (request: SeenRequest): Fault | undefined => {
    for (const rule of rules) {
      const { times = Infinity, every = 1 } = rule.options;
      if (rule.hits >= times || !matches(request, rule.options)) continue;
      if (++rule.matched % every !== 0) continue;
      rule.hits++;
      return rule.options.fault;
    }
    return undefined;
  };

  const serve = (incoming: IncomingMessage, answer: ServerResponse): void => {
    const request = describe(incoming);
    const here: OpenRequest = { seen: request, socket: incoming.socket, mode: 'pass' };
    open.add(here);
    answer.once('close', () => open.delete(here));
    seen.push(request);
    for (const look of waiting) look();
    const fault = faultFor(request);
    if (fault?.kind === 'reset') resetSocket(incoming.socket);
    else if (fault?.kind === 'answer') {
      incoming.resume();
      answer.writeHead(fault.status, fault.headers).end(fault.body ?? '');
    } else if (fault?.kind === 'half-open' && fault.afterBytes === undefined) {
      incoming.resume();
      here.mode = 'stalled';
    } else if (fault?.kind === 'delay') {
      const timer = setTimeout(() => {
        timers.delete(timer);
        forward(upstream, here, incoming, answer, undefined);
      }, fault.ms);
      timers.add(timer);
    } else forward(upstream, here, incoming, answer, fault);
  };

  const server = createServer({ keepAliveTimeout: 60_000 }, serve);
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
  });
  const listen = async (port: number): Promise<number> => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  const port = await listen(0);
  const url = `http://127.0.0.1:${port}`;
  const resetSockets = (): void => {
    for (const socket of sockets) resetSocket(socket);
  };
  const close = async (): Promise<void> => {
    if (!server.listening) return;
    server.close();
    resetSockets();
    await once(server, 'close');
  };
  const each = (match: RequestMatch, act: (request: OpenRequest) => void): number => {
    const hit = [...open].filter((request) => matches(request.seen, match));
    for (const request of hit) act(request);
    return hit.length;
  };
  const count = (match: RequestMatch): number => seen.filter((request) => matches(request, match)).length;

  return {
    url,
    seen,
    count,
    kubeconfig: (file, token) => {
      const named = { name: 'proxy' };
      const config = {
        apiVersion: 'v1',
        kind: 'Config',
        clusters: [{ ...named, cluster: { server: url } }],
        users: [{ ...named, user: token === undefined ? {} : { token } }],
        contexts: [{ ...named, context: { cluster: 'proxy', user: 'proxy' } }],
        'current-context': 'proxy',
      };
      writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
      return file;
    },
    inject: (options) => {
      const rule = { options, matched: 0, hits: 0 };
      rules.push(rule);
      return {
        get hits() {
          return rule.hits;
        },
        remove: () => {
          const index = rules.indexOf(rule);
          if (index >= 0) rules.splice(index, 1);
        },
      };
    },
    heal: () => {
      rules.length = 0;
    },
    resetNow: (match = {}) => each(match, ({ socket }) => resetSocket(socket)),
    cutNext: (match = {}) =>
      each(match, (request) => {
        // a stream from which bytes are missing must never go on
        if (request.mode === 'pass') request.mode = 'cut-next';
      }),
    stallNow: (match = {}) => each(match, (request) => (request.mode = 'stalled')),
    refuse: close,
    accept: async () => {
      if (!server.listening) await listen(port);
    },
    arrived: (match, wanted) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (count(match) < wanted) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      }),
    open: (match = {}) => [...open].filter((request) => matches(request.seen, match)).length,
    get connections() {
      return sockets.size;
    },
    stop: async () => {
      for (const timer of timers) clearTimeout(timer);
      await close();
      upstream.admin.destroy();
      upstream.anonymous.destroy();
    },
  };
}

function forward(
  upstream: Upstream,
  here: OpenRequest,
  incoming: IncomingMessage,
  answer: ServerResponse,
  fault: Fault | undefined,
): void {
  const headers = { ...incoming.headers };
  delete headers.host;
  const asked = httpsRequest(new URL(incoming.url ?? '/', upstream.server), {
    method: incoming.method ?? 'GET',
    headers,
    // a client certificate would win over the token
    agent: headers.authorization === undefined ? upstream.admin : upstream.anonymous,
  });
  const reset = (): void => resetSocket(here.socket);
  asked.on('error', reset);
  asked.on('response', (response) => {
    response.on('error', reset);
    if (fault?.kind === 'lose-answer') {
      response.resume();
      response.on('end', reset);
      return;
    }
    answer.writeHead(response.statusCode ?? 502, response.headers);
    answer.flushHeaders();
    let left = fault?.kind === 'cut' || fault?.kind === 'half-open' ? (fault.afterBytes ?? 0) : Infinity;
    response.on('data', (chunk: Buffer) => {
      if (here.mode === 'stalled') return;
      const bytes = here.mode === 'cut-next' ? Math.floor(chunk.length / 2) : Math.min(left, chunk.length);
      left -= bytes;
      if (bytes === chunk.length) {
        if (answer.write(chunk)) return;
        response.pause();
        answer.once('drain', () => response.resume());
        return;
      }
      // from here on nothing passes any more, whatever comes
      here.mode = 'stalled';
      answer.write(chunk.subarray(0, bytes), fault?.kind === 'half-open' ? undefined : reset);
    });
    response.on('end', () => {
      if (here.mode !== 'stalled' && left > 0) answer.end();
    });
  });
  answer.once('close', () => asked.destroy());
  incoming.pipe(asked);
}

/** A socket that is being shut down already cannot be reset any more: libuv refuses, and Node.js would never close it. */
function resetSocket(socket: Socket): void {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}

const matches = (request: SeenRequest, { verb, resource, subresource, where }: RequestMatch): boolean =>
  (verb === undefined || verb === request.verb) &&
  (resource === undefined || resource === request.resource) &&
  (subresource === undefined || subresource === request.subresource) &&
  (where === undefined || where(request));

const VERBS: Readonly<Record<string, SeenRequest['verb']>> = {
  POST: 'create',
  PUT: 'update',
  PATCH: 'patch',
};

function describe({ method = 'GET', url = '/', headers }: IncomingMessage): SeenRequest {
  const { pathname, searchParams } = new URL(url, 'http://localhost');
  const [root, ...rest] = pathname.split('/').slice(1);
  const parts = root === 'api' ? rest.slice(1) : root === 'apis' ? rest.slice(2) : [];
  const namespace = parts[0] === 'namespaces' && parts.length > 2 ? (parts[1] ?? '') : '';
  const [resource = '', name = '', subresource = ''] = namespace === '' ? parts : parts.slice(2);
  const isWatch = searchParams.get('watch') === 'true';
  const verb =
    method === 'GET'
      ? isWatch
        ? 'watch'
        : name === ''
          ? 'list'
          : 'get'
      : method === 'DELETE'
        ? name === ''
          ? 'deletecollection'
          : 'delete'
        : VERBS[method];
  return {
    method,
    path: url,
    verb: resource === '' ? 'other' : (verb ?? 'other'),
    resource,
    subresource,
    namespace,
    name: decodeURIComponent(name),
    headers,
  };
}

interface Kubeconfig {
  readonly clusters: { readonly cluster: Record<string, string> }[];
  readonly users: { readonly user: Record<string, string> }[];
}

function readUpstream(file: string): Upstream {
  const config = parse(readFileSync(file, 'utf8')) as Kubeconfig;
  const [cluster, user] = [config.clusters[0]?.cluster ?? {}, config.users[0]?.user ?? {}];
  const pem = (from: Record<string, string>, key: string): Buffer | undefined => {
    const [path, data] = [from[key], from[`${key}-data`]];
    if (path !== undefined) return readFileSync(isAbsolute(path) ? path : join(file, '..', path));
    return data === undefined ? undefined : Buffer.from(data, 'base64');
  };
  const ca = pem(cluster, 'certificate-authority');
  const [cert, key] = [pem(user, 'client-certificate'), pem(user, 'client-key')];
  return {
    server: new URL(cluster['server'] ?? ''),
    admin: new Agent({ keepAlive: true, ca, cert, key }),
    anonymous: new Agent({ keepAlive: true, ca }),
  };
}
