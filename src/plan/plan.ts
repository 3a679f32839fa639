// The operator tree: the contract of compiler and engine. Plain data, printable, serialisable; eight operators.
import type { Schema } from '../model/types.ts';
import type { TimeNs } from '../model/time.ts';
import type { AggregateExpression, Expression } from './expression.ts';

/** Rows of a table with start <= time_ < end. Absent bounds: all that is retained. Output: the named columns, in order. */
export interface SourceOperator {
  readonly kind: 'source';
  readonly table: string;
  readonly columns: readonly string[];
  readonly start?: TimeNs;
  readonly end?: TimeNs;
  readonly schema: Schema;
}

/** Rows whose BOOLEAN `predicate` is true. */
export interface FilterOperator {
  readonly kind: 'filter';
  readonly input: Operator;
  readonly predicate: Expression;
  readonly schema: Schema;
}

/** One output column per entry, in order. Projection is a map of column references. */
export interface MapOperator {
  readonly kind: 'map';
  readonly input: Operator;
  readonly columns: readonly { readonly name: string; readonly expression: Expression }[];
  readonly schema: Schema;
}

/**
 * Groups by `keys` (columns of the input; none: one group, also over no rows) and aggregates.
 * `mode`: `full` is rows in, values out. `partial` is rows in, keys and one STRING state column (bytes) per aggregate out;
 * `final` takes what `partial` made, from any number of nodes, and gives what `full` would have.
 * The schema of `partial` output has the aggregates' names with type STRING.
 */
export interface AggregateOperator {
  readonly kind: 'aggregate';
  readonly input: Operator;
  readonly keys: readonly string[];
  readonly aggregates: readonly AggregateExpression[];
  readonly mode: 'full' | 'partial' | 'final';
  readonly schema: Schema;
}

/** Equi-join. `columns` says which side's column each output is; rows without a partner get zero values. */
export interface JoinOperator {
  readonly kind: 'join';
  readonly left: Operator;
  readonly right: Operator;
  readonly how: 'inner' | 'left' | 'right' | 'outer';
  readonly leftKeys: readonly string[];
  readonly rightKeys: readonly string[];
  readonly columns: readonly { readonly name: string; readonly side: 'left' | 'right'; readonly column: string }[];
  readonly schema: Schema;
}

/** All rows of all inputs, ordered by `time_` where every input has it. Inputs have equal schemas, columns by name. */
export interface UnionOperator {
  readonly kind: 'union';
  readonly inputs: readonly Operator[];
  readonly schema: Schema;
}

/** The first `rows` rows. */
export interface LimitOperator {
  readonly kind: 'limit';
  readonly input: Operator;
  readonly rows: number;
  readonly schema: Schema;
}

/** Where a node's answer enters the merging side of a split plan. `fragment` indexes `SplitPlan.fragments`. */
export interface RemoteOperator {
  readonly kind: 'remote';
  readonly fragment: number;
  readonly schema: Schema;
}

export type Operator =
  | SourceOperator
  | FilterOperator
  | MapOperator
  | AggregateOperator
  | JoinOperator
  | UnionOperator
  | LimitOperator
  | RemoteOperator;

/** A resource, metric or span attribute of an export: a column of the sink's input, or a constant. */
export type ExportValue =
  | { readonly kind: 'column'; readonly column: string }
  | { readonly kind: 'literal'; readonly value: string | bigint | number | boolean };

export interface ExportAttribute {
  readonly key: string;
  readonly value: ExportValue;
}

interface MetricCommon {
  readonly name: string;
  readonly description: string;
  /** Resolved: given, or inferred from the semantic type; empty for none. */
  readonly unit: string;
  readonly attributes: readonly ExportAttribute[];
  /** TIME64NS column; `time_` unless the script says otherwise. */
  readonly time: string;
}

/** Where a point's start time comes from: the run's window, the start of the collector that made the row, or a column. */
export type StartTime =
  { readonly kind: 'window' } | { readonly kind: 'collector' } | { readonly kind: 'column'; readonly column: string };

export type MetricSpec =
  | (MetricCommon & { readonly kind: 'gauge'; readonly value: string })
  | (MetricCommon & {
      readonly kind: 'sum';
      readonly value: string;
      readonly temporality: 'delta' | 'cumulative';
      readonly monotonic: boolean;
      readonly startTime: StartTime;
    })
  | (MetricCommon & {
      readonly kind: 'summary';
      readonly count: string;
      readonly sum: string;
      readonly quantiles: readonly { readonly quantile: number; readonly column: string }[];
    })
  | (MetricCommon & {
      readonly kind: 'histogram';
      readonly temporality: 'delta' | 'cumulative';
      readonly startTime: StartTime;
      readonly explicitBounds: readonly number[];
      /** STRING column: the JSON array of `bounds + 1` counts that `px.bucket_counts([…])` makes. */
      readonly bucketCounts: string;
      readonly count: string;
      readonly sum?: string;
      readonly min?: string;
      readonly max?: string;
    });

export interface SpanSpec {
  readonly name: ExportValue;
  readonly startTime: string;
  readonly endTime: string;
  readonly traceId?: string;
  readonly spanId?: string;
  readonly parentSpanId?: string;
  readonly attributes: readonly ExportAttribute[];
  readonly spanKind: number;
  readonly statusCode?: ExportValue;
  readonly statusMessage?: ExportValue;
}

/** `px.otel.Endpoint` as the script gave it; absent where the run's destination is meant. */
export interface ScriptEndpoint {
  readonly url: string;
  readonly headers: readonly { readonly name: string; readonly value: string }[];
  readonly insecure: boolean;
  readonly timeoutMs: number;
}

export interface OtelExport {
  readonly resource: readonly ExportAttribute[];
  /** Keys of `resource` whose column holds a service name or a JSON array of them; each row is repeated per service. */
  readonly fanOut: readonly string[];
  readonly metrics: readonly MetricSpec[];
  readonly spans: readonly SpanSpec[];
  readonly endpoint?: ScriptEndpoint;
}

/** The eighth operator. A plan is its sinks; they may share inputs, by reference in memory. */
export type Sink =
  | { readonly kind: 'table'; readonly name: string; readonly input: Operator; readonly rowsMax: number }
  | { readonly kind: 'otel'; readonly name: string; readonly input: Operator; readonly export: OtelExport };

export interface Plan {
  readonly sinks: readonly Sink[];
}

/**
 * A plan cut at the border between nodes and the merging side. `fragments[i]` runs on every node; its rows, from all
 * nodes, are what `{ kind: 'remote', fragment: i }` yields in `merge`.
 */
export interface SplitPlan {
  readonly fragments: readonly Operator[];
  readonly merge: Plan;
}
