// One direction of a connection as a stream of bytes addressed by position. Messages that are next in line never enter
// it: a parser reads them in place. What comes early (behind a hole) or cannot be read yet is copied and held, within
// bounds, until the hole is filled or given up.
import type { KtimeNs } from './protocol.ts';

/** How long a hole may wait for a late message before its bytes are a gap. Inversions between CPUs are microseconds. */
export const REORDER_WINDOW_NS = 20_000_000;

/** Above either of these a hole is given up at once, whatever its age. */
export const HELD_BYTES_MAX = 256 * 1024;
const HELD_PIECES_MAX = 256;

/** A held message: `bytes` is its captured beginning, `offset` how much of `size` has been read. */
export interface Piece {
  readonly position: number;
  readonly size: number;
  readonly bytes: Uint8Array;
  readonly time: KtimeNs;
  /** Whether `position` is where a message began, not the rest of one that overlapped what was known. */
  readonly isMessageStart: boolean;
  offset: number;
}

export class ByteStream {
  /** Position of the next byte to read; every byte before it was read or given up. */
  position = 0;
  /** Captured bytes held. */
  bytesHeld = 0;
  /** Sorted by position, without overlap. */
  readonly #pieces: Piece[] = [];

  get isEmpty(): boolean {
    return this.#pieces.length === 0;
  }

  /** Whether more is held than may wait. */
  get isOverfull(): boolean {
    return this.bytesHeld > HELD_BYTES_MAX || this.#pieces.length > HELD_PIECES_MAX;
  }

  /** The first held piece, if its next byte is the stream's next byte. */
  next(): Piece | undefined {
    const piece = this.#pieces[0];
    return piece !== undefined && piece.position + piece.offset === this.position ? piece : undefined;
  }

  /** The piece behind the hole at `position`; undefined where there is no hole. */
  behindHole(): Piece | undefined {
    const piece = this.#pieces[0];
    return piece !== undefined && piece.position + piece.offset > this.position ? piece : undefined;
  }

  /** Gives up the hole at `position` and returns its size in bytes: 0 where there is none. */
  skipHole(): number {
    const piece = this.behindHole();
    if (piece === undefined) return 0;
    const size = piece.position - this.position;
    this.position = piece.position;
    return size;
  }

  /** Marks `count` bytes of `piece`, the one that `next` gave, as read; lets go of it when all are. */
  consume(piece: Piece, count: number): void {
    piece.offset += count;
    this.position += count;
    if (piece.offset < piece.size) return;
    this.#pieces.shift();
    this.bytesHeld -= piece.bytes.length;
  }

  /**
   * Holds a message of which the first `offset` bytes are read already; copies its payload. Bytes that are behind
   * `position` or held already are ignored, and false is returned if none were left. Not for messages next in line.
   */
  hold(position: number, size: number, payload: Uint8Array, time: KtimeNs, offset = 0): boolean {
    const pieces = this.#pieces;
    let index = pieces.length;
    while (index > 0 && (pieces[index - 1]?.position ?? 0) > position) index--;
    const before = pieces[index - 1];
    const after = pieces[index];
    const start = Math.max(position + offset, this.position, before === undefined ? 0 : before.position + before.size);
    const end = Math.min(position + size, after?.position ?? Infinity);
    if (start >= end) return false;
    const skipped = start - position;
    // Not `slice`: a Buffer's gives a view.
    const bytes = new Uint8Array(payload.subarray(Math.min(skipped, payload.length), end - position));
    pieces.splice(index, 0, {
      position: start,
      size: end - start,
      bytes,
      time,
      isMessageStart: skipped === 0,
      offset: 0,
    });
    this.bytesHeld += bytes.length;
    return true;
  }

  clear(): void {
    this.#pieces.length = 0;
    this.bytesHeld = 0;
  }
}
