// What became of one run of a script over one window. The one record from which status, events, metrics and the
// terminal's table are made.
import type { TimeNs } from './time.ts';
import type { WindowLoss } from './loss.ts';

export type RunStage = 'Compile' | 'Query' | 'Encode' | 'Export';

export interface RunError {
  readonly stage: RunStage;
  /** Stable, machine-readable, e.g. `UNKNOWN_COLUMN`, `UNAVAILABLE`. */
  readonly code: string;
  /** At most 512 bytes, secrets masked. */
  readonly message: string;
  readonly line?: number;
  readonly column?: number;
}

/** `Complete`: every expected node answered and nothing is known to be lost. `Partial`: committed, with what was missing
 * named. `Skipped`: finished without rows (data expired, suspended, catch-up policy). `Failed`: not committed. */
export type WindowOutcome = 'Complete' | 'Partial' | 'Skipped' | 'Failed';

export interface RunOutcome {
  readonly uid: string;
  readonly start: TimeNs;
  readonly end: TimeNs;
  readonly outcome: WindowOutcome;
  /** Why Partial, Skipped or Failed: NodesMissing, SourcesBlind, RowsTruncated, DataExpired, Suspended, … */
  readonly reason?: string;
  readonly rowsRead: number;
  readonly rowsTruncated: number;
  /**
   * Points, spans or logs that could not be exported: broken, alone larger than a request may be, or points of a stream and
   * time that another has already. Absent: none.
   */
  readonly itemsDropped?: number;
  readonly metricPoints: number;
  readonly spans: number;
  readonly logs: number;
  /** Encoded bytes, before compression. */
  readonly bytes: number;
  readonly durationMs: number;
  readonly nodes: { readonly expected: number; readonly answered: number; readonly missing: readonly string[] };
  readonly loss: WindowLoss;
  readonly error?: RunError;
}

/** What a destination finally said about (part of) a committed window. */
export interface Delivery {
  readonly uid: string;
  readonly start: TimeNs;
  readonly end: TimeNs;
  readonly batch: number;
  readonly outcome: 'acknowledged' | 'refused' | 'dropped';
  readonly metricPoints: number;
  readonly spans: number;
  readonly logs: number;
  /** Points or spans that the destination rejected in an otherwise accepted batch (partial success). */
  readonly rejected: number;
  readonly bytes: number;
  readonly attempts: number;
  /** This was the last batch of its window that was not final: the window is delivered. */
  readonly windowDelivered: boolean;
  /**
   * The destination may have (a part of) this window twice: an attempt went out whose answer was cut off by a crash, a time limit or a
   * broken connection, and a later one was taken. True for one batch of a window at most.
   */
  readonly windowRepeated: boolean;
  /** Of a refusal, whole or in part: the stable code of a SendOutcome, e.g. `UNAUTHENTICATED`. */
  readonly code?: string;
  readonly message?: string;
}
