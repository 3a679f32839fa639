// The contract between connection tracking and a protocol's parser. A parser knows bytes, positions and times of one
// connection and nothing of processes, addresses, tables or sources.
import type { Cell } from '../../model/types.ts';

/**
 * Kernel time (CLOCK_MONOTONIC) in nanoseconds as a number: exact for 104 days of uptime, then to 2 or 4 ns, which is
 * far below what a system call's return resolves. Spares a bigint per event.
 */
export type KtimeNs = number;

export type Role = 'client' | 'server';

/** What a parser says. Every call is made synchronously from within the parser's own methods. */
export interface ProtocolSink {
  /**
   * A finished exchange: `time` is the row's time, that of the event which showed that it is finished; `values` are the
   * cells of the table's columns after the eight of the header.
   */
  exchange(time: KtimeNs, values: readonly Cell[]): void;
  /** Given up: at most `exchanges` exchanges can be missing, in `bytes` bytes that were not understood. `time`: when. */
  lost(time: KtimeNs, exchanges: number, bytes: number, reason: LossReason): void;
  /** The connection carries something else from here on (upgrade, false inference): no more payload is wanted. */
  stop(reason: string): void;
}

/** Reasons are a closed set: each is a counter. */
export type LossReason = 'gap' | 'malformed' | 'limit' | 'unmatched' | 'expired';

/** The state of one followed connection. */
export interface ProtocolTracker {
  /**
   * One message in one direction. `position` is that of its first byte in the direction's stream; `size` is its true
   * length, `payload` its captured beginning (shorter where capture is limited, empty where there is none), a view that
   * is valid only during the call. Messages of one direction may come late or not at all.
   */
  message(sent: boolean, position: number, size: number, payload: Uint8Array, time: KtimeNs): void;
  /** The connection closed at these final positions. No call follows. */
  close(sent: number, received: number, time: KtimeNs): void;
  /** Timers; called about once a second of frame time. Nothing in a parser reads a clock. */
  tick(time: KtimeNs): void;
  /**
   * Something that has come waits for bytes that may be lost: `tick` is called after each round of reading, so that what
   * is given up in the end is told before the watermark has passed it.
   */
  readonly isWaiting?: boolean;
  /** Bytes buffered now; bounded by the parser itself. */
  readonly bytesHeld: number;
}

export interface Protocol {
  /** `conn_stats.protocol`. */
  readonly id: number;
  readonly name: string;
  readonly table: string;
  /**
   * Whether a message that starts with `payload` begins an exchange of this protocol: as a request or a response;
   * undefined if it does not look like it. Called on each of the first messages of an undecided connection.
   */
  classify(payload: Uint8Array, size: number): 'request' | 'response' | undefined;
  /**
   * Positions count from 0; bytes before the first message given are a gap. `fromOpen`: the connection was seen to open,
   * so what comes first at position 0 is the beginning of its first exchange, not the middle of one.
   */
  start(role: Role, sink: ProtocolSink, fromOpen?: boolean): ProtocolTracker;
}
