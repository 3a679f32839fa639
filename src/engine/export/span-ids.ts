// Trace, span and parent ids. Ids that rows do not have are made from what the row is, so that
// a window that runs again gives the same ids, whatever order its rows come in.
import { hash } from 'node:crypto';
import type { Batch, Column, StringColumn } from '../../columns/column.ts';
import { entryReader, type ByteString } from '../byte-string.ts';
import type { ExportCounters, ExportRun } from './run.ts';

export interface SpanIds {
  readonly traceId: Uint8Array;
  readonly spanId: Uint8Array;
  readonly parentSpanId: Uint8Array;
}

export interface IdColumns {
  readonly traceId: StringColumn | undefined;
  readonly spanId: StringColumn | undefined;
  readonly parentSpanId: StringColumn | undefined;
}

const TRACE_BYTES = 16;
const SPAN_BYTES = 8;

/** `fingerprint(row)` is the row's own; `copies` says which copy of its row each row is; `spec` is the span's position. */
export function spanIds(
  batch: Batch,
  columns: IdColumns,
  fingerprint: (row: number) => Buffer,
  copies: Int32Array | undefined,
  spec: number,
  counters: ExportCounters,
): SpanIds {
  const { length } = batch;
  const ids = {
    traceId: new Uint8Array(length * TRACE_BYTES),
    spanId: new Uint8Array(length * SPAN_BYTES),
    parentSpanId: new Uint8Array(length * SPAN_BYTES),
  };
  const given = {
    traceId: idReader(columns.traceId, traceIdOf),
    spanId: idReader(columns.spanId, spanIdOf),
    parentSpanId: idReader(columns.parentSpanId, spanIdOf),
  };
  for (let row = 0; row < length; row++) {
    const traceId = given.traceId(row);
    const spanId = given.spanId(row);
    const parent = given.parentSpanId(row);
    for (const id of [traceId, spanId, parent]) if (id === 'malformed') counters.idsReplaced++;

    // All spans of a row without a trace id are in one trace.
    const trace = isBytes(traceId) ? traceId : derived(fingerprint(row), 'trace', TRACE_BYTES);
    ids.traceId.set(trace, row * TRACE_BYTES);

    const copy = copies?.[row] ?? 0;
    let span = isBytes(spanId) ? spanId : derived(fingerprint(row), `span ${spec}`, SPAN_BYTES);
    if (copy > 0) span = derived(span, `copy ${copy}`, SPAN_BYTES);
    ids.spanId.set(span, row * SPAN_BYTES);

    if (!isBytes(parent)) continue;
    if (isBytes(traceId)) ids.parentSpanId.set(parent, row * SPAN_BYTES);
    else counters.parentsDropped++;
  }
  return ids;
}

type Id = Uint8Array | 'absent' | 'malformed';

const isBytes = (id: Id): id is Uint8Array => typeof id !== 'string';

/** Ids of rows, decoded once per distinct cell. An empty cell is an id that is not there. */
function idReader(
  column: StringColumn | undefined,
  decode: (hex: ByteString) => Uint8Array | undefined,
): (row: number) => Id {
  if (column === undefined) return () => 'absent';
  const read = entryReader(column.dictionary);
  const known = new Map<number, Id>();
  return (row) => {
    const code = column.codes === undefined ? row : (column.codes[row] ?? 0);
    const id = known.get(code) ?? idOf(read(code), decode);
    known.set(code, id);
    return id;
  };
}

const idOf = (hex: ByteString, decode: (hex: ByteString) => Uint8Array | undefined): Id =>
  hex === '' ? 'absent' : (decode(hex) ?? 'malformed');

/** 16 bytes; 8 bytes (short ids of B3) are filled up with zero bytes on the left. */
function traceIdOf(hex: ByteString): Uint8Array | undefined {
  return bytesOf(hex, TRACE_BYTES) ?? bytesOf(hex, SPAN_BYTES, TRACE_BYTES);
}

const spanIdOf = (hex: ByteString): Uint8Array | undefined => bytesOf(hex, SPAN_BYTES);

/** Exactly `length` bytes of hex digits that are not all zero, right-aligned in `width` bytes. */
function bytesOf(hex: ByteString, length: number, width = length): Uint8Array | undefined {
  if (hex.length !== length * 2 || !/^[0-9a-fA-F]+$/.test(hex) || /^0+$/.test(hex)) return undefined;
  return Buffer.from(hex.padStart(width * 2, '0'), 'hex');
}

/** Hashes again in the one case in 2^64 that all bytes are zero. */
function derived(seed: Uint8Array, purpose: string, length: number): Uint8Array {
  for (let digest = sha256(Buffer.concat([seed, Buffer.from(purpose)])); ; digest = sha256(digest)) {
    const id = digest.subarray(0, length);
    if (id.some((byte) => byte !== 0)) return id;
  }
}

const sha256 = (bytes: Uint8Array): Buffer => hash('sha256', bytes, 'buffer');

/**
 * Fingerprints of rows: script, window, every cell, and which of several equal rows it is. Keep one for all batches of
 * a sink, and ask in row order.
 */
export function createFingerprints(run: ExportRun): (batch: Batch) => (row: number) => Buffer {
  const prefix = Buffer.from(`${run.scriptUid} ${run.start} `);
  const seen = new Map<string, number>();
  return (batch) => {
    const cells = batch.columns.map(cellWriter);
    const known = new Map<number, Buffer>();
    return (row) => {
      const before = known.get(row);
      if (before !== undefined) return before;
      const content = sha256(Buffer.concat([prefix, ...cells.map((cell) => cell(row))]));
      const key = content.toString('latin1');
      const occurrence = seen.get(key) ?? 0;
      seen.set(key, occurrence + 1);
      const fingerprint =
        occurrence === 0 ? content : sha256(Buffer.concat([content, Buffer.from(String(occurrence))]));
      known.set(row, fingerprint);
      return fingerprint;
    };
  };
}

/** Bytes of a cell such that rows with different cells have different bytes. */
function cellWriter(column: Column): (row: number) => Uint8Array {
  if (column.type === 'STRING') {
    const { codes, dictionary } = column;
    const digests = new Map<number, Uint8Array>();
    return (row) => {
      const code = codes === undefined ? row : (codes[row] ?? 0);
      const digest = digests.get(code) ?? sha256(dictionary.bytes(code));
      digests.set(code, digest);
      return digest;
    };
  }
  const { values } = column;
  const width = (column.type === 'UINT128' ? 2 : 1) * values.BYTES_PER_ELEMENT;
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return (row) => bytes.subarray(row * width, (row + 1) * width);
}
