// The JSON form of plans and fragments, as a JSON schema with bounds. `codec.ts` converts between it and the types.

const OPERATORS_MAX = 4000;
const COLUMNS_MAX = 2000;
const TEXT_MAX = 1_048_576;

const name = { type: 'string', maxLength: 65_536 };
const text = { type: 'string', maxLength: TEXT_MAX };
const integerText = { type: 'string', pattern: '^-?[0-9]{1,20}$' };
const index = { type: 'integer', minimum: 0, maximum: OPERATORS_MAX };
const dataType = { enum: ['BOOLEAN', 'INT64', 'UINT128', 'FLOAT64', 'STRING', 'TIME64NS'] };
const semanticType = { type: 'string', pattern: '^ST_[A-Z0-9_]{1,60}$' };
const list = (items: object, maxItems = COLUMNS_MAX): object => ({ type: 'array', items, maxItems });

interface ObjectSchema {
  readonly type: 'object';
  readonly properties: Readonly<Record<string, object>>;
  readonly required: readonly string[];
  readonly additionalProperties: false;
}

const object = (
  required: Readonly<Record<string, object>>,
  optional: Readonly<Record<string, object>> = {},
): ObjectSchema => ({
  type: 'object',
  properties: { ...required, ...optional },
  required: Object.keys(required),
  additionalProperties: false,
});

/** A union by `kind`. */
const kinds = (variants: Readonly<Record<string, ObjectSchema>>): object => ({
  type: 'object',
  required: ['kind'],
  discriminator: { propertyName: 'kind' },
  oneOf: Object.entries(variants).map(([kind, { properties, required }]) => ({
    type: 'object',
    properties: { kind: { const: kind }, ...properties },
    required: ['kind', ...required],
    additionalProperties: false,
  })),
});

const literal = {
  anyOf: [
    text,
    { type: 'boolean' },
    object({ int: integerText }),
    object({ float: { anyOf: [{ type: 'number' }, { enum: ['NaN', 'Infinity', '-Infinity', '-0'] }] } }),
    object({ high: integerText, low: integerText }),
  ],
};

const ref = (to: string): object => ({ $ref: `#/$defs/${to}` });
const typed = { type: dataType, semanticType };
const schema = list(object({ name, ...typed }));

const expression = kinds({
  column: object({ name, ...typed }),
  literal: object({ value: literal, ...typed }),
  call: object({ function: name, args: list(ref('expression'), 64), ...typed }),
});

const aggregate = object({
  name,
  function: name,
  args: list(ref('expression'), 64),
  literals: list(literal, 1000),
  ...typed,
});

const operator = kinds({
  source: object({ table: name, columns: list(name), schema }, { start: integerText, end: integerText }),
  filter: object({ input: index, predicate: ref('expression'), schema }),
  map: object({ input: index, columns: list(object({ name, expression: ref('expression') })), schema }),
  aggregate: object({
    input: index,
    keys: list(name),
    aggregates: list(aggregate),
    mode: { enum: ['full', 'partial', 'final'] },
    schema,
  }),
  join: object({
    left: index,
    right: index,
    how: { enum: ['inner', 'left', 'right', 'outer'] },
    leftKeys: list(name),
    rightKeys: list(name),
    columns: list(object({ name, side: { enum: ['left', 'right'] }, column: name })),
    schema,
  }),
  union: object({ inputs: list(index), schema }),
  limit: object({ input: index, rows: { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER }, schema }),
  remote: object({ fragment: index, schema }),
});

const exportValue = kinds({ column: object({ column: name }), literal: object({ value: literal }) });
const attributes = list(object({ key: name, value: exportValue }));
const start = kinds({ window: object({}), collector: object({}), column: object({ column: name }) });
const metricCommon = { name, description: text, unit: name, attributes, time: name };
const temporality = { enum: ['delta', 'cumulative'] };

const metric = kinds({
  gauge: object({ ...metricCommon, value: name }),
  sum: object({ ...metricCommon, value: name, temporality, monotonic: { type: 'boolean' }, startTime: start }),
  summary: object({
    ...metricCommon,
    count: name,
    sum: name,
    quantiles: list(object({ quantile: { type: 'number' }, column: name })),
  }),
  histogram: object(
    {
      ...metricCommon,
      temporality,
      startTime: start,
      explicitBounds: list({ type: 'number' }),
      bucketCounts: name,
      count: name,
    },
    { sum: name, min: name, max: name },
  ),
});

const span = object(
  {
    name: exportValue,
    startTime: name,
    endTime: name,
    attributes,
    spanKind: { type: 'integer', minimum: 0, maximum: 5 },
  },
  { traceId: name, spanId: name, parentSpanId: name, statusCode: exportValue, statusMessage: exportValue },
);

const endpoint = object({
  url: name,
  headers: list(object({ name, value: name })),
  insecure: { type: 'boolean' },
  timeoutMs: { type: 'integer', minimum: 0 },
});

const sink = kinds({
  table: object({ name, input: index, rowsMax: { type: 'integer', minimum: 0 } }),
  otel: object({
    name,
    input: index,
    export: object(
      { resource: attributes, fanOut: list(name), metrics: list(metric), spans: list(span) },
      { endpoint },
    ),
  }),
});

const document = (properties: Readonly<Record<string, object>>): object => ({
  ...object({ version: { const: 1 }, operators: { ...list(operator, OPERATORS_MAX), minItems: 1 }, ...properties }),
  $defs: { expression },
});

/** Operators in an order in which inputs come first, by index; the sinks name theirs. */
export const PLAN_SCHEMA = document({ sinks: list(sink, 1000) });

/** The last operator is the fragment. */
export const FRAGMENT_SCHEMA = document({});
