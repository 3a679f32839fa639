// Reading: the rows of some pieces within a range of time, as batches.
import type { Batch } from '../columns/column.ts';
import { schemaOf, type TableDefinition } from '../model/catalogue.ts';
import { batchOfPiece, inTimeOrder, narrow, type Piece, type TimeRange } from './piece.ts';

export interface SnapshotOptions extends TimeRange {
  /** The columns wanted, in that order; all in the order of the catalogue where absent. */
  readonly columns?: readonly string[] | undefined;
}

/** The rows of a table at one moment, ascending by time_. May be iterated again; later appends and expiry do not show. */
export interface Snapshot extends Iterable<Batch> {
  readonly rows: number;
  /** Rows of the range, at most, that had been expired when this was made. */
  readonly rowsExpired: number;
}

/** Throws for a column that the table does not have. */
export function snapshotOf(
  definition: TableDefinition,
  pieces: readonly Piece[],
  { start, end, columns }: SnapshotOptions,
  rowsExpired: number,
): Snapshot {
  const positions = positionsOf(definition, columns);
  const schema = schemaOf(definition);
  const selected = positions.flatMap((position) => schema[position] ?? []);
  const wanted = pieces.flatMap((piece) => narrow(piece, positions, { start, end }) ?? []);
  return {
    rows: wanted.reduce((rows, piece) => rows + piece.times.length, 0),
    rowsExpired,
    *[Symbol.iterator]() {
      for (const piece of inTimeOrder(wanted)) yield batchOfPiece(selected, piece);
    },
  };
}

function positionsOf({ name: table, columns }: TableDefinition, names: readonly string[] | undefined): number[] {
  if (names === undefined) return columns.map((_, i) => i);
  return names.map((name) => {
    const position = columns.findIndex((column) => column.name === name);
    if (position >= 0) return position;
    throw new Error(`table ${table} has no column ${name}; it has ${columns.map((column) => column.name).join(', ')}`);
  });
}
