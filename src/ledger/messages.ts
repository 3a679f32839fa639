// What the ledger's thread and the others say to each other.
import type { LedgerErrorCode } from './error.ts';
import type { LedgerLimits, LedgerStore } from './store.ts';

export interface LedgerWorkerData {
  readonly directory: string;
  readonly limits: LedgerLimits;
}

export interface LedgerRequest {
  readonly id: number;
  readonly method: keyof LedgerStore;
  readonly args: readonly unknown[];
}

/** Reply 0 is the opening. The sender's value is whatever its method returns; the receiver's types go by the method. */
export type LedgerReply<Value = unknown> =
  | { readonly id: number; readonly status: 'done'; readonly value: Value }
  | { readonly id: number; readonly status: 'failed'; readonly code?: LedgerErrorCode; readonly message: string };
