// The sender for a destination, by its type.
import type { Writable } from 'node:stream';
import type { Destination, DestinationType } from '../model/destination.ts';
import { consoleSender } from './console/console-sender.ts';
import { grpcSender, type GrpcSenderOptions } from './otlp/grpc-send.ts';
import type { Sender } from './sender.ts';

export interface SenderOptions extends GrpcSenderOptions {
  /** Where Console destinations print. */
  readonly stdout: Writable;
}

/** What this build can deliver to; others are refused when they are put, not when data is there. */
export const SUPPORTED_DESTINATIONS: ReadonlySet<DestinationType> = new Set(['OTLPGRPC', 'Console']);

/** @throws Error for a type that is not supported. */
export function openSender(destination: Destination, options: SenderOptions): Sender {
  if (destination.type === 'OTLPGRPC') return grpcSender(destination, options);
  if (destination.type === 'Console') return consoleSender(options.stdout);
  throw new Error(
    `destinations of type ${destination.type} are not supported; there are ${[...SUPPORTED_DESTINATIONS].join(', ')}`,
  );
}
