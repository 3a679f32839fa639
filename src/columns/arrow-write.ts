// Batches as Arrow record batches and as Arrow IPC bytes (https://arrow.apache.org/docs/format/Columnar.html).
import { isAscii, isUtf8 } from 'node:buffer';
import type * as arrow from 'apache-arrow';
import type { DataType, Field, Schema } from '../model/types.ts';
import { SEMANTIC_TYPE_KEY, loadArrow, type Arrow } from './arrow-types.ts';
import type { Batch, Column, StringColumn, Uint128Column } from './column.ts';
import { concatBatches } from './concat.ts';
import { dictionaryFrom, type StringDictionary } from './dictionary.ts';
import { sliceBatch } from './select.ts';

const ROWS_PER_BATCH = 65_536;

/** The Arrow type of every column but STRING. */
export function fixedTypeFor(arrow: Arrow, type: Exclude<DataType, 'STRING'>): arrow.DataType {
  switch (type) {
    case 'BOOLEAN':
      return new arrow.Bool();
    case 'INT64':
      return new arrow.Int64();
    case 'TIME64NS':
      return new arrow.Timestamp(arrow.TimeUnit.NANOSECOND, 'UTC');
    case 'FLOAT64':
      return new arrow.Float64();
    case 'UINT128':
      return new arrow.FixedSizeBinary(16);
  }
}

function typeFor(arrow: Arrow, column: Column): arrow.DataType {
  if (column.type !== 'STRING') return fixedTypeFor(arrow, column.type);
  return column.codes === undefined ? new arrow.Utf8() : new arrow.Dictionary(new arrow.Utf8(), new arrow.Int32());
}

/** The schema for `batch`: whether a STRING column is dictionary-encoded follows its layout. */
export function arrowSchema(arrow: Arrow, { schema, columns }: Batch): arrow.Schema {
  const fieldFor = ({ name, semanticType }: Field, column: Column): arrow.Field =>
    new arrow.Field(name, typeFor(arrow, column), false, new Map([[SEMANTIC_TYPE_KEY, semanticType]]));
  return new arrow.Schema(
    schema.flatMap((field, i) => (columns[i] === undefined ? [] : [fieldFor(field, columns[i])])),
  );
}

/**
 * A record batch over the same buffers where the layouts agree. `schema` is `arrowSchema` of this batch or of one it was
 * sliced from. Bytes that are not UTF-8 become U+FFFD: Arrow's Utf8 promises to be valid.
 */
export function toArrow(arrow: Arrow, schema: arrow.Schema, batch: Batch): arrow.RecordBatch {
  const children = batch.columns.map((column, i) =>
    dataOf(arrow, schema.fields[i]?.type ?? typeFor(arrow, column), column),
  );
  const { length } = batch;
  const data = arrow.makeData({ type: new arrow.Struct(schema.fields), length, nullCount: 0, children });
  return new arrow.RecordBatch(schema, data);
}

const dataOf = (arrow: Arrow, type: arrow.DataType, column: Column): arrow.Data =>
  column.type === 'STRING' ? stringData(arrow, type, column) : fixedDataOf(arrow, column);

/** Over the same buffers where the layouts agree. */
export function fixedDataOf(arrow: Arrow, column: Exclude<Column, StringColumn>): arrow.Data {
  const { length } = column;
  switch (column.type) {
    case 'BOOLEAN':
      return arrow.makeData({ type: new arrow.Bool(), length, nullCount: 0, data: packBits(column.values, length) });
    case 'INT64':
      return arrow.makeData({ type: new arrow.Int64(), length, nullCount: 0, data: column.values });
    case 'TIME64NS': {
      const type = new arrow.Timestamp(arrow.TimeUnit.NANOSECOND, 'UTC');
      return arrow.makeData({ type, length, nullCount: 0, data: column.values });
    }
    case 'FLOAT64':
      return arrow.makeData({ type: new arrow.Float64(), length, nullCount: 0, data: column.values });
    case 'UINT128':
      return arrow.makeData({ type: new arrow.FixedSizeBinary(16), length, nullCount: 0, data: bigEndian(column) });
  }
}

/** The writer sends a dictionary again unless it is the very same object: slices of one batch must give the same. */
const vectors = new WeakMap<StringDictionary, arrow.Vector>();

function entriesOf(arrow: Arrow, dictionary: StringDictionary): arrow.Data {
  const { offsets, data } = wellFormed(dictionary);
  const { length } = dictionary;
  return arrow.makeData({ type: new arrow.Utf8(), length, nullCount: 0, valueOffsets: offsets, data });
}

function stringData(arrow: Arrow, type: arrow.DataType, { codes, dictionary, length }: StringColumn): arrow.Data {
  if (codes === undefined) return entriesOf(arrow, dictionary);
  if (!arrow.DataType.isDictionary(type)) throw new TypeError('a coded STRING column in a batch with plain schema');
  const vector = vectors.get(dictionary) ?? arrow.makeVector(entriesOf(arrow, dictionary));
  vectors.set(dictionary, vector);
  return arrow.makeData({ type, length, nullCount: 0, data: codes, dictionary: vector });
}

/** Offsets from 0 over exactly the bytes of the entries, all of them valid UTF-8. */
export function wellFormed(dictionary: StringDictionary): { readonly offsets: Int32Array; readonly data: Uint8Array } {
  const { offsets, length, byteLength } = dictionary;
  const start = offsets[0] ?? 0;
  const data = dictionary.data.subarray(start, start + byteLength);
  const isValid = isAscii(data) || everyEntry(length, (entry) => isUtf8(dictionary.bytes(entry)));
  if (!isValid) return dictionaryFrom(Array.from({ length }, (_, entry) => dictionary.text(entry)));
  return { offsets: start === 0 ? offsets : offsets.map((offset) => offset - start), data };
}

function everyEntry(length: number, test: (entry: number) => boolean): boolean {
  for (let entry = 0; entry < length; entry++) if (!test(entry)) return false;
  return true;
}

function packBits(values: Uint8Array, length: number): Uint8Array {
  const bits = new Uint8Array((length + 7) >>> 3);
  for (let i = 0; i < length; i++) {
    if (values[i] === 1) bits[i >>> 3] = (bits[i >>> 3] ?? 0) | (1 << (i & 7));
  }
  return bits;
}

function bigEndian({ values, length }: Uint128Column): Uint8Array {
  const view = new DataView(new ArrayBuffer(length * 16));
  for (let word = 0; word < length * 2; word++) view.setBigUint64(word * 8, values[word] ?? 0n);
  return new Uint8Array(view.buffer);
}

/**
 * Batches of one schema as Arrow IPC bytes, in record batches of at most 65,536 rows. Dictionaries are merged into one
 * for all of them, because the file form allows no other; so the rows are held in memory once more.
 */
export async function writeArrow(
  schema: Schema,
  batches: Iterable<Batch>,
  form: 'file' | 'stream' = 'file',
): Promise<Uint8Array> {
  const arrow = await loadArrow();
  const whole = concatBatches(schema, [...batches]);
  const written = arrowSchema(arrow, whole);
  const slices: arrow.RecordBatch[] = [];
  for (let start = 0; start < whole.length; start += ROWS_PER_BATCH) {
    const slice = sliceBatch(whole, start, Math.min(whole.length, start + ROWS_PER_BATCH));
    slices.push(toArrow(arrow, written, slice));
  }
  const writer = form === 'file' ? new arrow.RecordBatchFileWriter() : new arrow.RecordBatchStreamWriter();
  writer.reset(undefined, written);
  for (const slice of slices) writer.write(slice);
  writer.finish();
  return writer.toUint8Array(true);
}
