// Whether a plan fits together: every column that is read exists with its type, every schema is what its operator makes.
// Semantic types are labels and are not compared.
import type { DataType, Field, Schema } from '../model/types.ts';
import type { Expression, LiteralValue } from './expression.ts';
import type { ExportValue, JoinOperator, MetricSpec, Operator, OtelExport, Plan, Sink } from './plan.ts';
import { inputsOf } from './inputs.ts';

/** What is wrong with a plan, empty where nothing is. Each operator is looked at once. */
export function checkPlan(plan: Plan): readonly string[] {
  const seen = new Set<Operator>();
  const visit = (operator: Operator): void => {
    if (seen.has(operator)) return;
    seen.add(operator);
    inputsOf(operator).forEach(visit);
  };
  for (const sink of plan.sinks) visit(sink.input);
  return [...checkOperators([...seen]), ...checkSinks(plan.sinks)];
}

export function checkOperators(operators: readonly Operator[]): readonly string[] {
  const problems: string[] = [];
  for (const operator of operators) {
    const say = (what: string): void => void problems.push(`${operator.kind}: ${what}`);
    duplicates(operator.schema.map((field) => field.name)).forEach((name) => say(`two columns are called '${name}'`));
    checkOperator(operator, say);
  }
  return problems;
}

export const checkSinks = (sinks: readonly Sink[]): readonly string[] =>
  sinks.flatMap((sink) =>
    sink.kind === 'otel'
      ? checkExport(sink.export, sink.input.schema).map((what) => `export ${sink.name}: ${what}`)
      : [],
  );

type Say = (what: string) => void;

const duplicates = (names: readonly string[]): readonly string[] =>
  names.filter((name, i) => names.indexOf(name) !== i);

const find = (schema: Schema, name: string): Field | undefined => schema.find((field) => field.name === name);

function sameTypes(
  found: Schema,
  wanted: readonly { readonly name: string; readonly type: DataType }[],
  say: Say,
): void {
  if (found.length !== wanted.length)
    say(`the schema has ${found.length} columns, the operator makes ${wanted.length}`);
  wanted.forEach(({ name, type }, i) => {
    const field = found[i];
    if (field !== undefined && (field.name !== name || field.type !== type))
      say(`column ${i} is ${field.name} ${field.type}, the operator makes ${name} ${type}`);
  });
}

function checkOperator(operator: Operator, say: Say): void {
  switch (operator.kind) {
    case 'source':
      if (operator.columns.join('\0') !== operator.schema.map((field) => field.name).join('\0'))
        say('columns and schema differ');
      return;
    case 'remote':
      return;
    case 'filter':
      checkExpression(operator.predicate, operator.input.schema, say);
      if (operator.predicate.type !== 'BOOLEAN') say(`the predicate is ${operator.predicate.type}`);
      sameTypes(operator.schema, operator.input.schema, say);
      return;
    case 'limit':
      sameTypes(operator.schema, operator.input.schema, say);
      return;
    case 'map':
      for (const { expression } of operator.columns) checkExpression(expression, operator.input.schema, say);
      sameTypes(
        operator.schema,
        operator.columns.map(({ name, expression }) => ({ name, type: expression.type })),
        say,
      );
      return;
    case 'aggregate': {
      const input = operator.input.schema;
      const keys = operator.keys.map((name) => ({ name, type: typeOf(input, name, say) }));
      // What `final` reads are the states that `partial` made, under the names of the aggregates.
      if (operator.mode !== 'final')
        for (const { args } of operator.aggregates) for (const arg of args) checkExpression(arg, input, say);
      else
        for (const { name } of operator.aggregates)
          if (typeOf(input, name, say) !== 'STRING') say(`the state '${name}' is not STRING`);
      const made = operator.aggregates.map(({ name, type }) => ({
        name,
        type: operator.mode === 'partial' ? ('STRING' as const) : type,
      }));
      sameTypes(operator.schema, [...keys, ...made], say);
      return;
    }
    case 'join':
      checkJoin(operator, say);
      return;
    case 'union':
      if (operator.inputs.length === 0) say('there is no input');
      for (const { schema } of operator.inputs) {
        if (schema.length !== operator.schema.length) say('an input has other columns');
        for (const { name, type } of operator.schema)
          if (typeOf(schema, name, say) !== type) say(`an input has '${name}' with another type`);
      }
  }
}

function typeOf(schema: Schema, name: string, say: Say): DataType {
  const field = find(schema, name);
  if (field === undefined) say(`there is no column '${name}'`);
  return field?.type ?? 'STRING';
}

function checkJoin({ left, right, leftKeys, rightKeys, columns, schema }: JoinOperator, say: Say): void {
  if (leftKeys.length !== rightKeys.length || leftKeys.length === 0) say('the keys of the sides differ in number');
  leftKeys.forEach((key, i) => {
    const other = rightKeys[i];
    if (other !== undefined && typeOf(left.schema, key, say) !== typeOf(right.schema, other, say))
      say(`the keys '${key}' and '${other}' differ in type`);
  });
  sameTypes(
    schema,
    columns.map(({ name, side, column }) => ({
      name,
      type: typeOf(side === 'left' ? left.schema : right.schema, column, say),
    })),
    say,
  );
}

function checkExpression(expression: Expression, schema: Schema, say: Say): void {
  if (expression.kind === 'call') for (const arg of expression.args) checkExpression(arg, schema, say);
  else if (expression.kind === 'literal') {
    if (!fits(expression.value, expression.type))
      say(`a ${typeof expression.value} literal has type ${expression.type}`);
  } else {
    const field = find(schema, expression.name);
    if (field === undefined) say(`there is no column '${expression.name}'`);
    else if (field.type !== expression.type)
      say(`column '${expression.name}' is ${field.type}, not ${expression.type}`);
  }
}

function fits(value: LiteralValue, type: DataType): boolean {
  if (typeof value === 'bigint') return (type === 'INT64' || type === 'TIME64NS') && BigInt.asIntN(64, value) === value;
  if (typeof value === 'number') return type === 'FLOAT64';
  if (typeof value === 'string') return type === 'STRING';
  if (typeof value === 'boolean') return type === 'BOOLEAN';
  return type === 'UINT128' && [value.high, value.low].every((word) => BigInt.asUintN(64, word) === word);
}

function checkExport({ resource, fanOut, metrics, spans }: OtelExport, schema: Schema): readonly string[] {
  const problems: string[] = [];
  const column = (name: string | undefined, ...types: readonly DataType[]): void => {
    if (name === undefined) return;
    const field = find(schema, name);
    if (field === undefined) problems.push(`there is no column '${name}'`);
    else if (!types.includes(field.type))
      problems.push(`column '${name}' is ${field.type}, wanted ${types.join(' or ')}`);
  };
  const value = (from: ExportValue | undefined, ...types: readonly DataType[]): void => {
    if (from?.kind === 'column') column(from.column, ...types);
  };
  const attributes = [
    ...resource,
    ...metrics.flatMap((metric) => metric.attributes),
    ...spans.flatMap((span) => span.attributes),
  ];
  for (const attribute of attributes) value(attribute.value, 'STRING', 'INT64', 'FLOAT64', 'BOOLEAN');
  for (const key of fanOut)
    if (!resource.some((attribute) => attribute.key === key)) problems.push(`'${key}' is no resource attribute`);
  for (const metric of metrics) checkMetric(metric, column);
  for (const span of spans) {
    for (const time of [span.startTime, span.endTime]) column(time, 'TIME64NS');
    for (const id of [span.traceId, span.spanId, span.parentSpanId]) column(id, 'STRING');
    value(span.name, 'STRING');
    value(span.statusCode, 'INT64');
    value(span.statusMessage, 'STRING');
  }
  return problems;
}

function checkMetric(
  metric: MetricSpec,
  column: (name: string | undefined, ...types: readonly DataType[]) => void,
): void {
  column(metric.time, 'TIME64NS');
  if (metric.kind === 'gauge' || metric.kind === 'sum') column(metric.value, 'INT64', 'FLOAT64');
  if ((metric.kind === 'sum' || metric.kind === 'histogram') && metric.startTime.kind === 'column')
    column(metric.startTime.column, 'TIME64NS');
  if (metric.kind === 'summary') {
    column(metric.count, 'INT64');
    column(metric.sum, 'FLOAT64');
    for (const { column: name } of metric.quantiles) column(name, 'FLOAT64');
  }
  if (metric.kind === 'histogram') {
    column(metric.bucketCounts, 'STRING');
    column(metric.count, 'INT64');
    for (const name of [metric.sum, metric.min, metric.max]) column(name, 'FLOAT64');
  }
}
