// Between the reader of one direction and its connection: what the one tells and asks, what the other decides.
import type { KtimeNs, LossReason } from '../protocol.ts';
import type { Head } from './head.ts';

/** How the end of a message is found once its head is known. `unknown`: it cannot be; look for the next head. */
export type Framing = 'none' | 'length' | 'chunked' | 'untilClose' | 'unknown';

/** What a reader tells its connection; called synchronously. */
export interface ReaderEvents {
  /** Whether the next message may be read now. False leaves its bytes unread. */
  mayStart(): boolean;
  /** A head was read; the answer says how its body ends. */
  head(head: Head, time: KtimeNs): Framing;
  /** The message is complete: `body` its cell, `size` its decoded length, `time` that of its last byte. */
  end(body: string | Uint8Array, size: number, time: KtimeNs): void;
  /**
   * Whether, in a chunked body whose chunk boundaries were not captured, only this message can go on: there is nothing
   * else that the bytes could belong to.
   */
  mayDrift(): boolean;
  /** The message goes on, but what it was cannot be told exactly any more: it must not make a row. */
  spoil(time: KtimeNs, bytes: number, reason: LossReason): void;
  /**
   * Framing is lost, and `bytes` more with it. `isFirst`: it was known until here. `isBetween`: no message whose head was
   * told is going on.
   */
  broken(time: KtimeNs, bytes: number, reason: LossReason, isFirst: boolean, isBetween: boolean): void;
}
