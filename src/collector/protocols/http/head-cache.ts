// Heads repeat: a client sends the same bytes for each request, a server's answers differ once a second by their Date.
// This finds where a head ends and, for bytes met before, skips parsing. Shared by all connections, direct-mapped, so it
// needs no eviction; a head is kept only when its hash is met a second time, so unique heads cost no copy.
import { type Head, parseHead } from './head.ts';

/** A head with the bytes it was parsed from, blank line included. */
export interface KnownHead {
  readonly bytes: Uint8Array;
  readonly head: Head;
}

const SLOTS = 1024;
/** Longer heads are rare and mostly unique (cookies, tokens). */
const KNOWN_BYTES_MAX = 2048;
const LF = 10;
const CR = 13;

/** Whether `bytes[from, to)` begins with the known head. */
export function startsWithHead(known: KnownHead, bytes: Uint8Array, from: number, to: number): boolean {
  const expected = known.bytes;
  const length = expected.length;
  if (to - from < length) return false;
  // The end differs first where a head is longer or shorter than the known one.
  for (let i = 0; i < length; i++) if (bytes[from + i] !== expected[i]) return false;
  return true;
}

export class HeadCache {
  /** Where the head that `find` looked for ends; -1 if it is not complete. */
  end = -1;
  /** Set by `find` where the head is one that is kept. */
  known: KnownHead | undefined;
  readonly #slots: (KnownHead | undefined)[] = Array.from({ length: SLOTS }, () => undefined);
  readonly #hashes = new Int32Array(SLOTS);

  /** The head that starts at `from`; undefined if it is incomplete (`end` is -1) or malformed (`end` says where it ends). */
  find(bytes: Uint8Array, from: number, to: number, isRequest: boolean): Head | undefined {
    this.known = undefined;
    this.end = -1;
    let hash = 0;
    let i = from;
    for (; i < to; i++) {
      const byte = bytes[i] ?? 0;
      hash = (Math.imul(hash, 31) + byte) | 0;
      if (byte !== LF || i + 1 >= to) continue;
      const next = bytes[i + 1];
      if (next === LF) this.end = i + 2;
      else if (next === CR && i + 2 < to && bytes[i + 2] === LF) this.end = i + 3;
      else continue;
      break;
    }
    if (this.end < 0) return undefined;
    const index = (hash ^ (hash >>> 15)) & (SLOTS - 1);
    const slot = this.#slots[index];
    if (slot !== undefined && slot.bytes.length === this.end - from && startsWithHead(slot, bytes, from, to)) {
      if (slot.head.isRequest !== isRequest) return undefined;
      this.known = slot;
      return slot.head;
    }
    const head = parseHead(bytes, from, this.end, isRequest);
    if (head === undefined || this.end - from > KNOWN_BYTES_MAX) return head;
    if (this.#hashes[index] === hash) {
      this.known = this.#slots[index] = { bytes: new Uint8Array(bytes.subarray(from, this.end)), head };
    }
    this.#hashes[index] = hash;
    return head;
  }
}
