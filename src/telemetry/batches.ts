// What exporters take: rows that already are metrics, spans or logs, still as columns. One batch describes one metric
// (or one span or log entry of a script) for many rows.
import type { BooleanColumn, Column, Float64Column, Int64Column, StringColumn } from '../columns/column.ts';

/** A constant for all rows, or a column with a value a row. */
export type AttributeValue =
  | { readonly kind: 'literal'; readonly value: string | bigint | number | boolean }
  | { readonly kind: 'column'; readonly column: StringColumn | Int64Column | Float64Column | BooleanColumn };

export interface Attribute {
  readonly key: string;
  readonly value: AttributeValue;
}

/** The producer, as OTLP's InstrumentationScope. */
export interface Scope {
  readonly name: string;
  readonly version: string;
  readonly attributes: readonly { readonly key: string; readonly value: string }[];
}

interface Rows {
  readonly length: number;
  /** Resource attributes in script order; services are already fanned out into rows of their own. */
  readonly resource: readonly Attribute[];
  readonly scope: Scope;
}

export type MetricData =
  | { readonly kind: 'gauge'; readonly value: Int64Column | Float64Column }
  | {
      readonly kind: 'sum';
      readonly value: Int64Column | Float64Column;
      readonly temporality: 'delta' | 'cumulative';
      readonly monotonic: boolean;
    }
  | {
      readonly kind: 'summary';
      readonly count: Int64Column;
      readonly sum: Float64Column;
      readonly quantiles: readonly { readonly quantile: number; readonly value: Float64Column }[];
    }
  | {
      readonly kind: 'histogram';
      readonly temporality: 'delta' | 'cumulative';
      readonly count: Int64Column;
      readonly sum: Float64Column | undefined;
      readonly min: Float64Column | undefined;
      readonly max: Float64Column | undefined;
      /** Strictly increasing upper bounds, inclusive; bucket i counts (bounds[i-1], bounds[i]]. */
      readonly explicitBounds: readonly number[];
      /** Row-major: `length × (bounds + 1)` counts. */
      readonly bucketCounts: BigInt64Array;
    };

/** One metric: `length` data points. */
export interface MetricBatch extends Rows {
  readonly signal: 'metrics';
  readonly name: string;
  readonly description: string;
  /** UCUM; empty for none. */
  readonly unit: string;
  readonly data: MetricData;
  readonly attributes: readonly Attribute[];
  /** Nanoseconds since the epoch, never 0. */
  readonly time: BigInt64Array;
  /** Start of a delta's interval or of a cumulative stream; undefined for gauges. */
  readonly startTime: BigInt64Array | undefined;
}

/** Identifiers and status are already valid: 16 and 8 bytes, never all zero. */
export interface SpanBatch extends Rows {
  readonly signal: 'traces';
  readonly name: AttributeValue;
  /** OTLP SpanKind, 0 to 5. */
  readonly spanKind: number;
  readonly startTime: BigInt64Array;
  readonly endTime: BigInt64Array;
  /** 16 bytes a row. */
  readonly traceId: Uint8Array;
  /** 8 bytes a row. */
  readonly spanId: Uint8Array;
  /** 8 bytes a row; all zero for a root. */
  readonly parentSpanId: Uint8Array;
  /** OTLP StatusCode a row: 0 unset, 1 ok, 2 error. */
  readonly statusCode: Uint8Array;
  readonly statusMessage: Column | undefined;
  readonly attributes: readonly Attribute[];
}

export interface LogBatch extends Rows {
  readonly signal: 'logs';
  readonly time: BigInt64Array;
  readonly observedTime: BigInt64Array;
  readonly severityNumber: Uint8Array;
  readonly severityText: string;
  readonly body: AttributeValue;
  readonly attributes: readonly Attribute[];
}

export type TelemetryBatch = MetricBatch | SpanBatch | LogBatch;
