// The module `px.otel`: constructors that keep their arguments until `px.export` checks them all.
import { builtin } from '../call.ts';
import { type Builtin, type EntryKind, INVALID, type Module, type Value, expression, literal } from '../values.ts';

const entry = (kind: EntryKind, path: string, parameters: readonly string[]): Builtin =>
  builtin(path, parameters, (_, args, at) => ({ kind: 'otel-entry', entry: kind, args, at }));

const METRICS: Readonly<Record<string, Builtin>> = {
  Gauge: entry('Gauge', 'px.otel.metric.Gauge', ['name', 'value', 'description?', 'attributes?', 'unit?', 'time?']),
  Summary: entry('Summary', 'px.otel.metric.Summary', [
    'name',
    'count',
    'sum',
    'quantile_values',
    'description?',
    'attributes?',
    'unit?',
    'time?',
  ]),
  Sum: entry('Sum', 'px.otel.metric.Sum', [
    'name',
    'value',
    'description?',
    'attributes?',
    'unit?',
    'temporality?',
    'monotonic?',
    'start_time?',
    'time?',
  ]),
  Histogram: entry('Histogram', 'px.otel.metric.Histogram', [
    'name',
    'count',
    'sum',
    'bucket_counts',
    'explicit_bounds',
    'description?',
    'attributes?',
    'unit?',
    'temporality?',
    'start_time?',
    'min?',
    'max?',
    'time?',
  ]),
};

const KINDS = ['UNSPECIFIED', 'INTERNAL', 'SERVER', 'CLIENT', 'PRODUCER', 'CONSUMER'];

const SPAN = entry('Span', 'px.otel.trace.Span', [
  'name',
  'start_time',
  'end_time',
  'trace_id?',
  'span_id?',
  'parent_span_id?',
  'attributes?',
  'kind?',
  'status_code?',
  'status_message?',
]);

const record = (name: string, members: Readonly<Record<string, Value>>): Module => ({
  kind: 'module',
  name,
  names: () => Object.keys(members),
  member: (_, member) => (Object.hasOwn(members, member) ? members[member] : undefined),
});

const METRIC = record('px.otel.metric', METRICS);

const TRACE: Module = {
  kind: 'module',
  name: 'px.otel.trace',
  names: () => ['Span', ...KINDS.map((kind) => `SPAN_KIND_${kind}`)],
  member: (_, name, at) => {
    if (name === 'Span') return SPAN;
    const kind = name.startsWith('SPAN_KIND_') ? KINDS.indexOf(name.slice('SPAN_KIND_'.length)) : -1;
    return kind < 0 ? undefined : expression(literal(BigInt(kind), 'INT64', at));
  },
};

const DATA = builtin('px.otel.Data', ['resource', 'data', 'endpoint?'], (_, args, at) => ({
  kind: 'otel-data',
  args,
  at,
}));
const ENDPOINT = builtin('px.otel.Endpoint', ['url', 'headers?', 'insecure?', 'timeout?'], (_, args, at) => ({
  kind: 'otel-endpoint',
  args,
  at,
}));

export const OTEL: Module = {
  kind: 'module',
  name: 'px.otel',
  names: () => ['Data', 'Endpoint', 'metric', 'trace'],
  member: (session, name, at) => {
    if (name === 'Data') return DATA;
    if (name === 'Endpoint') return ENDPOINT;
    if (name === 'metric') return METRIC;
    if (name === 'trace') return TRACE;
    if (name !== 'log') return undefined;
    session.diagnostics.report('NOT_AVAILABLE', at, 'px.otel.log is not in this build; export spans or metrics');
    return INVALID;
  },
};
