// Rows to data points: one batch per metric.
import type { Batch, Column, Float64Column, Int64Column, StringColumn } from '../../columns/column.ts';
import { filterBatch } from '../../columns/select.ts';
import type { MetricSpec, StartTime } from '../../plan/plan.ts';
import type { Attribute, MetricBatch, MetricData } from '../../telemetry/batches.ts';
import { entryReader } from '../byte-string.ts';
import { EngineError } from '../context.ts';
import { columnIndex, columnOf } from '../evaluate.ts';
import { int64s } from '../functions/kernel.ts';
import { integerOf, parseJson } from '../functions/json-parse.ts';
import { attributesOf } from './attributes.ts';
import type { ExportCounters, ExportRun } from './run.ts';

type ResourceOf = (batch: Batch) => readonly Attribute[];

/** Undefined where no row has a point. */
export function metricBatch(
  spec: MetricSpec,
  batch: Batch,
  resourceOf: ResourceOf,
  run: ExportRun,
  counters: ExportCounters,
): MetricBatch | undefined {
  const timed = filterBatch(batch, hasTime(batch, spec.time, counters));
  const buckets = spec.kind === 'histogram' ? bucketsOf(timed, spec) : undefined;
  const rows = buckets === undefined ? timed : filterBatch(timed, buckets.isValid);
  counters.bucketsRejected += timed.length - rows.length;
  if (rows.length === 0) return undefined;
  const time = int64s(named(rows, spec.time));
  return {
    signal: 'metrics',
    length: rows.length,
    resource: resourceOf(rows),
    scope: run.scope,
    name: spec.name,
    description: spec.description,
    unit: spec.unit,
    data: dataOf(spec, rows, buckets?.counts ?? new BigInt64Array(0), counters),
    attributes: attributesOf(rows, spec.attributes),
    time,
    startTime: startTimes(spec, rows, time, run, counters),
  };
}

const named = (batch: Batch, name: string): Column => columnOf(batch, columnIndex(batch.schema, name));

/** Receivers reject time 0; times before 1970 have no place on the wire. */
export function hasTime(batch: Batch, name: string, counters: ExportCounters): Uint8Array {
  const times = int64s(named(batch, name));
  const mask = new Uint8Array(batch.length);
  for (let i = 0; i < batch.length; i++) {
    if ((times[i] ?? 0n) > 0n) mask[i] = 1;
    else counters.timeRejected++;
  }
  return mask;
}

function dataOf(spec: MetricSpec, rows: Batch, bucketCounts: BigInt64Array, counters: ExportCounters): MetricData {
  switch (spec.kind) {
    case 'gauge':
      return { kind: 'gauge', value: number(rows, spec.value) };
    case 'sum':
      return {
        kind: 'sum',
        value: number(rows, spec.value),
        temporality: spec.temporality,
        monotonic: spec.monotonic,
      };
    case 'summary':
      return {
        kind: 'summary',
        count: int64(rows, spec.count),
        sum: float64(rows, spec.sum),
        quantiles: spec.quantiles.map(({ quantile, column }) => ({ quantile, value: float64(rows, column) })),
      };
    case 'histogram':
      return {
        kind: 'histogram',
        temporality: spec.temporality,
        count: countsOf(rows, spec.count, bucketCounts, spec.explicitBounds.length + 1, counters),
        sum: spec.sum === undefined ? undefined : float64(rows, spec.sum),
        min: spec.min === undefined ? undefined : float64(rows, spec.min),
        max: spec.max === undefined ? undefined : float64(rows, spec.max),
        explicitBounds: spec.explicitBounds,
        bucketCounts,
      };
  }
}

const wrong = (name: string, column: Column, wanted: string): EngineError =>
  new EngineError('COLUMN_TYPE', `the export reads column "${name}" as ${wanted}, it is ${column.type}`);

function int64(rows: Batch, name: string): Int64Column {
  const column = named(rows, name);
  if (column.type !== 'INT64' && column.type !== 'TIME64NS') throw wrong(name, column, 'INT64');
  return column;
}

function float64(rows: Batch, name: string): Float64Column {
  const column = named(rows, name);
  if (column.type !== 'FLOAT64') throw wrong(name, column, 'FLOAT64');
  return column;
}

const number = (rows: Batch, name: string): Int64Column | Float64Column =>
  named(rows, name).type === 'FLOAT64' ? float64(rows, name) : int64(rows, name);

function startTimes(
  spec: MetricSpec,
  rows: Batch,
  time: BigInt64Array,
  run: ExportRun,
  counters: ExportCounters,
): BigInt64Array | undefined {
  if (spec.kind === 'gauge') return undefined;
  // A summary's count and sum are those of the window; its start makes that visible.
  const start: StartTime = spec.kind === 'summary' ? { kind: 'window' } : spec.startTime;
  const starts =
    start.kind === 'column'
      ? BigInt64Array.from(int64s(named(rows, start.column)))
      : new BigInt64Array(rows.length).fill(start.kind === 'window' ? run.start : run.collectorStart);
  for (let i = 0; i < starts.length; i++) {
    // 0 from a column: the node that made the row does not say.
    if (start.kind === 'column' && (starts[i] ?? 0n) <= 0n) starts[i] = run.collectorStart;
    if ((starts[i] ?? 0n) <= (time[i] ?? 0n)) continue;
    starts[i] = time[i] ?? 0n;
    counters.timesClamped++;
  }
  return starts;
}

interface Buckets {
  /** Per row of the batch. */
  readonly isValid: Uint8Array;
  /** Row-major counts of the valid rows. */
  readonly counts: BigInt64Array;
}

type HistogramSpec = Extract<MetricSpec, { kind: 'histogram' }>;

function bucketsOf(batch: Batch, spec: HistogramSpec): Buckets {
  const column = named(batch, spec.bucketCounts);
  if (column.type !== 'STRING') throw wrong(spec.bucketCounts, column, 'STRING');
  const width = spec.explicitBounds.length + 1;
  const parsed = parsedOnce(column, width);
  const isValid = new Uint8Array(batch.length);
  const rows: BigInt64Array[] = [];
  for (let row = 0; row < batch.length; row++) {
    const counts = parsed(row);
    if (counts === undefined) continue;
    isValid[row] = 1;
    rows.push(counts);
  }
  const counts = new BigInt64Array(rows.length * width);
  rows.forEach((row, i) => counts.set(row, i * width));
  return { isValid, counts };
}

/** The bucket counts of a row, parsed once per distinct cell; undefined where they are not `width` counts. */
function parsedOnce({ codes, dictionary }: StringColumn, width: number): (row: number) => BigInt64Array | undefined {
  const read = entryReader(dictionary);
  const known = new Map<number, BigInt64Array | undefined>();
  return (row) => {
    const code = codes === undefined ? row : (codes[row] ?? 0);
    if (!known.has(code)) {
      const json = parseJson(read(code));
      const counts =
        json?.kind === 'array'
          ? json.items.map((item) => (item.kind === 'number' ? integerOf(item.text) : undefined))
          : [];
      const isValid = counts.length === width && counts.every((count) => count !== undefined && count >= 0n);
      known.set(code, isValid ? BigInt64Array.from(counts, (count) => count ?? 0n) : undefined);
    }
    return known.get(code);
  };
}

/** OTLP demands that the count is the sum of the buckets. */
function countsOf(
  rows: Batch,
  name: string,
  bucketCounts: BigInt64Array,
  width: number,
  counters: ExportCounters,
): Int64Column {
  const given = int64(rows, name);
  const values = new BigInt64Array(rows.length);
  for (let row = 0; row < rows.length; row++) {
    let total = 0n;
    for (let bucket = 0; bucket < width; bucket++) total += bucketCounts[row * width + bucket] ?? 0n;
    values[row] = total;
    if (total !== given.values[row]) counters.countsCorrected++;
  }
  return { type: 'INT64', length: rows.length, values };
}
