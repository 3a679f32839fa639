// Expressions and calls over compile-time values. After an error the value is invalid and evaluation goes
// on, so that everything wrong is found at once.
import type { BinaryOperator, Node, UnaryOperator } from './ast.ts';
import { attribute, operator, subscript } from './access.ts';
import { callRegistered } from './builtins/px.ts';
import { GLOBAL_TYPES, cast } from './builtins/types.ts';
import { type GivenArgument, bind } from './call.ts';
import { METHOD_NAMES } from './methods.ts';
import type { ScriptArguments } from './script-arguments.ts';
import { CompilationStopped, step } from './session.ts';
import { didYouMean } from './suggest.ts';
import {
  type Bound,
  INVALID,
  NONE,
  type Scope,
  type ScriptFunction,
  type Session,
  type TypeObject,
  type Value,
  describe,
  expression,
  literal,
} from './values.ts';
import { isInvalid } from './wants.ts';

/** What evaluation of one script needs beside the session. */
export interface Evaluation {
  readonly session: Session;
  readonly args: ScriptArguments;
  readonly module: Scope;
  /** Runs the body of a function in its scope; the value of its `return`, or None. */
  readonly runBody: (evaluation: Evaluation, scope: Scope, fn: ScriptFunction) => Value;
}

const CALL_DEPTH_MAX = 32;

export const newScope = (parent?: Scope): Scope => ({ values: new Map(), parent });

/** Checks a value against an annotation by data type alone; expressions without a known type pass. */
export function matches(session: Session, arg: Bound, annotation: Value | undefined, name: string): boolean {
  const { value } = arg;
  if (annotation === undefined || isInvalid(annotation) || isInvalid(value)) return true;
  if (annotation.kind === 'type') {
    if (annotation.wants === 'collection' && (value.kind === 'list' || value.kind === 'tuple')) return true;
    if (value.kind === 'expression' && annotation.dataType !== undefined) {
      if (value.draft.kind !== 'literal' || value.draft.type === annotation.dataType) return true;
    }
    session.diagnostics.report('ARGUMENT_KIND', arg.at, `'${name}' must be ${annotation.name}, not ${describe(value)}`);
    return false;
  }
  if (annotation.kind === 'builtin' && annotation.name === 'px.DataFrame') {
    if (value.kind === 'frame') return true;
    session.diagnostics.report('ARGUMENT_KIND', arg.at, `'${name}' must be a DataFrame, not ${describe(value)}`);
    return false;
  }
  return true;
}

const OPERATORS: Readonly<Record<BinaryOperator | UnaryOperator, string>> = {
  '+': 'add',
  '-': 'subtract',
  '*': 'multiply',
  '/': 'divide',
  '%': 'modulo',
  '==': 'equal',
  '!=': 'notEqual',
  '<': 'lessThan',
  '<=': 'lessThanEqual',
  '>': 'greaterThan',
  '>=': 'greaterThanEqual',
  and: 'logicalAnd',
  or: 'logicalOr',
  not: 'logicalNot',
  '~': 'invert',
};

/** The value of an expression; invalid values are already reported. */
export function evaluate(evaluation: Evaluation, scope: Scope, node: Node): Value {
  const { session } = evaluation;
  const { at } = node;
  step(session, at);
  switch (node.kind) {
    case 'invalid':
      return INVALID;
    case 'none':
      return NONE;
    case 'int':
      return expression(literal(node.value, 'INT64', at));
    case 'float':
      return expression(literal(node.value, 'FLOAT64', at));
    case 'string':
      return expression(literal(node.value, 'STRING', at));
    case 'bool':
      return expression(literal(node.value, 'BOOLEAN', at));
    case 'list':
    case 'tuple':
      return {
        kind: node.kind,
        items: node.items.map((item) => ({ value: evaluate(evaluation, scope, item), at: item.at })),
      };
    case 'dict':
      return {
        kind: 'dict',
        entries: node.entries.map(({ key, value }) => ({
          key: { value: evaluate(evaluation, scope, key), at: key.at },
          value: { value: evaluate(evaluation, scope, value), at: value.at },
        })),
      };
    case 'name':
      return lookup(evaluation, scope, node.name, at);
    case 'attribute':
      return attribute(session, evaluate(evaluation, scope, node.object), node.name, at);
    case 'subscript':
      return subscript(
        session,
        evaluate(evaluation, scope, node.object),
        { value: evaluate(evaluation, scope, node.index), at: node.index.at },
        at,
      );
    case 'call':
      return evaluateCall(evaluation, scope, node);
    case 'unary': {
      const operand: Bound = { value: evaluate(evaluation, scope, node.operand), at: node.operand.at };
      if (node.operator === '+') return operator(session, undefined, [operand], at);
      return operator(session, node.operator === '-' ? 'negate' : OPERATORS[node.operator], [operand], at);
    }
    case 'binary': {
      const left: Bound = { value: evaluate(evaluation, scope, node.left), at: node.left.at };
      const right: Bound = { value: evaluate(evaluation, scope, node.right), at: node.right.at };
      return operator(session, OPERATORS[node.operator], [left, right], at);
    }
  }
}

function lookup(evaluation: Evaluation, scope: Scope, name: string, at: number): Value {
  for (let at: Scope | undefined = scope; at !== undefined; at = at.parent) {
    const value = at.values.get(name);
    if (value !== undefined) return value;
  }
  const given = evaluation.args.take(name, undefined);
  if (given !== undefined) return given;
  if (name === '__doc__') return NONE;
  if (Object.hasOwn(GLOBAL_TYPES, name)) return GLOBAL_TYPES[name] ?? INVALID;
  const known: string[] = [];
  for (let at: Scope | undefined = scope; at !== undefined; at = at.parent) known.push(...at.values.keys());
  const hint = name === 'px' ? 'add import px' : didYouMean(name, known);
  evaluation.session.diagnostics.report('UNKNOWN_NAME', at, `the name '${name}' is not defined`, hint);
  return INVALID;
}

function evaluateCall(evaluation: Evaluation, scope: Scope, node: Extract<Node, { kind: 'call' }>): Value {
  const { session } = evaluation;
  const callee = evaluate(evaluation, scope, node.callee);
  const args = node.args.map((arg): GivenArgument => {
    const value = evaluate(evaluation, scope, arg.value);
    const at = arg.value.at;
    return arg.name === undefined ? { value, at } : { name: arg.name, value, at };
  });
  if (callee.kind === 'registered') return callRegistered(session, callee.name, args, node.at);
  if (callee.kind === 'function') return callFunction(evaluation, callee, args, node.at);
  if (callee.kind === 'builtin') {
    const bound = bind(session, callee, args, node.at);
    return bound === undefined ? INVALID : callee.run(session, bound, node.at);
  }
  if (callee.kind === 'type') return callType(session, callee, args, node.at);
  reportNotCallable(session, callee, node);
  return INVALID;
}

function callType(session: Session, type: TypeObject, args: readonly GivenArgument[], at: number): Value {
  const [arg] = args;
  if (type.dataType !== undefined && arg !== undefined && args.length === 1 && arg.name === undefined) {
    return cast(session, type, arg, at);
  }
  const message = type.dataType === undefined ? `${type.name} cannot be called` : `${type.name} takes one argument`;
  session.diagnostics.report('NOT_CALLABLE', at, message);
  return INVALID;
}

function reportNotCallable(session: Session, callee: Value, node: Extract<Node, { kind: 'call' }>): void {
  if (isInvalid(callee)) return;
  if (node.callee.kind === 'attribute' && callee.kind === 'expression' && callee.draft.kind === 'column') {
    const { name } = node.callee;
    session.diagnostics.report(
      'UNKNOWN_METHOD',
      node.callee.at,
      `a frame has no method '${name}'`,
      didYouMean(name, METHOD_NAMES),
    );
    return;
  }
  session.diagnostics.report('NOT_CALLABLE', node.at, `${describe(callee)} cannot be called`);
}

/** Runs a function of the script: its body again, with its parameters bound, in the scope where it was defined. */
export function callFunction(
  evaluation: Evaluation,
  fn: ScriptFunction,
  args: readonly GivenArgument[],
  at: number,
): Value {
  const { session } = evaluation;
  const { statement } = fn;
  const parameters = statement.parameters.map(({ name }) => ({ name, required: !fn.defaults.has(name) }));
  const bound = bind(session, { name: statement.name, parameters }, args, at);
  if (bound === undefined) return INVALID;
  if (session.callDepth >= CALL_DEPTH_MAX) {
    session.diagnostics.report(
      'NESTING_TOO_DEEP',
      at,
      `calls are nested deeper than ${CALL_DEPTH_MAX}`,
      'a function that calls itself never ends',
    );
    throw new CompilationStopped();
  }
  const scope = newScope(fn.scope);
  for (const { name } of parameters) {
    const arg = bound.get(name);
    if (arg === undefined) scope.values.set(name, fn.defaults.get(name) ?? INVALID);
    else scope.values.set(name, matches(session, arg, fn.annotations.get(name), name) ? arg.value : INVALID);
  }
  session.callDepth++;
  try {
    return evaluation.runBody(evaluation, scope, fn);
  } finally {
    session.callDepth--;
  }
}
