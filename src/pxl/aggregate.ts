// `df.groupby(keys).agg(out=('column', px.function), …)`.
import type { Field } from '../model/types.ts';
import type { AggregateExpression, Expression, LiteralValue } from '../plan/expression.ts';
import type { AggregateOperator } from '../plan/plan.ts';
import type { FunctionSignature } from '../plan/signature.ts';
import { builtin } from './call.ts';
import { findOverload, inferSemanticType, listOverloads } from './overloads.ts';
import { resolveColumn } from './resolve.ts';
import { frameOf } from './session.ts';
import { type Bound, type Builtin, describe, type Frame, type Session, type Value } from './values.ts';
import { isInvalid, wantNames, wantString } from './wants.ts';

/** `df.groupby('a')`: columns are looked up at once; only `.agg` may follow. */
export const groupbyMethod = (frame: Frame): Builtin =>
  builtin('groupby', ['by'], (session, args) => {
    const by = args.get('by');
    const names = by === undefined ? undefined : wantNames(session, by, "'by'");
    if (by === undefined || names === undefined) return { kind: 'grouped', frame, keys: [] };
    const seen = new Set<string>();
    for (const { name, at } of names) {
      if (seen.has(name)) session.diagnostics.report('DUPLICATE_COLUMN', at, `grouped by '${name}' twice`);
      seen.add(name);
    }
    return { kind: 'grouped', frame, keys: names };
  });

export interface Grouping {
  readonly frame: Frame;
  readonly keys: readonly { readonly name: string; readonly at: number }[];
}

export const aggMethod = ({ frame, keys }: Grouping): Builtin =>
  builtin(
    'agg',
    [],
    (session, args, at): Value => {
      const poisoned = new Set<string>();
      const schema: Field[] = [];
      for (const { name, at: keyAt } of keys) {
        const column = resolveColumn(session, name, keyAt, frame);
        if (column === undefined) poisoned.add(name);
        else schema.push({ name, type: column.type, semanticType: column.semanticType });
      }
      const aggregates: AggregateExpression[] = [];
      for (const arg of args.extra) {
        if (schema.some((field) => field.name === arg.name)) {
          session.diagnostics.report('DUPLICATE_COLUMN', arg.at, `'${arg.name}' is a group key already`);
          continue;
        }
        const aggregate = readAggregate(session, frame, arg);
        if (aggregate === undefined) poisoned.add(arg.name);
        else {
          aggregates.push(aggregate);
          schema.push({ name: arg.name, type: aggregate.type, semanticType: aggregate.semanticType });
        }
      }
      const names = keys.map(({ name }) => name).filter((name) => !poisoned.has(name));
      const operator: AggregateOperator = {
        kind: 'aggregate',
        input: frame.operator,
        keys: names,
        aggregates,
        mode: 'full',
        schema,
      };
      return {
        kind: 'frame',
        frame: frameOf(session, operator, [frame], at, frame.poisoned === 'all' ? 'all' : poisoned),
      };
    },
    true,
  );

const FORM = "write out=('column', px.function)";

function readAggregate(
  session: Session,
  frame: Frame,
  arg: Bound & { readonly name: string },
): AggregateExpression | undefined {
  const { diagnostics } = session;
  if (arg.value.kind !== 'tuple') {
    if (!isInvalid(arg.value))
      diagnostics.report(
        'INVALID_AGGREGATE',
        arg.at,
        `'${arg.name}' must be a tuple, not ${describe(arg.value)}`,
        FORM,
      );
    return undefined;
  }
  const items = arg.value.items.slice(0, -1);
  const last = arg.value.items.at(-1);
  if (last === undefined || isInvalid(last.value)) return undefined;
  const { value } = last;
  if (value.kind !== 'registered' && value.kind !== 'aggregate') {
    diagnostics.report(
      'INVALID_AGGREGATE',
      last.at,
      `the last element of '${arg.name}' must be an aggregate function, not ${describe(value)}`,
      FORM,
    );
    return undefined;
  }
  const signature = session.signatures.get(value.name);
  if (signature === undefined || signature.kind !== 'aggregate') {
    diagnostics.report(
      'AGGREGATE_MISPLACED',
      last.at,
      `px.${value.name} is no aggregate`,
      'compute a column first, then aggregate it',
    );
    return undefined;
  }
  const args: Expression[] = [];
  for (const item of items) {
    if (
      item.value.kind === 'expression' &&
      item.value.draft.kind !== 'literal' &&
      item.value.draft.kind !== 'invalid'
    ) {
      diagnostics.report('INVALID_AGGREGATE', item.at, `'${arg.name}' must name its columns by strings`, FORM);
      return undefined;
    }
    const name = wantString(session, item, `the column of '${arg.name}'`, 'INVALID_AGGREGATE');
    const column = name === undefined ? undefined : resolveColumn(session, name, item.at, frame);
    if (column === undefined) return undefined;
    args.push(column);
  }
  return typed(session, frame, {
    name: arg.name,
    at: last.at,
    signature,
    args,
    literals: value.kind === 'aggregate' ? value.literals : [],
  });
}

interface Untyped {
  readonly name: string;
  readonly at: number;
  readonly signature: FunctionSignature;
  readonly args: readonly Expression[];
  readonly literals: readonly LiteralValue[];
}

function typed(
  session: Session,
  frame: Frame,
  { name, at, signature, args, literals }: Untyped,
): AggregateExpression | undefined {
  const { diagnostics } = session;
  const overload = findOverload(
    signature,
    args.map((arg) => arg.type),
  );
  if (overload === undefined) {
    const message = `px.${signature.name} does not take (${args.map((arg) => arg.type).join(', ')})`;
    diagnostics.report('NO_OVERLOAD', at, message, `it takes ${listOverloads(signature)}`);
    return undefined;
  }
  if (overload.literalList !== undefined && literals.length === 0) {
    diagnostics.report(
      'MISSING_ARGUMENT',
      at,
      `px.${signature.name} needs its list`,
      `write px.${signature.name}([0.1, 1.0])`,
    );
    return undefined;
  }
  const implicit: Expression[] = [];
  for (const wanted of signature.implicitColumns ?? []) {
    const field = frame.operator.schema.find((candidate) => candidate.name === wanted.name);
    if (field === undefined || field.type !== wanted.type) {
      if (frame.poisoned === 'all' || frame.poisoned.has(wanted.name)) return undefined;
      diagnostics.report(
        'UNKNOWN_COLUMN',
        at,
        `px.${signature.name} needs a ${wanted.type} column '${wanted.name}' in the frame`,
      );
      return undefined;
    }
    implicit.push({ kind: 'column', ...field });
  }
  return {
    name,
    function: signature.name,
    args: [...args, ...implicit],
    literals,
    type: overload.result,
    semanticType: inferSemanticType(signature, args),
  };
}
