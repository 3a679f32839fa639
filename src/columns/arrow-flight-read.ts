// What `createFlightWriter(schema, 'bytes')` of another process sent, as batches. Strict: the layout is ours, so anything
// else is a fault of the peer, and nothing of its answer is to be used.
import type * as arrow from 'apache-arrow';
import type { DataType, Field, Schema } from '../model/types.ts';
import { loadArrow, type Arrow } from './arrow-types.ts';
import { verifyMessage } from './arrow-verify.ts';
import type { Batch, Column, StringColumn } from './column.ts';
import { dictionaryOf, type StringDictionary } from './dictionary.ts';

/** Messages that are not what was asked for. */
export class FlightReadError extends Error {
  override readonly name = 'FlightReadError';
}

export interface ReceivedMessage {
  readonly header: Uint8Array;
  /** Contiguous; its buffer may be shared with other messages. */
  readonly body: Uint8Array;
}

/**
 * The batches in `messages`, which must have exactly the columns of `schema`.
 * @throws FlightReadError for bytes that are something else; what `messages` throws.
 */
export async function* readFlight(messages: AsyncIterable<ReceivedMessage>, schema: Schema): AsyncGenerator<Batch> {
  const arrow = await loadArrow();
  const dictionaries = new WeakMap<object, StringDictionary>();
  let failure: { readonly error: unknown } | undefined;
  async function* bytes(): AsyncGenerator<Uint8Array> {
    try {
      yield* streamOf(messages);
    } catch (error) {
      // what the library makes of it says less
      failure = { error };
    }
  }
  let isChecked = false;
  try {
    const reader = await arrow.RecordBatchReader.from(bytes());
    for await (const record of reader) {
      if (failure !== undefined) break;
      if (!isChecked) checkSchema(arrow, record.schema, schema);
      isChecked = true;
      if (record.numRows === 0) continue;
      yield {
        schema,
        columns: schema.map((field, i) => columnOf(field, record.data.children[i], record.numRows, dictionaries)),
        length: record.numRows,
      };
    }
  } catch (error) {
    if (failure === undefined) throw refusal(error);
  }
  if (failure !== undefined) throw failure.error;
}

const refusal = (error: unknown): FlightReadError => {
  if (error instanceof FlightReadError) return error;
  return new FlightReadError(`no readable Arrow: ${error instanceof Error ? error.message : String(error)}`, {
    cause: error,
  });
};

/** As an IPC stream, each message verified before the library sees it. */
async function* streamOf(messages: AsyncIterable<ReceivedMessage>): AsyncGenerator<Uint8Array> {
  let isFirst = true;
  for await (const { header, body } of messages) {
    let kind: ReturnType<typeof verifyMessage>;
    try {
      kind = verifyMessage(header, body.length);
    } catch (error) {
      throw refusal(error);
    }
    if (isFirst !== (kind === 'schema')) throw new FlightReadError('a stream has one schema, and it comes first');
    isFirst = false;
    const length = header.length + (-header.length & 7);
    const prefix = new Uint8Array(8 + length);
    const view = new DataView(prefix.buffer);
    view.setUint32(0, 0xffff_ffff, true);
    view.setInt32(4, length, true);
    prefix.set(header, 8);
    yield prefix;
    // a copy: columns are views, and 64-bit ones have to be aligned
    if (body.length > 0) yield Uint8Array.from(body);
  }
  yield Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0);
}

function checkSchema(arrow: Arrow, { fields }: arrow.Schema, schema: Schema): void {
  const isSame = fields.length === schema.length && schema.every(({ name }, i) => fields[i]?.name === name);
  if (!isSame) {
    const [got, wanted] = [fields, schema].map((columns) => columns.map(({ name }) => name).join(', '));
    throw new FlightReadError(`columns ${got} came for ${wanted}`);
  }
  schema.forEach(({ name, type }, i) => {
    const given = fields[i]?.type;
    if (given === undefined || !isLaidOut(arrow, given, type))
      throw new FlightReadError(`column ${name} came as ${String(given)}, ${type} was asked for`);
  });
}

function isLaidOut({ DataType, TimeUnit }: Arrow, given: arrow.DataType, type: DataType): boolean {
  switch (type) {
    case 'BOOLEAN':
      return DataType.isBool(given);
    case 'INT64':
      return DataType.isInt(given) && given.bitWidth === 64 && given.isSigned;
    case 'TIME64NS':
      return DataType.isTimestamp(given) && given.unit === TimeUnit.NANOSECOND;
    case 'FLOAT64':
      return DataType.isFloat(given) && given.toString() === 'Float64';
    case 'UINT128':
      return DataType.isFixedSizeBinary(given) && given.byteWidth === 16;
    case 'STRING':
      return DataType.isDictionary(given) && DataType.isBinary(given.dictionary) && given.indices.bitWidth === 32;
  }
}

function columnOf(
  { name, type }: Field,
  data: arrow.Data | undefined,
  length: number,
  dictionaries: WeakMap<object, StringDictionary>,
): Column {
  const short = (): FlightReadError => new FlightReadError(`column ${name} has fewer values than rows`);
  if (data?.length !== length) throw short();
  if (data.nullCount > 0) throw new FlightReadError(`column ${name} has nulls`);
  const values: unknown = data.values;
  switch (type) {
    case 'BOOLEAN':
      if (!(values instanceof Uint8Array) || values.length * 8 < length) throw short();
      return { type, length, values: unpackBits(values, length) };
    case 'INT64':
    case 'TIME64NS':
      if (!(values instanceof BigInt64Array) || values.length < length) throw short();
      return { type, length, values: values.subarray(0, length) };
    case 'FLOAT64':
      if (!(values instanceof Float64Array) || values.length < length) throw short();
      return { type, length, values: values.subarray(0, length) };
    case 'UINT128':
      if (!(values instanceof Uint8Array) || values.length < length * 16) throw short();
      return { type, length, values: bigEndianWords(values, length * 2) };
    case 'STRING': {
      if (!(values instanceof Int32Array) || values.length < length) throw short();
      const dictionary = dictionaryFor(name, data, dictionaries);
      return stringColumn(name, values.subarray(0, length), dictionary);
    }
  }
}

function unpackBits(bits: Uint8Array, length: number): Uint8Array {
  const values = new Uint8Array(length);
  for (let i = 0; i < length; i++) values[i] = (bits[i >>> 3]! >>> (i & 7)) & 1;
  return values;
}

function bigEndianWords(bytes: Uint8Array, count: number): BigUint64Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const words = new BigUint64Array(count);
  for (let i = 0; i < count; i++) words[i] = view.getBigUint64(i * 8);
  return words;
}

/** The same object for the same dictionary, which several batches may share. */
function dictionaryFor(
  name: string,
  data: arrow.Data,
  dictionaries: WeakMap<object, StringDictionary>,
): StringDictionary {
  const chunks = data.dictionary?.data ?? [];
  const [chunk] = chunks;
  if (chunk === undefined || chunks.length > 1) throw new FlightReadError(`column ${name} came without its dictionary`);
  const { length } = chunk;
  const offsets: unknown = chunk.valueOffsets;
  const bytes: unknown = chunk.values;
  if (!(bytes instanceof Uint8Array) || !(offsets instanceof Int32Array))
    throw new FlightReadError(`column ${name} came with a dictionary of something else`);
  const known = dictionaries.get(bytes);
  if (known?.length === length) return known;
  if (chunk.nullCount > 0 || offsets.length <= length || !isRising(offsets, length, bytes.length))
    throw new FlightReadError(`column ${name} came with a broken dictionary`);
  const dictionary = dictionaryOf(offsets.subarray(0, length + 1), bytes);
  dictionaries.set(bytes, dictionary);
  return dictionary;
}

function isRising(offsets: Int32Array, length: number, end: number): boolean {
  let before = 0;
  for (let i = 0; i <= length; i++) {
    const offset = offsets[i]!;
    if (offset < before || offset > end) return false;
    before = offset;
  }
  return true;
}

const distinct = new WeakSet<StringDictionary>();

/** Codes 0, 1, 2, … over the whole dictionary are a plain column; in others no entry may come twice. */
function stringColumn(name: string, codes: Int32Array, dictionary: StringDictionary): StringColumn {
  const { length } = codes;
  let isPlain = length === dictionary.length;
  for (let i = 0; i < length; i++) {
    const code = codes[i]!;
    if (code < 0 || code >= dictionary.length)
      throw new FlightReadError(`column ${name} has code ${code} of ${dictionary.length}`);
    isPlain &&= code === i;
  }
  const column: StringColumn = { type: 'STRING', length, codes: isPlain ? undefined : codes, dictionary };
  if (isPlain || distinct.has(dictionary)) return column;
  const seen = new Set<string>();
  for (let code = 0; code < dictionary.length; code++) seen.add(Buffer.from(dictionary.bytes(code)).toString('latin1'));
  if (seen.size < dictionary.length) throw new FlightReadError(`column ${name} has a dictionary with repeated entries`);
  distinct.add(dictionary);
  return column;
}
