// What the compiler knows of a function: overloads by exact argument types, and how semantic types pass through.
import type { DataType, SemanticType } from '../model/types.ts';

/** One rule of semantic inference: `ST_NONE` in `args` matches anything; the rule with the fewest wildcards wins. */
export interface SemanticRule {
  readonly args: readonly SemanticType[];
  /** `same`: the (agreeing) type of the arguments. */
  readonly result: SemanticType;
}

export interface Overload {
  readonly args: readonly DataType[];
  readonly result: DataType;
  /** Leading arguments that must be literals (a regular expression, for instance). */
  readonly literals?: number;
  /** The function is made by a call with one list of literals, each of one of these types: `px.bucket_counts([1, 2.5])`. */
  readonly literalList?: readonly DataType[];
}

export interface FunctionSignature {
  readonly name: string;
  readonly kind: 'scalar' | 'aggregate';
  readonly overloads: readonly Overload[];
  readonly semanticRules: readonly SemanticRule[];
  /**
   * Columns of the input that the function reads beside its arguments, by name: the compiler appends them to `args` in
   * the plan (so that nothing prunes them), and an input without them is a diagnostic. `last` reads `time_`.
   */
  readonly implicitColumns?: readonly { readonly name: string; readonly type: DataType }[];
  /** One line for `sluice` help and docs. */
  readonly description: string;
  /** False: known to the language but not in this build; using it is a diagnostic that says so. */
  readonly available: boolean;
}
