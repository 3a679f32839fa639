// What execution of a plan needs from outside, its bounds, and the error it ends with when a bound is passed.
import type { Batch } from '../columns/column.ts';
import type { IdentityLookup } from '../model/identity.ts';
import type { TimeNs } from '../model/time.ts';

/** Rows of a table with start <= time_ < end, as the named columns in the named order, in ascending time_. */
export interface TableReader {
  snapshot(
    table: string,
    options: { readonly start?: TimeNs; readonly end?: TimeNs; readonly columns: readonly string[] },
  ): Iterable<Batch>;
}

/** Bounds on what one execution may hold in memory. */
export interface EngineLimits {
  /** Groups of one aggregate. */
  readonly groupsMax: number;
  /** Rows that one join may hold of its build side, and may put out. */
  readonly joinRowsMax: number;
  /** Bytes that group keys, aggregate states and join sides of one operator may hold. */
  readonly bytesMax: number;
}

export const DEFAULT_LIMITS: EngineLimits = {
  groupsMax: 1_000_000,
  joinRowsMax: 5_000_000,
  bytesMax: 512 * 1024 * 1024,
};

/** Counters that sources raise while they are read. */
export interface EngineStats {
  rowsRead: number;
  bytesRead: number;
}

export interface ExecutionContext {
  readonly tables: TableReader;
  /** Rows of fragment `fragment` from all nodes; only the merging side of a split plan has it. */
  readonly remote?: (fragment: number) => AsyncIterable<Batch>;
  readonly identity: IdentityLookup;
  /** Short id of the agent that runs this. */
  readonly asid: number;
  /** `*`, or the one namespace whose objects metadata functions may name. */
  readonly scope: string;
  /** When this node's collector began to count; the start of its cumulative columns. 0 where it is not known. */
  readonly collectorStart?: TimeNs;
  /** Name of the host that runs this. */
  readonly node: string;
  /** Number of processors of that host; 0 where it is not known. */
  readonly processors?: number;
  /** Names of this installation, for `vizier_id`, `vizier_name`, `vizier_namespace`. */
  readonly installation?: { readonly id: string; readonly name: string; readonly namespace: string };
  readonly signal: AbortSignal;
  /** Monotonic milliseconds; decides when the event loop gets a turn. */
  readonly clock: () => number;
  readonly limits: EngineLimits;
  readonly stats: EngineStats;
}

/** A query that cannot go on: `code` is stable (docs/errors.md), `message` says what, where and what to do. */
export class EngineError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.name = 'EngineError';
    this.code = code;
  }
}
