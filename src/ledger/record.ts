// What goes into the ledger and comes out of it: windows, batches, and how outcomes are written as text.
import type { CommittedInterval } from '../model/run.ts';
import type { Delivery, RunOutcome } from '../model/outcome.ts';
import { corruptValue } from './error.ts';
import { timeNs, type TimeNs } from '../model/time.ts';

export type Signal = 'metrics' | 'traces' | 'logs';

/** One encoded request, before compression and without credentials. */
export interface NewBatch {
  /** Where it goes: a plugin's uid, or the name of a script's own endpoint. */
  readonly destination: string;
  readonly signal: Signal;
  readonly bytes: Uint8Array;
  readonly metricPoints: number;
  readonly spans: number;
  readonly logs: number;
}

/** A finished window with everything that is to be sent for it. Batches may be none (nothing found, or skipped). */
export interface WindowCommit {
  readonly epoch: number;
  readonly pluginUid: string;
  readonly outcome: RunOutcome;
  readonly batches: readonly NewBatch[];
  /** Wall clock of the commit, kept with the batches: how long they have waited. */
  readonly committedAt: TimeNs;
}

export type CommitResult =
  | { readonly status: 'committed'; readonly delivered: boolean }
  /** Overlaps what is committed already under this uid; nothing was written. */
  | { readonly status: 'overlap'; readonly committed: readonly CommittedInterval[] }
  /** The destination's part of the spool is full; nothing was written, the window may be tried again. */
  | {
      readonly status: 'spool-full';
      readonly destination: string;
      readonly heldBytes: number;
      readonly freeBytes: number;
    }
  /** A newer leader has taken over. */
  | { readonly status: 'stale'; readonly highestEpoch: number };

export interface StoredWindow {
  readonly outcome: RunOutcome;
  readonly delivered: boolean;
}

/** A committed batch that is not final. `id` rises in commit order over all destinations. */
export interface StoredBatch extends NewBatch {
  readonly id: number;
  readonly uid: string;
  readonly start: TimeNs;
  readonly end: TimeNs;
  /** Position within the window, from 0. */
  readonly seq: number;
  readonly attempts: number;
  /** An attempt of it may be without an answer. */
  readonly isUnanswered: boolean;
  readonly committedAt: TimeNs;
}

/** The last word about a batch. */
export interface Verdict {
  readonly outcome: Delivery['outcome'];
  readonly rejected: number;
  readonly attempts: number;
  /** Taken after an attempt that had no answer. */
  readonly isRepeated?: true;
  readonly code?: string;
  readonly message?: string;
}

export interface StoredDelivery {
  readonly seq: number;
  readonly delivery: Delivery;
}

export interface DestinationSpool {
  readonly destination: string;
  readonly batches: number;
  readonly bytes: number;
}

export interface SpoolState {
  readonly bytes: number;
  readonly bytesMax: number;
  readonly destinations: readonly DestinationSpool[];
  /** Commits refused because a destination's part was full, since open. */
  readonly refusedCommits: number;
  /** Deliveries that nobody collected and that had to make room, since open. */
  readonly deliveriesDropped: number;
}

const replacer = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? { ns: String(value) } : value);

const reviver = (_key: string, value: unknown): unknown => {
  if (typeof value !== 'object' || value === null || !('ns' in value)) return value;
  return typeof value.ns === 'string' && /^-?\d+$/.test(value.ns) ? timeNs(BigInt(value.ns)) : value;
};

/** JSON with times as `{"ns":"…"}`, so that they keep all digits. */
export const toText = (value: RunOutcome | Delivery): string => JSON.stringify(value, replacer);

/**
 * The outcome that `toText` wrote. The file is ours, so the shape of readable JSON is trusted.
 * @throws LedgerError StateCorrupt
 */
export function outcomeOf(text: string): RunOutcome {
  const outcome: RunOutcome = parsed(text);
  return outcome;
}

/** The delivery that `toText` wrote; as above. One of an earlier version does not say whether its window was repeated. */
export function deliveryOf(text: string): Delivery {
  const delivery: Delivery = { windowRepeated: false, ...parsed(text) };
  return delivery;
}

function parsed(text: string) {
  try {
    return JSON.parse(text, reviver);
  } catch (error) {
    throw corruptValue('a record cannot be read', error);
  }
}
