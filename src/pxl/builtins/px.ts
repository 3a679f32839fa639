// The module `px`: frames, sinks, compile-time values, types, sub-modules; every other member is a
// registered function.
import type { LiteralValue } from '../../plan/expression.ts';
import { parseUuid } from '../uuid.ts';
import { builtin, isNone } from '../call.ts';
import { DATA_FRAME } from './data-frame.ts';
import { exportTo } from '../otel/export.ts';
import { OTEL } from '../otel/module.ts';
import { callDraft } from '../session.ts';
import {
  type Bound,
  type Builtin,
  type Draft,
  expression,
  INVALID,
  literal,
  type Module,
  NONE,
  type Session,
  type Value,
} from '../values.ts';
import { display } from './sinks.ts';
import { TIME_MEMBERS } from './time.ts';
import { PX_TYPES } from './types.ts';
import { isInvalid, wantExpression, wantFrame, wantInt, wantString } from '../wants.ts';

const PLUGIN: Module = {
  kind: 'module',
  name: 'px.plugin',
  names: () => ['start_time', 'end_time'],
  member: (session, name, at) => {
    if (name !== 'start_time' && name !== 'end_time') return undefined;
    if (session.window === undefined) {
      session.diagnostics.report(
        'PLUGIN_NO_CONTEXT',
        at,
        `px.plugin.${name} is only known in a run over a window`,
        'run it as an ExportScript, or give the window with --start and --end',
      );
      return INVALID;
    }
    return expression(literal(name === 'start_time' ? session.window.start : session.window.end, 'INT64', at));
  },
};

const vega = builtin('px.vis.vega', ['vega_spec'], () => NONE);

const VIS: Module = {
  kind: 'module',
  name: 'px.vis',
  names: () => ['vega'],
  member: (_, name) => (name === 'vega' ? vega : undefined),
};

const sink = (name: string, prefix: string): Builtin =>
  builtin(name, ['out', 'name?', 'cols?'], (session, args) => {
    const [out, nameArg] = [args.get('out'), args.get('name')];
    const title = nameArg === undefined || isNone(nameArg.value) ? 'output' : wantString(session, nameArg, "'name'");
    const frame = out === undefined ? undefined : wantFrame(session, out, "'out'");
    if (frame !== undefined && title !== undefined && (session.showDisplays || prefix !== ''))
      display(session, prefix + title, frame);
    return NONE;
  });

const exportSink = builtin('px.export', ['out', 'export_spec'], (session, args, at) => {
  const [out, spec] = [args.get('out'), args.get('export_spec')];
  if (out !== undefined && spec !== undefined) exportTo(session, out, spec, at);
  return NONE;
});

const uint128 = builtin('px.uint128', ['uuid'], (session, args, at) => {
  const arg = args.get('uuid');
  const text = arg === undefined ? undefined : wantString(session, arg, "'uuid'");
  if (arg === undefined || text === undefined) return INVALID;
  const value = parseUuid(text);
  if (value !== undefined) return expression(literal(value, 'UINT128', at));
  session.diagnostics.report('ARGUMENT_VALUE', arg.at, `'${text.slice(0, 50)}' is no UUID`);
  return INVALID;
});

const makeUpid = builtin('px.make_upid', ['asid', 'pid', 'ts_ns'], (session, args, at) => {
  const [asid, pid, ticks] = ['asid', 'pid', 'ts_ns'].map((name) => {
    const arg = args.get(name);
    return arg === undefined ? undefined : wantInt(session, arg, `'${name}'`);
  });
  if (asid === undefined || pid === undefined || ticks === undefined) return INVALID;
  const fits = [asid, pid].every((value) => value >= 0n && value <= 0xffff_ffffn);
  if (fits && ticks >= 0n)
    return expression(literal({ high: (asid << 32n) | pid, low: ticks }, 'UINT128', at, 'ST_UPID'));
  session.diagnostics.report('ARGUMENT_VALUE', at, 'asid and pid must fit 32 bits without sign');
  return INVALID;
});

const equalsAny = builtin('px.equals_any', ['value', 'comparisons'], (session, args, at) => {
  const [valueArg, listArg] = [args.get('value'), args.get('comparisons')];
  const value = valueArg === undefined ? undefined : wantExpression(session, valueArg, "'value'");
  if (listArg === undefined || value === undefined) return INVALID;
  if (listArg.value.kind !== 'list' && listArg.value.kind !== 'tuple') {
    if (!isInvalid(listArg.value))
      session.diagnostics.report('ARGUMENT_KIND', listArg.at, "'comparisons' must be a list");
    return INVALID;
  }
  let terms: Draft[] = [];
  for (const item of listArg.value.items) {
    const other = wantExpression(session, item, "each of 'comparisons'");
    if (other === undefined) return INVALID;
    terms.push(callDraft(session, 'equal', [value, other], at));
  }
  // Joined in pairs, so that many values make no deep expression.
  while (terms.length > 1) {
    terms = terms.flatMap((term, i) => {
      const next = terms[i + 1];
      if (i % 2 === 1) return [];
      return [next === undefined ? term : callDraft(session, 'logicalOr', [term, next], at)];
    });
  }
  const [result] = terms;
  if (result !== undefined) return expression(result);
  session.diagnostics.report('ARGUMENT_VALUE', listArg.at, "'comparisons' is empty");
  return INVALID;
});

const scriptReference = builtin('px.script_reference', ['label', 'script', 'args?'], (session, args, at) => {
  const [label, script, dict] = [args.get('label'), args.get('script'), args.get('args')];
  if (label === undefined || script === undefined) return INVALID;
  const parts: Bound[] = [label, script];
  if (dict !== undefined && !isNone(dict.value)) {
    if (dict.value.kind !== 'dict') {
      session.diagnostics.report('ARGUMENT_KIND', dict.at, "'args' must be a dict");
      return INVALID;
    }
    if (dict.value.entries.length > 8)
      session.diagnostics.report('ARGUMENT_VALUE', dict.at, "'args' has more than 8 entries");
    for (const { key, value } of dict.value.entries) parts.push(key, value);
  }
  const drafts = parts.map((part) => wantExpression(session, part, 'each part of px.script_reference'));
  if (!drafts.every((draft) => draft !== undefined)) return INVALID;
  return expression(callDraft(session, '_script_reference', drafts, at));
});

/** Table functions: the language has them, this build does not. */
const TABLE_FUNCTIONS = new Set(
  'GetAgentStatus GetCronScriptHistory GetLinuxHeadersStatus GetProfilerSamplingPeriodMS GetSchemas GetTables GetTracepointStatus GetUDAList GetUDFList GetUDTFList Version _DebugAgentProcSMaps _DebugAgentProcStatus _DebugMDGetWithPrefix _DebugMDState _DebugStackTrace _DebugTableInfo _HeapGrowthStacks _HeapRanges _HeapReleaseFreeMemory _HeapSample _HeapStats _HeapStatsNumeric'.split(
    ' ',
  ),
);

const OWN: Readonly<Record<string, Value>> = {
  DataFrame: DATA_FRAME,
  display: sink('px.display', ''),
  debug: sink('px.debug', '_'),
  export: exportSink,
  uint128,
  make_upid: makeUpid,
  equals_any: equalsAny,
  script_reference: scriptReference,
  plugin: PLUGIN,
  vis: VIS,
  otel: OTEL,
  ...TIME_MEMBERS,
  ...PX_TYPES,
};

export const PX: Module = {
  kind: 'module',
  name: 'px',
  names: (session) => [...session.overlay.keys(), ...Object.keys(OWN), ...session.signatures.keys()],
  member: (session, name, at) => {
    const own = session.overlay.get(name) ?? (Object.hasOwn(OWN, name) ? OWN[name] : undefined);
    if (own !== undefined) return own;
    const signature = session.signatures.get(name);
    if (signature?.available === true) return { kind: 'registered', name };
    if (signature === undefined && !TABLE_FUNCTIONS.has(name)) return undefined;
    session.diagnostics.report('NOT_AVAILABLE', at, `px.${name} is not in this build`);
    return INVALID;
  },
};

/** A call of a registered function. Scalars make an expression; aggregates with a list (`bucket_counts`) an aggregate. */
export function callRegistered(
  session: Session,
  name: string,
  args: readonly (Bound & { readonly name?: string })[],
  at: number,
): Value {
  const named = args.find((arg) => arg.name !== undefined);
  if (named !== undefined) {
    session.diagnostics.report('UNKNOWN_KEYWORD', named.at, `px.${name} takes positional arguments only`);
    return INVALID;
  }
  const signature = session.signatures.get(name);
  if (signature?.kind === 'aggregate') return callAggregate(session, name, args, at);
  const drafts = args.map((arg, i) => wantExpression(session, arg, `argument ${i + 1} of px.${name}`));
  if (!drafts.every((draft) => draft !== undefined)) return INVALID;
  return expression(callDraft(session, name, drafts, at));
}

function callAggregate(session: Session, name: string, args: readonly Bound[], at: number): Value {
  const types = session.signatures.get(name)?.overloads[0]?.literalList;
  const [list] = args;
  if (types === undefined || list === undefined || args.length !== 1) {
    const hint =
      types === undefined
        ? `write ('column', px.${name}) without parentheses after ${name}`
        : `write px.${name}([0.1, 1.0])`;
    session.diagnostics.report('AGGREGATE_MISPLACED', at, `the aggregate px.${name} is called`, hint);
    return INVALID;
  }
  if (list.value.kind !== 'list' && list.value.kind !== 'tuple') {
    if (!isInvalid(list.value))
      session.diagnostics.report('ARGUMENT_KIND', list.at, `px.${name} takes a list of numbers`);
    return INVALID;
  }
  const literals: LiteralValue[] = [];
  let before = Number.NEGATIVE_INFINITY;
  for (const { value, at: itemAt } of list.value.items) {
    const draft = value.kind === 'expression' ? value.draft : undefined;
    if (draft?.kind !== 'literal' || !types.includes(draft.type)) {
      if (!isInvalid(value))
        session.diagnostics.report(
          'ARGUMENT_KIND',
          itemAt,
          `the list of px.${name} must hold ${types.join(' or ')} literals`,
        );
      return INVALID;
    }
    const number = Number(draft.value);
    if (!Number.isFinite(number) || number <= before) {
      session.diagnostics.report('ARGUMENT_VALUE', itemAt, `the list of px.${name} must ascend`);
      return INVALID;
    }
    before = number;
    literals.push(draft.value);
  }
  if (literals.length > 0 && literals.length <= BUCKETS_MAX) return { kind: 'aggregate', name, literals };
  session.diagnostics.report('ARGUMENT_VALUE', list.at, `the list of px.${name} must have 1 to ${BUCKETS_MAX} numbers`);
  return INVALID;
}

const BUCKETS_MAX = 200;
