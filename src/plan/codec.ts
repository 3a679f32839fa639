// Plans and fragments as JSON text, for the way from runtime to collectors. What arrives is checked by shape (ajv, with
// bounds) and then for consistency; nothing of it is trusted before. Operators that are shared stay shared.
import { Ajv, type ValidateFunction } from 'ajv';
import { timeNs } from '../model/time.ts';
import { checkOperators, checkSinks } from './check.ts';
import { FRAGMENT_SCHEMA, PLAN_SCHEMA } from './json-schema.ts';
import type {
  FilterOperator,
  JoinOperator,
  LimitOperator,
  AggregateOperator,
  MapOperator,
  MetricSpec,
  Operator,
  Plan,
  RemoteOperator,
  Sink,
  SourceOperator,
  SpanSpec,
  UnionOperator,
} from './plan.ts';
import { inputsOf } from './inputs.ts';
import {
  type WireAggregate,
  type WireAttribute,
  type WireExpression,
  type WireValue,
  decodeAggregate,
  decodeAttributes,
  decodeExpression,
  decodeValue,
  encodeAggregate,
  encodeAttributes,
  encodeExpression,
  encodeValue,
} from './wire.ts';

const LENGTH_MAX = 8 * 1024 * 1024;
/** Brackets inside each other: two for each level of an expression. Everything that walks a plan recurses. */
const DEPTH_MAX = 520;

/** Text that is no plan; the message says where. */
export class PlanFormatError extends Error {}

/** An operator as JSON: its inputs are indices of operators that come before it. */
type WireOperator =
  | (Omit<SourceOperator, 'start' | 'end'> & { readonly start?: string; readonly end?: string })
  | (Omit<FilterOperator, 'input' | 'predicate'> & { readonly input: number; readonly predicate: WireExpression })
  | (Omit<MapOperator, 'input' | 'columns'> & {
      readonly input: number;
      readonly columns: readonly { readonly name: string; readonly expression: WireExpression }[];
    })
  | (Omit<AggregateOperator, 'input' | 'aggregates'> & {
      readonly input: number;
      readonly aggregates: readonly WireAggregate[];
    })
  | (Omit<JoinOperator, 'left' | 'right'> & { readonly left: number; readonly right: number })
  | (Omit<UnionOperator, 'inputs'> & { readonly inputs: readonly number[] })
  | (Omit<LimitOperator, 'input'> & { readonly input: number })
  | RemoteOperator;

type Wired<T, K extends PropertyKey> = T extends unknown
  ? Omit<T, K> & { readonly attributes: readonly WireAttribute[] }
  : never;
type WireMetric = Wired<MetricSpec, 'attributes'>;
type WireSpan = Wired<SpanSpec, 'attributes' | 'name' | 'statusCode' | 'statusMessage'> & {
  readonly name: WireValue;
  readonly statusCode?: WireValue;
  readonly statusMessage?: WireValue;
};

type OtelSink = Extract<Sink, { kind: 'otel' }>;

type WireSink =
  | (Omit<Extract<Sink, { kind: 'table' }>, 'input'> & { readonly input: number })
  | (Omit<OtelSink, 'input' | 'export'> & {
      readonly input: number;
      readonly export: Omit<OtelSink['export'], 'resource' | 'metrics' | 'spans'> & {
        readonly resource: readonly WireAttribute[];
        readonly metrics: readonly WireMetric[];
        readonly spans: readonly WireSpan[];
      };
    });

interface WireFragment {
  readonly version: 1;
  readonly operators: readonly WireOperator[];
}

interface WirePlan extends WireFragment {
  readonly sinks: readonly WireSink[];
}

type IndexOf = (operator: Operator) => number;

function encodeOperator(operator: Operator, indexOf: IndexOf): WireOperator {
  switch (operator.kind) {
    case 'source': {
      const { start, end, ...rest } = operator;
      return {
        ...rest,
        ...(start !== undefined && { start: String(start) }),
        ...(end !== undefined && { end: String(end) }),
      };
    }
    case 'filter':
      return { ...operator, input: indexOf(operator.input), predicate: encodeExpression(operator.predicate) };
    case 'map': {
      const columns = operator.columns.map(({ name, expression }) => ({
        name,
        expression: encodeExpression(expression),
      }));
      return { ...operator, input: indexOf(operator.input), columns };
    }
    case 'aggregate':
      return { ...operator, input: indexOf(operator.input), aggregates: operator.aggregates.map(encodeAggregate) };
    case 'join':
      return { ...operator, left: indexOf(operator.left), right: indexOf(operator.right) };
    case 'union':
      return { ...operator, inputs: operator.inputs.map(indexOf) };
    case 'limit':
      return { ...operator, input: indexOf(operator.input) };
    case 'remote':
      return operator;
  }
}

function decodeOperator(wire: WireOperator, at: (index: number) => Operator): Operator {
  switch (wire.kind) {
    case 'source': {
      const { start, end, ...rest } = wire;
      return {
        ...rest,
        ...(start !== undefined && { start: timeNs(BigInt(start)) }),
        ...(end !== undefined && { end: timeNs(BigInt(end)) }),
      };
    }
    case 'filter':
      return { ...wire, input: at(wire.input), predicate: decodeExpression(wire.predicate) };
    case 'map': {
      const columns = wire.columns.map(({ name, expression }) => ({ name, expression: decodeExpression(expression) }));
      return { ...wire, input: at(wire.input), columns };
    }
    case 'aggregate':
      return { ...wire, input: at(wire.input), aggregates: wire.aggregates.map(decodeAggregate) };
    case 'join':
      return { ...wire, left: at(wire.left), right: at(wire.right) };
    case 'union':
      return { ...wire, inputs: wire.inputs.map(at) };
    case 'limit':
      return { ...wire, input: at(wire.input) };
    case 'remote':
      return wire;
  }
}

function encodeSink(sink: Sink, indexOf: IndexOf): WireSink {
  const input = indexOf(sink.input);
  if (sink.kind === 'table') return { ...sink, input };
  const { resource, metrics, spans, ...rest } = sink.export;
  return {
    ...sink,
    input,
    export: {
      ...rest,
      resource: encodeAttributes(resource),
      metrics: metrics.map((metric) => ({ ...metric, attributes: encodeAttributes(metric.attributes) })),
      spans: spans.map(encodeSpan),
    },
  };
}

function decodeSink(wire: WireSink, at: (index: number) => Operator): Sink {
  const input = at(wire.input);
  if (wire.kind === 'table') return { ...wire, input };
  const { resource, metrics, spans, ...rest } = wire.export;
  return {
    ...wire,
    input,
    export: {
      ...rest,
      resource: decodeAttributes(resource),
      metrics: metrics.map((metric): MetricSpec => ({ ...metric, attributes: decodeAttributes(metric.attributes) })),
      spans: spans.map(decodeSpan),
    },
  };
}

function encodeSpan({ name, statusCode, statusMessage, attributes, ...rest }: SpanSpec): WireSpan {
  return {
    ...rest,
    name: encodeValue(name),
    attributes: encodeAttributes(attributes),
    ...(statusCode !== undefined && { statusCode: encodeValue(statusCode) }),
    ...(statusMessage !== undefined && { statusMessage: encodeValue(statusMessage) }),
  };
}

function decodeSpan({ name, statusCode, statusMessage, attributes, ...rest }: WireSpan): SpanSpec {
  return {
    ...rest,
    name: decodeValue(name),
    attributes: decodeAttributes(attributes),
    ...(statusCode !== undefined && { statusCode: decodeValue(statusCode) }),
    ...(statusMessage !== undefined && { statusMessage: decodeValue(statusMessage) }),
  };
}

/** Operators below `roots`, inputs first, and where each stands. */
function encodeOperators(roots: readonly Operator[]): {
  readonly operators: readonly WireOperator[];
  readonly indexOf: IndexOf;
} {
  const indices = new Map<Operator, number>();
  const operators: WireOperator[] = [];
  const indexOf = (operator: Operator): number => indices.get(operator) ?? 0;
  const visit = (operator: Operator): void => {
    if (indices.has(operator)) return;
    inputsOf(operator).forEach(visit);
    indices.set(operator, operators.length);
    operators.push(encodeOperator(operator, indexOf));
  };
  roots.forEach(visit);
  return { operators, indexOf };
}

/** A whole plan as JSON text. */
export function encodePlan(plan: Plan): string {
  const { operators, indexOf } = encodeOperators(plan.sinks.map((sink) => sink.input));
  const wire: WirePlan = { version: 1, operators, sinks: plan.sinks.map((sink) => encodeSink(sink, indexOf)) };
  return JSON.stringify(wire);
}

/** One operator tree (a node's part of a plan) as JSON text. */
export function encodeFragment(operator: Operator): string {
  const wire: WireFragment = { version: 1, operators: encodeOperators([operator]).operators };
  return JSON.stringify(wire);
}

/** Reads what `encodePlan` wrote. Throws PlanFormatError for anything else. */
export function decodePlan(text: string): Plan {
  const document = parse(text, validators().plan);
  const operators = decodeOperators(document.operators);
  const sinks = document.sinks.map((sink) => decodeSink(sink, (index) => operatorAt(operators, index)));
  refuse(checkSinks(sinks));
  return { sinks };
}

/** Reads what `encodeFragment` wrote. Throws PlanFormatError for anything else. */
export function decodeFragment(text: string): Operator {
  const operators = decodeOperators(parse(text, validators().fragment).operators);
  return operatorAt(operators, operators.length - 1);
}

interface Validators {
  readonly plan: ValidateFunction<WirePlan>;
  readonly fragment: ValidateFunction<WireFragment>;
}

let compiled: Validators | undefined;

/** Compiled at the first use: most processes that import this never decode. */
function validators(): Validators {
  if (compiled === undefined) {
    const ajv = new Ajv({ discriminator: true, strict: true, strictRequired: false });
    compiled = { plan: ajv.compile<WirePlan>(PLAN_SCHEMA), fragment: ajv.compile<WireFragment>(FRAGMENT_SCHEMA) };
  }
  return compiled;
}

function parse<T>(text: string, validate: ValidateFunction<T>): T {
  if (text.length > LENGTH_MAX)
    throw new PlanFormatError(`a plan of ${text.length} characters is longer than ${LENGTH_MAX}`);
  if (depthOf(text) > DEPTH_MAX) throw new PlanFormatError(`a plan is nested deeper than ${DEPTH_MAX}`);
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw new PlanFormatError('a plan is not JSON', { cause });
  }
  if (validate(document)) return document;
  const [error] = validate.errors ?? [];
  throw new PlanFormatError(`a plan has a wrong shape at ${error?.instancePath ?? ''}: ${error?.message ?? ''}`);
}

/** How deep brackets are nested, before anything recursive sees the text. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (inString) {
      if (c === 0x5c) i++;
      else if (c === 0x22) inString = false;
    } else if (c === 0x22) inString = true;
    else if (c === 0x5b || c === 0x7b) deepest = Math.max(deepest, ++depth);
    else if (c === 0x5d || c === 0x7d) depth--;
  }
  return deepest;
}

function operatorAt(operators: readonly Operator[], index: number): Operator {
  const operator = operators[index];
  if (operator === undefined)
    throw new PlanFormatError(`a plan refers to operator ${index}, which does not come before`);
  return operator;
}

function decodeOperators(wire: readonly WireOperator[]): readonly Operator[] {
  const operators: Operator[] = [];
  for (const each of wire) operators.push(decodeOperator(each, (index) => operatorAt(operators, index)));
  refuse(checkOperators(operators));
  return operators;
}

function refuse(problems: readonly string[]): void {
  const [problem] = problems;
  if (problem !== undefined) throw new PlanFormatError(`a plan does not fit together: ${problem}`);
}
