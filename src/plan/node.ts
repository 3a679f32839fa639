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

export interface NodeState {
  /** When this node's collector began to count; the start time of its cumulative columns. 0: it did not yet. */
  readonly startTime: TimeNs;
  /** Sources that do not run now. */
  readonly blind: readonly BlindSource[];
  /** None of its tables holds rows before this; absent where it is not known. */
  readonly oldest?: TimeNs;
}

/** Each call may cross a network: it rejects where the node does not answer, or when `signal` aborts. */
export interface Node {
  readonly name: string;
  state(signal: AbortSignal): Promise<NodeState>;
  /** Resolves once none of `tables` will get another row before `time`. */
  waitForWatermark(tables: readonly string[], time: TimeNs, signal: AbortSignal): Promise<void>;
  query(fragment: Operator, options: QueryOptions): AsyncIterable<FragmentEvent>;
  /** What this node did not see in [start, end), for the named tables. */
  loss(tables: readonly string[], start: TimeNs, end: TimeNs, signal: AbortSignal): Promise<WindowLoss>;
}
