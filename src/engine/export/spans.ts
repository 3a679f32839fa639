// Rows to spans: one batch per span of the script.
import type { Batch, Column, StringColumn } from '../../columns/column.ts';
import { filterBatch } from '../../columns/select.ts';
import type { ExportValue, SpanSpec } from '../../plan/plan.ts';
import type { Attribute, SpanBatch } from '../../telemetry/batches.ts';
import { createInterner, rowReader, toBytes, asByteString } from '../byte-string.ts';
import { columnIndex, columnOf } from '../evaluate.ts';
import { int64s, strings } from '../functions/kernel.ts';
import { attributesOf, attributeValue } from './attributes.ts';
import { hasTime } from './metrics.ts';
import type { ExportCounters, ExportRun } from './run.ts';
import { spanIds } from './span-ids.ts';

export interface SpanRows {
  readonly batch: Batch;
  /** Which copy of its row each row is. */
  readonly copies: Int32Array | undefined;
  /** Of the rows of `batch`; copies of a row have one fingerprint. */
  readonly fingerprint: (row: number) => Buffer;
}

const STATUS_ERROR = 2;

/** Undefined where no row has a span. */
export function spanBatch(
  spec: SpanSpec,
  position: number,
  all: SpanRows,
  resourceOf: (batch: Batch) => readonly Attribute[],
  run: ExportRun,
  counters: ExportCounters,
): SpanBatch | undefined {
  const mask = hasTime(all.batch, spec.startTime, counters);
  const batch = filterBatch(all.batch, mask);
  if (batch.length === 0) return undefined;
  const original = Int32Array.from(mask.keys()).filter((row) => mask[row] === 1);
  const ids = spanIds(
    batch,
    {
      traceId: idColumn(batch, spec.traceId),
      spanId: idColumn(batch, spec.spanId),
      parentSpanId: idColumn(batch, spec.parentSpanId),
    },
    (row) => all.fingerprint(original[row] ?? 0),
    all.copies === undefined ? undefined : original.map((row) => all.copies?.[row] ?? 0),
    position,
    counters,
  );
  const startTime = int64s(named(batch, spec.startTime));
  const statusCode = statusCodes(batch, spec.statusCode, counters);
  return {
    signal: 'traces',
    length: batch.length,
    resource: resourceOf(batch),
    scope: run.scope,
    name: attributeValue(batch, spec.name),
    spanKind: spec.spanKind,
    startTime,
    endTime: endTimes(startTime, int64s(named(batch, spec.endTime)), counters),
    ...ids,
    statusCode,
    statusMessage: statusMessages(batch, spec.statusMessage, statusCode),
    attributes: attributesOf(batch, spec.attributes),
  };
}

const named = (batch: Batch, name: string): Column => columnOf(batch, columnIndex(batch.schema, name));

const idColumn = (batch: Batch, name: string | undefined): StringColumn | undefined =>
  name === undefined ? undefined : strings(named(batch, name));

/** A span that would end before it began ends when it began. */
function endTimes(starts: BigInt64Array, ends: BigInt64Array, counters: ExportCounters): BigInt64Array {
  return ends.map((end, i) => {
    const start = starts[i] ?? 0n;
    if (end >= start) return end;
    counters.timesClamped++;
    return start;
  });
}

function statusCodes(batch: Batch, value: ExportValue | undefined, counters: ExportCounters): Uint8Array {
  const codes = new Uint8Array(batch.length);
  if (value === undefined) return codes;
  if (value.kind === 'literal') return codes.fill(Number(value.value));
  const column = int64s(named(batch, value.column));
  for (let i = 0; i < codes.length; i++) {
    const code = column[i] ?? 0n;
    if (code >= 0n && code <= 2n) codes[i] = Number(code);
    else counters.statusesReset++;
  }
  return codes;
}

/** Only errors have a message. */
function statusMessages(batch: Batch, value: ExportValue | undefined, codes: Uint8Array): StringColumn | undefined {
  if (value === undefined || !codes.includes(STATUS_ERROR)) return undefined;
  const interner = createInterner();
  const none = interner.intern(asByteString(''));
  const ids = new Int32Array(batch.length).fill(none);
  const literal = value.kind === 'literal' ? toBytes(String(value.value)) : undefined;
  const read = value.kind === 'column' ? rowReader(strings(named(batch, value.column))) : undefined;
  for (let i = 0; i < ids.length; i++) {
    if (codes[i] === STATUS_ERROR) ids[i] = interner.intern(literal ?? read?.(i) ?? asByteString(''));
  }
  return { type: 'STRING', length: ids.length, codes: ids, dictionary: interner.dictionary() };
}
