// Columns that no sink needs are not computed and not read. What several consumers share keeps what any of them needs.
import type { Field } from '../../model/types.ts';
import type { OtelExport, Operator, Plan, Sink } from '../../plan/plan.ts';
import { columnsRead, consumersFirst, withInputs } from './walk.ts';

type Needs = Map<Operator, Set<string>>;

function exportReads({ resource, metrics, spans }: OtelExport): Set<string> {
  const names = new Set<string>();
  const value = (from: { readonly kind: string; readonly column?: string } | undefined): void => {
    if (from?.column !== undefined) names.add(from.column);
  };
  for (const attribute of resource) value(attribute.value);
  for (const metric of metrics) {
    names.add(metric.time);
    for (const attribute of metric.attributes) value(attribute.value);
    if (metric.kind === 'gauge' || metric.kind === 'sum') names.add(metric.value);
    if (metric.kind === 'sum' || metric.kind === 'histogram') value(metric.startTime);
    if (metric.kind === 'summary') {
      names.add(metric.count).add(metric.sum);
      for (const { column } of metric.quantiles) names.add(column);
    }
    if (metric.kind === 'histogram') {
      names.add(metric.count).add(metric.bucketCounts);
      for (const column of [metric.sum, metric.min, metric.max]) if (column !== undefined) names.add(column);
    }
  }
  for (const span of spans) {
    names.add(span.startTime).add(span.endTime);
    for (const column of [span.traceId, span.spanId, span.parentSpanId]) if (column !== undefined) names.add(column);
    for (const from of [span.name, span.statusCode, span.statusMessage]) value(from);
    for (const attribute of span.attributes) value(attribute.value);
  }
  return names;
}

const sinkReads = (sink: Sink): Set<string> =>
  sink.kind === 'otel' ? exportReads(sink.export) : new Set(sink.input.schema.map((field) => field.name));

export function pruneColumns(plan: Plan): Plan {
  const needs: Needs = new Map();
  const need = (operator: Operator, names: Iterable<string>): void => {
    const known = needs.get(operator) ?? new Set();
    for (const name of names) known.add(name);
    needs.set(operator, known);
  };
  for (const sink of plan.sinks) need(sink.input, sinkReads(sink));
  for (const operator of consumersFirst(plan)) passOn(operator, needs.get(operator) ?? new Set(), need);

  const done = new Map<Operator, Operator>();
  const visit = (operator: Operator): Operator => {
    const known = done.get(operator);
    if (known !== undefined) return known;
    const result = narrowed(withInputs(operator, visit), needs.get(operator) ?? new Set());
    done.set(operator, result);
    return result;
  };
  return { sinks: plan.sinks.map((sink) => ({ ...sink, input: visit(sink.input) })) };
}

/** Tells the inputs of `operator` what it reads from them to give the columns `wanted`. */
function passOn(
  operator: Operator,
  wanted: ReadonlySet<string>,
  need: (operator: Operator, names: Iterable<string>) => void,
): void {
  switch (operator.kind) {
    case 'source':
    case 'remote':
      return;
    case 'filter':
      need(operator.input, columnsRead(operator.predicate, new Set(wanted)));
      return;
    case 'limit':
      need(operator.input, wanted);
      return;
    case 'map': {
      const read = new Set<string>();
      for (const { name, expression } of operator.columns) if (wanted.has(name)) columnsRead(expression, read);
      need(operator.input, read);
      return;
    }
    case 'aggregate': {
      const read = new Set(operator.keys);
      for (const aggregate of operator.aggregates)
        if (wanted.has(aggregate.name)) for (const arg of aggregate.args) columnsRead(arg, read);
      need(operator.input, read);
      return;
    }
    case 'join':
      // `time_` decides the order of a join's output, so it stays where it is.
      need(operator.left, [
        ...operator.leftKeys,
        ...operator.columns.flatMap(({ name, side, column }) =>
          side === 'left' && (wanted.has(name) || name === 'time_') ? [column] : [],
        ),
      ]);
      need(operator.right, [
        ...operator.rightKeys,
        ...operator.columns.flatMap(({ name, side, column }) =>
          side === 'right' && (wanted.has(name) || name === 'time_') ? [column] : [],
        ),
      ]);
      return;
    case 'union':
      // So does a union's: its inputs are merged by `time_`.
      for (const input of operator.inputs) need(input, withTime(operator.schema, wanted));
  }
}

const withTime = (schema: readonly Field[], wanted: ReadonlySet<string>): Iterable<string> =>
  schema.some((field) => field.name === 'time_') ? [...wanted, 'time_'] : wanted;

/** `operator`, whose inputs are narrowed already, with no more columns than `wanted` (and those that ride along). */
function narrowed(operator: Operator, wanted: ReadonlySet<string>): Operator {
  switch (operator.kind) {
    case 'source': {
      // At least one column, or there would be no row count.
      const kept = operator.columns.filter((name) => wanted.has(name));
      const columns = kept.length > 0 ? kept : operator.columns.slice(0, 1);
      return {
        ...operator,
        columns,
        schema: columns.flatMap((name) => operator.schema.filter((field) => field.name === name)),
      };
    }
    case 'remote':
      return operator;
    case 'filter':
    case 'limit':
      return { ...operator, schema: operator.input.schema };
    case 'map': {
      const columns = operator.columns.filter(({ name }) => wanted.has(name));
      if (columns.length > 0 || operator.columns.length === 0)
        return { ...operator, columns, schema: fieldsOf(operator.schema, columns) };
      const first = operator.columns
        .slice(0, 1)
        .filter(({ expression }) =>
          [...columnsRead(expression)].every((name) => operator.input.schema.some((field) => field.name === name)),
        );
      const [field] = operator.input.schema;
      const spare =
        first.length > 0 || field === undefined
          ? first
          : [{ name: field.name, expression: { kind: 'column' as const, ...field } }];
      return {
        ...operator,
        columns: spare,
        schema: spare.map(({ name, expression: { type, semanticType } }) => ({ name, type, semanticType })),
      };
    }
    case 'aggregate': {
      const aggregates = operator.aggregates.filter(({ name }) => wanted.has(name));
      const kept = aggregates.length > 0 || operator.keys.length > 0 ? aggregates : operator.aggregates.slice(0, 0);
      const names = new Set([...operator.keys, ...kept.map(({ name }) => name)]);
      return { ...operator, aggregates: kept, schema: operator.schema.filter((field) => names.has(field.name)) };
    }
    case 'join': {
      const columns = operator.columns.filter(({ name }) => wanted.has(name) || name === 'time_');
      return { ...operator, columns, schema: fieldsOf(operator.schema, columns) };
    }
    case 'union': {
      // Inputs may be shared with others that need more of them; each gives exactly the union's columns.
      const names = new Set(withTime(operator.schema, wanted));
      const schema = operator.schema.filter((field) => names.has(field.name));
      return { ...operator, inputs: operator.inputs.map((input) => projected(input, schema)), schema };
    }
  }
}

const fieldsOf = (schema: readonly Field[], columns: readonly { readonly name: string }[]): readonly Field[] =>
  columns.flatMap(({ name }) => schema.filter((field) => field.name === name));

function projected(input: Operator, schema: readonly Field[]): Operator {
  if (input.schema.length === schema.length && input.schema.every((field, i) => field.name === schema[i]?.name))
    return input;
  const columns = schema.map((field) => ({ name: field.name, expression: { kind: 'column' as const, ...field } }));
  return { kind: 'map', input, columns, schema };
}
