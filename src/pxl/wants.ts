// What built-in functions ask of their arguments. Each `want…` reports ARGUMENT_KIND (or the code given) and answers
// undefined where the argument is of another kind; where it is invalid already it stays silent.
import type { DataType } from '../model/types.ts';
import type { LiteralValue } from '../plan/expression.ts';
import type { Code } from './codes.ts';
import { type Bound, describe, type Draft, type Frame, type Session, type Value } from './values.ts';

/** Already reported as wrong. */
export const isInvalid = (value: Value): boolean =>
  value.kind === 'invalid' || (value.kind === 'expression' && value.draft.kind === 'invalid');

function refuse(session: Session, arg: Bound, code: Code, what: string, wanted: string): undefined {
  if (isInvalid(arg.value)) return undefined;
  session.diagnostics.report(code, arg.at, `${what} must be ${wanted}, not ${describe(arg.value)}`);
  return undefined;
}

const ARTICLES: Readonly<Record<DataType, string>> = {
  BOOLEAN: 'True or False',
  INT64: 'an integer known while compiling',
  FLOAT64: 'a float known while compiling',
  STRING: 'a string known while compiling',
  TIME64NS: 'a time known while compiling',
  UINT128: 'a UINT128 known while compiling',
};

/** The value of an argument that must be a literal of `type`. */
export function wantLiteral(
  session: Session,
  arg: Bound,
  type: DataType,
  what: string,
  code: Code = 'ARGUMENT_KIND',
): LiteralValue | undefined {
  const { value } = arg;
  if (value.kind === 'expression' && value.draft.kind === 'literal' && value.draft.type === type)
    return value.draft.value;
  return refuse(session, arg, code, what, ARTICLES[type]);
}

export function wantString(session: Session, arg: Bound, what: string, code?: Code): string | undefined {
  const value = wantLiteral(session, arg, 'STRING', what, code);
  return typeof value === 'string' ? value : undefined;
}

export function wantInt(session: Session, arg: Bound, what: string, code?: Code): bigint | undefined {
  const value = wantLiteral(session, arg, 'INT64', what, code);
  return typeof value === 'bigint' ? value : undefined;
}

export function wantBool(session: Session, arg: Bound, what: string, code?: Code): boolean | undefined {
  const value = wantLiteral(session, arg, 'BOOLEAN', what, code);
  return typeof value === 'boolean' ? value : undefined;
}

/** A number literal, INT64 or FLOAT64. */
export function wantNumber(
  session: Session,
  arg: Bound,
  what: string,
  code: Code = 'ARGUMENT_KIND',
): number | undefined {
  const { value } = arg;
  if (
    value.kind === 'expression' &&
    value.draft.kind === 'literal' &&
    (value.draft.type === 'INT64' || value.draft.type === 'FLOAT64')
  ) {
    return Number(value.draft.value);
  }
  return refuse(session, arg, code, what, 'a number known while compiling');
}

export function wantFrame(session: Session, arg: Bound, what: string, code: Code = 'ARGUMENT_KIND'): Frame | undefined {
  if (arg.value.kind === 'frame') return arg.value.frame;
  if (arg.value.kind === 'grouped') {
    session.diagnostics.report('GROUPBY_WITHOUT_AGG', arg.at, 'groupby(…) must be followed by .agg(…)');
    return undefined;
  }
  return refuse(session, arg, code, what, 'a DataFrame');
}

export function wantExpression(session: Session, arg: Bound, what: string): Draft | undefined {
  if (arg.value.kind === 'expression') return arg.value.draft.kind === 'invalid' ? undefined : arg.value.draft;
  return refuse(session, arg, 'ARGUMENT_KIND', what, 'a column expression');
}

/** A string literal, or a list or tuple of them; with the place of each. */
export function wantNames(
  session: Session,
  arg: Bound,
  what: string,
): readonly { readonly name: string; readonly at: number }[] | undefined {
  const { value } = arg;
  if (value.kind !== 'list' && value.kind !== 'tuple') {
    const name = wantString(session, arg, what);
    return name === undefined ? undefined : [{ name, at: arg.at }];
  }
  const names = value.items.map((item) => ({ name: wantString(session, item, `each of ${what}`), at: item.at }));
  return names.every((item): item is { name: string; at: number } => item.name !== undefined) ? names : undefined;
}
