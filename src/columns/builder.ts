// Builds columns cell by cell: one builder a type, all with the same life. Buffers double as they grow; what `view` gave
// out stays valid and unchanged while more is appended.
import type { Cell, DataType, Uint128 } from '../model/types.ts';
import { NO_SIZES, isNearlyFull, type BuilderSizes } from './builder-sizes.ts';
import type { BooleanColumn, Column, Float64Column, Int64Column, Uint128Column } from './column.ts';
import { StringBuilder } from './string-builder.ts';

const INITIAL_ROWS = 64;

/** A cell that does not fit its column: a fault of the caller, never of the data's source. */
function unfit(type: DataType, cell: Cell): TypeError {
  const shown = typeof cell === 'object' ? 'an object' : `${typeof cell} ${String(cell)}`;
  return new TypeError(`a cell of type ${type} cannot be ${shown}`);
}

/** What the typed arrays have in common. */
interface FixedValues<Element, Self> {
  [index: number]: Element;
  readonly length: number;
  readonly byteLength: number;
  readonly BYTES_PER_ELEMENT: number;
  set(source: Self): void;
  subarray(start: number, end: number): Self;
  slice(start: number, end: number): Self;
}

/** What the four builders of fixed width share: growing, viewing, reordering. `width` elements a row. */
abstract class FixedBuilder<Element, Values extends FixedValues<Element, Values>, Built extends Column> {
  length = 0;
  protected values: Values;
  private readonly width: number;

  constructor(width: number, { rows }: BuilderSizes) {
    this.width = width;
    this.values = this.allocate(rows * width);
  }

  protected abstract allocate(elements: number): Values;
  protected abstract column(values: Values, length: number): Built;

  protected grow(): void {
    const grown = this.allocate(Math.max(INITIAL_ROWS, this.length * 2) * this.width);
    grown.set(this.values);
    this.values = grown;
  }

  rewind(length: number): void {
    this.length = length;
  }

  view(start: number, end: number): Built {
    return this.column(this.values.subarray(start * this.width, end * this.width), end - start);
  }

  permute(start: number, order: Int32Array): void {
    const { width } = this;
    const values: FixedValues<Element, Values> = this.values;
    const copy = values.slice(start * width, this.length * width);
    for (let i = 0; i < order.length; i++) {
      const from = (order[i]! - start) * width;
      const to = (start + i) * width;
      for (let word = 0; word < width; word++) values[to + word] = copy[from + word]!;
    }
  }

  get byteLength(): number {
    return this.values.byteLength;
  }

  get sizes(): BuilderSizes {
    return { rows: this.length, entries: 0, dataBytes: 0 };
  }

  get usedBytes(): number {
    return this.length * this.width * this.values.BYTES_PER_ELEMENT;
  }

  finish(): Built {
    const end = this.length * this.width;
    const isKept = isNearlyFull(end, this.values.length);
    return this.column(isKept ? this.values.subarray(0, end) : this.values.slice(0, end), this.length);
  }
}

export class Int64Builder extends FixedBuilder<bigint, BigInt64Array, Int64Column> {
  readonly type: 'INT64' | 'TIME64NS';
  /** The same memory by halves: a number is stored without making a bigint of it. */
  private halves: Int32Array;

  constructor(type: 'INT64' | 'TIME64NS' = 'INT64', sizes = NO_SIZES) {
    super(1, sizes);
    this.type = type;
    this.halves = new Int32Array(this.values.buffer);
  }

  protected allocate(elements: number): BigInt64Array {
    return new BigInt64Array(elements);
  }

  protected override grow(): void {
    super.grow();
    this.halves = new Int32Array(this.values.buffer);
  }

  protected column(values: BigInt64Array, length: number): Int64Column {
    return { type: this.type, length, values };
  }

  append(cell: Cell): void {
    const row = this.length;
    if (row === this.values.length) this.grow();
    if (typeof cell === 'number') {
      if (!Number.isSafeInteger(cell)) throw unfit(this.type, cell);
      this.halves[row * 2] = cell;
      this.halves[row * 2 + 1] = Math.floor(cell / 0x1_0000_0000);
    } else if (typeof cell === 'bigint') {
      this.values[row] = cell;
    } else {
      throw unfit(this.type, cell);
    }
    this.length = row + 1;
  }
}

export class Float64Builder extends FixedBuilder<number, Float64Array, Float64Column> {
  readonly type = 'FLOAT64';

  constructor(sizes = NO_SIZES) {
    super(1, sizes);
  }

  protected allocate(elements: number): Float64Array {
    return new Float64Array(elements);
  }

  protected column(values: Float64Array, length: number): Float64Column {
    return { type: 'FLOAT64', length, values };
  }

  append(cell: Cell): void {
    if (typeof cell !== 'number') throw unfit('FLOAT64', cell);
    if (this.length === this.values.length) this.grow();
    this.values[this.length++] = cell;
  }
}

export class BooleanBuilder extends FixedBuilder<number, Uint8Array, BooleanColumn> {
  readonly type = 'BOOLEAN';

  constructor(sizes = NO_SIZES) {
    super(1, sizes);
  }

  protected allocate(elements: number): Uint8Array {
    return new Uint8Array(elements);
  }

  protected column(values: Uint8Array, length: number): BooleanColumn {
    return { type: 'BOOLEAN', length, values };
  }

  append(cell: Cell): void {
    if (typeof cell !== 'boolean') throw unfit('BOOLEAN', cell);
    if (this.length === this.values.length) this.grow();
    this.values[this.length++] = cell ? 1 : 0;
  }
}

const isUint128 = (cell: Cell): cell is Uint128 => typeof cell === 'object' && 'high' in cell;

export class Uint128Builder extends FixedBuilder<bigint, BigUint64Array, Uint128Column> {
  readonly type = 'UINT128';

  constructor(sizes = NO_SIZES) {
    super(2, sizes);
  }

  protected allocate(elements: number): BigUint64Array {
    return new BigUint64Array(elements);
  }

  protected column(values: BigUint64Array, length: number): Uint128Column {
    return { type: 'UINT128', length, values };
  }

  append(cell: Cell): void {
    if (!isUint128(cell)) throw unfit('UINT128', cell);
    const at = this.length * 2;
    if (at === this.values.length) this.grow();
    this.values[at] = cell.high;
    this.values[at + 1] = cell.low;
    this.length++;
  }
}

/** Builds a STRING column from cells of any kind; `StringBuilder` itself takes only text and bytes. */
export class StringCellBuilder extends StringBuilder {
  override append(cell: Cell): void {
    if (typeof cell !== 'string' && !(cell instanceof Uint8Array)) throw unfit('STRING', cell);
    super.append(cell);
  }
}

export interface ColumnBuilder {
  readonly type: DataType;
  /** Rows so far. */
  readonly length: number;
  /** Appends one cell. Throws a TypeError, with nothing appended, for a cell of another type. */
  append(cell: Cell): void;
  /** Forgets the rows from `length` on. */
  rewind(length: number): void;
  /** Rows [start, end) without copying; they stay as they are whatever is appended later. */
  view(start: number, end: number): Column;
  /** Reorders the rows from `start` on, in place: row `start + i` becomes what row `order[i]` was. */
  permute(start: number, order: Int32Array): void;
  /** Bytes of all buffers as allocated. */
  readonly byteLength: number;
  /** Bytes that `finish` would keep, about. */
  readonly usedBytes: number;
  readonly sizes: BuilderSizes;
  /** The column, in buffers with at most an eighth to spare. The builder must not be used afterwards. */
  finish(): Column;
}

/**
 * A builder for `type`. `bytesMax` cuts and marks longer STRING cells; without it they are kept whole. With the sizes of
 * an earlier builder it starts as large as that one became.
 */
export function columnBuilder(type: DataType, bytesMax?: number, sizes?: BuilderSizes): ColumnBuilder {
  switch (type) {
    case 'BOOLEAN':
      return new BooleanBuilder(sizes);
    case 'INT64':
    case 'TIME64NS':
      return new Int64Builder(type, sizes);
    case 'FLOAT64':
      return new Float64Builder(sizes);
    case 'UINT128':
      return new Uint128Builder(sizes);
    case 'STRING':
      return new StringCellBuilder(bytesMax, sizes);
  }
}
