// A client's connection to one server of ours: who it is is checked by its URI SAN (collectors are dialled by address),
// and when our certificates change, new calls go over a new connection while the old one ends with its last call.
import { createSecureContext } from 'node:tls';
import {
  Client,
  connectivityState,
  credentials,
  logVerbosity,
  Metadata,
  setLogVerbosity,
  type ChannelCredentials,
  type ClientDuplexStream,
  type ServiceError,
} from '@grpc/grpc-js';
import { identityOf, type Identity } from './identity.ts';
import { RpcError, rpcErrorOf } from './status.ts';
import { checkMaterial, TLS_VERSION, TlsError, type TlsSource } from './tls.ts';

setLogVerbosity(logVerbosity.NONE);

export interface ChannelOptions {
  /** `HOST:PORT`; a name is resolved again when the connection is lost. */
  readonly address: string;
  /** Undefined: plain text, for tests on loopback. */
  readonly tls: TlsSource | undefined;
  /** Whom we expect there. */
  readonly isServer: (identity: Identity) => boolean;
  /** For messages: `the runtime at 10.0.0.7:7443`. */
  readonly peer: string;
  /** Of one reply message. Default 4 MiB. */
  readonly replyBytesMax?: number;
  /** Wall clock. */
  readonly nowMs?: () => number;
  /** How long a connection may be in the making before it is given up; default 8 s. */
  readonly connectMs?: number;
}

export interface CallOptions {
  /** From now; the call fails with DEADLINE_EXCEEDED then. None: for as long as the stream lives. */
  readonly timeoutMs?: number;
  /** Cancels the call, which then rejects with its reason. */
  readonly signal?: AbortSignal;
}

export interface Stream {
  send(request: Uint8Array): void;
  /** Nothing more will be sent. */
  end(): void;
  /** To be read once; leaving the loop cancels the call. Throws RpcError. */
  readonly replies: AsyncIterable<Buffer>;
}

export interface Channel {
  /** @throws RpcError, or the signal's reason. */
  unary(path: string, request: Uint8Array, options?: CallOptions): Promise<Buffer>;
  stream(path: string, options?: CallOptions): Stream;
  /** Whether a call would go out at once. Begins to connect where not. */
  isConnected(): boolean;
  /** Cancels all calls: they fail with CANCELLED, at once and whatever the peer does. So does every later one. */
  close(): void;
}

interface Connection {
  readonly client: Client;
  readonly expiresMs: number;
  readonly who: string;
  calls: number;
  isOld: boolean;
}

const identity = (content: Uint8Array): Buffer => Buffer.from(content.buffer, content.byteOffset, content.length);
const received = (content: Buffer): Buffer => content;

/** TCP and grpc-js try an address for two minutes; the name leads to another one long before, where a pod has moved. */
const CONNECT_MS = 8000;

/** In TLS's SNI and HTTP/2's authority; no certificate has it. */
const SERVER_NAME = 'sluice';

export function openChannel(options: ChannelOptions): Channel {
  const { tls, peer } = options;
  const nowMs = options.nowMs ?? Date.now;
  const connections = new Set<Connection>();
  /** Cancels of the calls that run. */
  const running = new Set<() => void>();
  let current: Connection | undefined;
  let isClosed = false;

  const retire = (connection: Connection): void => {
    if (!connection.isOld || connection.calls > 0) return;
    connections.delete(connection);
    connection.client.close();
  };
  const unsubscribe = tls?.subscribe(() => {
    const before = current;
    current = undefined;
    if (before === undefined) return;
    before.isOld = true;
    retire(before);
  });

  const closedError = (): RpcError => new RpcError('CANCELLED', `${peer}: the connection was closed`);

  /** What a call failed with, for its caller. */
  function causeOf(failure: unknown, signal: AbortSignal | undefined): Error {
    if (signal?.aborted === true) return reasonOf(signal);
    return isClosed ? closedError() : rpcErrorOf(failure, peer);
  }

  function connect(): Connection {
    if (isClosed) throw closedError();
    if (current === undefined) {
      const connection = opened(options);
      current = connection;
      connections.add(connection);
      whenNotConnected(connection.client, options.connectMs ?? CONNECT_MS, () => {
        if (current === connection) current = undefined;
        connections.delete(connection);
        // calls that wait for it fail as UNAVAILABLE
        connection.client.close();
      });
    }
    if (current.expiresMs <= nowMs()) {
      const at = new Date(current.expiresMs).toISOString();
      throw new RpcError('UNAVAILABLE', `${peer}: our own certificate (${current.who}) has expired at ${at}`);
    }
    return current;
  }

  /** A call's life on its connection. */
  function begin(connection: Connection, cancel: () => void, signal: AbortSignal | undefined): () => void {
    connection.calls++;
    running.add(cancel);
    signal?.addEventListener('abort', cancel, { once: true });
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      running.delete(cancel);
      signal?.removeEventListener('abort', cancel);
      connection.calls--;
      retire(connection);
    };
  }

  const callOptions = ({ timeoutMs }: CallOptions) =>
    timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs };

  return {
    async unary(path, request, given = {}) {
      const { signal } = given;
      signal?.throwIfAborted();
      const connection = connect();
      return new Promise((resolve, reject) => {
        const call = connection.client.makeUnaryRequest(
          path,
          identity,
          received,
          request,
          new Metadata(),
          callOptions(given),
          (failure: ServiceError | null, reply?: Buffer) => {
            over();
            if (failure === null && signal?.aborted !== true) resolve(reply ?? Buffer.alloc(0));
            else reject(causeOf(failure, signal));
          },
        );
        const over = begin(connection, () => call.cancel(), signal);
      });
    },
    stream(path, given = {}) {
      const { signal } = given;
      signal?.throwIfAborted();
      const connection = connect();
      const call = connection.client.makeBidiStreamRequest(
        path,
        identity,
        received,
        new Metadata(),
        callOptions(given),
      );
      const over = begin(connection, () => call.cancel(), signal);
      call.on('status', over);
      // also read as the end of the replies
      call.on('error', () => undefined);
      return {
        send: (request) => void call.write(request),
        end: () => void call.end(),
        replies: repliesOf(call, (failure) => causeOf(failure, signal)),
      };
    },
    isConnected() {
      if (isClosed) return false;
      const { client } = connect();
      return client.getChannel().getConnectivityState(true) === connectivityState.READY;
    },
    close() {
      isClosed = true;
      unsubscribe?.();
      for (const cancel of running) cancel();
      for (const { client } of connections) client.close();
      connections.clear();
      current = undefined;
    },
  };
}

/** Calls back once, where a client was not connected for `ms` although it tried. Ends with the client. */
function whenNotConnected(client: Client, ms: number, giveUp: () => void): void {
  const channel = client.getChannel();
  let timer: NodeJS.Timeout | undefined;
  const look = (): void => {
    const state = channel.getConnectivityState(false);
    if (state === connectivityState.SHUTDOWN) return clearTimeout(timer);
    // failing and trying again are one stretch
    if (state === connectivityState.CONNECTING || state === connectivityState.TRANSIENT_FAILURE)
      timer ??= setTimeout(giveUp, ms).unref();
    else {
      clearTimeout(timer);
      timer = undefined;
    }
    channel.watchConnectivityState(state, Number.POSITIVE_INFINITY, look);
  };
  look();
}

function reasonOf(signal: AbortSignal): Error {
  const reason: unknown = signal.reason;
  if (reason instanceof Error) return reason;
  const text = typeof reason === 'object' && reason !== null && 'message' in reason ? reason.message : 'given up';
  return new Error(String(text), { cause: reason });
}

async function* repliesOf(
  call: ClientDuplexStream<Uint8Array, Buffer>,
  causeOf: (failure: unknown) => Error,
): AsyncGenerator<Buffer> {
  try {
    for await (const reply of call as AsyncIterable<Buffer>) yield reply;
  } catch (error) {
    throw causeOf(error);
  } finally {
    call.cancel();
  }
}

/** Certificates that are not there yet, or broken, are like a peer that is not there: it is tried again. */
function opened(options: ChannelOptions): Connection {
  try {
    return open(options);
  } catch (error) {
    if (!(error instanceof TlsError)) throw error;
    throw new RpcError('UNAVAILABLE', `${options.peer}: ${error.message}`, error);
  }
}

function open(options: ChannelOptions): Connection {
  const material = options.tls?.current();
  const facts = material === undefined ? undefined : checkMaterial(material);
  const client = new Client(options.address, credentialsOf(options), {
    'grpc.ssl_target_name_override': SERVER_NAME,
    'grpc.default_authority': SERVER_NAME,
    // Without these a peer that vanished with its host is noticed only when TCP gives up.
    'grpc.keepalive_time_ms': 10_000,
    'grpc.keepalive_timeout_ms': 5000,
    'grpc.keepalive_permit_without_calls': 1,
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 2000,
    'grpc.dns_min_time_between_resolutions_ms': 2000,
    'grpc.enable_retries': 0,
    'grpc.enable_http_proxy': 0,
    'grpc.service_config_disable_resolution': 1,
    'grpc.use_local_subchannel_pool': 1,
    'grpc.max_receive_message_length': options.replyBytesMax ?? 4 * 2 ** 20,
    'grpc.max_send_message_length': -1,
  });
  return {
    client,
    expiresMs: facts?.expiresMs ?? Number.POSITIVE_INFINITY,
    who: facts?.identity.uri ?? '',
    calls: 0,
    isOld: false,
  };
}

function credentialsOf({ tls, isServer }: ChannelOptions): ChannelCredentials {
  if (tls === undefined) return credentials.createInsecure();
  const { certificate, key, ca } = tls.current();
  const context = createSecureContext({ cert: certificate, key, ca, minVersion: TLS_VERSION });
  return credentials.createFromSecureContext(context, {
    checkServerIdentity(_, presented) {
      const server = identityOf(presented);
      if (server !== undefined && isServer(server)) return undefined;
      return new Error(`the server is ${server?.uri ?? 'nobody that we know'}, which is not who is expected there`);
    },
  });
}
