// Runs a script's top level and its functions over compile-time values (pxl.md 1.9). Frames grow, sinks are collected;
// after an error evaluation goes on with an invalid value, so that everything wrong is found at once.
import type { BinaryOperator, FunctionStatement, Node, Statement, UnaryOperator } from './ast.ts';
import { bind, type GivenArgument } from './call.ts';
import { PX, callRegistered } from './builtins/px.ts';
import { FRAME_TYPE, GLOBAL_TYPES, cast } from './builtins/types.ts';
import { aggMethod } from './aggregate.ts';
import { fold } from './fold.ts';
import { assignColumn } from './frames.ts';
import { METHOD_NAMES, frameMember, subscriptFrame } from './methods.ts';
import type { ScriptArguments } from './script-arguments.ts';
import { CompilationStopped, type Session, bounded, step } from './session.ts';
import { didYouMean } from './suggest.ts';
import {
  type Bound,
  type Draft,
  INVALID,
  NONE,
  type Scope,
  type ScriptFunction,
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
}

const CALL_DEPTH_MAX = 32;

export const newScope = (parent?: Scope): Scope => ({ values: new Map(), parent });

/** Runs statements; the value of the first `return`, or None. */
export function runStatements(evaluation: Evaluation, scope: Scope, statements: readonly Statement[]): Value {
  for (const statement of statements) {
    step(evaluation.session, statement.at);
    if (statement.kind === 'return') {
      if (scope === evaluation.module) {
        evaluation.session.diagnostics.report('INVALID_RETURN', statement.at, 'return stands outside a function');
        continue;
      }
      return statement.value === undefined ? NONE : evaluate(evaluation, scope, statement.value);
    }
    runStatement(evaluation, scope, statement);
  }
  return NONE;
}

function runStatement(evaluation: Evaluation, scope: Scope, statement: Exclude<Statement, { kind: 'return' }>): void {
  const { session } = evaluation;
  switch (statement.kind) {
    case 'expression': {
      const value = evaluate(evaluation, scope, statement.value);
      if (value.kind === 'grouped')
        session.diagnostics.report('GROUPBY_WITHOUT_AGG', statement.value.at, 'groupby(…) must be followed by .agg(…)');
      return;
    }
    case 'assign':
      assign(evaluation, scope, statement);
      return;
    case 'import': {
      const module = moduleNamed(session, statement.module, statement.at);
      scope.values.set(statement.as, module);
      return;
    }
    case 'from': {
      const module = moduleNamed(session, statement.module, statement.at);
      for (const { name, as, at } of statement.names) {
        scope.values.set(as, module.kind === 'module' ? member(session, module, name, at) : INVALID);
      }
      return;
    }
    case 'function':
      define(evaluation, scope, statement);
  }
}

const UNAVAILABLE_MODULES = new Set(['pxviews', 'pxtrace', 'pxconfig']);

function moduleNamed(session: Session, name: string, at: number): Value {
  if (name === 'px') return PX;
  if (UNAVAILABLE_MODULES.has(name))
    session.diagnostics.report('NOT_AVAILABLE', at, `the module ${name} is not in this build`);
  else
    session.diagnostics.report(
      'UNKNOWN_MODULE',
      at,
      `there is no module '${name}'`,
      didYouMean(name, ['px', 'pxviews', 'pxtrace']) ?? 'import px',
    );
  return INVALID;
}

function member(session: Session, module: Extract<Value, { kind: 'module' }>, name: string, at: number): Value {
  const value = module.member(session, name, at);
  if (value !== undefined) return value;
  if (module.name === 'px' && name === 'DataFrame') return FRAME_TYPE;
  session.diagnostics.report(
    'UNKNOWN_MEMBER',
    at,
    `${module.name} has no member '${name}'`,
    didYouMean(name, module.names(session)),
  );
  return INVALID;
}

function define(evaluation: Evaluation, scope: Scope, statement: FunctionStatement): void {
  const defaults = new Map<string, Value>();
  const annotations = new Map<string, Value>();
  for (const parameter of statement.parameters) {
    if (parameter.annotation !== undefined)
      annotations.set(parameter.name, evaluate(evaluation, scope, parameter.annotation));
    if (parameter.default !== undefined) defaults.set(parameter.name, evaluate(evaluation, scope, parameter.default));
  }
  if (statement.decorator !== undefined) evaluateDecorator(evaluation, scope, statement.decorator);
  scope.values.set(statement.name, { kind: 'function', statement, scope, defaults, annotations });
}

/** `@px.vis.vega(…)` changes nothing; other decorators are not functions of this language. */
function evaluateDecorator(evaluation: Evaluation, scope: Scope, decorator: Node): void {
  const value = evaluate(evaluation, scope, decorator.kind === 'call' ? decorator.callee : decorator);
  if (isInvalid(value) || (value.kind === 'builtin' && value.name === 'px.vis.vega')) return;
  evaluation.session.diagnostics.report(
    'NOT_CALLABLE',
    decorator.at,
    `${describe(value)} is no decorator`,
    'only @px.vis.vega(…) is',
  );
}

function assign(evaluation: Evaluation, scope: Scope, statement: Extract<Statement, { kind: 'assign' }>): void {
  const { session } = evaluation;
  const { target, annotation } = statement;
  if (annotation !== undefined) {
    const declared = declareArgument(evaluation, scope, statement, annotation);
    if (target.kind === 'name') scope.values.set(target.name, declared);
    return;
  }
  const value = evaluate(evaluation, scope, statement.value);
  if (target.kind === 'name') {
    scope.values.set(target.name, value);
    return;
  }
  if (target.kind !== 'attribute' && target.kind !== 'subscript') return;
  const object = evaluate(evaluation, scope, target.object);
  if (isInvalid(object)) return;
  if (object.kind === 'module' && object.name === 'px' && target.kind === 'attribute') {
    session.overlay.set(target.name, value);
    return;
  }
  if (object.kind === 'grouped') {
    session.diagnostics.report('GROUPBY_WITHOUT_AGG', target.at, 'groupby(…) must be followed by .agg(…)');
    return;
  }
  if (object.kind !== 'frame' || target.object.kind !== 'name') {
    session.diagnostics.report(
      'INVALID_ASSIGNMENT',
      target.at,
      `${describe(object)} cannot be assigned to`,
      'assign to a column of a frame that has a name: df.x = …',
    );
    return;
  }
  const name = targetColumn(evaluation, scope, target);
  if (name === undefined) return;
  const draft = columnValue(session, value, statement.value.at, name);
  scope.values.set(target.object.name, {
    kind: 'frame',
    frame: assignColumn(session, object.frame, name, draft, target.at),
  });
}

function targetColumn(
  evaluation: Evaluation,
  scope: Scope,
  target: Extract<Node, { kind: 'attribute' | 'subscript' }>,
): string | undefined {
  const { diagnostics } = evaluation.session;
  if (target.kind === 'attribute') {
    if (!METHOD_NAMES.includes(target.name)) return target.name;
    diagnostics.report(
      'INVALID_ASSIGNMENT',
      target.at,
      `'${target.name}' is a member of every frame`,
      `write df['${target.name}'] = …`,
    );
    return undefined;
  }
  const index = evaluate(evaluation, scope, target.index);
  if (index.kind === 'expression' && index.draft.kind === 'literal' && typeof index.draft.value === 'string')
    return index.draft.value;
  if (!isInvalid(index))
    diagnostics.report('INVALID_ASSIGNMENT', target.index.at, `a column name must be a string, not ${describe(index)}`);
  return undefined;
}

function columnValue(session: Session, value: Value, at: number, name: string): Draft {
  if (value.kind === 'expression') return value.draft;
  if (!isInvalid(value)) {
    const hint = value.kind === 'registered' ? `call it: px.${value.name}(…)` : undefined;
    session.diagnostics.report('INVALID_ASSIGNMENT', at, `the column '${name}' cannot be ${describe(value)}`, hint);
  }
  return { kind: 'invalid', at, size: 1 };
}

/** `name: type = default` at the top level: the value given from outside, else the default. */
function declareArgument(
  evaluation: Evaluation,
  scope: Scope,
  statement: Extract<Statement, { kind: 'assign' }>,
  annotation: Node,
): Value {
  const { session, args } = evaluation;
  const { target } = statement;
  if (target.kind !== 'name' || scope !== evaluation.module) {
    session.diagnostics.report(
      'UNSUPPORTED_STATEMENT',
      statement.at,
      'only a plain name at the top level can be annotated',
      'leave out the type',
    );
    return INVALID;
  }
  const type = evaluate(evaluation, scope, annotation);
  const given = args.take(target.name, type);
  const value = evaluate(evaluation, scope, statement.value);
  if (given !== undefined) return given;
  return matches(session, { value, at: statement.value.at }, type, target.name) ? value : INVALID;
}

/** Checks a value against an annotation by data type alone; expressions without a known type pass (pxl.md 1.12). */
function matches(session: Session, arg: Bound, annotation: Value | undefined, name: string): boolean {
  const { value } = arg;
  if (annotation === undefined || isInvalid(annotation) || isInvalid(value)) return true;
  if (annotation.kind === 'type') {
    if (
      annotation.wants === 'collection'
        ? value.kind === 'list' || value.kind === 'tuple'
        : annotation.wants === 'frame' && value.kind === 'frame'
    )
      return true;
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

function attribute(session: Session, object: Value, name: string, at: number): Value {
  switch (object.kind) {
    case 'invalid':
      return INVALID;
    case 'frame':
      return frameMember(session, object.frame, name, at);
    case 'grouped':
      if (name === 'agg') return aggMethod(object);
      if (name === 'rolling')
        session.diagnostics.report(
          'NOT_AVAILABLE',
          at,
          'rolling windows are not in this build; group by px.bin(df.time_, size)',
        );
      else
        session.diagnostics.report(
          'GROUPBY_WITHOUT_AGG',
          at,
          `groupby(…) is followed by '${name}'`,
          'groupby(…) must be followed by .agg(…)',
        );
      return INVALID;
    case 'module':
      return member(session, object, name, at);
    default:
      if (!isInvalid(object))
        session.diagnostics.report('UNKNOWN_MEMBER', at, `${describe(object)} has no member '${name}'`);
      return INVALID;
  }
}

function subscript(session: Session, object: Value, index: Bound, at: number): Value {
  if (isInvalid(object)) return INVALID;
  if (object.kind === 'frame') return subscriptFrame(session, object.frame, index, at);
  const draft = index.value.kind === 'expression' ? index.value.draft : undefined;
  const constant = draft?.kind === 'literal' ? draft.value : undefined;
  if (object.kind === 'context') {
    if (typeof constant === 'string') return expression({ kind: 'context', key: constant, at: index.at, size: 1 });
    if (!isInvalid(index.value))
      session.diagnostics.report(
        'LITERAL_REQUIRED',
        index.at,
        "the key of df.ctx['…'] must be a string known while compiling",
      );
    return INVALID;
  }
  if (object.kind === 'list' || object.kind === 'tuple') {
    if (typeof constant === 'bigint' && constant >= 0n && constant < BigInt(object.items.length))
      return object.items[Number(constant)]?.value ?? INVALID;
    if (!isInvalid(index.value))
      session.diagnostics.report(
        'NOT_SUBSCRIPTABLE',
        index.at,
        `the index of a ${object.kind} of ${object.items.length} must be 0 to ${object.items.length - 1}`,
      );
    return INVALID;
  }
  if (object.kind === 'grouped')
    session.diagnostics.report('GROUPBY_WITHOUT_AGG', at, 'groupby(…) must be followed by .agg(…)');
  else session.diagnostics.report('NOT_SUBSCRIPTABLE', at, `${describe(object)} cannot be subscripted`);
  return INVALID;
}

/** An operator over column expressions; over literals it is computed at once (pxl.md 1.10). */
function operator(session: Session, name: string | undefined, operands: readonly Bound[], at: number): Value {
  const drafts: Draft[] = [];
  for (const { value, at: operandAt } of operands) {
    if (value.kind !== 'expression') {
      if (!isInvalid(value))
        session.diagnostics.report('ARGUMENT_KIND', operandAt, `an operand cannot be ${describe(value)}`);
      return INVALID;
    }
    if (value.draft.kind === 'invalid') return INVALID;
    drafts.push(value.draft);
  }
  const [first] = drafts;
  if (name === undefined) return first === undefined ? INVALID : expression(first);
  const constants = drafts.flatMap((draft) => (draft.kind === 'literal' ? [draft] : []));
  const folded = constants.length === drafts.length ? fold(name, constants) : undefined;
  if (folded !== undefined) {
    if (typeof folded.value === 'string' && folded.value.length > session.limits.literalLengthMax) {
      session.diagnostics.report(
        'EXPRESSION_TOO_LARGE',
        at,
        `this string is longer than ${session.limits.literalLengthMax}`,
      );
      throw new CompilationStopped();
    }
    return expression(literal(folded.value, folded.type, at));
  }
  const size = drafts.reduce((sum, draft) => sum + draft.size, 1);
  return expression(bounded(session, { kind: 'call', function: name, args: drafts, at, size }));
}

function evaluateCall(evaluation: Evaluation, scope: Scope, node: Extract<Node, { kind: 'call' }>): Value {
  const { session } = evaluation;
  const callee = evaluate(evaluation, scope, node.callee);
  const args = node.args.map((arg): GivenArgument => {
    const value = evaluate(evaluation, scope, arg.value);
    const at = arg.value.at;
    return arg.name === undefined ? { value, at } : { name: arg.name, value, at };
  });
  switch (callee.kind) {
    case 'invalid':
      return INVALID;
    case 'registered':
      return callRegistered(session, callee.name, args, node.at);
    case 'function':
      return callFunction(evaluation, callee, args, node.at);
    case 'builtin': {
      const bound = bind(session, callee, args, node.at);
      return bound === undefined ? INVALID : callee.run(session, bound, node.at);
    }
    case 'type': {
      const [arg] = args;
      if (callee.dataType !== undefined && arg !== undefined && args.length === 1 && arg.name === undefined)
        return cast(session, callee, arg, node.at);
      session.diagnostics.report(
        'NOT_CALLABLE',
        node.at,
        callee.dataType === undefined ? `${callee.name} cannot be called` : `${callee.name} takes one argument`,
      );
      return INVALID;
    }
    default:
      reportNotCallable(session, callee, node);
      return INVALID;
  }
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
    return runStatements(evaluation, scope, statement.body);
  } finally {
    session.callDepth--;
  }
}
