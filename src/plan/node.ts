// The one way to ask a node: in process for `sluice local`, over Arrow Flight in a cluster.
import type { Batch } from '../columns/column.ts';
import type { TimeNs } from '../model/time.ts';
import type { BlindSource, WindowLoss } from '../model/loss.ts';
import type { Operator } from './plan.ts';

export interface FragmentStats {
  readonly rowsRead: number;
  readonly bytesRead: number;
}

/** What a node yields for a fragment: batches, then exactly one `end`. */
export type FragmentEvent =
  { readonly kind: 'batch'; readonly batch: Batch } | { readonly kind: 'end'; readonly stats: FragmentStats };

export interface QueryOptions {
  /** `*` or a namespace; rows outside are filtered at the source, below the plan. */
  readonly scope: string;
  readonly signal: AbortSignal;
}

export interface Node {
  readonly name: string;
  /** When this node's collector began to count; the start time of its cumulative columns. */
  readonly startTime: TimeNs;
  /** The lowest time below which none of `tables` will get another row. */
  watermark(tables: readonly string[]): TimeNs;
  /** Resolves once the watermark of `tables` has passed `time`; rejects when `signal` aborts. */
  waitForWatermark(tables: readonly string[], time: TimeNs, signal: AbortSignal): Promise<void>;
  query(fragment: Operator, options: QueryOptions): AsyncIterable<FragmentEvent>;
  /** What this node did not see in [start, end), for the named tables. */
  loss(tables: readonly string[], start: TimeNs, end: TimeNs): WindowLoss;
  /** Sources that do not run now. */
  blind(): readonly BlindSource[];
}
