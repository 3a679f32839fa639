// Protobuf messages declared as TypeScript: a codec is made from the fields' numbers and types, so that no .proto file is
// read at run time and no generated code is kept. The .proto files beside are the contract; a test holds both together.
// Wire format: https://protobuf.dev/programming-guides/encoding/. Unknown fields are skipped; every text and list has a
// bound, because what is read here came over a network.
import { timeNs, type TimeNs } from '../model/time.ts';

/** Bytes that are not the message that they should be; the text names the field. */
export class WireError extends Error {
  override readonly name = 'WireError';
}

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

const TEXT_BYTES_MAX = 64 * 1024;
const LIST_LENGTH_MAX = 100_000;
const DEPTH_MAX = 16;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

class Writer {
  private buffer = Buffer.allocUnsafe(256);
  private length = 0;

  private reserve(bytes: number): number {
    const at = this.length;
    if (at + bytes > this.buffer.length) {
      const next = Buffer.allocUnsafe(Math.max(this.buffer.length * 2, at + bytes));
      this.buffer.copy(next, 0, 0, at);
      this.buffer = next;
    }
    this.length = at + bytes;
    return at;
  }

  private byte(value: number): void {
    // first: it may put another buffer in place
    const at = this.reserve(1);
    this.buffer[at] = value;
  }

  /** A whole number from 0 to 2^53 - 1. */
  varint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.byte((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    this.byte(rest);
  }

  tag(field: number, wire: number): void {
    this.varint(field * 8 + wire);
  }

  fixed64(value: bigint): void {
    const at = this.reserve(8);
    this.buffer.writeBigInt64LE(value, at);
  }

  bytes(content: Uint8Array): void {
    this.varint(content.length);
    const at = this.reserve(content.length);
    this.buffer.set(content, at);
  }

  finish(): Buffer {
    return this.buffer.subarray(0, this.length);
  }
}

class Reader {
  private readonly bytes: Buffer;
  private at = 0;
  readonly depth: number;

  constructor(bytes: Uint8Array, depth: number) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.depth = depth;
  }

  get isAtEnd(): boolean {
    return this.at >= this.bytes.length;
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 10; i++) {
      const byte = this.bytes[this.at++];
      if (byte === undefined) throw new WireError('it is cut off');
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (!Number.isSafeInteger(value)) throw new WireError('a number is larger than 2^53');
        return value;
      }
      scale *= 0x80;
    }
    throw new WireError('a number has more than ten bytes');
  }

  fixed64(): bigint {
    this.need(8);
    return this.bytes.readBigInt64LE(this.at - 8);
  }

  /** A view. */
  delimited(): Buffer {
    const length = this.varint();
    this.need(length);
    return this.bytes.subarray(this.at - length, this.at);
  }

  skip(wire: number): void {
    if (wire === VARINT) this.skipVarint();
    else if (wire === FIXED64) this.need(8);
    else if (wire === BYTES) this.delimited();
    else if (wire === FIXED32) this.need(4);
    else throw new WireError(`wire type ${wire} is not known`);
  }

  /** Negative numbers and others that no field of ours has are skipped all the same. */
  private skipVarint(): void {
    for (let i = 0; i < 10; i++) {
      const byte = this.bytes[this.at++];
      if (byte === undefined) throw new WireError('it is cut off');
      if (byte < 0x80) return;
    }
    throw new WireError('a number has more than ten bytes');
  }

  private need(bytes: number): void {
    if (this.at + bytes > this.bytes.length) throw new WireError('it is cut off');
    this.at += bytes;
  }
}

export interface Codec<T> {
  /** @throws RangeError for a value that the field cannot hold: a fault of the caller. */
  encode(value: T): Buffer;
  /** @throws WireError */
  decode(bytes: Uint8Array): T;
}

interface MessageCodec<T> extends Codec<T> {
  read(input: Reader): T;
}

/** A field that is always there: what the wire leaves out reads as its zero value (proto3). */
export interface Field<T> {
  readonly number: number;
  readonly wire: number;
  readonly isOptional: false;
  /** Zero values are left out, unless `isPresent` says that being there means something. */
  write(out: Writer, value: T, isPresent?: boolean): void;
  /** `before`: what this field had already, in a list for instance. */
  read(input: Reader, before: T | undefined): T;
  zero(): T;
}

/** A field that may be missing, and then is missing in the object as well. */
export interface OptionalField<T> extends Omit<Field<T>, 'isOptional' | 'zero'> {
  readonly isOptional: true;
}

/** A field for each property of `T`; optional exactly where the property is. */
export type FieldsOf<T> = {
  readonly [K in keyof T]-?: object extends Pick<T, K> ? OptionalField<Exclude<T[K], undefined>> : Field<T[K]>;
};

export function message<T extends object>(fields: FieldsOf<T>): MessageCodec<T> {
  const entries = Object.entries<Field<unknown> | OptionalField<unknown>>(fields);
  const byNumber = new Map(entries.map(([name, field]) => [field.number, { name, field }]));
  const read = (input: Reader): T => {
    if (input.depth > DEPTH_MAX) throw new WireError('it is nested too deeply');
    const values: Record<string, unknown> = {};
    while (!input.isAtEnd) {
      const tag = input.varint();
      const [wire, known] = [tag % 8, byNumber.get(Math.floor(tag / 8))];
      if (known === undefined || known.field.wire !== wire) input.skip(wire);
      else values[known.name] = within(known.name, () => known.field.read(input, values[known.name]));
    }
    for (const [name, field] of entries) {
      if (!field.isOptional && !Object.hasOwn(values, name)) values[name] = within(name, () => field.zero());
    }
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- each property was read by the field for its type
    return values as T;
  };
  return {
    encode(value) {
      const out = new Writer();
      for (const [name, field] of entries) {
        const content: unknown = Reflect.get(value, name);
        if (content !== undefined) field.write(out, content);
      }
      return out.finish();
    },
    decode: (content) => read(new Reader(content, 0)),
    read,
  };
}

function within<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof WireError ? new WireError(`${name}: ${error.message}`, { cause: error }) : error;
  }
}

interface Scalar<T> {
  readonly wire: number;
  readonly put: (out: Writer, value: T) => void;
  readonly get: (input: Reader) => T;
  readonly zero: T;
}

const scalar = <T>(number: number, { wire, put, get, zero }: Scalar<T>): Field<T> => ({
  number,
  wire,
  isOptional: false,
  write(out, value, isPresent = false) {
    if (value === zero && !isPresent) return;
    out.tag(number, wire);
    put(out, value);
  },
  read: get,
  zero: () => zero,
});

/** `string` of at most `bytesMax` bytes. */
export const text = (number: number, bytesMax = TEXT_BYTES_MAX): Field<string> =>
  scalar(number, {
    wire: BYTES,
    put: (out, value) => out.bytes(encoder.encode(value)),
    get(input) {
      const content = input.delimited();
      if (content.length > bytesMax) throw new WireError(`${content.length} bytes, at most ${bytesMax} are taken`);
      try {
        return decoder.decode(content);
      } catch (error) {
        throw new WireError('not UTF-8', { cause: error });
      }
    },
    zero: '',
  });

/** `bytes`; a view into the message where it is read. */
export const bytes = (number: number): Field<Uint8Array> => ({
  number,
  wire: BYTES,
  isOptional: false,
  write(out, value, isPresent = false) {
    if (value.length === 0 && !isPresent) return;
    out.tag(number, BYTES);
    out.bytes(value);
  },
  read: (input) => input.delimited(),
  zero: () => new Uint8Array(0),
});

/** `uint64`: a whole number from 0 to 2^53 - 1. */
export const count = (number: number): Field<number> =>
  scalar(number, {
    wire: VARINT,
    put(out, value) {
      if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`field ${number}: ${value} is no count`);
      out.varint(value);
    },
    get: (input) => input.varint(),
    zero: 0,
  });

/** `bool`. */
export const flag = (number: number): Field<boolean> =>
  scalar(number, {
    wire: VARINT,
    put: (out, value) => out.varint(value ? 1 : 0),
    get: (input) => input.varint() !== 0,
    zero: false,
  });

/** `sfixed64`: nanoseconds since the epoch, all 64 bits of them. */
export const time = (number: number): Field<TimeNs> =>
  scalar(number, {
    wire: FIXED64,
    put: (out, value) => out.fixed64(value),
    get: (input) => timeNs(input.fixed64()),
    zero: timeNs(0n),
  });

/** An enum whose values are 1, 2, … in the order given; 0, "unspecified", and unknown ones are refused. */
export const choice = <const T extends string>(number: number, choices: readonly T[]): Field<T> => ({
  number,
  wire: VARINT,
  isOptional: false,
  write(out, value) {
    out.tag(number, VARINT);
    out.varint(choices.indexOf(value) + 1);
  },
  read(input) {
    const value = input.varint();
    const chosen = choices[value - 1];
    if (chosen === undefined) throw new WireError(`${value} is none of ${choices.join(', ')}; versions differ`);
    return chosen;
  },
  zero() {
    throw new WireError(`missing; it is one of ${choices.join(', ')}`);
  },
});

/** A message in a message. */
export const nested = <T>(number: number, codec: MessageCodec<T>): Field<T> => ({
  number,
  wire: BYTES,
  isOptional: false,
  write(out, value) {
    out.tag(number, BYTES);
    out.bytes(codec.encode(value));
  },
  read: (input) => codec.read(new Reader(input.delimited(), input.depth + 1)),
  zero: () => codec.decode(new Uint8Array(0)),
});

/** `repeated`, of a field that is length-delimited: a text or a message. */
export const list = <T>(of: Field<T>, lengthMax = LIST_LENGTH_MAX): Field<readonly T[]> => ({
  ...of,
  write(out, values) {
    for (const value of values) of.write(out, value, true);
  },
  read(input, before) {
    // the array is this reading's own until the message is whole
    const values: T[] = Array.isArray(before) ? before : [];
    if (values.length >= lengthMax) throw new WireError(`more than ${lengthMax} elements`);
    values.push(of.read(input, undefined));
    return values;
  },
  zero: () => [],
});

interface Entry {
  readonly key: string;
  readonly value: string;
}

const entriesOf = (number: number, sizeMax: number): Field<readonly Entry[]> =>
  list(nested(number, message<Entry>({ key: text(1), value: text(2) })), sizeMax);

/** `map<string, string>` of at most `sizeMax` entries. */
export function record(number: number, sizeMax = 1024): Field<Readonly<Record<string, string>>> {
  const entries = entriesOf(number, sizeMax);
  return {
    number,
    wire: BYTES,
    isOptional: false,
    write: (out, values) =>
      entries.write(
        out,
        Object.entries(values).map(([key, value]) => ({ key, value })),
      ),
    read(input, before = {}) {
      const [entry] = entries.read(input, undefined);
      if (Object.keys(before).length >= sizeMax) throw new WireError(`more than ${sizeMax} entries`);
      return entry === undefined ? before : Object.fromEntries([...Object.entries(before), [entry.key, entry.value]]);
    },
    zero: () => ({}),
  };
}

/** `optional`: written also where it is the zero value. */
export const optional = <T>(field: Field<T>): OptionalField<T> => ({
  number: field.number,
  wire: field.wire,
  isOptional: true,
  write: (out, value) => field.write(out, value, true),
  read: (input, before) => field.read(input, before),
});
