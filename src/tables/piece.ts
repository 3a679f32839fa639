// Pieces of a table, each sorted by time_, and how they are read as one sorted sequence. Pieces may overlap in time a
// little (rows arrive out of order across a border): only the rows that overlap are copied, all others are slices.
import { concatColumns } from '../columns/concat.ts';
import type { Batch, Column } from '../columns/column.ts';
import { dictionaryOf } from '../columns/dictionary.ts';
import { sliceColumn, takeColumn } from '../columns/select.ts';
import type { Schema } from '../model/types.ts';
import { ascendingOrder, lowerBound, upperBound } from './time-order.ts';

/** Rows of a batch, and of a segment, at most. */
export const ROWS_PER_BATCH_MAX = 65_536;

/** At least one row, ascending by time_. */
export interface Piece {
  readonly columns: readonly Column[];
  /** The values of column time_. */
  readonly times: BigInt64Array;
}

/** Half-open [start, end); absent bounds are open. */
export interface TimeRange {
  readonly start?: bigint | undefined;
  readonly end?: bigint | undefined;
}

/**
 * The columns at `positions` of the rows within `range`; undefined where no row is. Copies nothing. Dictionaries are new
 * objects over the same bytes: texts that a reader decodes go with the reader, not with the segment.
 */
export function narrow(piece: Piece, positions: readonly number[], { start, end }: TimeRange): Piece | undefined {
  const from = start === undefined ? 0 : lowerBound(piece.times, start);
  const to = end === undefined ? piece.times.length : lowerBound(piece.times, end);
  if (from >= to) return undefined;
  const columns = positions.flatMap((at) => piece.columns[at] ?? []).map(withOwnTexts);
  return slice({ columns, times: piece.times }, from, to);
}

function withOwnTexts(column: Column): Column {
  if (column.type !== 'STRING') return column;
  return { ...column, dictionary: dictionaryOf(column.dictionary.offsets, column.dictionary.data) };
}

function slice(piece: Piece, start: number, end: number): Piece {
  if (start === 0 && end === piece.times.length) return piece;
  return {
    columns: piece.columns.map((column) => sliceColumn(column, start, end)),
    times: piece.times.subarray(start, end),
  };
}

/** Both pieces' rows in ascending order; of equal times those of `first` come first. */
function merge(first: Piece, second: Piece): Piece {
  const times = new BigInt64Array(first.times.length + second.times.length);
  times.set(first.times);
  times.set(second.times, first.times.length);
  const columns = first.columns.map((column, i) => concatColumns([column, second.columns[i] ?? column]));
  return sortPiece({ columns, times });
}

/** The rows of `piece` by time_, equal times in the order they had. */
export function sortPiece(piece: Piece): Piece {
  const order = ascendingOrder(piece.times);
  if (order === undefined) return piece;
  const times = new BigInt64Array(order.length);
  for (let i = 0; i < order.length; i++) times[i] = piece.times[order[i]!]!;
  return { columns: piece.columns.map((column) => takeColumn(column, order)), times };
}

/**
 * The rows of all pieces, each sorted in itself, as one sequence sorted by time; of equal times those of earlier pieces
 * come first. Where pieces do not overlap they come out as they are.
 */
export function* inTimeOrder(pieces: readonly Piece[]): Generator<Piece> {
  // Everything up to the earliest row that is still to come can go out; the rest is carried along.
  const earliestBehind: bigint[] = [];
  let earliest: bigint | undefined;
  for (const piece of pieces.toReversed()) {
    if (earliest !== undefined) earliestBehind.unshift(earliest);
    const first = piece.times[0] ?? 0n;
    earliest = earliest === undefined || first < earliest ? first : earliest;
  }
  let carried: Piece | undefined;
  for (const [i, piece] of pieces.entries()) {
    const bound = earliestBehind[i];
    let rest: Piece = piece;
    if (carried !== undefined) {
      // Rows of this piece that lie behind all that is carried need not be merged with it.
      const overlap = lowerBound(piece.times, carried.times.at(-1) ?? 0n);
      const merged: Piece = overlap === 0 ? carried : merge(carried, slice(piece, 0, overlap));
      const out = bound === undefined ? merged.times.length : upperBound(merged.times, bound);
      if (out > 0) yield* cutPiece(slice(merged, 0, out));
      if (out < merged.times.length) {
        // Three pieces overlap: what stays of the first two is carried as one.
        const left = slice(merged, out, merged.times.length);
        carried = overlap === piece.times.length ? left : merge(left, slice(piece, overlap, piece.times.length));
        continue;
      }
      if (overlap === piece.times.length) {
        carried = undefined;
        continue;
      }
      rest = slice(piece, overlap, piece.times.length);
    }
    const out = bound === undefined ? rest.times.length : upperBound(rest.times, bound);
    if (out > 0) yield* cutPiece(slice(rest, 0, out));
    carried = out < rest.times.length ? slice(rest, out, rest.times.length) : undefined;
  }
}

/** The same rows in pieces of at most 65,536. */
export function cutPiece(piece: Piece): Piece[] {
  const { length } = piece.times;
  const pieces: Piece[] = [];
  for (let start = 0; start < length; start += ROWS_PER_BATCH_MAX) {
    pieces.push(slice(piece, start, Math.min(length, start + ROWS_PER_BATCH_MAX)));
  }
  return pieces;
}

export const batchOfPiece = (schema: Schema, { columns, times }: Piece): Batch => ({
  schema,
  columns,
  length: times.length,
});
