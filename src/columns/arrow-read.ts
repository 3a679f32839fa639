// Arrow IPC bytes, file or stream, from whoever wrote them, as batches. Lenient about layouts, strict about meaning: any
// integer width, large, dictionary-encoded or binary strings, timestamps of any unit; a null is the type's zero value.
import type * as arrow from 'apache-arrow';
import type { Cell, DataType, Field, Schema } from '../model/types.ts';
import { dataTypeOf, isBytes, isText, loadArrow, semanticTypeOf, type Arrow } from './arrow-types.ts';
import { verifyArrow } from './arrow-verify.ts';
import { zeroColumn, zeroOf } from './batch.ts';
import { columnBuilder } from './builder.ts';
import type { Batch, Column } from './column.ts';

/** Bytes that are not what they should be; the message says which column and what is allowed. */
export class ArrowReadError extends Error {
  /** The column at fault; undefined where it is the file. */
  readonly column: string | undefined;

  constructor(message: string, column?: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'ArrowReadError';
    this.column = column;
  }
}

export interface ArrowContent {
  readonly schema: Schema;
  readonly batches: readonly Batch[];
  /** Columns of the bytes that `wanted` does not name. */
  readonly ignored: readonly string[];
  /** Columns of `wanted` that the bytes do not have; they read as zero values. */
  readonly missing: readonly string[];
}

/** Arrow types that each cell type is read from, in words for messages. */
const ALLOWED: Readonly<Record<DataType, string>> = {
  BOOLEAN: 'Bool, or integers 0 and 1',
  INT64: 'an integer of any width, or a Duration',
  FLOAT64: 'a float or an integer of any width',
  TIME64NS: 'a Timestamp or Date of any unit, or an integer (nanoseconds since 1970)',
  UINT128: 'FixedSizeBinary(16) or Binary of 16 bytes, big-endian, high word first',
  STRING: 'Utf8 or Binary, large and dictionary-encoded ones too',
};

/**
 * Reads an IPC file or stream. With `wanted` the batches have exactly its columns, by name, whatever order the bytes have
 * them in; without, all columns with the types that fit them best. Throws `ArrowReadError`.
 */
export async function readArrow(bytes: Uint8Array, wanted?: Schema): Promise<ArrowContent> {
  const arrow = await loadArrow();
  try {
    verifyArrow(bytes);
    const reader = arrow.RecordBatchReader.from(bytes).open();
    const fields = reader.schema?.fields;
    if (fields === undefined)
      throw new ArrowReadError('no Arrow schema: the bytes are neither an IPC file nor a stream');
    const schema = wanted ?? fields.map((field) => fieldFrom(arrow, field));
    const positions = schema.map((field) => fields.findIndex(({ name }) => name === field.name));
    const batches: Batch[] = [];
    for (const record of reader) {
      if (record.numRows === 0) continue;
      const columns = schema.map((field, i) => {
        const data = record.data.children[positions[i] ?? -1];
        return data === undefined ? zeroColumn(field.type, record.numRows) : readColumn(arrow, field, data);
      });
      batches.push({ schema, columns, length: record.numRows });
    }
    return {
      schema,
      batches,
      ignored: fields.filter(({ name }) => !schema.some((field) => field.name === name)).map(({ name }) => name),
      missing: schema.filter((_, i) => positions[i] === -1).map(({ name }) => name),
    };
  } catch (cause) {
    if (cause instanceof ArrowReadError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ArrowReadError(`not a readable Arrow IPC file or stream: ${reason}`, undefined, cause);
  }
}

function fieldFrom(arrow: Arrow, field: arrow.Field): Field {
  const type = dataTypeOf(arrow, field.type);
  if (type === undefined) throw new ArrowReadError(`column ${field.name}: no cell type for ${field.type}`, field.name);
  return { name: field.name, type, semanticType: semanticTypeOf(field) };
}

function readColumn(arrow: Arrow, { name, type }: Field, data: arrow.Data): Column {
  const { length } = data;
  const bitmap: unknown = data.nullBitmap;
  if (data.nullCount > 0 && bitmap instanceof Uint8Array && bitmap.length * 8 < length) {
    throw new ArrowReadError(`column ${name}: it says of too few rows whether they are null`, name);
  }
  const isWhole = data.nullCount === 0 && data.values instanceof BigInt64Array && data.values.length >= length;
  if (isWhole && data.values instanceof BigInt64Array) {
    const { DataType } = arrow;
    const isNanoseconds = DataType.isTimestamp(data.type) && data.type.unit === arrow.TimeUnit.NANOSECOND;
    const isSame =
      type === 'INT64'
        ? DataType.isInt(data.type)
        : type === 'TIME64NS' && (isNanoseconds || DataType.isInt(data.type));
    if (isSame && (type === 'INT64' || type === 'TIME64NS'))
      return { type, length, values: data.values.subarray(0, length) };
  }
  const read = reader(arrow, type, data);
  if (read === undefined) {
    if (arrow.DataType.isNull(data.type)) return zeroColumn(type, length);
    throw new ArrowReadError(
      `column ${name} is ${arrow.Type[data.type.typeId]}; ${type} is read from ${ALLOWED[type]}`,
      name,
    );
  }
  const builder = columnBuilder(type);
  const zero = zeroOf(type);
  for (let i = 0; i < length; i++) {
    try {
      builder.append(data.getValid(i) ? read(i) : zero);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new ArrowReadError(`column ${name}, row ${i}: ${reason}`, name, cause);
    }
  }
  return builder.finish();
}

type CellReader = (i: number) => Cell;

/** Reads valid rows of `data` as cells of `type`; undefined where that Arrow type is not allowed. */
function reader(arrow: Arrow, type: DataType, data: arrow.Data): CellReader | undefined {
  if (arrow.DataType.isDictionary(data.type)) return dictionaryReader(arrow, type, data);
  switch (type) {
    case 'BOOLEAN':
      return booleanReader(arrow, data);
    case 'INT64':
      return integerReader(arrow, data) ?? (arrow.DataType.isDuration(data.type) ? unitReader(arrow, data) : undefined);
    case 'TIME64NS':
      return timeReader(arrow, data);
    case 'FLOAT64':
      return floatReader(arrow, data);
    case 'UINT128':
      return uint128Reader(arrow, data);
    case 'STRING':
      return stringReader(arrow, data);
  }
}

/** Rows that the library itself decodes; it knows every layout. */
function decoded(arrow: Arrow, data: arrow.Data): (i: number) => unknown {
  const vector = arrow.makeVector(data);
  return (i) => vector.get(i) as unknown;
}

function dictionaryReader(arrow: Arrow, type: DataType, data: arrow.Data): CellReader | undefined {
  const chunks = data.dictionary?.data ?? [];
  const cells: Cell[] = [];
  for (const chunk of chunks) {
    const read = reader(arrow, type, chunk);
    if (read === undefined) return undefined;
    for (let i = 0; i < chunk.length; i++) cells.push(chunk.getValid(i) ? read(i) : zeroOf(type));
  }
  const code = wholeNumbers(data);
  return (i) => {
    const cell = cells[Number(code(i))];
    if (cell === undefined) throw new RangeError(`dictionary index ${code(i)} is not below ${cells.length}`);
    return cell;
  };
}

/** The buffer of a column of integers, times or dictionary indices, whatever their width. */
function wholeNumbers({ values: buffer }: arrow.Data): (i: number) => bigint {
  const values: unknown = buffer;
  if (!ArrayBuffer.isView(values) || values instanceof DataView) throw new RangeError('its values are missing');
  // A view that is no DataView is a typed array; those of the columns that come here hold numbers or bigints.
  const numbers: ArrayLike<unknown> = Object(values);
  return (i) => {
    const value = numbers[i];
    if (typeof value === 'bigint') return value;
    if (typeof value === 'number') return BigInt(value);
    throw new RangeError('the column is shorter than its batch');
  };
}

function integerReader(arrow: Arrow, data: arrow.Data): ((i: number) => bigint) | undefined {
  if (!arrow.DataType.isInt(data.type)) return undefined;
  const value = wholeNumbers(data);
  return (i) => inRange(value(i));
}

function inRange(value: bigint): bigint {
  if (BigInt.asIntN(64, value) !== value) throw new RangeError(`${value} does not fit a signed 64-bit integer`);
  return value;
}

const NS_PER_UNIT: readonly bigint[] = [1_000_000_000n, 1_000_000n, 1_000n, 1n];
const NS_PER_DAY = 86_400_000_000_000n;

/** A Timestamp or Duration as nanoseconds. */
function unitReader(arrow: Arrow, data: arrow.Data): ((i: number) => bigint) | undefined {
  const { type } = data;
  if (!arrow.DataType.isTimestamp(type) && !arrow.DataType.isDuration(type)) return undefined;
  const scale = NS_PER_UNIT[type.unit] ?? 1n;
  const value = wholeNumbers(data);
  return (i) => inRange(value(i) * scale);
}

function timeReader(arrow: Arrow, data: arrow.Data): CellReader | undefined {
  if (arrow.DataType.isDate(data.type)) {
    const scale = data.type.unit === arrow.DateUnit.DAY ? NS_PER_DAY : 1_000_000n;
    const value = wholeNumbers(data);
    return (i) => inRange(value(i) * scale);
  }
  return integerReader(arrow, data) ?? (arrow.DataType.isTimestamp(data.type) ? unitReader(arrow, data) : undefined);
}

function booleanReader(arrow: Arrow, data: arrow.Data): CellReader | undefined {
  if (arrow.DataType.isBool(data.type)) {
    const bits: unknown = data.values;
    if (!(bits instanceof Uint8Array) || bits.length * 8 < data.length) {
      throw new RangeError('the column is shorter than its batch');
    }
    const get = decoded(arrow, data);
    return (i) => get(i) === true;
  }
  const integer = integerReader(arrow, data);
  if (integer === undefined) return undefined;
  return (i) => {
    const value = integer(i);
    if (value !== 0n && value !== 1n) throw new RangeError(`${value} is neither 0 nor 1`);
    return value === 1n;
  };
}

function floatReader(arrow: Arrow, data: arrow.Data): CellReader | undefined {
  if (arrow.DataType.isFloat(data.type)) {
    const get = decoded(arrow, data);
    return (i) => {
      const value = get(i);
      if (typeof value === 'number') return value;
      throw new RangeError('the column is shorter than its batch');
    };
  }
  const integer = integerReader(arrow, data);
  return integer === undefined ? undefined : (i) => Number(integer(i));
}

function uint128Reader(arrow: Arrow, data: arrow.Data): CellReader | undefined {
  const isFixed = arrow.DataType.isFixedSizeBinary(data.type) && data.type.byteWidth === 16;
  if (!isFixed && !isBytes(arrow, data.type)) return undefined;
  const get = decoded(arrow, data);
  return (i) => {
    const bytes = get(i);
    if (!(bytes instanceof Uint8Array) || bytes.length !== 16) throw new RangeError('a UINT128 has 16 bytes');
    const view = new DataView(bytes.buffer, bytes.byteOffset, 16);
    return { high: view.getBigUint64(0), low: view.getBigUint64(8) };
  };
}

function stringReader(arrow: Arrow, data: arrow.Data): CellReader | undefined {
  const { DataType } = arrow;
  const { type } = data;
  if (DataType.isUtf8View(type) || DataType.isBinaryView(type) || DataType.isFixedSizeBinary(type)) {
    const get = decoded(arrow, data);
    return (i) => {
      const value = get(i);
      if (typeof value === 'string' || value instanceof Uint8Array) return value;
      throw new RangeError('its bytes are missing');
    };
  }
  if (!isText(arrow, type) && !isBytes(arrow, type)) return undefined;
  // Straight from the bytes: the library's decoder drops a byte order mark.
  const offsets: unknown = data.valueOffsets;
  const bytes: unknown = data.values;
  const isOffsets = offsets instanceof Int32Array || offsets instanceof BigInt64Array;
  if (!isOffsets || !(bytes instanceof Uint8Array)) throw new RangeError('its bytes are missing');
  return (i) => {
    const start = Number(offsets[i]);
    const end = Number(offsets[i + 1]);
    if (start >= 0 && end >= start && end <= bytes.length) return bytes.subarray(start, end);
    throw new RangeError(`its bytes would be ${start} to ${end} of ${bytes.length}`);
  };
}
