// The state of one compilation: what was given, what was found so far, and how much of the bounds is used.

import type { Operator } from '../plan/plan.ts';
import type { Draft, Frame, Session, SessionOptions } from './values.ts';

/** Thrown inside the compiler when a bound is hit, after it was reported; `compile` catches it. */
export class CompilationStopped extends Error {}

export const newSession = (options: SessionOptions): Session => ({
  ...options,
  sinks: [],
  overlay: new Map(),
  steps: 0,
  planNodes: 0,
  callDepth: 0,
});

/** Counts one step of evaluation; stops the compilation when steps or time are used up. */
export function step(session: Session, at: number): void {
  const { limits } = session;
  session.steps++;
  if (session.steps > limits.stepsMax) {
    session.diagnostics.report('COMPILE_TIMEOUT', at, `the script takes more than ${limits.stepsMax} steps to compile`);
    throw new CompilationStopped();
  }
  if (session.steps % 256 === 0 && performance.now() > session.deadlineMs) {
    session.diagnostics.report('COMPILE_TIMEOUT', at, `compiling took longer than ${limits.timeMs} ms`);
    throw new CompilationStopped();
  }
}

/** Counts nodes of resolved expressions. */
export function countNodes(session: Session, nodes: number, at: number): void {
  session.planNodes += nodes;
  if (session.planNodes <= session.limits.planNodesMax) return;
  session.diagnostics.report(
    'PLAN_TOO_LARGE',
    at,
    `the plan has more than ${session.limits.planNodesMax} expression nodes`,
  );
  throw new CompilationStopped();
}

/** A call of function `name`; stops the compilation where the expression becomes too large or too deep. */
export function callDraft(session: Session, name: string, args: readonly Draft[], at: number): Draft {
  const { expressionNodesMax, expressionDepthMax } = session.limits;
  const size = args.reduce((sum, arg) => sum + arg.size, 1);
  const depth = args.reduce((deepest, arg) => Math.max(deepest, arg.depth), 0) + 1;
  if (size <= expressionNodesMax && depth <= expressionDepthMax)
    return { kind: 'call', function: name, args, at, size, depth };
  const what =
    size > expressionNodesMax
      ? `has more than ${expressionNodesMax} parts`
      : `is nested deeper than ${expressionDepthMax}`;
  session.diagnostics.report('EXPRESSION_TOO_LARGE', at, `this expression ${what}`, 'put parts of it into columns');
  throw new CompilationStopped();
}

/** A frame over `operator`, within the bounds on operators and columns. */
export function frameOf(
  session: Session,
  operator: Operator,
  parents: readonly Frame[],
  at: number,
  poisoned: Frame['poisoned'] = new Set(),
): Frame {
  const { limits, diagnostics } = session;
  const size = parents.reduce((sum, parent) => sum + parent.size, 1);
  if (size > limits.operatorsMax) {
    diagnostics.report('PLAN_TOO_LARGE', at, `the plan has more than ${limits.operatorsMax} operators here`);
    throw new CompilationStopped();
  }
  if (operator.schema.length > limits.columnsMax) {
    diagnostics.report('PLAN_TOO_LARGE', at, `a frame has more than ${limits.columnsMax} columns`);
    throw new CompilationStopped();
  }
  countNodes(session, operator.schema.length, at);
  return { operator, parents, size, poisoned };
}
