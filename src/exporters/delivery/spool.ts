// What delivery needs of the place where encoded requests wait. The runtime implements it on the ledger's file; tests
// in memory. One loop per destination calls it, never two calls at once for one destination.
import type { Delivery } from '../../model/outcome.ts';
import type { TimeNs } from '../../model/time.ts';
import type { EncodedRequest } from '../sender.ts';

/** An encoded request that has no verdict yet. */
export interface SpooledBatch extends EncodedRequest {
  /** Rises in commit order; the order of sending. */
  readonly id: number;
  readonly committedAt: TimeNs;
  /** Attempts made so far, by this process and earlier ones. */
  readonly attempts: number;
  /** An attempt was begun of which nobody knows whether the destination took it (a crash, a connection that broke off). */
  readonly isUnanswered: boolean;
}

/** The last word about a batch; after it the batch is gone from the spool. */
export interface BatchVerdict {
  readonly outcome: Delivery['outcome'];
  /** Items that the destination did not take although the batch as a whole was (partial success, refused halves). */
  readonly rejected: number;
  readonly attempts: number;
  /** Taken after an earlier attempt had no answer: the destination may have it twice. */
  readonly isRepeated?: true;
  /** Stable, of the first refusal. */
  readonly code?: string;
  readonly message?: string;
}

export interface Spool {
  /** The oldest batch for this destination that has no verdict; undefined where there is none now. */
  next(destination: string): Promise<SpooledBatch | undefined>;
  /**
   * Remembers how often a batch was tried and whether an attempt may be without an answer: told before an attempt, and again
   * after one that was surely not taken. Unknown ids (dropped meanwhile to make room) are ignored.
   */
  attempted(id: number, attempts: number, isUnanswered: boolean): Promise<void>;
  /** Takes the batch out, in the transaction that records the verdict. Unknown ids are ignored. */
  finished(id: number, verdict: BatchVerdict): Promise<void>;
}
