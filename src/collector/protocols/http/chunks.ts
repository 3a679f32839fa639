// The framing of a chunked body (RFC 9112 section 7.1): size lines, chunk ends and the trailer section, byte by byte, so
// that it may be cut anywhere. The data between is left to the caller.
import { HEAD_BYTES_MAX } from './head.ts';

type State = 'size' | 'extension' | 'data' | 'dataEnd' | 'trailer' | 'done' | 'malformed' | 'tooLong';

const LF = 10;
const CR = 13;
const SIZE_DIGITS_MAX = 12;
const SIZE_LINE_BYTES_MAX = 4096;

export class ChunkFraming {
  #state: State = 'size';
  /** Bytes left of the chunk while `isInData`. */
  left = 0;
  #digits = 0;
  /** Bytes of the size line, chunk end or trailer section so far; and of the current trailer line. */
  #bytes = 0;
  #lineBytes = 0;

  start(): void {
    this.#state = 'size';
    this.left = this.#digits = this.#bytes = this.#lineBytes = 0;
  }

  get isInData(): boolean {
    return this.#state === 'data';
  }

  get isDone(): boolean {
    return this.#state === 'done';
  }

  get isTooLong(): boolean {
    return this.#state === 'tooLong';
  }

  get isBroken(): boolean {
    return this.#state === 'malformed' || this.#state === 'tooLong';
  }

  /** No byte of a chunk has come yet. */
  get isFresh(): boolean {
    return this.#state === 'size' && this.#bytes === 0;
  }

  /** Reads framing from `from` on until data begins, the body is done or the bytes end; gives the position behind it. */
  read(bytes: Uint8Array, from: number, to: number): number {
    let at = from;
    while (at < to && (this.#state === 'size' || this.#state === 'extension' || this.#state === 'dataEnd')) {
      this.#step(bytes[at++] ?? 0);
    }
    while (at < to && this.#state === 'trailer') this.#stepTrailer(bytes[at++] ?? 0);
    return at;
  }

  /** `count` bytes of the chunk's data have passed. */
  passData(count: number): void {
    this.left -= count;
    if (this.left > 0) return;
    this.#state = 'dataEnd';
    this.#bytes = 0;
  }

  /** `size` bytes passed unseen; gives how many of them lie behind the end of this chunk, where nothing is known. */
  passUnseen(size: number): number {
    if (this.#state !== 'dataEnd') return size;
    // No sender is known that ends a chunk with a bare LF: these are CR LF.
    const count = Math.min(size, 2 - this.#bytes);
    this.#bytes += count;
    if (this.#bytes === 2) this.start();
    return size - count;
  }

  #step(byte: number): void {
    this.#bytes++;
    if (this.#state === 'dataEnd') {
      if (byte === LF) this.start();
      else if (byte !== CR || this.#bytes > 1) this.#state = 'malformed';
      return;
    }
    if (byte === LF && this.#digits > 0) {
      this.#state = this.left > 0 ? 'data' : 'trailer';
      this.#bytes = this.#lineBytes = 0;
      return;
    }
    const digit = this.#state === 'size' ? hexDigit(byte) : -1;
    if (digit >= 0 && this.#digits < SIZE_DIGITS_MAX) {
      this.left = this.left * 16 + digit;
      this.#digits++;
    } else if (this.#digits > 0 && (this.#state === 'extension' || endsSize(byte))) {
      this.#state = this.#bytes > SIZE_LINE_BYTES_MAX ? 'tooLong' : 'extension';
    } else {
      this.#state = 'malformed';
    }
  }

  /** Field lines until an empty one; they are passed over. */
  #stepTrailer(byte: number): void {
    this.#bytes++;
    if (byte === LF) {
      if (this.#lineBytes === 0) this.#state = 'done';
      this.#lineBytes = 0;
    } else if (byte !== CR) {
      this.#lineBytes++;
    }
    if (this.#state === 'trailer' && this.#bytes > HEAD_BYTES_MAX) this.#state = 'tooLong';
  }
}

/** Whether `bytes[from, to)` begins with a whole size line. */
export function beginsChunk(bytes: Uint8Array, from: number, to: number): boolean {
  let at = from;
  while (at < to && at - from < 8 && hexDigit(bytes[at] ?? 0) >= 0) at++;
  return at > from && at + 1 < to && bytes[at] === CR && bytes[at + 1] === LF;
}

const endsSize = (byte: number): boolean => byte === CR || byte === 0x3b || byte === 32 || byte === 9;

function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const letter = byte | 0x20;
  return letter >= 97 && letter <= 102 ? letter - 87 : -1;
}
