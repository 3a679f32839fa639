// Looks at Arrow IPC bytes before the library does. The library believes what it reads: a vector of a billion fields, a
// batch of a trillion rows. Here every length in the metadata is held against the bytes that are really there.
// Format: https://arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-communication-ipc, tables and
// slots: format/Message.fbs, Schema.fbs and File.fbs of Arrow; FlatBuffers: https://flatbuffers.dev/internals.

const MAGIC = 'ARROW1';
const CONTINUATION = 0xffff_ffff;
const TABLES_MAX = 100_000;
const DEPTH_MAX = 64;
/** A batch whose columns have no buffers at all (Null) may still have this many rows. */
const ROWS_WITHOUT_BYTES_MAX = 65_536;

const HEADER_SCHEMA = 1;
const HEADER_DICTIONARY = 2;
const HEADER_BATCH = 3;
const TYPE_TIMESTAMP = 10;
const TYPE_UNION = 14;

/** Throws an Error that says what does not add up. */
export function verifyArrow(bytes: Uint8Array): void {
  try {
    if (bytes.length === 0) throw new Error('there are no bytes');
    if (startsWithMagic(bytes)) verifyFile(bytes);
    else verifyStream(bytes);
  } catch (cause) {
    // A DataView says only that something lies outside of it.
    if (cause instanceof RangeError) throw new Error('its metadata points outside of the bytes', { cause });
    throw cause;
  }
}

export type MessageKind = 'schema' | 'dictionary' | 'batch';

/** The same for one message whose body has `bodyLength` bytes: its metadata as a bare FlatBuffer, as Arrow Flight has it. */
export function verifyMessage(header: Uint8Array, bodyLength: number): MessageKind {
  try {
    const metadata = new Metadata(viewOf(header, 0, header.length));
    if (metadata.message() !== bodyLength) throw new Error('its body is not as long as its metadata says');
    return metadata.kind();
  } catch (cause) {
    if (cause instanceof RangeError) throw new Error('its metadata points outside of the bytes', { cause });
    throw cause;
  }
}

const startsWithMagic = (bytes: Uint8Array): boolean =>
  Array.from(MAGIC).every((character, i) => bytes[i] === character.charCodeAt(0));

const viewOf = (bytes: Uint8Array, start: number, end: number): DataView => {
  if (start < 0 || end > bytes.length || end < start) throw new Error('it is cut off');
  return new DataView(bytes.buffer, bytes.byteOffset + start, end - start);
};

function verifyFile(bytes: Uint8Array): void {
  const end = bytes.length - MAGIC.length;
  if (end < 12 || !startsWithMagic(bytes.subarray(end)))
    throw new Error('the file is cut off: it does not end as it begins');
  const length = viewOf(bytes, end - 4, end).getInt32(0, true);
  const footer = new Metadata(viewOf(bytes, end - 4 - length, end - 4));
  const root = footer.root();
  footer.schema(footer.table(root, 1));
  footer.keyValues(root, 4);
  for (const slot of [2, 3]) {
    for (const block of footer.vector(root, slot, 24)) {
      const offset = footer.int64(block);
      const metadata = footer.view.getInt32(block + 8, true);
      const body = footer.int64(block + 16);
      const message = readMessage(bytes, offset);
      if (message === undefined || message.bodyStart > offset + metadata || offset + metadata + body > bytes.length) {
        throw new Error('its footer names a block that is not there');
      }
    }
  }
}

function verifyStream(bytes: Uint8Array): void {
  let position = 0;
  let messages = 0;
  while (position < bytes.length) {
    const message = readMessage(bytes, position);
    if (message === undefined) break;
    messages++;
    position = message.bodyStart + message.bodyLength;
  }
  if (messages === 0) throw new Error('there is no schema');
}

/** Verifies the message at `start`; undefined for the end of the stream. */
function readMessage(
  bytes: Uint8Array,
  start: number,
): { readonly bodyStart: number; readonly bodyLength: number } | undefined {
  let position = start;
  let length = viewOf(bytes, position, position + 4).getUint32(0, true);
  position += 4;
  if (length === CONTINUATION) {
    length = viewOf(bytes, position, position + 4).getUint32(0, true);
    position += 4;
  }
  if (length === 0) return undefined;
  const bodyStart = position + length;
  const metadata = new Metadata(viewOf(bytes, position, bodyStart));
  const bodyLength = metadata.message();
  if (bodyStart + bodyLength > bytes.length) throw new Error('it is cut off');
  return { bodyStart, bodyLength };
}

/** One FlatBuffer: positions are within `view`, 0 stands for "absent". */
class Metadata {
  readonly view: DataView;
  private tables = 0;

  constructor(view: DataView) {
    this.view = view;
  }

  root(): number {
    return this.view.getUint32(0, true);
  }

  int64(position: number): number {
    const value = Number(this.view.getBigInt64(position, true));
    if (value < 0 || !Number.isSafeInteger(value)) throw new Error(`its metadata has a length of ${value}`);
    return value;
  }

  /** Position of the value in `slot` of a table. */
  private slot(table: number, slot: number): number {
    const vtable = table - this.view.getInt32(table, true);
    const at = 4 + slot * 2;
    if (at + 2 > this.view.getUint16(vtable, true)) return 0;
    const offset = this.view.getUint16(vtable + at, true);
    return offset === 0 ? 0 : table + offset;
  }

  private byte(table: number, slot: number): number {
    const position = this.slot(table, slot);
    return position === 0 ? 0 : this.view.getUint8(position);
  }

  private length(table: number, slot: number): number {
    const position = this.slot(table, slot);
    return position === 0 ? 0 : this.int64(position);
  }

  table(table: number, slot: number): number {
    const position = this.slot(table, slot);
    if (position === 0) return 0;
    if (++this.tables > TABLES_MAX) throw new Error('its metadata has too many parts');
    return position + this.view.getUint32(position, true);
  }

  /** Positions of the elements of a vector, each of `width` bytes. */
  vector(table: number, slot: number, width: number): number[] {
    const field = this.slot(table, slot);
    if (field === 0) return [];
    const vector = field + this.view.getUint32(field, true);
    const length = this.view.getUint32(vector, true);
    if (vector + 4 + length * width > this.view.byteLength)
      throw new Error('its metadata has a list longer than itself');
    this.tables += length;
    if (this.tables > TABLES_MAX) throw new Error('its metadata has too many parts');
    return width === 1 ? [] : Array.from({ length }, (_, i) => vector + 4 + i * width);
  }

  keyValues(table: number, slot: number): void {
    for (const element of this.vector(table, slot, 4)) {
      const pair = element + this.view.getUint32(element, true);
      this.vector(pair, 0, 1);
      this.vector(pair, 1, 1);
    }
  }

  kind(): MessageKind {
    const type = this.byte(this.root(), 1);
    return type === HEADER_SCHEMA ? 'schema' : type === HEADER_DICTIONARY ? 'dictionary' : 'batch';
  }

  /** Returns the length of the body. */
  message(): number {
    const root = this.root();
    const type = this.byte(root, 1);
    const header = this.table(root, 2);
    const bodyLength = this.length(root, 3);
    this.keyValues(root, 4);
    if (header === 0) throw new Error('it has a message without a header');
    if (type === HEADER_SCHEMA) this.schema(header);
    else if (type === HEADER_BATCH) this.batch(header, bodyLength);
    else if (type === HEADER_DICTIONARY) this.batch(this.table(header, 1), bodyLength);
    else throw new Error(`it has a message of kind ${type}; schemas, batches and dictionaries are read`);
    return bodyLength;
  }

  schema(schema: number): void {
    if (schema === 0) throw new Error('there is no schema');
    for (const element of this.vector(schema, 1, 4)) this.field(element + this.view.getUint32(element, true), 0);
    this.keyValues(schema, 2);
    this.vector(schema, 3, 8);
  }

  private field(field: number, depth: number): void {
    if (depth > DEPTH_MAX) throw new Error('its columns are nested too deeply');
    this.vector(field, 0, 1);
    const kind = this.byte(field, 2);
    const type = this.table(field, 3);
    if (type !== 0 && kind === TYPE_TIMESTAMP) this.vector(type, 1, 1);
    if (type !== 0 && kind === TYPE_UNION) this.vector(type, 1, 4);
    this.table(field, 4);
    for (const element of this.vector(field, 5, 4)) this.field(element + this.view.getUint32(element, true), depth + 1);
    this.keyValues(field, 6);
  }

  private batch(batch: number, bodyLength: number): void {
    if (batch === 0) throw new Error('it has a batch without a header');
    if (this.slot(batch, 3) !== 0) throw new Error('its batches are compressed; write it without compression');
    const rowsMax = Math.max(ROWS_WITHOUT_BYTES_MAX, bodyLength * 8);
    const lengths = [this.length(batch, 0), ...this.vector(batch, 1, 16).map((node) => this.int64(node))];
    if (lengths.some((rows) => rows > rowsMax)) throw new Error('it has a batch with more rows than bytes for them');
    const buffers = this.vector(batch, 2, 16);
    for (const buffer of buffers) {
      if (this.int64(buffer) + this.int64(buffer + 8) > bodyLength)
        throw new Error('a buffer lies outside of its batch');
    }
    for (const count of this.vector(batch, 4, 8)) {
      if (this.int64(count) > buffers.length) throw new Error('a column has more buffers than there are');
    }
  }
}
