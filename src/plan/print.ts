// A plan as text: one operator a line, inputs below and indented. Stable, so golden files can hold it. An operator with
// several consumers is printed once as `#n`, later only by that name.
import type { AggregateExpression, Expression, LiteralValue } from './expression.ts';
import type {
  ExportAttribute,
  ExportValue,
  MetricSpec,
  Operator,
  OtelExport,
  Plan,
  SpanSpec,
  StartTime,
} from './plan.ts';
import { inputsOf } from './inputs.ts';
import { formatTime } from '../model/time.ts';

/** The text of a plan, ending in a newline. */
export function printPlan(plan: Plan): string {
  const printer = newPrinter(plan.sinks.map((sink) => sink.input));
  for (const sink of plan.sinks) {
    if (sink.kind === 'table')
      printer.line(0, `table ${quote(sink.name)} rows<=${sink.rowsMax}: ${printSchema(sink.input)}`);
    else {
      printer.line(0, `otel ${quote(sink.name)}`);
      for (const line of printExport(sink.export)) printer.line(1, line);
    }
    printer.operator(1, sink.input);
  }
  return printer.text();
}

/** An expression as a call: `lessThan(latency, 5)`. */
export function printExpression(expression: Expression): string {
  switch (expression.kind) {
    case 'column':
      return expression.name;
    case 'literal':
      return printLiteral(expression.value, expression.type);
    case 'call':
      return `${expression.function}(${expression.args.map(printExpression).join(', ')})`;
  }
}

const printSchema = ({ schema }: Operator): string =>
  schema
    .map(({ name, type, semanticType }) => `${name} ${type}${semanticType === 'ST_NONE' ? '' : `(${semanticType})`}`)
    .join(', ');

const quote = (text: string): string => JSON.stringify(text);

function printLiteral(value: LiteralValue, type?: string): string {
  if (typeof value === 'string') return quote(value);
  if (typeof value === 'object') return `uint128(${value.high}, ${value.low})`;
  if (type === 'TIME64NS') return `time(${String(value)})`;
  return typeof value === 'number' && Number.isInteger(value) && Math.abs(value) < 1e15
    ? value.toFixed(1)
    : String(value);
}

const printAggregate = ({ name, function: fn, args, literals }: AggregateExpression): string => {
  const values = literals.length === 0 ? '' : `; [${literals.map((value) => printLiteral(value)).join(', ')}]`;
  return `${name}=${fn}(${args.map(printExpression).join(', ')}${values})`;
};

function describeOperator(operator: Operator): string {
  switch (operator.kind) {
    case 'source': {
      const start = operator.start === undefined ? '' : ` start=${formatTime(operator.start)}`;
      const end = operator.end === undefined ? '' : ` end=${formatTime(operator.end)}`;
      return `source ${operator.table} [${operator.columns.join(', ')}]${start}${end}`;
    }
    case 'filter':
      return `filter ${printExpression(operator.predicate)}`;
    case 'map':
      return `map ${operator.columns.map(({ name, expression }) => (expression.kind === 'column' && expression.name === name ? name : `${name}=${printExpression(expression)}`)).join(', ')}`;
    case 'aggregate': {
      const mode = operator.mode === 'full' ? '' : ` ${operator.mode}`;
      return `aggregate${mode} by [${operator.keys.join(', ')}] ${operator.aggregates.map(printAggregate).join(', ')}`.trimEnd();
    }
    case 'join': {
      const keys = operator.leftKeys.map((key, i) => `${key}=${operator.rightKeys[i] ?? ''}`).join(', ');
      const columns = operator.columns.map(({ name, side, column }) =>
        name === column ? `${side}.${column}` : `${name}=${side}.${column}`,
      );
      return `join ${operator.how} on ${keys} -> ${columns.join(', ')}`;
    }
    case 'union':
      return `union [${operator.schema.map(({ name }) => name).join(', ')}]`;
    case 'limit':
      return `limit ${operator.rows}`;
    case 'remote':
      return `remote ${operator.fragment} [${operator.schema.map(({ name }) => name).join(', ')}]`;
  }
}

interface Printer {
  line(depth: number, text: string): void;
  operator(depth: number, operator: Operator): void;
  text(): string;
}

function newPrinter(roots: readonly Operator[]): Printer {
  const consumers = new Map<Operator, number>();
  const count = (operator: Operator): void => {
    const known = consumers.get(operator) ?? 0;
    consumers.set(operator, known + 1);
    if (known === 0) inputsOf(operator).forEach(count);
  };
  roots.forEach(count);
  const names = new Map<Operator, string>();
  const lines: string[] = [];
  const line = (depth: number, text: string): void => void lines.push('  '.repeat(depth) + text);
  const operator = (depth: number, node: Operator): void => {
    const known = names.get(node);
    if (known !== undefined) {
      line(depth, known);
      return;
    }
    let label = '';
    if ((consumers.get(node) ?? 0) > 1) {
      const name = `#${names.size + 1}`;
      names.set(node, name);
      label = `${name} = `;
    }
    line(depth, label + describeOperator(node));
    for (const input of inputsOf(node)) operator(depth + 1, input);
  };
  return { line, operator, text: () => `${lines.join('\n')}\n` };
}

const printValue = (value: ExportValue): string =>
  value.kind === 'column'
    ? value.column
    : typeof value.value === 'bigint'
      ? String(value.value)
      : JSON.stringify(value.value);

const printAttributes = (attributes: readonly ExportAttribute[]): string =>
  `{${attributes.map(({ key, value }) => `${key}: ${printValue(value)}`).join(', ')}}`;

const printStart = (start: StartTime): string => (start.kind === 'column' ? start.column : start.kind);

function printMetric(metric: MetricSpec): string {
  const common = `${quote(metric.name)} unit=${quote(metric.unit)} time=${metric.time} ${printAttributes(metric.attributes)}${metric.description === '' ? '' : ` ${quote(metric.description)}`}`;
  switch (metric.kind) {
    case 'gauge':
      return `gauge value=${metric.value} ${common}`;
    case 'sum':
      return `sum value=${metric.value} ${metric.temporality}${metric.monotonic ? ' monotonic' : ''} start=${printStart(metric.startTime)} ${common}`;
    case 'summary':
      return `summary count=${metric.count} sum=${metric.sum} ${metric.quantiles.map(({ quantile, column }) => `${quantile}:${column}`).join(' ')} ${common}`;
    case 'histogram': {
      const optional = [
        metric.sum === undefined ? '' : ` sum=${metric.sum}`,
        metric.min === undefined ? '' : ` min=${metric.min}`,
        metric.max === undefined ? '' : ` max=${metric.max}`,
      ];
      return `histogram count=${metric.count}${optional.join('')} buckets=${metric.bucketCounts} bounds=[${metric.explicitBounds.join(', ')}] ${metric.temporality} start=${printStart(metric.startTime)} ${common}`;
    }
  }
}

function printSpan(span: SpanSpec): string {
  const optional = [
    span.traceId === undefined ? '' : ` trace=${span.traceId}`,
    span.spanId === undefined ? '' : ` span=${span.spanId}`,
    span.parentSpanId === undefined ? '' : ` parent=${span.parentSpanId}`,
    span.statusCode === undefined ? '' : ` status=${printValue(span.statusCode)}`,
    span.statusMessage === undefined ? '' : ` message=${printValue(span.statusMessage)}`,
  ];
  return `span name=${printValue(span.name)} ${span.startTime}..${span.endTime} kind=${span.spanKind}${optional.join('')} ${printAttributes(span.attributes)}`;
}

function printExport({ resource, fanOut, metrics, spans, endpoint }: OtelExport): readonly string[] {
  const fan = fanOut.length === 0 ? '' : ` per service in [${fanOut.join(', ')}]`;
  const lines = [`resource ${printAttributes(resource)}${fan}`, ...metrics.map(printMetric), ...spans.map(printSpan)];
  // Header values may be secrets: only their names are shown.
  if (endpoint !== undefined) {
    lines.push(
      `endpoint ${endpoint.url} insecure=${endpoint.insecure} timeout=${endpoint.timeoutMs}ms headers=[${endpoint.headers.map(({ name }) => name).join(', ')}]`,
    );
  }
  return lines;
}
