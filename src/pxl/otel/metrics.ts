// `px.otel.metric.*` -> MetricSpec.
import type { Field, SemanticType } from '../../model/types.ts';
import type { MetricSpec, Operator, StartTime } from '../../plan/plan.ts';
import { isNone } from '../call.ts';
import { type Bound, describe, type OtelEntry } from '../values.ts';
import { isInvalid, wantBool, wantNumber, wantString } from '../wants.ts';
import { type Exported, type Wanted, optionalColumn, plainAttributes, readAttributes, wantColumn } from './columns.ts';

/** One letter, then at most 254 of letters, digits and `_ . - /`: the instrument name rule of OpenTelemetry's API. */
const METRIC_NAME = /^[A-Za-z][A-Za-z0-9_.\-/]{0,254}$/;

const UNITS: Partial<Record<SemanticType, string>> = {
  ST_DURATION_NS: 'ns',
  ST_DURATION_NS_QUANTILES: 'ns',
  ST_BYTES: 'By',
  ST_THROUGHPUT_PER_NS: '1/ns',
  ST_THROUGHPUT_BYTES_PER_NS: 'By/ns',
  ST_PERCENT: '1',
};

const TIME: Wanted = { types: ['TIME64NS'], code: 'OTEL_TIME_TYPE', hint: 'convert with px.int64_to_time(…)' };
const NUMBER = (code: 'OTEL_GAUGE_TYPE' | 'OTEL_SUM_TYPE'): Wanted => ({
  types: ['INT64', 'FLOAT64'],
  code,
  hint: 'cast or convert the column to a number first',
});
const FLOAT_HINT = 'make it FLOAT64: df.x = df.x * 1.0';

interface Entry {
  readonly exported: Exported;
  readonly entry: OtelEntry;
  /** `data[1]` */
  readonly path: string;
}

const argOf = ({ entry }: Entry, name: string): Bound | undefined => {
  const arg = entry.args.get(name);
  return arg === undefined || isNone(arg.value) ? undefined : arg;
};

const column = (entry: Entry, name: string, wanted: Wanted): Field | undefined => {
  const arg = entry.entry.args.get(name);
  return arg === undefined ? undefined : wantColumn(entry.exported, arg, `${entry.path}.${name}`, wanted);
};

const text = (entry: Entry, name: string): string | undefined => {
  const arg = argOf(entry, name);
  return arg === undefined ? '' : wantString(entry.exported.session, arg, `${entry.path}.${name}`, 'OTEL_ARG_KIND');
};

function readName(entry: Entry): string | undefined {
  const { session } = entry.exported;
  const arg = entry.entry.args.get('name');
  const name = arg === undefined ? undefined : wantString(session, arg, `${entry.path}.name`, 'OTEL_ARG_KIND');
  if (arg === undefined || name === undefined || METRIC_NAME.test(name)) return name;
  session.diagnostics.report(
    'OTEL_METRIC_NAME',
    arg.at,
    `${entry.path}.name: '${name.slice(0, 60)}' is no metric name`,
    'start with a letter; letters, digits, _ . - / may follow, 255 in all',
  );
  return undefined;
}

function readTime(entry: Entry): string | undefined {
  const { session, frame } = entry.exported;
  const given = argOf(entry, 'time');
  if (given !== undefined) return wantColumn(entry.exported, given, `${entry.path}.time`, TIME)?.name;
  const field = frame.operator.schema.find((candidate) => candidate.name === 'time_');
  if (field === undefined) {
    if (frame.poisoned === 'all' || frame.poisoned.has('time_')) return undefined;
    session.diagnostics.report(
      'OTEL_NO_TIME',
      entry.entry.at,
      `${entry.path}: the exported frame has no column time_`,
      "keep it through the aggregation: time_=('time_', px.max)",
    );
    return undefined;
  }
  if (field.type === 'TIME64NS') return 'time_';
  session.diagnostics.report(
    'OTEL_TIME_TYPE',
    entry.entry.at,
    `${entry.path}: time_ is ${field.type}, wanted TIME64NS`,
    TIME.hint,
  );
  return undefined;
}

interface Common {
  readonly name: string;
  readonly description: string;
  readonly unit: string;
  readonly attributes: ReturnType<typeof plainAttributes>;
  readonly time: string;
}

/** Name, description, attributes, time, and the unit: as given, else inferred from the semantic type of `valued`. */
function readCommon(entry: Entry, valued: Field | undefined): Common | undefined {
  const { session } = entry.exported;
  const name = readName(entry);
  const description = text(entry, 'description');
  const given = text(entry, 'unit');
  const attributes = readAttributes(
    entry.exported,
    entry.entry.args.get('attributes'),
    `${entry.path}.attributes`,
    'OTEL_ATTRS_TYPE',
  );
  const time = readTime(entry);
  if (given !== undefined && !/^[\x20-\x7e]{0,63}$/.test(given)) {
    const at = argOf(entry, 'unit')?.at ?? entry.entry.at;
    session.diagnostics.report(
      'OTEL_ARG_KIND',
      at,
      `${entry.path}.unit must be at most 63 ASCII characters`,
      "use a UCUM unit such as 's', 'By', '{request}'",
    );
    return undefined;
  }
  if (name === undefined || description === undefined || given === undefined || time === undefined) return undefined;
  const inferred = valued === undefined ? '' : (UNITS[valued.semanticType] ?? '');
  return { name, description, unit: given === '' ? inferred : given, attributes: plainAttributes(attributes), time };
}

function readTemporality(entry: Entry): 'delta' | 'cumulative' | undefined {
  const arg = argOf(entry, 'temporality');
  if (arg === undefined) return 'delta';
  const value = wantString(entry.exported.session, arg, `${entry.path}.temporality`, 'OTEL_ARG_KIND');
  if (value === undefined || value === 'delta' || value === 'cumulative') return value;
  entry.exported.session.diagnostics.report(
    'OTEL_TEMPORALITY',
    arg.at,
    `${entry.path}.temporality is '${value.slice(0, 40)}'`,
    "use 'delta' or 'cumulative'",
  );
  return undefined;
}

/** Deltas start with the window, cumulative streams with the collector that counts, unless a column says otherwise. */
function readStart(entry: Entry, temporality: 'delta' | 'cumulative'): StartTime | undefined {
  const arg = argOf(entry, 'start_time');
  if (arg === undefined) return { kind: temporality === 'delta' ? 'window' : 'collector' };
  const field = wantColumn(entry.exported, arg, `${entry.path}.start_time`, TIME);
  return field === undefined ? undefined : { kind: 'column', column: field.name };
}

function readGauge(entry: Entry): MetricSpec | undefined {
  const value = column(entry, 'value', NUMBER('OTEL_GAUGE_TYPE'));
  const common = readCommon(entry, value);
  return value === undefined || common === undefined ? undefined : { kind: 'gauge', ...common, value: value.name };
}

function readSum(entry: Entry): MetricSpec | undefined {
  const value = column(entry, 'value', NUMBER('OTEL_SUM_TYPE'));
  const common = readCommon(entry, value);
  const temporality = readTemporality(entry);
  const startTime = temporality === undefined ? undefined : readStart(entry, temporality);
  const arg = argOf(entry, 'monotonic');
  const monotonic =
    arg === undefined ? true : wantBool(entry.exported.session, arg, `${entry.path}.monotonic`, 'OTEL_ARG_KIND');
  if (
    value === undefined ||
    common === undefined ||
    temporality === undefined ||
    startTime === undefined ||
    monotonic === undefined
  )
    return undefined;
  return { kind: 'sum', ...common, value: value.name, temporality, monotonic, startTime };
}

function readSummary(entry: Entry): MetricSpec | undefined {
  const count = column(entry, 'count', {
    types: ['INT64'],
    code: 'OTEL_SUMMARY_COUNT_TYPE',
    hint: "count rows: n=('latency', px.count)",
  });
  const sum = column(entry, 'sum', { types: ['FLOAT64'], code: 'OTEL_SUMMARY_SUM_TYPE', hint: FLOAT_HINT });
  const quantiles = readQuantiles(entry);
  const common = readCommon(entry, quantiles?.[0]?.field);
  if (count === undefined || sum === undefined || quantiles === undefined || common === undefined) return undefined;
  return {
    kind: 'summary',
    ...common,
    count: count.name,
    sum: sum.name,
    quantiles: quantiles.map(({ quantile, field }) => ({ quantile, column: field.name })),
  };
}

function readQuantiles(entry: Entry): readonly { readonly quantile: number; readonly field: Field }[] | undefined {
  const { session } = entry.exported;
  const arg = entry.entry.args.get('quantile_values');
  const path = `${entry.path}.quantile_values`;
  if (arg === undefined) return undefined;
  if (arg.value.kind !== 'dict') {
    if (!isInvalid(arg.value))
      session.diagnostics.report(
        'OTEL_ARG_KIND',
        arg.at,
        `${path} must be a dict, not ${describe(arg.value)}`,
        'write {0.5: df.p50, 0.99: df.p99}',
      );
    return undefined;
  }
  if (arg.value.entries.length === 0) {
    session.diagnostics.report('OTEL_QUANTILES_EMPTY', arg.at, `${path} is empty`, 'write {0.5: df.p50, 0.99: df.p99}');
    return undefined;
  }
  const quantiles: { quantile: number; field: Field }[] = [];
  for (const { key, value } of arg.value.entries) {
    const quantile = wantNumber(session, key, `a key of ${path}`, 'OTEL_ARG_KIND');
    const field = wantColumn(entry.exported, value, `${path}[${quantile ?? '?'}]`, {
      types: ['FLOAT64'],
      code: 'OTEL_QUANTILE_TYPE',
      hint: FLOAT_HINT,
    });
    if (quantile === undefined || field === undefined) continue;
    if (!(quantile >= 0 && quantile <= 1) || quantile <= (quantiles.at(-1)?.quantile ?? -1)) {
      session.diagnostics.report(
        'OTEL_QUANTILE_RANGE',
        key.at,
        `${path}: ${quantile} is outside 0 to 1, or not above the one before`,
        'list quantiles in ascending order, each once',
      );
    } else quantiles.push({ quantile, field });
  }
  return quantiles.length === arg.value.entries.length ? quantiles : undefined;
}

function readHistogram(entry: Entry): MetricSpec | undefined {
  const { exported, path } = entry;
  const float: Wanted = { types: ['FLOAT64'], code: 'OTEL_HISTOGRAM_TYPE', hint: FLOAT_HINT };
  const count = column(entry, 'count', {
    types: ['INT64'],
    code: 'OTEL_HISTOGRAM_TYPE',
    hint: "count rows: n=('latency', px.count)",
  });
  const sum = optionalColumn(exported, argOf(entry, 'sum'), `${path}.sum`, float);
  const buckets = column(entry, 'bucket_counts', {
    types: ['STRING'],
    code: 'OTEL_HISTOGRAM_TYPE',
    hint: "make it with b=('seconds', px.bucket_counts([0.1, 1.0]))",
  });
  const min = optionalColumn(exported, argOf(entry, 'min'), `${path}.min`, float);
  const max = optionalColumn(exported, argOf(entry, 'max'), `${path}.max`, float);
  const explicitBounds = readBounds(entry, buckets);
  const common = readCommon(entry, sum);
  const temporality = readTemporality(entry);
  const startTime = temporality === undefined ? undefined : readStart(entry, temporality);
  if (count === undefined || buckets === undefined || explicitBounds === undefined || common === undefined)
    return undefined;
  if (temporality === undefined || startTime === undefined) return undefined;
  return {
    kind: 'histogram',
    ...common,
    temporality,
    startTime,
    explicitBounds,
    bucketCounts: buckets.name,
    count: count.name,
    ...(sum !== undefined && { sum: sum.name }),
    ...(min !== undefined && { min: min.name }),
    ...(max !== undefined && { max: max.name }),
  };
}

function readBounds(entry: Entry, buckets: Field | undefined): readonly number[] | undefined {
  const { session, frame } = entry.exported;
  const arg = entry.entry.args.get('explicit_bounds');
  const path = `${entry.path}.explicit_bounds`;
  if (arg === undefined) return undefined;
  if (arg.value.kind !== 'list' && arg.value.kind !== 'tuple') {
    if (!isInvalid(arg.value))
      session.diagnostics.report(
        'OTEL_ARG_KIND',
        arg.at,
        `${path} must be a list of numbers, not ${describe(arg.value)}`,
      );
    return undefined;
  }
  const bounds: number[] = [];
  for (const item of arg.value.items) {
    const bound = wantNumber(session, item, `each of ${path}`, 'OTEL_ARG_KIND');
    if (bound === undefined) return undefined;
    if (!Number.isFinite(bound) || bound <= (bounds.at(-1) ?? Number.NEGATIVE_INFINITY)) {
      session.diagnostics.report('OTEL_HISTOGRAM_BOUNDS', item.at, `${path} must ascend`);
      return undefined;
    }
    bounds.push(bound);
  }
  const made = buckets === undefined ? undefined : boundsOf(frame.operator, buckets.name);
  if (made === undefined || (made.length === bounds.length && made.every((bound, i) => bound === bounds[i])))
    return bounds;
  session.diagnostics.report(
    'OTEL_HISTOGRAM_BOUNDS',
    arg.at,
    `${path} differs from the bounds that '${buckets?.name ?? ''}' was counted with`,
    'use one list for both: bounds = […]',
  );
  return undefined;
}

/** The bounds of the `bucket_counts` that made a column; undefined where the way back is not plain. */
function boundsOf(operator: Operator, name: string): readonly number[] | undefined {
  let at = operator;
  let column = name;
  for (;;) {
    if (at.kind === 'filter' || at.kind === 'limit') at = at.input;
    else if (at.kind === 'map') {
      const made = at.columns.find((candidate) => candidate.name === column)?.expression;
      if (made?.kind !== 'column') return undefined;
      column = made.name;
      at = at.input;
    } else if (at.kind === 'aggregate') {
      const made = at.aggregates.find((candidate) => candidate.name === column);
      return made?.function === 'bucket_counts' ? made.literals.map(Number) : undefined;
    } else return undefined;
  }
}

/** The metric of one `data` element; undefined where it is wrong, which is then reported. */
export function readMetric(exported: Exported, entry: OtelEntry, path: string): MetricSpec | undefined {
  const checked: Entry = { exported, entry, path };
  switch (entry.entry) {
    case 'Gauge':
      return readGauge(checked);
    case 'Sum':
      return readSum(checked);
    case 'Summary':
      return readSummary(checked);
    case 'Histogram':
      return readHistogram(checked);
    case 'Span':
      return undefined;
  }
}
