// What a runtime offers over the network beyond RunContract: its state, for statuses of destinations and nodes, and
// deliveries in pages, so that what was written to a socket does not count as handed out.
import type { BlindSource } from '../model/loss.ts';
import type { Delivery } from '../model/outcome.ts';
import type { RunContract } from '../model/run.ts';
import type { TimeNs } from '../model/time.ts';

export interface DestinationStatus {
  /** A plugin's uid, or `endpoint:…` for one that a script named itself. */
  readonly name: string;
  /** What waits in the spool. */
  readonly batches: number;
  readonly bytes: number;
  /** `no-destination`: its values are not known (any more): put it. */
  readonly activity: 'no-destination' | 'idle' | 'sending' | 'backing-off' | 'stopped';
  readonly consecutiveFailures: number;
  readonly lastSuccessAt?: TimeNs;
  /** Kept after a success; `at` tells which is newer. Secrets are masked. */
  readonly lastError?: { readonly code: string; readonly message: string; readonly at: TimeNs };
  readonly nextAttemptAt?: TimeNs;
  /** Commit of the batch that waits longest. */
  readonly oldestCommittedAt?: TimeNs;
}

export interface NodeStatus {
  readonly name: string;
  readonly answered: boolean;
  /** Why it did not answer; empty where it did. */
  readonly why: string;
  /** When its collector began to count; 0 where it did not, or did not answer. */
  readonly startTime: TimeNs;
  /** None of its tables holds rows before this. Absent: not known. */
  readonly oldest?: TimeNs;
  readonly blind: readonly BlindSource[];
}

export interface RuntimeStatus {
  readonly incarnation: string;
  /** Of the program. */
  readonly version: string;
  readonly activeRuns: number;
  readonly waitingRuns: number;
  readonly spoolBytes: number;
  readonly spoolBytesMax: number;
  readonly destinations: readonly DestinationStatus[];
  readonly nodes: readonly NodeStatus[];
  /** Names of the shipped scripts that it can run. */
  readonly presets: readonly string[];
}

/** The side that is served. */
export interface RunBackend extends RunContract {
  readonly incarnation: string;
  /** As `deliveries`; a page counts as handed out once the next one is asked for, and not before. */
  deliveryPages(epoch: number, signal: AbortSignal): AsyncIterable<readonly Delivery[]>;
  /** Asks every node; takes as long as the slowest of them, bounded. */
  status(signal: AbortSignal): Promise<RuntimeStatus>;
}
