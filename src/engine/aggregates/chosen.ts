// any and last: one row of the group stands for it. State: u8 (1 where a row was seen), i64 time (0 for `any`), then the
// value: STRING its bytes, UINT128 two u64 (high, low), INT64 and TIME64NS i64, FLOAT64 f64, BOOLEAN u8.
import type { Column, StringColumn } from '../../columns/column.ts';
import type { DataType, Uint128 } from '../../model/types.ts';
import { createInterner, rowReader, asByteString, plainColumn, type ByteString } from '../byte-string.ts';
import { booleans, float64s, int64s, strings, uint128s } from '../functions/kernel.ts';
import { grownTo, malformed, readStates, stateCell, type Accumulator } from './accumulator.ts';

/** The chosen values of all groups, by type. */
interface Values {
  readonly byteSize: number;
  /** Takes row `row` of the column that `open` was given last as the value of `group`. */
  open(column: Column | undefined): void;
  take(group: number, row: number): void;
  grow(groups: number): void;
  column(groups: number): Column;
  write(group: number): Buffer;
  read(group: number, payload: Buffer): boolean;
}

const NO_TIME = -0x8000_0000_0000_0000n;

/** `any` keeps the first row of the group. */
export const createAny = (type: DataType): Accumulator => createChosen('any', type);

/** `last` keeps the row with the greatest time, the last one in row order among equals. */
export const createLast = (type: DataType): Accumulator => createChosen('last', type);

function createChosen(name: 'any' | 'last', type: DataType): Accumulator {
  const values = createValues(type);
  const make = (length: number): BigInt64Array => new BigInt64Array(length).fill(NO_TIME);
  let times = make(0);
  let seen = new Uint8Array(0);
  const grow = (groups: number): void => {
    times = grownTo(times, groups, make);
    seen = grownTo(seen, groups, (length) => new Uint8Array(length));
    values.grow(groups);
  };

  function updateAny(ids: Int32Array): void {
    for (let i = 0; i < ids.length; i++) {
      const group = ids[i] ?? 0;
      if (seen[group] === 1) continue;
      seen[group] = 1;
      values.take(group, i);
    }
  }

  /** Values are taken once per group and batch, after the winning row is known. */
  function updateLast(ids: Int32Array, at: BigInt64Array): void {
    const winner = new Int32Array(seen.length).fill(-1);
    for (let i = 0; i < ids.length; i++) {
      const group = ids[i] ?? 0;
      const time = at[i] ?? 0n;
      if (time < (times[group] ?? 0n)) continue;
      times[group] = time;
      winner[group] = i;
    }
    for (let group = 0; group < winner.length; group++) {
      if ((winner[group] ?? -1) < 0) continue;
      seen[group] = 1;
      values.take(group, winner[group] ?? 0);
    }
  }

  return {
    get byteSize() {
      return times.byteLength + seen.byteLength + values.byteSize;
    },
    update([column, time], ids, groups) {
      grow(groups);
      values.open(column);
      if (name === 'any') updateAny(ids);
      else updateLast(ids, time === undefined ? new BigInt64Array(ids.length) : int64s(time));
    },
    merge(states, ids, groups) {
      grow(groups);
      readStates(name, states, { atLeast: 9 }, (view, row) => {
        if (view.getUint8(0) === 0) return;
        const group = ids[row] ?? 0;
        const time = view.getBigInt64(1, true);
        if (name === 'any' ? seen[group] === 1 : time < (times[group] ?? NO_TIME)) return;
        times[group] = time;
        seen[group] = 1;
        const payload = Buffer.from(view.buffer, view.byteOffset + 9, view.byteLength - 9);
        if (!values.read(group, payload)) throw malformed(name, payload);
      });
    },
    result(groups) {
      grow(groups);
      return values.column(groups);
    },
    states(groups) {
      grow(groups);
      const cells: ByteString[] = [];
      for (let group = 0; group < groups; group++) {
        const head = Buffer.alloc(9);
        head[0] = seen[group] ?? 0;
        head.writeBigInt64LE(times[group] ?? 0n, 1);
        cells.push(stateCell(Buffer.concat([head, values.write(group)])));
      }
      return plainColumn(cells);
    },
  };
}

function createValues(type: DataType): Values {
  switch (type) {
    case 'STRING':
      return stringValues();
    case 'UINT128':
      return uint128Values();
    case 'FLOAT64':
      return numberValues(
        8,
        float64s,
        (buffer, value) => buffer.writeDoubleLE(value),
        (buffer) => buffer.readDoubleLE(),
        (values) => ({ type: 'FLOAT64', length: values.length, values: Float64Array.from(values) }),
      );
    case 'BOOLEAN':
      return numberValues(
        1,
        booleans,
        (buffer, value) => buffer.writeUInt8(value),
        (buffer) => buffer.readUInt8(),
        (values) => ({ type: 'BOOLEAN', length: values.length, values: Uint8Array.from(values) }),
      );
    case 'INT64':
    case 'TIME64NS':
      return int64Values(type);
  }
}

function numberValues(
  bytes: number,
  open: (column: Column | undefined) => ArrayLike<number>,
  write: (buffer: Buffer, value: number) => void,
  read: (buffer: Buffer) => number,
  column: (values: Float64Array) => Column,
): Values {
  let values = new Float64Array(0);
  let source: ArrayLike<number> = [];
  return {
    get byteSize() {
      return values.byteLength;
    },
    open: (next) => {
      source = open(next);
    },
    take: (group, row) => {
      values[group] = source[row] ?? 0;
    },
    grow: (groups) => {
      values = grownTo(values, groups, (length) => new Float64Array(length));
    },
    column: (groups) => column(values.slice(0, groups)),
    write(group) {
      const buffer = Buffer.alloc(bytes);
      write(buffer, values[group] ?? 0);
      return buffer;
    },
    read(group, payload) {
      if (payload.length !== bytes) return false;
      values[group] = read(payload);
      return true;
    },
  };
}

function int64Values(type: 'INT64' | 'TIME64NS'): Values {
  let values = new BigInt64Array(0);
  let source: BigInt64Array = new BigInt64Array(0);
  return {
    get byteSize() {
      return values.byteLength;
    },
    open: (column) => {
      source = int64s(column);
    },
    take: (group, row) => {
      values[group] = source[row] ?? 0n;
    },
    grow: (groups) => {
      values = grownTo(values, groups, (length) => new BigInt64Array(length));
    },
    column: (groups) => ({ type, length: groups, values: values.slice(0, groups) }),
    write(group) {
      const buffer = Buffer.alloc(8);
      buffer.writeBigInt64LE(values[group] ?? 0n);
      return buffer;
    },
    read(group, payload) {
      if (payload.length !== 8) return false;
      values[group] = payload.readBigInt64LE();
      return true;
    },
  };
}

function uint128Values(): Values {
  const values: Uint128[] = [];
  let source: BigUint64Array = new BigUint64Array(0);
  const at = (group: number): Uint128 => values[group] ?? { high: 0n, low: 0n };
  return {
    get byteSize() {
      return values.length * 64;
    },
    open: (column) => {
      source = uint128s(column);
    },
    take: (group, row) => {
      values[group] = { high: source[2 * row] ?? 0n, low: source[2 * row + 1] ?? 0n };
    },
    grow(groups) {
      while (values.length < groups) values.push({ high: 0n, low: 0n });
    },
    column: (groups) => ({
      type: 'UINT128',
      length: groups,
      values: BigUint64Array.from({ length: groups * 2 }, (_, i) =>
        i % 2 === 0 ? at(i / 2).high : at((i - 1) / 2).low,
      ),
    }),
    write(group) {
      const buffer = Buffer.alloc(16);
      buffer.writeBigUInt64LE(at(group).high, 0);
      buffer.writeBigUInt64LE(at(group).low, 8);
      return buffer;
    },
    read(group, payload) {
      if (payload.length !== 16) return false;
      values[group] = { high: payload.readBigUInt64LE(0), low: payload.readBigUInt64LE(8) };
      return true;
    },
  };
}

function stringValues(): Values {
  const interner = createInterner();
  const empty = interner.intern(asByteString(''));
  let ids = new Int32Array(0);
  let cell: (row: number) => ByteString = () => asByteString('');
  return {
    get byteSize() {
      return ids.byteLength + interner.byteSize;
    },
    open: (column) => {
      cell = rowReader(strings(column));
    },
    take: (group, row) => {
      ids[group] = interner.intern(cell(row));
    },
    grow: (groups) => {
      ids = grownTo(ids, groups, (length) => new Int32Array(length).fill(empty));
    },
    column: (groups): StringColumn => ({
      type: 'STRING',
      length: groups,
      codes: ids.slice(0, groups),
      dictionary: interner.dictionary(),
    }),
    write: (group) => Buffer.from(interner.entry(ids[group] ?? empty), 'latin1'),
    read: (group, payload) => {
      ids[group] = interner.intern(asByteString(payload.toString('latin1')));
      return true;
    },
  };
}
