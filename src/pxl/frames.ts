// Frames: each function takes frames and arguments and gives the frame of one more operator, or reports why it cannot.
import type { Field, Schema } from '../model/types.ts';
import type { Expression } from '../plan/expression.ts';
import type { MapOperator } from '../plan/plan.ts';
import { resolve, resolveColumn } from './resolve.ts';
import { frameOf } from './session.ts';
import type { Draft, Frame, Session } from './values.ts';

interface Named {
  readonly name: string;
  readonly at: number;
}

const columnOf = (field: Field): MapOperator['columns'][number] => ({
  name: field.name,
  expression: { kind: 'column', ...field },
});

const fieldOf = (name: string, { type, semanticType }: Expression): Field => ({ name, type, semanticType });

/** A frame whose every column is unknown: what is left of one that could not be made. */
export const brokenFrame = (session: Session, at: number, parents: readonly Frame[] = []): Frame =>
  frameOf(session, { kind: 'source', table: '', columns: [], schema: [] }, parents, at, 'all');

const poisonedBut = (frame: Frame, name: string, add: boolean): Frame['poisoned'] => {
  if (frame.poisoned === 'all') return 'all';
  const poisoned = new Set(frame.poisoned);
  if (add) poisoned.add(name);
  else poisoned.delete(name);
  return poisoned;
};

function mapOf(
  session: Session,
  frame: Frame,
  columns: MapOperator['columns'],
  at: number,
  poisoned = frame.poisoned,
): Frame {
  const schema: Schema = columns.map(({ name, expression }) => fieldOf(name, expression));
  return frameOf(session, { kind: 'map', input: frame.operator, columns, schema }, [frame], at, poisoned);
}

/** `df.name = expression`: the column is last, also where it was there before. */
export function assignColumn(session: Session, frame: Frame, name: string, draft: Draft, at: number): Frame {
  const value = resolve(session, draft, frame);
  const rest = frame.operator.schema.filter((field) => field.name !== name).map(columnOf);
  if (value === undefined) return mapOf(session, frame, rest, at, poisonedBut(frame, name, true));
  return mapOf(session, frame, [...rest, { name, expression: value }], at, poisonedBut(frame, name, false));
}

/** `df[['a', 'b']]` */
export function project(session: Session, frame: Frame, names: readonly Named[], at: number): Frame {
  const columns: MapOperator['columns'][number][] = [];
  const poisoned = new Set<string>();
  for (const { name, at: nameAt } of names) {
    if (columns.some((column) => column.name === name)) {
      session.diagnostics.report('DUPLICATE_COLUMN', nameAt, `the column '${name}' is listed twice`);
      continue;
    }
    const column = resolveColumn(session, name, nameAt, frame);
    if (column === undefined) poisoned.add(name);
    else columns.push({ name, expression: column });
  }
  return mapOf(session, frame, columns, at, frame.poisoned === 'all' ? 'all' : poisoned);
}

/** `df.drop(['a', 'b'])` */
export function drop(session: Session, frame: Frame, names: readonly Named[], at: number): Frame {
  for (const { name, at: nameAt } of names) resolveColumn(session, name, nameAt, frame);
  const dropped = new Set(names.map(({ name }) => name));
  return mapOf(session, frame, frame.operator.schema.filter((field) => !dropped.has(field.name)).map(columnOf), at);
}

/** `df[predicate]` */
export function filter(session: Session, frame: Frame, draft: Draft, at: number): Frame {
  const predicate = resolve(session, draft, frame);
  if (predicate === undefined) return frame;
  if (predicate.type !== 'BOOLEAN') {
    const hint = predicate.type === 'INT64' ? 'compare it, for example with != 0' : undefined;
    session.diagnostics.report(
      'FILTER_NOT_BOOLEAN',
      draft.at,
      `a filter must be BOOLEAN, this is ${predicate.type}`,
      hint,
    );
    return frame;
  }
  const { schema } = frame.operator;
  return frameOf(session, { kind: 'filter', input: frame.operator, predicate, schema }, [frame], at, frame.poisoned);
}

/** `df.head(n)` */
export function limit(session: Session, frame: Frame, rows: number, at: number): Frame {
  const { schema } = frame.operator;
  return frameOf(session, { kind: 'limit', input: frame.operator, rows, schema }, [frame], at, frame.poisoned);
}

/** `a.append([b, c])`: columns by name, in the order and with the semantic types of the first. */
export function append(
  session: Session,
  frame: Frame,
  others: readonly { readonly frame: Frame; readonly at: number }[],
  at: number,
): Frame {
  const { schema } = frame.operator;
  const inputs = [frame];
  for (const other of others) {
    if (frame.poisoned === 'all' || other.frame.poisoned === 'all') return brokenFrame(session, at, [frame]);
    const problem = difference(schema, other.frame.operator.schema);
    if (problem !== undefined) {
      session.diagnostics.report(
        'APPEND_SCHEMA',
        other.at,
        problem,
        'give both frames the same columns, e.g. with df[[…]]',
      );
      return brokenFrame(session, at, [frame]);
    }
    inputs.push(sameOrder(session, schema, other.frame, at));
  }
  return frameOf(
    session,
    { kind: 'union', inputs: inputs.map((input) => input.operator), schema },
    inputs,
    at,
    frame.poisoned,
  );
}

function difference(wanted: Schema, found: Schema): string | undefined {
  for (const field of wanted) {
    const other = found.find((candidate) => candidate.name === field.name);
    if (other === undefined) return `the appended frame has no column '${field.name}'`;
    if (other.type !== field.type)
      return `column '${field.name}' is ${field.type} here and ${other.type} in the appended frame`;
  }
  const more = found.find((field) => !wanted.some((candidate) => candidate.name === field.name));
  return more === undefined ? undefined : `the appended frame has a column '${more.name}' that this one lacks`;
}

function sameOrder(session: Session, wanted: Schema, frame: Frame, at: number): Frame {
  const same = frame.operator.schema.every(
    (field, i) => field.name === wanted[i]?.name && field.semanticType === wanted[i]?.semanticType,
  );
  return same ? frame : mapOf(session, frame, wanted.map(columnOf), at);
}
