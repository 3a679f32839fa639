// The beginning of a head that is cut by a message's end, kept until the rest comes.
import { HEAD_BYTES_MAX } from './head.ts';

const EMPTY = new Uint8Array(0);

export class PartialHead {
  /** Holds the head in its first `length` bytes. */
  bytes: Uint8Array = EMPTY;
  length = 0;

  /** Whether nothing more fits. */
  get isFull(): boolean {
    return this.length === HEAD_BYTES_MAX;
  }

  /** Adds a copy of as much of `bytes[from, to)` as fits. */
  append(bytes: Uint8Array, from: number, to: number): void {
    const length = Math.min(this.length + to - from, HEAD_BYTES_MAX);
    if (length > this.bytes.length) {
      const grown = new Uint8Array(Math.min(HEAD_BYTES_MAX, Math.max(512, 2 * length)));
      grown.set(this.bytes.subarray(0, this.length));
      this.bytes = grown;
    }
    this.bytes.set(bytes.subarray(from, from + length - this.length), this.length);
    this.length = length;
  }

  clear(): void {
    this.bytes = EMPTY;
    this.length = 0;
  }
}
