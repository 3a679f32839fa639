// Statements: names, columns, imports, functions. Frames grow and sinks are collected as they run.
import type { FunctionStatement, Node, Statement } from './ast.ts';
import { member } from './access.ts';
import { PX } from './builtins/px.ts';
import { type Evaluation, evaluate, matches } from './evaluate.ts';
import { assignColumn } from './frames.ts';
import { METHOD_NAMES } from './methods.ts';
import { step } from './session.ts';
import { didYouMean } from './suggest.ts';
import { type Draft, INVALID, NONE, type Scope, type Session, type Value, describe } from './values.ts';
import { isInvalid } from './wants.ts';

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
  return { kind: 'invalid', at, size: 1, depth: 1 };
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
