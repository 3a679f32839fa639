// What `.name`, `[index]` and operators mean for each kind of value.
import { aggMethod } from './aggregate.ts';
import { fold } from './fold.ts';
import { frameMember, subscriptFrame } from './methods.ts';
import { CompilationStopped, callDraft } from './session.ts';
import { didYouMean } from './suggest.ts';
import { type Bound, type Draft, INVALID, type Session, type Value, describe, expression, literal } from './values.ts';
import { isInvalid } from './wants.ts';

/** The member of a module; UNKNOWN_MEMBER where it has none of that name. */
export function member(session: Session, module: Extract<Value, { kind: 'module' }>, name: string, at: number): Value {
  const value = module.member(session, name, at);
  if (value !== undefined) return value;
  session.diagnostics.report(
    'UNKNOWN_MEMBER',
    at,
    `${module.name} has no member '${name}'`,
    didYouMean(name, module.names(session)),
  );
  return INVALID;
}

/** `object.name` */
export function attribute(session: Session, object: Value, name: string, at: number): Value {
  if (object.kind === 'frame') return frameMember(session, object.frame, name, at);
  if (object.kind === 'module') return member(session, object, name, at);
  if (object.kind === 'grouped') return groupedMember(session, object, name, at);
  if (!isInvalid(object))
    session.diagnostics.report('UNKNOWN_MEMBER', at, `${describe(object)} has no member '${name}'`);
  return INVALID;
}

function groupedMember(
  session: Session,
  grouped: Extract<Value, { kind: 'grouped' }>,
  name: string,
  at: number,
): Value {
  const { diagnostics } = session;
  if (name === 'agg') return aggMethod(grouped);
  if (name === 'rolling') {
    diagnostics.report('NOT_AVAILABLE', at, 'rolling windows are not in this build; group by px.bin(df.time_, size)');
  } else {
    const hint = 'groupby(…) must be followed by .agg(…)';
    diagnostics.report('GROUPBY_WITHOUT_AGG', at, `groupby(…) is followed by '${name}'`, hint);
  }
  return INVALID;
}

/** `object[index]` */
export function subscript(session: Session, object: Value, index: Bound, at: number): Value {
  if (isInvalid(object)) return INVALID;
  if (object.kind === 'frame') return subscriptFrame(session, object.frame, index, at);
  const draft = index.value.kind === 'expression' ? index.value.draft : undefined;
  const constant = draft?.kind === 'literal' ? draft.value : undefined;
  if (object.kind === 'context') {
    if (typeof constant === 'string')
      return expression({ kind: 'context', key: constant, at: index.at, size: 1, depth: 1 });
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

/** An operator over column expressions; over literals it is computed at once. */
export function operator(session: Session, name: string | undefined, operands: readonly Bound[], at: number): Value {
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
  return expression(callDraft(session, name, drafts, at));
}
