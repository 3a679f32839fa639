// Sends encoded requests to one OTLP/gRPC destination. One channel, opened at the first request and made anew after it
// failed, so that each attempt is one attempt and the only back-off is delivery's own.
import { isIP, isIPv6 } from 'node:net';
import {
  Client,
  compressionAlgorithms,
  credentials,
  logVerbosity,
  Metadata,
  setLogVerbosity,
  type ChannelCredentials,
  type ChannelOptions,
} from '@grpc/grpc-js';
import type { Destination } from '../../model/destination.ts';
import { messageCleaner } from '../secrets.ts';
import type { ConnectTo, EncodedRequest, Lookup, Sender, SendOutcome } from '../sender.ts';
import { classifyResponse, classifyStatus, isUnanswered } from './classify.ts';
import { parseGrpcEndpoint, type GrpcEndpoint } from './endpoint.ts';
import { PROTOCOLS } from './schema.ts';

export interface GrpcSenderOptions {
  readonly connectTo?: ConnectTo;
  /** Replaces the channel's own name resolution, and may refuse addresses. */
  readonly lookup?: Lookup;
  /** Ours, for the user-agent. */
  readonly version?: string;
}

/** A destination that cannot be used as it is; kept for later, because only a person can change it. */
class UnusableDestination extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

// Faults are outcomes here; grpc-js would print them to standard error as well.
setLogVerbosity(logVerbosity.NONE);

/** After these the connection itself is in doubt. */
const CONNECTION_FAILURES: ReadonlySet<string> = new Set(['UNAVAILABLE', 'DEADLINE_EXCEEDED']);

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function channelCredentials({ tls }: Destination, { isSecure }: GrpcEndpoint): ChannelCredentials {
  if (!isSecure) return credentials.createInsecure();
  const pem = (text: string | undefined): Buffer | null => (text === undefined ? null : Buffer.from(text));
  const { ca, clientCertificate } = tls;
  try {
    return credentials.createSsl(
      pem(ca),
      pem(clientCertificate?.key),
      pem(clientCertificate?.certificate),
      tls.insecureSkipVerify ? { rejectUnauthorized: false, checkServerIdentity: () => undefined } : {},
    );
  } catch (error) {
    throw new UnusableDestination('INVALID_TLS', `the destination's certificates cannot be used: ${textOf(error)}`);
  }
}

function channelOptions(
  { tls, compression }: Destination,
  endpoint: GrpcEndpoint,
  version: string | undefined,
): ChannelOptions {
  return {
    'grpc.default_authority': endpoint.authority,
    ...(endpoint.isSecure ? { 'grpc.ssl_target_name_override': tls.serverName ?? endpoint.host } : {}),
    'grpc.primary_user_agent': `OTel-OTLP-Exporter-Sluice${version === undefined ? '' : `/${version}`}`,
    'grpc.default_compression_algorithm':
      compression === 'gzip' ? compressionAlgorithms.gzip : compressionAlgorithms.identity,
    // Retries, proxies and configuration come from us alone, and no other channel's back-off concerns this one.
    'grpc.enable_retries': 0,
    'grpc.enable_http_proxy': 0,
    'grpc.service_config_disable_resolution': 1,
    'grpc.use_local_subchannel_pool': 1,
    'grpc.max_receive_message_length': 4 * 2 ** 20,
  };
}

/** @throws Error with the name of a header that HTTP/2 does not allow; never with its value. */
function metadataOf({ headers }: Destination): Metadata {
  const metadata = new Metadata();
  for (const { name, value } of headers) {
    try {
      metadata.add(name, name.toLowerCase().endsWith('-bin') ? Buffer.from(value) : value);
    } catch {
      throw new UnusableDestination(
        'INVALID_HEADER',
        `header ${JSON.stringify(name)} has a name or value that gRPC metadata cannot carry`,
      );
    }
  }
  return metadata;
}

/** The look-up's answer, or a rejection once `timeoutMs` have passed or the signal aborts. */
function bounded<Value>(pending: Promise<Value>, timeoutMs: number, signal: AbortSignal): Promise<Value> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  return Promise.race([
    pending,
    new Promise<never>((_, reject) => {
      limit.addEventListener('abort', () => reject(new Error('no answer in time')), { once: true });
    }),
  ]);
}

/** The channel's target: a name for its own resolver, or the addresses that may be connected to. */
async function targetOf(
  { host, port, authority }: GrpcEndpoint,
  options: GrpcSenderOptions,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<string> {
  const override = options.connectTo?.get(authority);
  if (override !== undefined) return override;
  if (options.lookup === undefined) return authority;
  const found = await bounded(options.lookup(host), timeoutMs, signal);
  if ('forbidden' in found) throw new UnusableDestination('ENDPOINT_FORBIDDEN', found.forbidden);
  const first = found.addresses.find((address) => isIP(address) !== 0);
  if (first === undefined) throw new UnusableDestination('UNAVAILABLE', `${host} has no address`);
  // A target has one scheme; the family that the resolver put first is preferred.
  const family = found.addresses.filter((address) => isIP(address) === isIP(first));
  const addresses = family.map((address) => (isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`));
  return `${isIPv6(first) ? 'ipv6' : 'ipv4'}:${addresses.join(',')}`;
}

const raw = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);

/** Opens nothing yet; whatever is wrong with the destination shows as the outcome of `send`. */
export function grpcSender(destination: Destination, options: GrpcSenderOptions = {}): Sender {
  const clean = messageCleaner(destination);
  let channel: { readonly target: string; readonly client: Client } | undefined;

  const closeChannel = (): void => {
    channel?.client.close();
    channel = undefined;
  };

  const connect = async (endpoint: GrpcEndpoint, signal: AbortSignal): Promise<Client> => {
    const target = await targetOf(endpoint, options, destination.timeoutMs, signal);
    if (channel !== undefined && channel.target !== target) closeChannel();
    channel ??= {
      target,
      client: new Client(
        target,
        channelCredentials(destination, endpoint),
        channelOptions(destination, endpoint, options.version),
      ),
    };
    return channel.client;
  };

  const exchange = (
    client: Client,
    metadata: Metadata,
    request: EncodedRequest,
    signal: AbortSignal,
  ): Promise<SendOutcome> =>
    new Promise((resolve) => {
      const onAbort = (): void => call.cancel();
      const call = client.makeUnaryRequest(
        PROTOCOLS[request.signal].method,
        raw,
        (response: Buffer) => response,
        request.bytes,
        metadata,
        { deadline: Date.now() + destination.timeoutMs },
        (failure, response) => {
          signal.removeEventListener('abort', onAbort);
          if (failure !== null) {
            const outcome = classifyStatus(failure, clean);
            // only a call that has a connection has one to describe
            const wentOut = call.getAuthContext() !== null;
            const isDoubtful = outcome.status === 'retry' && wentOut && isUnanswered(failure, hasHeaders);
            return resolve(isDoubtful ? { ...outcome, isUnanswered: true } : outcome);
          }
          const items = request.metricPoints + request.spans + request.logs;
          return resolve(classifyResponse(response ?? new Uint8Array(0), items, clean));
        },
      );
      let hasHeaders = false;
      call.once('metadata', () => (hasHeaders = true));
      signal.addEventListener('abort', onAbort, { once: true });
    });

  return {
    send: async (request, signal) => {
      if (signal.aborted) return { status: 'retry', code: 'CANCELLED', message: 'cancelled' };
      const endpoint = parseGrpcEndpoint(destination);
      if ('invalid' in endpoint) return { status: 'retry', code: 'INVALID_ENDPOINT', message: clean(endpoint.invalid) };
      try {
        const outcome = await exchange(await connect(endpoint, signal), metadataOf(destination), request, signal);
        if (outcome.status === 'retry' && CONNECTION_FAILURES.has(outcome.code)) closeChannel();
        return outcome;
      } catch (error) {
        closeChannel();
        const code = error instanceof UnusableDestination ? error.code : 'UNAVAILABLE';
        return { status: 'retry', code, message: clean(textOf(error)) };
      }
    },
    close: closeChannel,
  };
}
