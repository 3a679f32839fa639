// Which sender a destination's type means.
import type { Writable } from 'node:stream';
import type { Destination } from '../model/destination.ts';
import { consoleSender } from '../exporters/console/console-sender.ts';
import { grpcSender, type GrpcSenderOptions } from '../exporters/otlp/grpc-send.ts';
import type { Sender } from '../exporters/sender.ts';

export interface SenderOptions extends GrpcSenderOptions {
  /** Where a Console destination prints. Stays the caller's. */
  readonly console: Writable;
}

/** Opens a sender; types that this build does not have refuse each request with a code that says so. */
export function openSender(destination: Destination, options: SenderOptions): Sender {
  switch (destination.type) {
    case 'OTLPGRPC':
      return grpcSender(destination, options);
    case 'Console':
      return consoleSender(options.console);
    case 'OTLPHTTP':
    case 'PrometheusRemoteWrite':
    case 'Prometheus':
    case 'Zipkin':
      return unavailable(destination.type);
    default:
      return destination.type satisfies never;
  }
}

/** Waits instead of refusing: what is in the spool may go out once a version that has the type runs. */
function unavailable(type: string): Sender {
  const message = `destination type ${type} is not in this build; use OTLPGRPC or Console`;
  return {
    send: () => Promise.resolve({ status: 'retry', code: 'DESTINATION_TYPE_UNAVAILABLE', message, afterMs: 60_000 }),
    close: () => undefined,
  };
}
