// Members of a DataFrame: its methods, `ctx`, and columns for every other name.
import { aggMethod, groupbyMethod } from './aggregate.ts';
import { builtin } from './call.ts';
import { append, brokenFrame, drop, filter, limit, project } from './frames.ts';
import { mergeMethod } from './merge.ts';
import { type Bound, expression, type Frame, INVALID, type Session, type Value } from './values.ts';
import { isInvalid, wantFrame, wantInt, wantNames } from './wants.ts';

const frameValue = (frame: Frame): Value => ({ kind: 'frame', frame });

const METHODS: Readonly<Record<string, (frame: Frame) => Value>> = {
  groupby: groupbyMethod,
  agg: (frame) => aggMethod({ frame, keys: [] }),
  merge: mergeMethod,
  drop: (frame) =>
    builtin('drop', ['columns'], (session, args, at) => {
      const arg = args.get('columns');
      const names = arg === undefined ? undefined : wantNames(session, arg, "'columns'");
      return frameValue(names === undefined ? frame : drop(session, frame, names, at));
    }),
  head: (frame) =>
    builtin('head', ['n?', '_pem_only?'], (session, args, at) => {
      const arg = args.get('n');
      const rows = arg === undefined ? 5n : wantInt(session, arg, "'n'");
      if (rows === undefined) return frameValue(frame);
      if (rows >= 0n && rows <= BigInt(Number.MAX_SAFE_INTEGER))
        return frameValue(limit(session, frame, Number(rows), at));
      session.diagnostics.report(
        'ARGUMENT_VALUE',
        arg?.at ?? at,
        `head(${rows}): the number of rows cannot be negative`,
      );
      return frameValue(frame);
    }),
  append: (frame) =>
    builtin('append', ['objs'], (session, args, at) => {
      const arg = args.get('objs');
      if (arg === undefined) return INVALID;
      const items: readonly Bound[] = arg.value.kind === 'list' || arg.value.kind === 'tuple' ? arg.value.items : [arg];
      const others = items.map((item) => ({ frame: wantFrame(session, item, "'objs'"), at: item.at }));
      if (!others.every((other): other is { frame: Frame; at: number } => other.frame !== undefined))
        return frameValue(brokenFrame(session, at, [frame]));
      return frameValue(append(session, frame, others, at));
    }),
  filter: (frame) =>
    builtin('filter', ['key'], (session, args, at) => {
      const arg = args.get('key');
      return arg === undefined ? INVALID : subscriptFrame(session, frame, arg, at);
    }),
};

/** Methods that the language has and this build does not. */
const UNAVAILABLE: Readonly<Record<string, string>> = {
  rolling: 'rolling windows are not in this build; group by px.bin(df.time_, size)',
  stream: 'streaming frames are not in this build; a script runs window after window',
  map: "'map' is reserved",
};

export const METHOD_NAMES: readonly string[] = [...Object.keys(METHODS), ...Object.keys(UNAVAILABLE), 'ctx'];

/** `df.name`: a method, `ctx`, or a reference to the column of that name. */
export function frameMember(session: Session, frame: Frame, name: string, at: number): Value {
  if (name === 'ctx') return { kind: 'context' };
  if (Object.hasOwn(METHODS, name)) return METHODS[name]?.(frame) ?? INVALID;
  const unavailable = Object.hasOwn(UNAVAILABLE, name) ? UNAVAILABLE[name] : undefined;
  if (unavailable === undefined) return expression({ kind: 'column', name, frame, at, size: 1, depth: 1 });
  session.diagnostics.report('NOT_AVAILABLE', at, unavailable);
  return INVALID;
}

/** `df[index]`: a column for a string, a projection for several, a filter for any other expression. */
export function subscriptFrame(session: Session, frame: Frame, index: Bound, at: number): Value {
  const { value } = index;
  if (value.kind === 'list' || value.kind === 'tuple') {
    const names = wantNames(session, index, 'the list of columns');
    return frameValue(names === undefined ? brokenFrame(session, at, [frame]) : project(session, frame, names, at));
  }
  if (value.kind !== 'expression') {
    if (!isInvalid(value))
      session.diagnostics.report(
        'NOT_SUBSCRIPTABLE',
        index.at,
        'a frame is subscripted by a column name, a list of them, or a condition',
      );
    return frameValue(frame);
  }
  const { draft } = value;
  if (draft.kind === 'invalid') return frameValue(frame);
  if (draft.kind === 'literal' && typeof draft.value === 'string') {
    return expression({ kind: 'column', name: draft.value, frame, at: index.at, size: 1, depth: 1 });
  }
  return frameValue(filter(session, frame, draft, at));
}
