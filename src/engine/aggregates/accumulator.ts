// What an aggregate is to the engine: per-group state, fed with rows or with other nodes' states, read as values or
// as states. State bytes are version 1 (first byte), little-endian, and described at each aggregate.
import type { Column, StringColumn } from '../../columns/column.ts';
import { asByteString, plainColumn, rowReader, type ByteString } from '../byte-string.ts';
import { EngineError } from '../context.ts';

export interface Accumulator {
  /** Bytes that the states hold, for the operator's bound. */
  readonly byteSize: number;
  /** Adds rows: row i is of group `ids[i]`; all ids are below `groups`. */
  update(args: readonly Column[], ids: Int32Array, groups: number): void;
  /** Adds states that `states` of another accumulator made. */
  merge(states: StringColumn, ids: Int32Array, groups: number): void;
  /** The values of groups [0, groups). */
  result(groups: number): Column;
  /** The states of groups [0, groups), one plain STRING cell of bytes each. */
  states(groups: number): StringColumn;
}

const VERSION = 1;

/** A typed array that holds at least `length` items, `fill` where new. */
export function grownTo<A extends BigInt64Array | Float64Array | BigUint64Array | Uint8Array | Int32Array>(
  array: A,
  length: number,
  make: (length: number) => A,
): A {
  if (length <= array.length) return array;
  const larger = make(Math.max(16, array.length * 2, length));
  // The two are of one kind by construction; the union of `set` signatures cannot say so.
  if (larger instanceof BigInt64Array && array instanceof BigInt64Array) larger.set(array);
  else if (larger instanceof BigUint64Array && array instanceof BigUint64Array) larger.set(array);
  else if (larger instanceof Float64Array && array instanceof Float64Array) larger.set(array);
  else if (larger instanceof Uint8Array && array instanceof Uint8Array) larger.set(array);
  else if (larger instanceof Int32Array && array instanceof Int32Array) larger.set(array);
  return larger;
}

/** Writes one cell of `bytes` bytes (the version byte excluded) per group. */
export function writeStates(
  groups: number,
  bytes: number,
  write: (view: DataView, group: number) => void,
): StringColumn {
  const cells: ByteString[] = [];
  const buffer = Buffer.alloc(bytes + 1);
  buffer[0] = VERSION;
  const view = new DataView(buffer.buffer, buffer.byteOffset + 1, bytes);
  for (let group = 0; group < groups; group++) {
    write(view, group);
    cells.push(asByteString(buffer.toString('latin1')));
  }
  return plainColumn(cells);
}

/** One state cell from its payload. */
export const stateCell = (payload: Buffer): ByteString =>
  asByteString(Buffer.concat([Buffer.of(VERSION), payload]).toString('latin1'));

/** Reads cells that `writeStates` wrote. `bytes` is the payload's size, or its least size. */
export function readStates(
  name: string,
  states: StringColumn,
  bytes: { readonly exactly: number } | { readonly atLeast: number },
  read: (view: DataView, row: number) => void,
): void {
  const cell = rowReader(states);
  for (let row = 0; row < states.length; row++) {
    const buffer = Buffer.from(cell(row), 'latin1');
    const payload = buffer.length - 1;
    const fits = 'exactly' in bytes ? payload === bytes.exactly : payload >= bytes.atLeast;
    if (buffer[0] !== VERSION || !fits) throw malformed(name, buffer);
    read(new DataView(buffer.buffer, buffer.byteOffset + 1, payload), row);
  }
}

export const malformed = (name: string, buffer: Uint8Array): EngineError =>
  new EngineError(
    'BAD_PARTIAL_STATE',
    `a node sent a state of px.${name} that is not version ${VERSION} (first byte ${buffer[0]}, ${buffer.length} bytes); run one version of Sluice everywhere`,
  );
