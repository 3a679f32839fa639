// Builds a STRING column: every cell's bytes are looked up in a growing dictionary, so a repeated value costs one code.
// A column whose cells turn out to be mostly distinct goes over to plain layout while it is built. Texts are never kept,
// only their bytes: a text cut out of a large buffer does not keep that buffer alive.
import { NO_SIZES, isNearlyFull, type BuilderSizes } from './builder-sizes.ts';
import { dictionaryOf } from './dictionary.ts';
import { TRUNCATED, hashScratch, scratch, scratchWords, writeScratch } from './scratch.ts';
import type { StringColumn } from './column.ts';

/** Distinct values seen before a growing column may be taken for mostly distinct; fewer are cheap to keep either way. */
const ENTRIES_BEFORE_PLAIN = 8192;

/** Slots tried before the hash table is given up: only crafted input comes here, and it must not make appends slow. */
const PROBES_MAX = 64;

/** Texts up to this length are compared with the one before; longer ones may be slices that keep a large text alive. */
const REMEMBERED_LENGTH_MAX = 12;

const DATA_BYTES_MAX = 0x7fff_ffff;
const INITIAL_DATA_BYTES = 256;
const INITIAL_SLOTS = 64;

export class StringBuilder {
  readonly type = 'STRING';
  /** Rows so far. */
  length = 0;
  /** Cells that were longer than the limit. */
  truncated = 0;

  private readonly bytesMax: number;
  /** Undefined once the column is plain. */
  private codes: Int32Array | undefined;
  private entries = 0;
  private offsets: Int32Array;
  private data: Buffer<ArrayBuffer>;
  private words: DataView;
  private hashes: Int32Array;
  /** Open addressing; a slot holds code + 1, or 0. */
  private slots: Int32Array;
  /** Bytes of all rows together: what plain layout would take. */
  private rowBytes = 0;
  private lastText = '';
  private lastCode = -1;

  /** Cells longer than `bytesMax` bytes are cut there and marked; the cut may split a UTF-8 sequence. */
  constructor(bytesMax = DATA_BYTES_MAX - TRUNCATED.length, { rows, entries, dataBytes }: BuilderSizes = NO_SIZES) {
    this.bytesMax = bytesMax;
    this.codes = new Int32Array(rows);
    this.offsets = new Int32Array(entries + 1);
    this.hashes = new Int32Array(Math.min(entries, rows >>> 1));
    this.slots = new Int32Array(Math.max(INITIAL_SLOTS, 2 ** Math.ceil(Math.log2(this.hashes.length * 2 + 1))));
    const buffer = new ArrayBuffer(dataBytes);
    this.data = Buffer.from(buffer);
    this.words = new DataView(buffer);
  }

  append(cell: string | Uint8Array): void {
    if (this.codes === undefined) {
      this.appendPlain(cell);
      return;
    }
    if (typeof cell === 'string') {
      if (cell !== this.lastText || this.lastCode < 0) {
        const code = this.intern(cell);
        if (code < 0) return;
        this.lastCode = code;
        this.lastText = cell.length <= REMEMBERED_LENGTH_MAX ? cell : '';
        if (this.lastText === '' && cell !== '') this.lastCode = -1;
        this.push(code);
        return;
      }
      this.push(this.lastCode);
      return;
    }
    const code = this.intern(cell);
    if (code >= 0) this.push(code);
  }

  /** Appends the value of an earlier row again. */
  repeat(row: number): void {
    if (this.codes !== undefined) {
      this.push(this.codes[row] ?? 0);
      return;
    }
    const start = this.offsets[row] ?? 0;
    const length = (this.offsets[row + 1] ?? 0) - start;
    const end = this.offsets[this.entries] ?? 0;
    this.reserve(end, length);
    this.data.copyWithin(end, start, start + length);
    this.endEntry(end + length);
    this.rowBytes += length;
    this.length = this.entries;
  }

  private push(code: number): void {
    let codes = this.codes;
    if (codes === undefined) return;
    const row = this.length;
    if (row === codes.length) {
      const grown = new Int32Array(Math.max(64, row * 2));
      grown.set(codes);
      this.codes = codes = grown;
    }
    codes[row] = code;
    this.rowBytes += (this.offsets[code + 1] ?? 0) - (this.offsets[code] ?? 0);
    this.length = row + 1;
  }

  /** The code of the cell; -1 where the column became plain instead and the cell is already appended. */
  private intern(cell: string | Uint8Array): number {
    const length = writeScratch(cell, this.bytesMax);
    if (length > this.bytesMax) this.truncated++;
    const hash = hashScratch(length);
    const mask = this.slots.length - 1;
    let slot = hash & mask;
    for (let probe = 0; ; probe++, slot = (slot + 1) & mask) {
      const found = (this.slots[slot] ?? 0) - 1;
      if (found < 0) break;
      if (this.hashes[found] === hash && this.equalsScratch(found, length)) return found;
      if (probe === PROBES_MAX) {
        this.becomePlain();
        this.pushPlain(length);
        return -1;
      }
    }
    const code = this.entries;
    if (code >= ENTRIES_BEFORE_PLAIN && code % 256 === 0 && this.isMostlyDistinct()) {
      this.becomePlain();
      this.pushPlain(length);
      return -1;
    }
    this.addEntry(length);
    if (code === this.hashes.length) {
      const grown = new Int32Array(Math.max(64, code * 2));
      grown.set(this.hashes);
      this.hashes = grown;
    }
    this.hashes[code] = hash;
    this.slots[slot] = code + 1;
    if (this.entries * 2 > this.slots.length) this.rehash();
    return code;
  }

  private equalsScratch(code: number, length: number): boolean {
    const start = this.offsets[code] ?? 0;
    if ((this.offsets[code + 1] ?? 0) - start !== length) return false;
    const whole = length >>> 2;
    for (let i = 0; i < whole; i++) {
      if (this.words.getInt32(start + i * 4, true) !== scratchWords[i]) return false;
    }
    for (let i = whole * 4; i < length; i++) {
      if (this.data[start + i] !== scratch[i]) return false;
    }
    return true;
  }

  private rehash(): void {
    const slots = new Int32Array(this.slots.length * 2);
    const mask = slots.length - 1;
    for (let code = 0; code < this.entries; code++) {
      let slot = (this.hashes[code] ?? 0) & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = code + 1;
    }
    this.slots = slots;
  }

  /** Copies the scratch buffer behind the last entry. */
  private addEntry(length: number): void {
    const end = this.offsets[this.entries] ?? 0;
    this.reserve(end, length);
    this.data.set(scratch.subarray(0, length), end);
    this.endEntry(end + length);
  }

  private endEntry(end: number): void {
    const next = this.entries + 1;
    if (next === this.offsets.length) {
      const grown = new Int32Array(Math.max(64, next * 2));
      grown.set(this.offsets);
      this.offsets = grown;
    }
    this.offsets[next] = end;
    this.entries = next;
  }

  private reserve(end: number, length: number): void {
    const wanted = end + length;
    if (wanted <= this.data.length) return;
    if (wanted > DATA_BYTES_MAX) throw new RangeError('a STRING column holds at most 2 GiB; use smaller batches');
    const capacity = Math.min(DATA_BYTES_MAX, Math.max(INITIAL_DATA_BYTES, this.data.length * 2, wanted));
    const buffer = new ArrayBuffer(capacity);
    const grown = Buffer.from(buffer);
    grown.set(this.data.subarray(0, end));
    this.data = grown;
    this.words = new DataView(buffer);
  }

  /** More than half of the rows differ, and plain layout does not take more than twice the dictionary's bytes. */
  private isMostlyDistinct(): boolean {
    const rows = this.length;
    const bytes = this.offsets[this.entries] ?? 0;
    return this.entries * 2 > rows && this.rowBytes + rows * 4 <= 2 * (bytes + (rows + this.entries) * 4);
  }

  private becomePlain(): void {
    const codes = this.codes;
    if (codes === undefined) return;
    const { offsets, data, length } = this;
    const plainOffsets = new Int32Array(Math.max(64, codes.length + 1, offsets.length));
    const plain = Buffer.from(new ArrayBuffer(Math.max(this.rowBytes, data.length)));
    let end = 0;
    for (let row = 0; row < length; row++) {
      const code = codes[row] ?? 0;
      const start = offsets[code] ?? 0;
      const stop = offsets[code + 1] ?? 0;
      plain.set(data.subarray(start, stop), end);
      end += stop - start;
      plainOffsets[row + 1] = end;
    }
    this.codes = undefined;
    this.offsets = plainOffsets;
    this.data = plain;
    this.entries = length;
    this.hashes = new Int32Array(0);
    this.slots = new Int32Array(0);
    this.words = new DataView(plain.buffer);
  }

  private appendPlain(cell: string | Uint8Array): void {
    const length = writeScratch(cell, this.bytesMax);
    if (length > this.bytesMax) this.truncated++;
    this.pushPlain(length);
  }

  private pushPlain(length: number): void {
    this.addEntry(length);
    this.rowBytes += length;
    this.length = this.entries;
  }

  /** Forgets the rows from `length` on. Entries that only they used stay in the dictionary. */
  rewind(length: number): void {
    this.length = length;
    if (this.codes === undefined) this.entries = length;
  }

  /** Rows [start, end) without copying. The view stays as it is whatever is appended later. */
  view(start: number, end: number): StringColumn {
    const { codes, offsets, data } = this;
    if (codes === undefined) {
      return {
        type: 'STRING',
        length: end - start,
        codes,
        dictionary: dictionaryOf(offsets.subarray(start, end + 1), bytesOf(data)),
      };
    }
    const dictionary = dictionaryOf(offsets.subarray(0, this.entries + 1), bytesOf(data));
    return { type: 'STRING', length: end - start, codes: codes.subarray(start, end), dictionary };
  }

  /** Reorders the rows from `start` on, in place: row `start + i` becomes what row `order[i]` was. */
  permute(start: number, order: Int32Array): void {
    const { codes } = this;
    if (codes !== undefined) {
      codes.set(
        order.map((row) => codes[row] ?? 0),
        start,
      );
      return;
    }
    const { offsets, data } = this;
    const begin = offsets[start] ?? 0;
    const copy = Buffer.from(data.subarray(begin, offsets[this.length]));
    const starts = offsets.slice(start, this.length + 1);
    let end = begin;
    order.forEach((row, i) => {
      const from = (starts[row - start] ?? 0) - begin;
      const to = (starts[row - start + 1] ?? 0) - begin;
      data.set(copy.subarray(from, to), end);
      end += to - from;
      offsets[start + i + 1] = end;
    });
  }

  /** Bytes of all buffers as allocated. */
  get byteLength(): number {
    const codes = this.codes?.byteLength ?? 0;
    return codes + this.offsets.byteLength + this.data.length + this.hashes.byteLength + this.slots.byteLength;
  }

  /** Bytes that `finish` would keep. */
  get usedBytes(): number {
    return (
      (this.codes === undefined ? 0 : this.length * 4) + (this.entries + 1) * 4 + (this.offsets[this.entries] ?? 0)
    );
  }

  get sizes(): BuilderSizes {
    return { rows: this.length, entries: this.entries, dataBytes: this.offsets[this.entries] ?? 0 };
  }

  /** The column, in buffers with at most an eighth to spare. The builder must not be used afterwards. */
  finish(): StringColumn {
    if (this.codes !== undefined && this.isMostlyDistinct()) this.becomePlain();
    const { codes, entries, length } = this;
    const offsets = fitted(this.offsets, entries + 1);
    const end = offsets[entries] ?? 0;
    const data = bytesOf(this.data);
    return {
      type: 'STRING',
      length,
      codes: codes === undefined ? undefined : fitted(codes, length),
      dictionary: dictionaryOf(offsets, isNearlyFull(end, data.length) ? data.subarray(0, end) : data.slice(0, end)),
    };
  }
}

/** The same memory without Buffer's methods. */
const bytesOf = (data: Buffer<ArrayBuffer>): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.length);

const fitted = (values: Int32Array, length: number): Int32Array =>
  isNearlyFull(length, values.length) ? values.subarray(0, length) : values.slice(0, length);
