// Draft + frame -> expression: columns are found in the frame's schema, functions are chosen by exact argument types,
// `df.ctx[…]` becomes a metadata function. Everything wrong is reported where it is written.
import type { Expression } from '../plan/expression.ts';
import { closest, didYouMean } from './suggest.ts';
import { CONTEXT_NAMES, contextKey } from './context-keys.ts';
import { findOverload, inferSemanticType, listOverloads } from './overloads.ts';
import { countNodes } from './session.ts';
import type { Draft, Frame, Session } from './values.ts';

/** Resolves `draft` against the columns of `frame`. Undefined where it is wrong; that is then reported. */
export function resolve(session: Session, draft: Draft, frame: Frame): Expression | undefined {
  countNodes(session, 1, draft.at);
  switch (draft.kind) {
    case 'invalid':
      return undefined;
    case 'literal':
      return { kind: 'literal', value: draft.value, type: draft.type, semanticType: draft.semanticType };
    case 'column':
      return resolveColumn(session, draft.name, draft.at, frame);
    case 'call': {
      const args = draft.args.map((arg) => resolve(session, arg, frame));
      return args.every((arg) => arg !== undefined) ? call(session, draft.function, args, draft.at) : undefined;
    }
    case 'context':
      return resolveContext(session, draft.key, draft.at, frame);
    case 'cast': {
      const inner = resolve(session, draft.inner, frame);
      if (inner === undefined) return undefined;
      if (inner.type === draft.to.dataType) return { ...inner, semanticType: draft.to.semanticType };
      const hint =
        inner.type === 'FLOAT64' && draft.to.dataType === 'INT64' ? `write ${draft.to.name}(px.floor(…))` : undefined;
      const message = `${draft.to.name}(…) needs ${draft.to.dataType ?? 'nothing'} and got ${inner.type}; it relabels, it does not convert`;
      session.diagnostics.report('CAST_TYPE', draft.at, message, hint);
      return undefined;
    }
  }
}

/** The column `name` of `frame`; UNKNOWN_COLUMN at `at` where it has none. */
export function resolveColumn(session: Session, name: string, at: number, frame: Frame): Expression | undefined {
  const field = frame.operator.schema.find((candidate) => candidate.name === name);
  if (field !== undefined) return { kind: 'column', ...field };
  if (frame.poisoned === 'all' || frame.poisoned.has(name)) return undefined;
  const names = frame.operator.schema.map((candidate) => candidate.name);
  const suggestion = didYouMean(name, names) ?? `the frame has ${listNames(names)}`;
  session.diagnostics.report('UNKNOWN_COLUMN', at, `there is no column '${name}' here`, suggestion);
  return undefined;
}

const listNames = (names: readonly string[]): string =>
  names.length === 0 ? 'no columns' : names.slice(0, 12).join(', ') + (names.length > 12 ? ', …' : '');

const ORDER = new Set(['lessThan', 'lessThanEqual', 'greaterThan', 'greaterThanEqual']);

/** A call of a registered scalar function over resolved arguments. */
function call(session: Session, name: string, args: readonly Expression[], at: number): Expression | undefined {
  const { diagnostics, signatures } = session;
  const signature = signatures.get(name);
  if (signature === undefined || !signature.available) {
    diagnostics.report('NOT_AVAILABLE', at, `the function ${name} is not in this build`);
    return undefined;
  }
  if (signature.kind === 'aggregate') {
    diagnostics.report(
      'AGGREGATE_MISPLACED',
      at,
      `px.${name} is an aggregate`,
      `use it in agg(out=('column', px.${name}))`,
    );
    return undefined;
  }
  const overload = findOverload(
    signature,
    args.map((arg) => arg.type),
  );
  if (overload === undefined) {
    const message = `${name} does not take (${args.map((arg) => arg.type).join(', ')})`;
    diagnostics.report('NO_OVERLOAD', at, message, overloadHint(name, args) ?? `it takes ${listOverloads(signature)}`);
    return undefined;
  }
  for (let i = 0; i < (overload.literals ?? 0); i++) {
    if (args[i]?.kind !== 'literal') {
      diagnostics.report('LITERAL_REQUIRED', at, `argument ${i + 1} of ${name} must be a literal`);
      return undefined;
    }
  }
  return {
    kind: 'call',
    function: name,
    args,
    type: overload.result,
    semanticType: inferSemanticType(signature, args),
  };
}

function overloadHint(name: string, args: readonly Expression[]): string | undefined {
  const types = new Set(args.map((arg) => arg.type));
  if (types.has('TIME64NS') && types.has('INT64') && ORDER.has(name)) return 'convert with px.int64_to_time(…)';
  if ((name === 'floor' || name === 'ceil') && types.has('INT64')) return 'an INT64 is whole already';
  return undefined;
}

function resolveContext(session: Session, key: string, at: number, frame: Frame): Expression | undefined {
  const entry = contextKey(key);
  if (entry === undefined) {
    const suggestion =
      didYouMean(key, CONTEXT_NAMES) ??
      `keys are ${closest(key, CONTEXT_NAMES) ?? 'pod, service, namespace, node, container, deployment, …'}`;
    session.diagnostics.report('UNKNOWN_CONTEXT', at, `there is no metadata '${key}'`, suggestion);
    return undefined;
  }
  const { schema } = frame.operator;
  const has = (name: string): boolean => schema.some((field) => field.name === name);
  const column = entry.columns.find(has);
  if (column === undefined) {
    if (frame.poisoned === 'all' || entry.columns.some((name) => frame.poisoned !== 'all' && frame.poisoned.has(name)))
      return undefined;
    const message = `ctx['${key}'] needs one of the columns ${entry.columns.join(', ')}; the frame has ${listNames(schema.map((field) => field.name))}`;
    session.diagnostics.report(
      'NO_CONTEXT_COLUMN',
      at,
      message,
      `read it before grouping, or group by ${entry.columns[0] ?? ''} too`,
    );
    return undefined;
  }
  // A pod that is gone may still be found by the address it had.
  const fallback = entry.name === 'pod_name' && column === 'upid' && has('local_addr') && has('time_');
  const columns = fallback ? ['upid', 'local_addr', 'time_'] : [column];
  const args = columns.map((name) => resolveColumn(session, name, at, frame));
  if (!args.every((arg) => arg !== undefined)) return undefined;
  return call(session, fallback ? '_upid_to_podname_local_addr_fallback' : `${column}_to_${entry.name}`, args, at);
}
