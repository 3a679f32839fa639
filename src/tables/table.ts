// One table of the store: sealed segments, oldest first, and the active one. Bounded in bytes: the oldest segments go.
import { allocatedBytes } from '../columns/batch.ts';
import type { TableDefinition } from '../model/catalogue.ts';
import { timeNs, type TimeNs } from '../model/time.ts';
import type { Cell } from '../model/types.ts';
import { ActiveSegment } from './active-segment.ts';
import { createIntervalCounts } from './interval-counts.ts';
import { ROWS_PER_BATCH_MAX, type Piece } from './piece.ts';
import { snapshotOf, type Snapshot, type SnapshotOptions } from './snapshot.ts';

/** A segment takes at most this part of its table's budget, so that expiry takes rows off in small steps. */
const SEGMENT_SHARE = 1 / 16;
const SEGMENT_BYTES_MAX = 16 * 1024 * 1024;
const SEGMENT_BYTES_MIN = 16 * 1024;
/** Rows between two looks at how many bytes there are. */
const ROWS_BETWEEN_CHECKS = 64;
/** Readers leave a run each where rows keep coming out of order; a segment with this many is sealed, and so sorted. */
const RUNS_MAX = 64;

/** The watermark of a table that gets no more rows. */
export const FOREVER = timeNs(2n ** 63n - 1n);

export interface TableStats {
  readonly rows: number;
  /** Bytes of all buffers as allocated. */
  readonly bytes: number;
  readonly budgetBytes: number;
  readonly segments: number;
  /** Earliest time_ that is still here; undefined while the table is empty. */
  readonly minTime: TimeNs | undefined;
  /** Rows before this time are gone, or may be; undefined while nothing has expired. */
  readonly goneUntil: TimeNs | undefined;
  readonly rowsAppended: number;
  readonly rowsExpired: number;
  /** Rows that came behind the watermark and were stored at it. */
  readonly rowsLate: number;
  readonly cellsTruncated: number;
}

interface Sealed {
  readonly piece: Piece;
  readonly bytes: number;
}

export class Table {
  readonly definition: TableDefinition;
  watermark: bigint | undefined;

  private readonly budgetBytes: number;
  private readonly segmentBytesMax: number;
  private sealed: Sealed[] = [];
  private sealedBytes = 0;
  private active: ActiveSegment;
  private activeBytes = 0;
  /** Length of the STRING cells since the last look at the bytes. */
  private textSinceCheck = 0;
  private readonly expired = createIntervalCounts();
  private goneUntil: bigint | undefined;
  private rowsAppended = 0;
  private rowsExpired = 0;
  private rowsLate = 0;
  private truncatedInSealed = 0;

  constructor(definition: TableDefinition, budgetBytes: number) {
    this.definition = definition;
    this.budgetBytes = budgetBytes;
    this.segmentBytesMax = Math.max(SEGMENT_BYTES_MIN, Math.min(SEGMENT_BYTES_MAX, budgetBytes * SEGMENT_SHARE));
    this.active = new ActiveSegment(definition.columns);
  }

  append(time: bigint, cells: readonly Cell[]): 'stored' | 'late' {
    if (cells.length !== this.definition.columns.length) {
      throw new TypeError(
        `${cells.length} cells for the ${this.definition.columns.length} columns of ${this.definition.name}`,
      );
    }
    const { watermark } = this;
    const isLate = watermark !== undefined && time < watermark;
    // A source that has ended sets its watermark to the end of time; a row that still comes keeps its own.
    this.active.append(isLate && watermark < FOREVER ? watermark : time, cells);
    this.rowsAppended++;
    if (isLate) this.rowsLate++;
    for (const cell of cells) if (typeof cell === 'string') this.textSinceCheck += cell.length;
    if (this.active.length % ROWS_BETWEEN_CHECKS === 0 || this.textSinceCheck > this.segmentBytesMax / 8) this.check();
    return isLate ? 'late' : 'stored';
  }

  /** Seals the active segment where it is full, expires the oldest where the budget is passed. */
  private check(): void {
    this.textSinceCheck = 0;
    this.activeBytes = this.active.byteLength;
    if (this.active.length >= ROWS_PER_BATCH_MAX || this.active.usedBytes >= this.segmentBytesMax) this.seal();
    while (this.sealedBytes + this.activeBytes > this.budgetBytes) {
      const oldest = this.sealed.shift();
      if (oldest === undefined) break;
      this.sealedBytes -= oldest.bytes;
      this.expire(oldest.piece.times);
    }
  }

  private seal(): void {
    if (this.active.length === 0) return;
    this.truncatedInSealed += this.active.cellsTruncated;
    const { sizes } = this.active;
    const piece = this.active.finish();
    const bytes = piece.columns.reduce((sum, column) => sum + allocatedBytes(column), 0);
    this.sealed.push({ piece, bytes });
    this.sealedBytes += bytes;
    this.active = new ActiveSegment(this.definition.columns, sizes);
    this.activeBytes = this.active.byteLength;
  }

  private expire(times: BigInt64Array): void {
    const first = times[0] ?? 0n;
    const last = times.at(-1) ?? 0n;
    this.rowsExpired += times.length;
    this.expired.add(first, last, times.length);
    if (this.goneUntil === undefined || last + 1n > this.goneUntil) this.goneUntil = last + 1n;
  }

  expiredWithin(start: bigint | undefined, end: bigint | undefined): number {
    return this.expired.within(start, end);
  }

  snapshot(options: SnapshotOptions): Snapshot {
    return snapshotOf(this.definition, this.pieces(), options, this.expiredWithin(options.start, options.end));
  }

  private pieces(): Piece[] {
    const active = this.active.pieces();
    const pieces = [...this.sealed.map(({ piece }) => piece), ...active];
    if (this.active.runCount >= RUNS_MAX) this.seal();
    return pieces;
  }

  stats(): TableStats {
    let earliest = this.active.lowest;
    for (const { piece } of this.sealed) {
      const first = piece.times[0];
      if (earliest === undefined || (first !== undefined && first < earliest)) earliest = first;
    }
    return {
      rows: this.rowsAppended - this.rowsExpired,
      bytes: this.sealedBytes + this.active.byteLength,
      budgetBytes: this.budgetBytes,
      segments: this.sealed.length + (this.active.length > 0 ? 1 : 0),
      minTime: earliest === undefined ? undefined : timeNs(earliest),
      goneUntil: this.goneUntil === undefined ? undefined : timeNs(this.goneUntil),
      rowsAppended: this.rowsAppended,
      rowsExpired: this.rowsExpired,
      rowsLate: this.rowsLate,
      cellsTruncated: this.truncatedInSealed + this.active.cellsTruncated,
    };
  }
}
