// The segment that a table is appending to: a builder a column. Rows are appended as they come; a reader gets them as
// sorted runs:
//
//   rows    0 ........ a ........ b ...... n      [0, a) and [a, b) were handed to readers: sorted, never moved again.
//           | run      | run      | tail   |      The tail is sorted in place, and becomes a run, when the next one reads.
import type { BuilderSizes } from '../columns/builder-sizes.ts';
import { columnBuilder, type ColumnBuilder } from '../columns/builder.ts';
import { StringBuilder } from '../columns/string-builder.ts';
import { BYTES_MAX_DEFAULT, type TableColumn } from '../model/catalogue.ts';
import type { Cell } from '../model/types.ts';
import { sortPiece, type Piece } from './piece.ts';
import { ascendingOrder } from './time-order.ts';

export class ActiveSegment {
  /** Rows so far. */
  length = 0;
  private readonly builders: readonly ColumnBuilder[];
  private readonly strings: readonly StringBuilder[];
  private readonly timeColumn: number;
  private highest = 0n;
  /** Earliest time so far; undefined while there are no rows. */
  lowest: bigint | undefined;
  /** Whether every row came in order; `isTailSorted`: every row behind the last run. */
  private isSorted = true;
  private isTailSorted = true;
  private runs: { readonly start: number; readonly end: number }[] = [];

  /** `sizes`: those that the columns of the segment before had; this one will be about as large. */
  constructor(columns: readonly TableColumn[], sizes: readonly BuilderSizes[] = []) {
    this.builders = columns.map(({ type, bytesMax }, i) =>
      columnBuilder(type, bytesMax ?? BYTES_MAX_DEFAULT, sizes[i]),
    );
    this.strings = this.builders.filter((builder) => builder instanceof StringBuilder);
    this.timeColumn = columns.findIndex((column) => column.name === 'time_');
  }

  /** Appends a row at `time`. Throws a TypeError, with nothing appended, where a cell does not fit its column. */
  append(time: bigint, cells: readonly Cell[]): void {
    const { builders, timeColumn } = this;
    let column = 0;
    try {
      for (; column < builders.length; column++) {
        builders[column]!.append(column === timeColumn ? time : cells[column]!);
      }
    } catch (cause) {
      for (const builder of builders) builder.rewind(this.length);
      throw cause;
    }
    if (this.lowest === undefined || time < this.lowest) this.lowest = time;
    if (time >= this.highest || this.length === 0) this.highest = time;
    else this.isSorted = this.isTailSorted = false;
    this.length++;
  }

  /** Runs that readers made so far. */
  get runCount(): number {
    return this.runs.length;
  }

  get sizes(): BuilderSizes[] {
    return this.builders.map((builder) => builder.sizes);
  }

  /** Bytes that the rows take, without what is allocated for more of them. */
  get usedBytes(): number {
    return this.builders.reduce((sum, builder) => sum + builder.usedBytes, 0);
  }

  get byteLength(): number {
    return this.builders.reduce((sum, builder) => sum + builder.byteLength, 0);
  }

  /** Cells that were cut because they were too long. */
  get cellsTruncated(): number {
    return this.strings.reduce((sum, builder) => sum + builder.truncated, 0);
  }

  /** All rows, as views that later appends do not change. */
  pieces(): Piece[] {
    this.closeRun();
    return this.runs.map(({ start, end }) => {
      const columns = this.builders.map((builder) => builder.view(start, end));
      return { columns, times: this.times(start, end) };
    });
  }

  /** The rows as one sorted piece in buffers of their size. The segment must not be used afterwards. */
  finish(): Piece {
    const columns = this.builders.map((builder) => builder.finish());
    const time = columns[this.timeColumn];
    const piece = { columns, times: time?.type === 'TIME64NS' ? time.values : new BigInt64Array(0) };
    return this.isSorted ? piece : sortPiece(piece);
  }

  private times(start: number, end: number): BigInt64Array {
    const column = this.builders[this.timeColumn]?.view(start, end);
    return column?.type === 'TIME64NS' ? column.values : new BigInt64Array(0);
  }

  private closeRun(): void {
    const last = this.runs.at(-1);
    const start = last?.end ?? 0;
    if (start === this.length) return;
    if (!this.isTailSorted) {
      const order = ascendingOrder(this.times(0, this.length), start);
      if (order !== undefined) for (const builder of this.builders) builder.permute(start, order);
    }
    this.isTailSorted = true;
    const run = { start, end: this.length };
    const times = this.times(0, this.length);
    // Most often the new rows follow the old ones in time as well: one run, one piece.
    if (last !== undefined && times[start]! >= times[start - 1]!)
      this.runs[this.runs.length - 1] = { ...run, start: last.start };
    else this.runs.push(run);
  }
}
