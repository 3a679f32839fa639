// The bounds of one compilation. All but the time are deterministic.

export interface Limits {
  readonly sourceLengthMax: number;
  /** Brackets, operators and calls inside each other. */
  readonly nestingMax: number;
  /** Operators beside each other in one expression; the grammar parser cannot take many more. */
  readonly chainMax: number;
  /** Evaluated syntax nodes, function bodies counted each time they are run. */
  readonly stepsMax: number;
  /** Nodes of one column expression. */
  readonly expressionNodesMax: number;
  /** Calls inside each other in one column expression, however they came there. */
  readonly expressionDepthMax: number;
  /** Expression nodes of the whole plan. */
  readonly planNodesMax: number;
  /** Operators of the plan, inputs that are shared counted each time. */
  readonly operatorsMax: number;
  readonly columnsMax: number;
  /** Bytes of a string that compiling makes. */
  readonly literalLengthMax: number;
  readonly timeMs: number;
}

export const DEFAULT_LIMITS: Limits = {
  sourceLengthMax: 262_144,
  nestingMax: 200,
  chainMax: 300,
  stepsMax: 200_000,
  expressionNodesMax: 1500,
  expressionDepthMax: 200,
  planNodesMax: 200_000,
  operatorsMax: 2000,
  columnsMax: 1000,
  literalLengthMax: 65_536,
  timeMs: 5000,
};
