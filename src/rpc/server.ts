// A gRPC server of ours. TLS is ended here and not by grpc-js, because then a connection is refused, counted and named
// before a byte of HTTP/2 is read, only TLS 1.3 is spoken, and new certificates serve new connections while old ones go on.
import { once } from 'node:events';
import {
  createServer as createTcpServer,
  isIP,
  type AddressInfo,
  type Server as TcpServer,
  type Socket,
} from 'node:net';
import { createServer as createTlsServer, type SecureContextOptions } from 'node:tls';
import {
  logVerbosity,
  Server,
  ServerCredentials,
  setLogVerbosity,
  status,
  type ServerDuplexStream,
  type ServiceDefinition,
} from '@grpc/grpc-js';
import { identityOf, type Identity } from './identity.ts';
import { RpcError, statusOf } from './status.ts';
import { TLS_VERSION, type TlsMaterial, type TlsSource } from './tls.ts';

// Faults reach callers and `onFault`; grpc-js would print them to standard error as well.
setLogVerbosity(logVerbosity.NONE);

/** Why nobody got to call a method. */
export type Refusal =
  /** No TLS 1.3 handshake came about: plain text, another version, a scanner. */
  | 'Handshake'
  /** No certificate, one of another CA, an expired one. */
  | 'Certificate'
  /** Our CA's, but without exactly one URI SAN of ours. */
  | 'NoIdentity'
  /** Known, and not allowed what was asked for. */
  | 'Forbidden';

export interface CallContext {
  /** Undefined without TLS: then whoever reaches the port may do everything. */
  readonly peer: Identity | undefined;
  /** Aborts when the caller cancels, its deadline passes or the connection breaks. */
  readonly signal: AbortSignal;
}

/** One method. All four kinds of gRPC are this: requests in, replies out. */
export type Handler = (requests: AsyncIterable<Buffer>, call: CallContext) => AsyncIterable<Uint8Array>;

export interface RpcServerOptions {
  /** `HOST:PORT`, `:PORT` for every address; port 0: any free one. */
  readonly listen: string;
  /** Undefined: plain text, for tests on loopback. */
  readonly tls: TlsSource | undefined;
  /** Paths such as `/package.Service/Method`. */
  readonly methods: Readonly<Record<string, Handler>>;
  /** Who may call at all. */
  readonly isAllowed: (identity: Identity) => boolean;
  /** `detail`: an error code or an identity; no secret. */
  readonly onRefused: (reason: Refusal, detail: string) => void;
  /** What a handler threw that no caller can be blamed for. */
  readonly onFault: (what: string, error: unknown) => void;
  /** Of one request message. Default 4 MiB. */
  readonly requestBytesMax?: number;
  /** After which a connection is asked to end, so that its certificate is looked at again. Default 1 hour. */
  readonly connectionAgeMs?: number;
}

export interface RpcServer {
  readonly port: number;
  /** No new connections and calls; those under way get up to `graceMs`. */
  close(graceMs: number): Promise<void>;
}

const HANDSHAKE_MS = 10_000;

/** Host undefined: every address, of both families where the host has both. Throws for what is no address. */
export function parseListen(text: string): { readonly host: string | undefined; readonly port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) throw new Error(`'${text}' is no HOST:PORT`);
  const host = match[1] ?? match[2] ?? '';
  return { host: host === '' || host === '::' ? undefined : host, port };
}

/** Whether an address to listen on is reached from this host only. */
export const isLoopback = (host: string | undefined): boolean =>
  host !== undefined && (host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.')));

/** @throws Error where nothing can listen there. */
export async function startRpcServer(options: RpcServerOptions): Promise<RpcServer> {
  const server = new Server({
    'grpc.max_receive_message_length': options.requestBytesMax ?? 4 * 2 ** 20,
    'grpc.max_send_message_length': -1,
    'grpc.keepalive_time_ms': 30_000,
    'grpc.keepalive_timeout_ms': 10_000,
    'grpc.max_connection_age_ms': options.connectionAgeMs ?? 3_600_000,
    'grpc.max_connection_age_grace_ms': 600_000,
  });
  for (const [path, handler] of Object.entries(options.methods)) addMethod(server, path, handler, options);
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const { host, port } = parseListen(options.listen);
  const sockets = new Set<Socket>();
  let onEmpty = (): void => undefined;
  const { listener, stop } = listenerOf(options, (socket) => {
    sockets.add(socket);
    socket.once('close', () => {
      sockets.delete(socket);
      if (sockets.size === 0) onEmpty();
    });
    injector.injectConnection(socket);
  });
  listener.listen({ port, ...(host === undefined ? {} : { host }) });
  try {
    await once(listener, 'listening');
  } catch (error) {
    stop();
    server.forceShutdown();
    throw new Error(`cannot listen on ${options.listen}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
  return {
    port: portOf(listener),
    async close(graceMs) {
      stop();
      listener.close();
      // Its callback comes too early since Node's http2 closes sessions by itself; connections end after their last call.
      server.tryShutdown(() => undefined);
      await new Promise<void>((resolve) => {
        const forced = setTimeout(resolve, graceMs);
        onEmpty = (): void => {
          clearTimeout(forced);
          resolve();
        };
        if (sockets.size === 0) onEmpty();
      });
      server.forceShutdown();
    },
  };
}

const portOf = (listener: TcpServer): number => {
  const address: AddressInfo | string | null = listener.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
};

interface Listener {
  readonly listener: TcpServer;
  readonly stop: () => void;
}

/** `stop` ends the subscription; a handshake that is under way ends by itself, at the latest after HANDSHAKE_MS. */
function listenerOf(options: RpcServerOptions, take: (socket: Socket) => void): Listener {
  const { tls, onRefused } = options;
  if (tls === undefined) return { listener: createTcpServer(take), stop: () => undefined };
  const contextOf = ({ certificate, key, ca }: TlsMaterial): SecureContextOptions => ({
    cert: certificate,
    key,
    ca,
    minVersion: TLS_VERSION,
  });
  const listener = createTlsServer({
    ...contextOf(tls.current()),
    requestCert: true,
    // looked at below: a refusal by Node would be silent
    rejectUnauthorized: false,
    ALPNProtocols: ['h2'],
    handshakeTimeout: HANDSHAKE_MS,
  });
  listener.on('tlsClientError', (error, socket) => {
    onRefused('Handshake', codeOf(error));
    socket.destroy();
  });
  listener.on('secureConnection', (socket) => {
    socket.on('error', () => undefined);
    const refuse = (reason: Refusal, detail: string): void => {
      onRefused(reason, detail);
      socket.destroy();
    };
    if (!socket.authorized) return refuse('Certificate', String(socket.authorizationError));
    if (identityOf(socket.getPeerCertificate()) === undefined)
      return refuse('NoIdentity', socket.getPeerCertificate().subjectaltname ?? 'no subjectAltName');
    if (socket.alpnProtocol !== 'h2') return refuse('Handshake', 'no HTTP/2');
    return take(socket);
  });
  const unsubscribe = tls.subscribe((material) => listener.setSecureContext(contextOf(material)));
  return { listener, stop: unsubscribe };
}

const codeOf = (error: Error): string => ('code' in error ? String(error.code) : error.message);

const identity = (content: Buffer): Buffer => content;

function addMethod(server: Server, path: string, handler: Handler, options: RpcServerOptions): void {
  const definition: ServiceDefinition = {
    [path]: {
      path,
      requestStream: true,
      responseStream: true,
      requestSerialize: identity,
      requestDeserialize: identity,
      responseSerialize: identity,
      responseDeserialize: identity,
    },
  };
  server.addService(definition, {
    [path]: (call: ServerDuplexStream<Buffer, Uint8Array>) => void answer(call, path, handler, options),
  });
}

async function answer(
  call: ServerDuplexStream<Buffer, Uint8Array>,
  path: string,
  handler: Handler,
  { tls, isAllowed, onRefused, onFault }: RpcServerOptions,
): Promise<void> {
  const gone = new AbortController();
  call.on('cancelled', () => {
    gone.abort(new RpcError('CANCELLED', 'the caller is gone'));
    // else whoever waits for the next request waits for ever
    call.destroy();
  });
  // a broken connection is `cancelled`
  call.on('error', () => undefined);
  try {
    const peer = identityOf(call.getAuthContext().sslPeerCertificate);
    if (tls !== undefined && (peer === undefined || !isAllowed(peer))) {
      const who = peer?.uri ?? 'an unknown peer';
      onRefused('Forbidden', who);
      throw new RpcError('PERMISSION_DENIED', `${who} may not call ${path}`);
    }
    for await (const reply of handler(requestsOf(call), { peer, signal: gone.signal })) {
      if (gone.signal.aborted) return;
      if (!call.write(reply)) await drained(call, gone.signal);
    }
    call.end();
  } catch (error) {
    if (gone.signal.aborted) return;
    const failure = statusOf(error);
    if (failure.code === status.INTERNAL) onFault(path, error);
    call.emit('error', failure);
  }
}

/** What the caller sends, until it says that there is no more, or is gone. Who reads no further does not end the call. */
async function* requestsOf(call: ServerDuplexStream<Buffer, Uint8Array>): AsyncGenerator<Buffer> {
  const requests: AsyncIterable<Buffer> = call.iterator({ destroyOnReturn: false });
  yield* requests;
}

const drained = (call: ServerDuplexStream<Buffer, Uint8Array>, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => {
      call.removeListener('drain', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    call.once('drain', done);
    signal.addEventListener('abort', done, { once: true });
    if (signal.aborted) done();
  });
