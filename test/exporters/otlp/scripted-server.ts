// A gRPC server that answers Export calls as a test says, and remembers what it was sent.
import {
  Metadata,
  Server,
  ServerCredentials,
  type sendUnaryData,
  type status,
  type ServerUnaryCall,
} from '@grpc/grpc-js';
import { messageType, PROTOCOLS, RESPONSE } from '../../../src/exporters/otlp/schema.ts';

export interface Call {
  readonly bytes: Buffer;
  readonly metadata: Metadata;
  readonly authority: string;
}

export type Answer =
  | { readonly kind: 'ok'; readonly rejected?: number; readonly message?: string }
  | { readonly kind: 'status'; readonly code: status; readonly details?: string; readonly retryDelayMs?: number }
  | { readonly kind: 'raw'; readonly bytes: Buffer }
  /** Never answers. */
  | { readonly kind: 'hang' };

export interface ScriptedServer {
  readonly endpoint: string;
  readonly calls: Call[];
  /** Resolves once that many calls came in. */
  called(count: number): Promise<void>;
  close(): void;
}

function detailsOf(code: status, retryDelayMs: number): Metadata {
  const retryDelay = { seconds: Math.floor(retryDelayMs / 1000), nanos: (retryDelayMs % 1000) * 1e6 };
  const retryInfo = messageType('RetryInfo');
  const rpcStatus = messageType('RpcStatus');
  const value = retryInfo.encode(retryInfo.fromObject({ retryDelay })).finish();
  const details = [
    { typeUrl: 'type.googleapis.com/google.rpc.DebugInfo', value: Buffer.from('x') },
    { typeUrl: 'type.googleapis.com/google.rpc.RetryInfo', value },
  ];
  const metadata = new Metadata();
  metadata.set(
    'grpc-status-details-bin',
    Buffer.from(rpcStatus.encode(rpcStatus.fromObject({ code, details })).finish()),
  );
  return metadata;
}

/** `script` gives the answer to call number n (from 0) with its request; TLS where credentials are given. */
export async function scriptedServer(
  script: (n: number, call: Call) => Answer,
  credentials: ServerCredentials = ServerCredentials.createInsecure(),
): Promise<ScriptedServer> {
  const server = new Server({ 'grpc.max_receive_message_length': -1 });
  const calls: Call[] = [];
  const waiting = new Set<() => void>();
  const same = (bytes: Buffer): Buffer => bytes;
  for (const { method } of Object.values(PROTOCOLS)) {
    const codecs = {
      requestSerialize: same,
      requestDeserialize: same,
      responseSerialize: same,
      responseDeserialize: same,
    };
    server.addService(
      { export: { path: method, requestStream: false, responseStream: false, ...codecs } },
      {
        export: (call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) => {
          const one: Call = { bytes: call.request, metadata: call.metadata, authority: call.getHost() };
          calls.push(one);
          for (const check of waiting) check();
          const scripted = script(calls.length - 1, one);
          if (scripted.kind === 'hang') return;
          if (scripted.kind === 'raw') return answer(null, scripted.bytes);
          if (scripted.kind === 'status') {
            const { code, details = '', retryDelayMs } = scripted;
            return answer({
              code,
              details,
              metadata: retryDelayMs === undefined ? new Metadata() : detailsOf(code, retryDelayMs),
            });
          }
          const partialSuccess = { rejected: scripted.rejected ?? 0, errorMessage: scripted.message ?? '' };
          return answer(null, Buffer.from(RESPONSE.encode(RESPONSE.fromObject({ partialSuccess })).finish()));
        },
      },
    );
  }
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', credentials, (error, bound) => (error === null ? resolve(bound) : reject(error)));
  });
  return {
    endpoint: `127.0.0.1:${port}`,
    calls,
    called: (count) =>
      new Promise((resolve) => {
        const check = (): void => {
          if (calls.length < count) return;
          waiting.delete(check);
          resolve();
        };
        waiting.add(check);
        check();
      }),
    close: () => server.forceShutdown(),
  };
}
