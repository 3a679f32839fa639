// A small OTLP receiver: gRPC, and HTTP with protobuf or JSON, all signals, gzip. It accepts everything that it can
// read and hands it on as it came. For trying out, demos and tests; it keeps nothing.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import * as grpc from '@grpc/grpc-js';
import type { Signal } from '../sender.ts';
import { decodeOtlp, encodeOtlpJson, type OtlpJson } from './json.ts';
import { messageType, PROTOCOLS } from './schema.ts';

export interface ReceiverOptions {
  /** `host:port` for OTLP/gRPC, port 0 for any free one; undefined for none. */
  readonly grpc?: string;
  /** The same for OTLP/HTTP. */
  readonly http?: string;
  /** After decompression. Default 64 MiB. */
  readonly requestBytesMax?: number;
}

export interface ReceivedRequest {
  readonly signal: Signal;
  readonly transport: 'grpc' | 'http';
  /** The request in protobuf, decompressed; JSON is converted. */
  readonly bytes: Uint8Array;
  readonly json: OtlpJson;
}

export interface Receiver {
  /** What was bound; undefined for what was not asked for. */
  readonly ports: { readonly grpc: number | undefined; readonly http: number | undefined };
  /** Calls back for each accepted request, before the sender gets its answer. */
  onRequest(callback: (request: ReceivedRequest) => void): void;
  close(): Promise<void>;
}

const SIGNALS: readonly Signal[] = ['metrics', 'traces', 'logs'];
const REQUEST_BYTES_MAX = 64 * 2 ** 20;
const RPC_STATUS = messageType('RpcStatus');
const unzip = promisify(gunzip);

// What grpc-js would print to standard error reaches the caller as an error anyway.
grpc.setLogVerbosity(grpc.logVerbosity.NONE);

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const LISTEN_FAULTS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the port is in use',
  EACCES: 'no permission for this port',
  EADDRNOTAVAIL: 'this host has no such address',
  ENOTFOUND: 'there is no such host',
};

/** Node and grpc-js wrap the system's code differently. */
function listenError(what: string, error: Error): Error {
  const code = Object.keys(LISTEN_FAULTS).find((name) => error.message.includes(name));
  const reason = code === undefined ? error.message : `${LISTEN_FAULTS[code]} (${code})`;
  return new Error(`cannot listen on ${what}: ${reason}`, { cause: error });
}

/** @throws Error where nothing can listen there, saying where and why. */
async function listenGrpc(address: string, bytesMax: number, accept: (request: ReceivedRequest) => void) {
  const server = new grpc.Server({
    'grpc.max_receive_message_length': bytesMax,
    'grpc.max_send_message_length': -1,
  });
  for (const signal of SIGNALS) {
    const [, service = '', method = ''] = PROTOCOLS[signal].method.split('/');
    const path = PROTOCOLS[signal].method;
    const identity = (bytes: Buffer): Buffer => bytes;
    server.addService(
      {
        [method]: {
          path,
          requestStream: false,
          responseStream: false,
          requestSerialize: identity,
          requestDeserialize: identity,
          responseSerialize: identity,
          responseDeserialize: identity,
          originalName: `${service}/${method}`,
        },
      },
      {
        [method]: (call: grpc.ServerUnaryCall<Buffer, Buffer>, answer: grpc.sendUnaryData<Buffer>) => {
          try {
            accept({ signal, transport: 'grpc', bytes: call.request, json: decodeOtlp(signal, call.request) });
            answer(null, Buffer.alloc(0));
          } catch (error) {
            answer({ code: grpc.status.INVALID_ARGUMENT, details: `not an OTLP ${signal} request: ${textOf(error)}` });
          }
        },
      },
    );
  }
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else {
        server.forceShutdown();
        reject(listenError(`${address} for OTLP/gRPC`, error));
      }
    });
  });
  return { port, server };
}

/** Reads a body of at most `bytesMax` bytes, also after decompression. */
async function readBody(request: IncomingMessage, bytesMax: number): Promise<Buffer | 'too large'> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > bytesMax) return 'too large';
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks);
  if (request.headers['content-encoding'] !== 'gzip') return body;
  return unzip(body, { maxOutputLength: bytesMax }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ERR_BUFFER_TOO_LARGE') return 'too large' as const;
    throw error;
  });
}

interface HttpAnswer {
  readonly code: number;
  readonly message: string;
}

async function handle(
  request: IncomingMessage,
  bytesMax: number,
  accept: (request: ReceivedRequest) => void,
): Promise<HttpAnswer> {
  const path = (request.url ?? '/').split('?')[0];
  const signal = SIGNALS.find((candidate) => PROTOCOLS[candidate].httpPath === path);
  if (signal === undefined) return { code: 404, message: 'no such path; there are /v1/metrics, /v1/traces, /v1/logs' };
  if (request.method !== 'POST') return { code: 405, message: 'only POST' };
  const type = contentType(request);
  if (type === undefined)
    return { code: 415, message: 'content type must be application/x-protobuf or application/json' };
  const encoding = request.headers['content-encoding'] ?? 'identity';
  if (encoding !== 'gzip' && encoding !== 'identity')
    return { code: 415, message: 'content encoding must be gzip or none' };
  try {
    const body = await readBody(request, bytesMax);
    if (body === 'too large') return { code: 413, message: `request body above ${bytesMax} bytes` };
    const bytes = type === 'json' ? encodeOtlpJson(signal, JSON.parse(body.toString('utf8'))) : body;
    accept({ signal, transport: 'http', bytes, json: decodeOtlp(signal, bytes) });
    return { code: 200, message: '' };
  } catch (error) {
    return { code: 400, message: `not an OTLP ${signal} request: ${textOf(error)}` };
  }
}

function contentType(request: IncomingMessage): 'json' | 'protobuf' | undefined {
  const type = request.headers['content-type']?.split(';')[0]?.trim().toLowerCase();
  if (type === 'application/json') return 'json';
  return type === 'application/x-protobuf' ? 'protobuf' : undefined;
}

/** The answer in the request's encoding; errors are a google.rpc.Status. */
function respond(request: IncomingMessage, response: ServerResponse, { code, message }: HttpAnswer): void {
  const isJson = contentType(request) !== 'protobuf';
  const ok = code === 200;
  const status = { code: grpc.status.INVALID_ARGUMENT, message };
  const json = JSON.stringify(ok ? { partialSuccess: {} } : status);
  const protobuf = ok ? Buffer.alloc(0) : RPC_STATUS.encode(RPC_STATUS.fromObject(status)).finish();
  const body = isJson ? Buffer.from(json) : protobuf;
  response.writeHead(code, {
    'content-length': body.length,
    'content-type': isJson ? 'application/json' : 'application/x-protobuf',
    // What is left of a refused body is not read.
    ...(ok ? {} : { connection: 'close' }),
  });
  response.end(body);
}

/** @throws Error where nothing can listen there, saying where and why. */
async function listenHttp(address: string, bytesMax: number, accept: (request: ReceivedRequest) => void) {
  const server: Server = createServer((request, response) => {
    request.on('error', () => response.destroy());
    void handle(request, bytesMax, accept).then((answer) => respond(request, response, answer));
  });
  const separator = address.lastIndexOf(':');
  const host = address.slice(0, separator).replace(/^\[(.*)\]$/, '$1');
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(listenError(`${address} for OTLP/HTTP`, error)));
    server.listen(Number(address.slice(separator + 1)), host, resolve);
  });
  const bound = server.address();
  return { port: typeof bound === 'object' && bound !== null ? bound.port : 0, server };
}

/** @throws Error where an address cannot be listened on; nothing is left open then. */
export async function startReceiver(options: ReceiverOptions): Promise<Receiver> {
  const bytesMax = options.requestBytesMax ?? REQUEST_BYTES_MAX;
  const callbacks: ((request: ReceivedRequest) => void)[] = [];
  const accept = (request: ReceivedRequest): void => callbacks.forEach((callback) => callback(request));
  const overGrpc = options.grpc === undefined ? undefined : await listenGrpc(options.grpc, bytesMax, accept);
  let overHttp: { port: number; server: Server } | undefined;
  try {
    overHttp = options.http === undefined ? undefined : await listenHttp(options.http, bytesMax, accept);
  } catch (error) {
    overGrpc?.server.forceShutdown();
    throw error;
  }
  return {
    ports: { grpc: overGrpc?.port, http: overHttp?.port },
    onRequest: (callback) => callbacks.push(callback),
    close: async () => {
      overGrpc?.server.forceShutdown();
      const { server } = overHttp ?? {};
      server?.closeAllConnections();
      if (server !== undefined) await new Promise((resolve) => server.close(resolve));
    },
  };
}
