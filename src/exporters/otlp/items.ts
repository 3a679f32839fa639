// The rows of one batch as encoded items (data points, spans, log records), group by group in one buffer. Points come
// with what tells whether two of them are the same point of the same stream.
import type {
  Attribute,
  LogBatch,
  MetricBatch,
  MetricData,
  SpanBatch,
  TelemetryBatch,
} from '../../telemetry/batches.ts';
import { constantCells, fixed64Cells, textCells, valueCells, type Cells } from './cells.ts';
import {
  BYTES,
  bytesField,
  concat,
  EMPTY,
  putVarint,
  putWord,
  tagOf,
  textField,
  varintField,
  varintSize,
  wordsOf,
} from './protobuf.ts';
import type { RowGroups } from './rows.ts';

/**
 * Item p, tag and length included, is `bytes[starts[p], starts[p + 1])`. An item larger than the limit is empty here.
 * For points `keyStarts[p]` to `keyEnds[p]` are attributes, start and time, and `hashes[p]` is their hash.
 */
export interface EncodedItems {
  readonly bytes: Uint8Array;
  readonly starts: Int32Array;
  readonly oversize: number;
  readonly keyStarts: Int32Array;
  readonly keyEnds: Int32Array;
  readonly hashes: Int32Array;
}

const signedTimes = (field: number, values: BigInt64Array): Cells => fixed64Cells(field, values);

/** A fixed number of raw bytes a row as a bytes field; an all-zero value is left out where `omitZero`. */
function rawCells(field: number, values: Uint8Array, width: number, omitZero: boolean): Cells {
  const isOmitted = (row: number): boolean => {
    if (!omitZero) return false;
    for (let i = row * width; i < (row + 1) * width; i++) if (values[i] !== 0) return false;
    return true;
  };
  return {
    addSizes: (rows, sizes) => {
      for (let p = 0; p < rows.length; p++) if (!isOmitted(rows[p] ?? 0)) sizes[p] = (sizes[p] ?? 0) + 2 + width;
    },
    write: (rows, out, cursors) => {
      for (let p = 0; p < rows.length; p++) {
        const row = rows[p] ?? 0;
        if (isOmitted(row)) continue;
        let at = cursors[p] ?? 0;
        out[at++] = tagOf(field, BYTES);
        out[at++] = width;
        for (let i = row * width; i < (row + 1) * width; i++) out[at++] = values[i] ?? 0;
        cursors[p] = at;
      }
    },
    mixHashes: () => {},
  };
}

/** A small enum (below 128) a row as a varint field; 0 is left out. */
function smallCells(field: number, values: Uint8Array): Cells {
  return {
    addSizes: (rows, sizes) => {
      for (let p = 0; p < rows.length; p++) if (values[rows[p] ?? 0] !== 0) sizes[p] = (sizes[p] ?? 0) + 2;
    },
    write: (rows, out, cursors) => {
      for (let p = 0; p < rows.length; p++) {
        const value = values[rows[p] ?? 0] ?? 0;
        if (value === 0) continue;
        const at = cursors[p] ?? 0;
        out[at] = tagOf(field, 0);
        out[at + 1] = value;
        cursors[p] = at + 2;
      }
    },
    mixHashes: () => {},
  };
}

/** SummaryDataPoint.quantile_values = 6: ValueAtQuantile { quantile = 1, value = 2 }. */
function quantileCells(quantile: number, values: Float64Array): Cells {
  const head = new Uint8Array(11);
  head.set([tagOf(6, BYTES), 18, 0x09]);
  const words = wordsOf(Float64Array.of(quantile));
  putWord(head, putWord(head, 3, words[0] ?? 0), words[1] ?? 0);
  const constant = constantCells(head);
  const value = fixed64Cells(2, values);
  return {
    addSizes: (rows, sizes) => [constant, value].forEach((cells) => cells.addSizes(rows, sizes)),
    write: (rows, out, cursors) => [constant, value].forEach((cells) => cells.write(rows, out, cursors)),
    mixHashes: () => {},
  };
}

/** HistogramDataPoint.bucket_counts = 6, packed fixed64; row-major. */
function bucketCells(counts: BigInt64Array, width: number): Cells {
  const words = wordsOf(counts);
  const head = 1 + varintSize(8 * width);
  return {
    addSizes: (_rows, sizes) => {
      for (let p = 0; p < sizes.length; p++) sizes[p] = (sizes[p] ?? 0) + head + 8 * width;
    },
    write: (rows, out, cursors) => {
      for (let p = 0; p < rows.length; p++) {
        let at = cursors[p] ?? 0;
        out[at] = tagOf(6, BYTES);
        at = putVarint(out, at + 1, 8 * width);
        const first = (rows[p] ?? 0) * width * 2;
        for (let i = first; i < first + 2 * width; i++) at = putWord(out, at, words[i] ?? 0);
        cursors[p] = at;
      }
    },
    mixHashes: () => {},
  };
}

function boundsField(bounds: readonly number[]): Uint8Array {
  return bytesField(7, new Uint8Array(Float64Array.from(bounds).buffer));
}

function valuesOf(data: MetricData): Cells[] {
  // NumberDataPoint: as_double = 4, as_int = 6 (sfixed64).
  if ('value' in data) return [fixed64Cells(data.value.type === 'FLOAT64' ? 4 : 6, data.value.values)];
  if (data.kind === 'summary') {
    return [
      fixed64Cells(4, data.count.values),
      fixed64Cells(5, data.sum.values),
      ...data.quantiles.map(({ quantile, value }) => quantileCells(quantile, value.values)),
    ];
  }
  return [
    fixed64Cells(4, data.count.values),
    ...(data.sum === undefined ? [] : [fixed64Cells(5, data.sum.values)]),
    bucketCells(data.bucketCounts, data.explicitBounds.length + 1),
    ...(data.explicitBounds.length === 0 ? [] : [constantCells(boundsField(data.explicitBounds))]),
    ...(data.min === undefined ? [] : [fixed64Cells(11, data.min.values)]),
    ...(data.max === undefined ? [] : [fixed64Cells(12, data.max.values)]),
  ];
}

const attributeCells = (field: number, attributes: readonly Attribute[], rows: Int32Array): Cells[] =>
  attributes.map(({ key, value }) => valueCells(field, key, value, rows));

/** Field number of the item in its parent, the cells that identify it, and the others. */
interface ItemLayout {
  readonly tag: number;
  readonly key: readonly Cells[];
  readonly rest: readonly Cells[];
}

function pointLayout(batch: MetricBatch, attributes: readonly Attribute[], rows: Int32Array): ItemLayout {
  const key = attributeCells(batch.data.kind === 'histogram' ? 9 : 7, attributes, rows);
  if (batch.startTime !== undefined) key.push(signedTimes(2, batch.startTime));
  key.push(signedTimes(3, batch.time));
  return { tag: tagOf(1, BYTES), key, rest: valuesOf(batch.data) };
}

/** Status.message = 2 is written only with code 2, ERROR. */
function statusCells(batch: SpanBatch, rows: Int32Array): Cells {
  const { statusCode, statusMessage } = batch;
  const code = smallCells(3, statusCode);
  const message =
    statusMessage?.type === 'STRING'
      ? textCells(2, { kind: 'column', column: statusMessage }, rows)
      : constantCells(EMPTY);
  const sizesOf = (chosen: Int32Array): Int32Array => {
    const sizes = new Int32Array(chosen.length);
    message.addSizes(chosen, sizes);
    for (let p = 0; p < chosen.length; p++) if (statusCode[chosen[p] ?? 0] !== 2) sizes[p] = 0;
    return sizes;
  };
  return {
    addSizes: (chosen, sizes) => {
      const content = sizesOf(chosen);
      code.addSizes(chosen, content);
      for (let p = 0; p < chosen.length; p++) {
        const size = content[p] ?? 0;
        if (size > 0) sizes[p] = (sizes[p] ?? 0) + 1 + varintSize(size) + size;
      }
    },
    write: (chosen, out, cursors) => {
      const messages = sizesOf(chosen);
      for (let p = 0; p < chosen.length; p++) {
        const row = chosen[p] ?? 0;
        const value = statusCode[row] ?? 0;
        if (value === 0) continue;
        const size = (messages[p] ?? 0) + 2;
        let at = cursors[p] ?? 0;
        out[at] = tagOf(15, BYTES);
        at = putVarint(out, at + 1, size);
        if (value === 2) {
          const cursor = Int32Array.of(at);
          message.write(Int32Array.of(row), out, cursor);
          at = cursor[0] ?? at;
        }
        out[at] = tagOf(3, 0);
        out[at + 1] = value;
        cursors[p] = at + 2;
      }
    },
    mixHashes: () => {},
  };
}

const spanLayout = (batch: SpanBatch, attributes: readonly Attribute[], rows: Int32Array): ItemLayout => ({
  tag: tagOf(2, BYTES),
  key: [],
  rest: [
    rawCells(1, batch.traceId, 16, false),
    rawCells(2, batch.spanId, 8, false),
    rawCells(4, batch.parentSpanId, 8, true),
    textCells(5, batch.name, rows),
    constantCells(varintField(6, batch.spanKind)),
    signedTimes(7, batch.startTime),
    signedTimes(8, batch.endTime),
    ...attributeCells(9, attributes, rows),
    statusCells(batch, rows),
  ],
});

const logLayout = (batch: LogBatch, attributes: readonly Attribute[], rows: Int32Array): ItemLayout => ({
  tag: tagOf(2, BYTES),
  key: [],
  rest: [
    signedTimes(1, batch.time),
    smallCells(2, batch.severityNumber),
    constantCells(textField(3, batch.severityText)),
    valueCells(5, undefined, batch.body, rows),
    ...attributeCells(6, attributes, rows),
    signedTimes(11, batch.observedTime),
  ],
});

function layoutOf(batch: TelemetryBatch, attributes: readonly Attribute[], rows: Int32Array): ItemLayout {
  if (batch.signal === 'metrics') return pointLayout(batch, attributes, rows);
  return batch.signal === 'traces' ? spanLayout(batch, attributes, rows) : logLayout(batch, attributes, rows);
}

/** Columns are written this many rows at a time, so that the rows' bytes stay in the processor's cache meanwhile. */
const BLOCK_ROWS = 512;

/** Thrown where one window's items take more memory than a process may give to one run. */
export class TooMuchTelemetry extends Error {}

/**
 * Encodes all rows of a batch in the order of `groups`. Items above `itemBytesMax` are left empty and counted.
 * @throws TooMuchTelemetry where they and `usedBytes` together exceed `totalBytesMax`.
 */
export function encodeItems(
  batch: TelemetryBatch,
  attributes: readonly Attribute[],
  groups: RowGroups,
  limits: { readonly itemBytesMax: number; readonly usedBytes: number; readonly totalBytesMax: number },
): EncodedItems {
  const { rows } = groups;
  const layout = layoutOf(batch, attributes, rows);
  const sizes = new Int32Array(rows.length);
  for (const cells of layout.key) cells.addSizes(rows, sizes);
  for (const cells of layout.rest) cells.addSizes(rows, sizes);

  // Rows that are too large are taken out before anything is written.
  let oversize = 0;
  let total = 0;
  for (let p = 0; p < rows.length; p++) {
    const framed = 1 + varintSize(sizes[p] ?? 0) + (sizes[p] ?? 0);
    if (framed > limits.itemBytesMax) oversize++;
    else total += framed;
  }
  if (limits.usedBytes + total > limits.totalBytesMax) {
    throw new TooMuchTelemetry(
      `the rows of one window encode to at least ${Math.ceil((limits.usedBytes + total) / 2 ** 20)} MiB, the limit is ${Math.floor(limits.totalBytesMax / 2 ** 20)} MiB; aggregate in the script or use a shorter window`,
    );
  }
  const starts = new Int32Array(rows.length + 1);
  const bytes = new Uint8Array(total);
  const keptRows = oversize === 0 ? rows : new Int32Array(rows.length - oversize);
  const cursors = new Int32Array(keptRows.length);
  const positions = oversize === 0 ? undefined : new Int32Array(keptRows.length);
  let kept = 0;
  for (let p = 0; p < rows.length; p++) {
    const size = sizes[p] ?? 0;
    const start = starts[p] ?? 0;
    if (1 + varintSize(size) + size > limits.itemBytesMax) {
      starts[p + 1] = start;
      continue;
    }
    bytes[start] = layout.tag;
    cursors[kept] = putVarint(bytes, start + 1, size);
    starts[p + 1] = (cursors[kept] ?? 0) + size;
    if (positions !== undefined) {
      positions[kept] = p;
      keptRows[kept] = rows[p] ?? 0;
    }
    kept++;
  }

  const spread = (values: Int32Array): Int32Array => {
    if (positions === undefined) return values.slice();
    const out = new Int32Array(rows.length);
    for (let k = 0; k < kept; k++) out[positions[k] ?? 0] = values[k] ?? 0;
    return out;
  };
  const keyStarts = spread(cursors);
  const ends = new Int32Array(kept);
  const hashes = new Int32Array(kept);
  for (let from = 0; from < kept; from += BLOCK_ROWS) {
    const to = Math.min(from + BLOCK_ROWS, kept);
    const block = keptRows.subarray(from, to);
    const at = cursors.subarray(from, to);
    for (const cells of layout.key) cells.write(block, bytes, at);
    ends.set(at, from);
    for (const cells of layout.rest) cells.write(block, bytes, at);
    for (const cells of layout.key) cells.mixHashes(block, hashes.subarray(from, to));
  }
  return { bytes, starts, oversize, keyStarts, keyEnds: spread(ends), hashes: spread(hashes) };
}

/** Metric's members: gauge = 5, sum = 7, histogram = 9, summary = 11. */
const DATA_FIELDS: Readonly<Record<MetricData['kind'], number>> = { gauge: 5, sum: 7, histogram: 9, summary: 11 };

/** The fields of a Metric that precede its data, the data's field number, and what follows the points inside the data. */
export function metricEnvelope(batch: MetricBatch): { head: Uint8Array; dataField: number; tail: Uint8Array } {
  const { data } = batch;
  const temporality = 'temporality' in data ? varintField(2, data.temporality === 'delta' ? 1 : 2) : EMPTY;
  const monotonic = data.kind === 'sum' ? varintField(3, data.monotonic ? 1 : 0) : EMPTY;
  return {
    head: concat([textField(1, batch.name), textField(2, batch.description), textField(3, batch.unit)]),
    dataField: DATA_FIELDS[data.kind],
    tail: concat([temporality, monotonic]),
  };
}
