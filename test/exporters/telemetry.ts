// Builders of telemetry batches: a case sets only what matters to it.
import { dictionaryFrom } from '../../src/columns/dictionary.ts';
import type { BooleanColumn, Float64Column, Int64Column, StringColumn } from '../../src/columns/column.ts';
import type { Attribute, AttributeValue, LogBatch, MetricBatch, SpanBatch } from '../../src/telemetry/batches.ts';

/** 2026-01-02T03:04:05Z */
export const T0 = 1_767_323_045_000_000_000n;

export const ints = (...values: bigint[]): Int64Column => ({
  type: 'INT64',
  length: values.length,
  values: BigInt64Array.from(values),
});
export const floats = (...values: number[]): Float64Column => ({
  type: 'FLOAT64',
  length: values.length,
  values: Float64Array.from(values),
});
export const bools = (...values: boolean[]): BooleanColumn => ({
  type: 'BOOLEAN',
  length: values.length,
  values: Uint8Array.from(values, Number),
});

/** Dictionary-encoded, each entry once, unless `plain`. */
export function texts(values: readonly (string | Uint8Array)[], plain = false): StringColumn {
  if (plain) return { type: 'STRING', length: values.length, codes: undefined, dictionary: dictionaryFrom(values) };
  const keys = values.map((value) =>
    typeof value === 'string' ? `t${value}` : `b${Buffer.from(value).toString('hex')}`,
  );
  const distinct = [...new Set(keys)];
  const codes = Int32Array.from(keys, (key) => distinct.indexOf(key));
  const entries = distinct.map((key) => values[keys.indexOf(key)] ?? '');
  return { type: 'STRING', length: values.length, codes, dictionary: dictionaryFrom(entries) };
}

export const literal = (value: string | bigint | number | boolean): AttributeValue => ({ kind: 'literal', value });
export const column = (values: Extract<AttributeValue, { kind: 'column' }>['column']): AttributeValue => ({
  kind: 'column',
  column: values,
});
export const attribute = (key: string, value: AttributeValue): Attribute => ({ key, value });

export const SCOPE = {
  name: 'sluice/http',
  version: '0.1.0',
  attributes: [{ key: 'script.namespace', value: 'default' }],
};

const times = (length: number): BigInt64Array => BigInt64Array.from({ length }, (_, i) => T0 + BigInt(i));

export const metric = (length: number, changes: Partial<MetricBatch> = {}): MetricBatch => ({
  signal: 'metrics',
  length,
  resource: [attribute('service.name', literal('cart'))],
  scope: SCOPE,
  name: 'http.throughput',
  description: 'requests',
  unit: '1/s',
  data: { kind: 'gauge', value: floats(...Array.from({ length }, (_, i) => i + 0.5)) },
  attributes: [],
  time: times(length),
  startTime: undefined,
  ...changes,
});

/** `width` bytes a row, none of them zero. */
export const ids = (length: number, width: number): Uint8Array =>
  Uint8Array.from({ length: length * width }, (_, i) => (i % 250) + 1);

export const spans = (length: number, changes: Partial<SpanBatch> = {}): SpanBatch => ({
  signal: 'traces',
  length,
  resource: [attribute('service.name', literal('cart'))],
  scope: SCOPE,
  name: literal('GET /'),
  spanKind: 2,
  startTime: times(length),
  endTime: times(length).map((time) => time + 1_000_000n),
  traceId: ids(length, 16),
  spanId: ids(length, 8),
  parentSpanId: new Uint8Array(length * 8),
  statusCode: new Uint8Array(length),
  statusMessage: undefined,
  attributes: [],
  ...changes,
});

export const logs = (length: number, changes: Partial<LogBatch> = {}): LogBatch => ({
  signal: 'logs',
  length,
  resource: [attribute('service.name', literal('cart'))],
  scope: SCOPE,
  time: times(length),
  observedTime: times(length).map((time) => time + 5n),
  severityNumber: new Uint8Array(length).fill(9),
  severityText: 'INFO',
  body: literal('hello'),
  attributes: [],
  ...changes,
});
