// Batches as the messages of Arrow Flight: the IPC stream's, each with its FlatBuffer apart from its body, and none so
// large that gRPC's default of 4 MiB refuses it. Uses members of apache-arrow's stream writer that are not its interface
// (21.2.0); golden tests hold them. Wire format: https://arrow.apache.org/docs/format/Flight.html.
//
// Every STRING column is Dictionary<Int32, …>, whatever its layout, because the schema goes first and holds for all that
// follows: rows of a plain column are codes 0, 1, 2, …. Between our own processes the values are Binary, so that any byte
// arrives, states of aggregates among them; for others they are Utf8 with U+FFFD.
import type * as arrow from 'apache-arrow';
import type { DataType, Schema } from '../model/types.ts';
import { SEMANTIC_TYPE_KEY, loadArrow, type Arrow } from './arrow-types.ts';
import { fixedDataOf, fixedTypeFor, wellFormed } from './arrow-write.ts';
import type { Batch, StringColumn } from './column.ts';
import { cutBatch } from './cut.ts';
import { dictionaryOf, type StringDictionary } from './dictionary.ts';

export type StringForm = 'text' | 'bytes';

export interface FlightMessage {
  /** Bare FlatBuffer of the message: no continuation, no length. */
  readonly header: Uint8Array;
  /** Parts of the body, padding included. */
  readonly body: readonly Uint8Array[];
  readonly bodyLength: number;
}

export interface FlightWriter {
  /** To be sent first. */
  readonly schema: FlightMessage;
  /** Messages of these rows: dictionaries that changed, then record batches. Each body is below 4 MiB but for a larger cell. */
  write(batch: Batch): Iterable<FlightMessage>;
}

/** Leaves room for the metadata of a few thousand columns. */
export const BODY_BYTES_MAX = 3.5 * 2 ** 20;

interface Piece {
  header: Uint8Array;
  body: Uint8Array[];
  bodyLength: number;
}

const paddingOf = (length: number): number => -length & 7;

/** The library's writer, with its messages kept apart instead of put into one stream. */
function createMessages(arrow: Arrow): {
  readonly writer: arrow.RecordBatchStreamWriter;
  readonly take: () => Piece[];
} {
  let pieces: Piece[] = [];
  class Messages extends arrow.RecordBatchStreamWriter {
    protected override _writeMessage<T extends arrow.MessageHeader>(message: arrow.Message<T>): this {
      pieces.push({ header: arrow.Message.encode(message), body: [], bodyLength: 0 });
      return this;
    }
    protected override _writeBodyBuffers(buffers: ArrayBufferView[]): this {
      const piece = pieces.at(-1);
      for (const { buffer, byteOffset, byteLength } of buffers) {
        if (byteLength === 0 || piece === undefined) continue;
        const padding = paddingOf(byteLength);
        piece.body.push(new Uint8Array(buffer, byteOffset, byteLength));
        if (padding > 0) piece.body.push(new Uint8Array(padding));
        piece.bodyLength += byteLength + padding;
      }
      return this;
    }
    protected override _writeFooter(): this {
      return this;
    }
  }
  return {
    writer: new Messages(),
    take() {
      const taken = pieces;
      pieces = [];
      return taken;
    },
  };
}

function schemaFor(arrow: Arrow, schema: Schema, strings: StringForm): arrow.Schema {
  const typeOf = (type: DataType): arrow.DataType => {
    if (type !== 'STRING') return fixedTypeFor(arrow, type);
    return new arrow.Dictionary(strings === 'text' ? new arrow.Utf8() : new arrow.Binary(), new arrow.Int32());
  };
  return new arrow.Schema(
    schema.map(
      ({ name, type, semanticType }) =>
        new arrow.Field(name, typeOf(type), false, new Map([[SEMANTIC_TYPE_KEY, semanticType]])),
    ),
  );
}

/** Starts a stream of batches that have `schema`. */
export async function createFlightWriter(schema: Schema, strings: StringForm): Promise<FlightWriter> {
  const arrow = await loadArrow();
  const written = schemaFor(arrow, schema, strings);
  const { writer, take } = createMessages(arrow);
  writer.reset(undefined, written);
  const [first] = take();
  if (first === undefined) throw new Error('the writer gave no schema');
  /** A dictionary is sent again unless it is the very same vector. */
  const vectors = new WeakMap<StringDictionary, arrow.Vector>();

  const vectorOf = (dictionary: StringDictionary): arrow.Vector => {
    let vector = vectors.get(dictionary);
    if (vector === undefined) {
      vector = arrow.makeVector(entriesOf(arrow, dictionary, strings));
      vectors.set(dictionary, vector);
    }
    return vector;
  };
  const stringData = (type: arrow.DataType, { codes, dictionary, length }: StringColumn): arrow.Data => {
    if (!arrow.DataType.isDictionary(type)) throw new TypeError('a STRING column whose field is none');
    const data = codes ?? Int32Array.from({ length }, (_, i) => i);
    return arrow.makeData({ type, length, nullCount: 0, data, dictionary: vectorOf(dictionary) });
  };

  return {
    schema: first,
    *write(batch) {
      for (const part of cutBatch(batch, BODY_BYTES_MAX)) {
        const children = part.columns.map((column, i) =>
          column.type === 'STRING'
            ? stringData(written.fields[i]?.type ?? new arrow.Null(), column)
            : fixedDataOf(arrow, column),
        );
        const type = new arrow.Struct(written.fields);
        const data = arrow.makeData({ type, length: part.length, nullCount: 0, children });
        writer.write(new arrow.RecordBatch(written, data));
        yield* take();
      }
    },
  };
}

function entriesOf(arrow: Arrow, dictionary: StringDictionary, strings: StringForm): arrow.Data {
  const { length } = dictionary;
  if (strings === 'text') {
    const { offsets, data } = wellFormed(dictionary);
    return arrow.makeData({ type: new arrow.Utf8(), length, nullCount: 0, valueOffsets: offsets, data });
  }
  const { offsets, data } = rebased(dictionary);
  return arrow.makeData({ type: new arrow.Binary(), length, nullCount: 0, valueOffsets: offsets, data });
}

/** Offsets from 0 over exactly the bytes of the entries. */
function rebased({ offsets, data, byteLength }: StringDictionary): Pick<StringDictionary, 'offsets' | 'data'> {
  const start = offsets[0] ?? 0;
  if (start === 0 && data.length === byteLength) return { offsets, data };
  return dictionaryOf(
    offsets.map((offset) => offset - start),
    data.subarray(start, start + byteLength),
  );
}

/**
 * The schema as FlightInfo and SchemaResult carry it: an encapsulated message (continuation, length, FlatBuffer padded to
 * 8 bytes), without the end of a stream.
 */
export async function flightSchema(schema: Schema, strings: StringForm): Promise<Uint8Array> {
  const { header } = (await createFlightWriter(schema, strings)).schema;
  const length = header.length + paddingOf(header.length);
  const bytes = new Uint8Array(8 + length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0xffff_ffff, true);
  view.setInt32(4, length, true);
  bytes.set(header, 8);
  return bytes;
}
