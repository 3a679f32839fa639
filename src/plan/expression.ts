// Column expressions of a plan. Fully resolved: every node knows its type, calls name one overload.
import type { DataType, SemanticType } from '../model/types.ts';

/** Literal of a cell type; INT64, TIME64NS as bigint, UINT128 as `{high, low}`. */
export type LiteralValue = bigint | number | boolean | string | { readonly high: bigint; readonly low: bigint };

export type Expression =
  | { readonly kind: 'column'; readonly name: string; readonly type: DataType; readonly semanticType: SemanticType }
  | {
      readonly kind: 'literal';
      readonly value: LiteralValue;
      readonly type: DataType;
      readonly semanticType: SemanticType;
    }
  | {
      readonly kind: 'call';
      /** Registered name, e.g. `add`, `pluck_float64`. */
      readonly function: string;
      readonly args: readonly Expression[];
      readonly type: DataType;
      readonly semanticType: SemanticType;
    };

/** `function(column)` of an aggregate, with its output name. `args` are columns of the input. */
export interface AggregateExpression {
  readonly name: string;
  readonly function: string;
  readonly args: readonly Expression[];
  /** Initialisation values, e.g. the bounds of `bucket_counts`; empty for most. */
  readonly literals: readonly LiteralValue[];
  readonly type: DataType;
  readonly semanticType: SemanticType;
}
