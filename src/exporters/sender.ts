// The border between delivery, which decides what is sent when, and a destination, which is sent one encoded request at
// a time. What the world does wrong is a value here, never an exception.
import type { TelemetryBatch } from '../telemetry/batches.ts';

export type Signal = TelemetryBatch['signal'];

/** How many of each a request holds. */
export interface ItemCounts {
  readonly metricPoints: number;
  readonly spans: number;
  readonly logs: number;
}

/** One OTLP Export…ServiceRequest in protobuf, before compression and without credentials. */
export interface EncodedRequest extends ItemCounts {
  readonly signal: Signal;
  readonly bytes: Uint8Array;
}

/**
 * What became of one attempt. `code` is stable (a gRPC status name such as `UNAVAILABLE`, or one of ours such as
 * `INVALID_ENDPOINT`); `message` has secrets masked and at most 512 bytes.
 */
export type SendOutcome =
  /** Taken. `rejected` items of it were not (partial success); `message` is then the destination's reason, or a warning. */
  | { readonly status: 'sent'; readonly rejected: number; readonly message?: string }
  /**
   * Not taken, may be taken later; not before `afterMs` where the destination said so. `isUnanswered`: it went out and nothing
   * says whether it was taken all the same.
   */
  | {
      readonly status: 'retry';
      readonly code: string;
      readonly message: string;
      readonly afterMs?: number;
      readonly isUnanswered?: true;
    }
  /** Will never be taken. */
  | { readonly status: 'refused'; readonly code: string; readonly message: string }
  /** Too large: its halves may be taken. */
  | { readonly status: 'split'; readonly code: string; readonly message: string };

/** A connection to one destination, opened when it is first needed. */
export interface Sender {
  /** Resolves with the outcome; an abort resolves as `retry` with code `CANCELLED`. Never rejects for the world's faults. */
  send(request: EncodedRequest, signal: AbortSignal): Promise<SendOutcome>;
  close(): void;
}

/** Connects where the table says, as curl's --connect-to: `host:port` of the endpoint to `address:port`. */
export type ConnectTo = ReadonlyMap<string, string>;

/**
 * Turns the endpoint's host into the addresses that may be connected to. `forbidden` says why none may (loopback in a
 * cluster, …); a rejected promise is a failed look-up and is tried again.
 */
export type Lookup = (
  host: string,
) => Promise<{ readonly addresses: readonly string[] } | { readonly forbidden: string }>;
