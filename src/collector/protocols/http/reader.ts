// Reads one direction of an HTTP/1 connection: bytes, sizes without bytes, and gaps in; heads and ends of messages out.
// It goes through each byte once, keeps at most an unfinished head and the beginning of a body, and parses a message that
// lies whole in one captured piece in place.
import type { KtimeNs, LossReason } from '../protocol.ts';
import { BODY_BYTES_KEPT, bodyCell, giveBackKeptBuffer, keepsBody, takeKeptBuffer } from './body.ts';
import { ChunkFraming, beginsChunk } from './chunks.ts';
import { type HeadCache, type KnownHead, startsWithHead } from './head-cache.ts';
import { type Head, headEnd } from './head.ts';
import { PartialHead } from './partial-head.ts';
import type { ReaderEvents } from './reader-events.ts';
import { guessKnownRequest, guessRequest, guessResponse } from './start-line.ts';

type State =
  /** Between messages, or within a head (`#partial` holds its beginning). */
  | 'start'
  | 'length'
  | 'chunked'
  | 'untilClose'
  /** In a chunked body whose chunk boundaries were not captured; the next message that begins with one is taken. */
  | 'adrift'
  /** Framing is lost; the next message that begins with a start line is taken. */
  | 'lost';

const LF = 10;
const CR = 13;
const UNSEEN = -1;
const EMPTY = new Uint8Array(0);
/** A start line that looked possible while it was short is looked at again up to here. */
const GUESS_BYTES_MAX = 256;

export class MessageReader {
  readonly #isRequest: boolean;
  readonly #events: ReaderEvents;
  readonly #cache: HeadCache;
  #state: State;
  /** The head of the message being read. */
  #head: Head | undefined;
  /** The head that this direction last had and that is likely to come again. */
  #known: KnownHead | undefined;
  /** The beginning of an unfinished head. */
  readonly #partial = new PartialHead();
  /** Bytes left of a body of known length. */
  #left = 0;
  readonly #chunks = new ChunkFraming();
  /** Decoded bytes of the body so far, and its kept beginning. */
  #size = 0;
  #kept: Uint8Array = EMPTY;
  #keptLength = 0;
  #keepMax = 0;
  #isSpoiled = false;
  /** A start line was found after a loss, but the head is not complete: it may yet turn out to be something else. */
  #isTentative = false;
  /** Of the last byte that was seen; UNSEEN where the last bytes fell into a gap. */
  #lastTime: KtimeNs = 0;

  /** `fromOpen`: the first byte given begins a message. */
  constructor(isRequest: boolean, cache: HeadCache, events: ReaderEvents, fromOpen: boolean) {
    this.#isRequest = isRequest;
    this.#state = fromOpen ? 'start' : 'lost';
    this.#cache = cache;
    this.#events = events;
  }

  get bytesHeld(): number {
    return this.#partial.bytes.length + this.#kept.length;
  }

  /** Whether a head has begun that is not complete. */
  get hasPartialHead(): boolean {
    return this.#partial.length > 0;
  }

  /** Within a message with a body, of which no byte came yet. */
  get isBeforeBody(): boolean {
    if (this.#size > 0) return false;
    return this.#state === 'length' || (this.#state === 'chunked' && this.#chunks.isFresh);
  }

  /** Ends the message whose body was announced and will not come. */
  endWithoutBody(): void {
    this.#end(this.#lastTime, EMPTY, 0, 0);
  }

  /**
   * Reads `bytes[from, to)`; gives the position up to which it did: less than `to` only if the next message may not
   * start yet. `isMessageStart`: the process began a write or read with `bytes[from]`.
   */
  take(bytes: Uint8Array, from: number, to: number, time: KtimeNs, isMessageStart: boolean): number {
    let at = from;
    while (at < to) {
      switch (this.#state) {
        case 'start':
          if (this.#partial.length === 0) {
            while (at < to && (bytes[at] === CR || bytes[at] === LF)) at++;
            if (at === to) return at;
            // Only what can be a message has to wait for its turn.
            if (!this.#events.mayStart() && this.#guess(bytes, at, to) !== 'no') return at;
          }
          at = this.#takeHead(bytes, at, to, time);
          break;
        case 'length':
          at = this.#takeBody(bytes, at, to, time);
          break;
        case 'chunked':
          at = this.#takeChunks(bytes, at, to, time);
          break;
        case 'untilClose':
          this.#keep(bytes, at, to, time);
          return to;
        case 'adrift':
        case 'lost':
          if (at > from || !isMessageStart || !this.#findsWay(bytes, at, to)) {
            this.#passBy(to - at, time);
            return to;
          }
          break;
        default:
          return this.#state satisfies never;
      }
    }
    return at;
  }

  /** `size` bytes went by that were not captured. */
  skip(size: number, time: KtimeNs): void {
    const rest = this.#passOver(size, time, false);
    if (rest === 0) return;
    if ((this.#state === 'chunked' || this.#state === 'adrift') && this.#events.mayDrift()) {
      // Chunk boundaries lie in these bytes: the body's size cannot be known any more, but its end may be.
      this.#spoil(time, rest, 'limit');
      this.#lastTime = time;
      this.#state = 'adrift';
    } else {
      this.#break(time, rest, 'limit');
    }
  }

  /** `size` bytes are missing, and it is not known how many messages they were. */
  gap(size: number, time: KtimeNs): void {
    const rest = this.#passOver(size, time, true);
    if (rest > 0) this.#break(time, rest, 'gap');
  }

  /** The first bytes given are not the first of the connection, and nobody knows how many were before. */
  joinLate(time: KtimeNs): void {
    this.#break(time, 0, 'gap');
  }

  /** No more bytes will come. A body that lasts until then ends; one that is cut short ends with what came of it. */
  close(time: KtimeNs): void {
    if (this.#head !== undefined && this.#lastTime === UNSEEN) this.#spoil(time, 0, 'gap');
    if (this.#head !== undefined) this.#end(this.#lastTime, this.#kept, 0, this.#keptLength);
    this.#partial.clear();
  }

  #guess(bytes: Uint8Array, from: number, to: number): 'yes' | 'maybe' | 'no' {
    if (!this.#isRequest) return guessResponse(bytes, from, to);
    const isUncertain = this.#isTentative || this.#state === 'lost';
    return isUncertain ? guessKnownRequest(bytes, from, to) : guessRequest(bytes, from, to);
  }

  /** Whether framing is known again at `from`, the beginning of a write or read. */
  #findsWay(bytes: Uint8Array, from: number, to: number): boolean {
    const guess = this.#guess(bytes, from, to);
    if (this.#state === 'lost') {
      if (guess === 'no') return false;
      this.#state = 'start';
      this.#isTentative = true;
      return true;
    }
    if (guess === 'yes') {
      this.endWithoutBody();
    } else if (beginsChunk(bytes, from, to)) {
      this.#chunks.start();
      this.#state = 'chunked';
    } else {
      return false;
    }
    return true;
  }

  /** Bytes that are there but mean nothing while framing is lost. */
  #passBy(size: number, time: KtimeNs): void {
    if (this.#state === 'lost') this.#break(time, size, 'malformed');
    else if (this.#events.mayDrift()) this.#lastTime = time;
    else this.#break(time, size, 'limit');
  }

  #takeHead(bytes: Uint8Array, from: number, to: number, time: KtimeNs): number {
    if (this.#partial.length > 0) return this.#takePartial(bytes, from, to, time);
    const known = this.#known;
    if (known !== undefined && startsWithHead(known, bytes, from, to)) {
      this.#begin(known.head, time);
      return from + known.bytes.length;
    }
    const head = this.#cache.find(bytes, from, to, this.#isRequest);
    const end = this.#cache.end;
    if (head !== undefined) {
      this.#known = this.#cache.known ?? this.#known;
      this.#begin(head, time);
      return end;
    }
    if (end >= 0 || this.#guess(bytes, from, to) === 'no') {
      this.#break(time, to - from, 'malformed');
      return to;
    }
    return this.#takePartial(bytes, from, to, time);
  }

  /** Adds to an unfinished head, and parses it once its end is there. */
  #takePartial(bytes: Uint8Array, from: number, to: number, time: KtimeNs): number {
    const partial = this.#partial;
    const before = partial.length;
    partial.append(bytes, from, to);
    const end = headEnd(partial.bytes, 0, partial.length, before);
    // A start line that was possible when it was short is looked at again as it grows.
    const isHopeless =
      (before <= GUESS_BYTES_MAX || this.#isTentative) && this.#guess(partial.bytes, 0, partial.length) === 'no';
    const head = end < 0 || isHopeless ? undefined : this.#cache.find(partial.bytes, 0, end, this.#isRequest);
    if (head !== undefined) {
      partial.clear();
      this.#begin(head, time);
      return from + end - before;
    }
    if (end >= 0 || partial.isFull || isHopeless) {
      const rest = to - from - (partial.length - before);
      this.#break(time, rest, end < 0 && !isHopeless ? 'limit' : 'malformed');
    }
    return to;
  }

  #begin(head: Head, time: KtimeNs): void {
    this.#lastTime = time;
    this.#head = head;
    this.#size = 0;
    this.#keptLength = 0;
    this.#keepMax = keepsBody(head) ? BODY_BYTES_KEPT : 0;
    this.#isSpoiled = false;
    this.#isTentative = false;
    const framing = this.#events.head(head, time);
    switch (framing) {
      case 'none':
        this.#end(time, EMPTY, 0, 0);
        break;
      case 'length':
        this.#left = head.contentLength;
        this.#state = 'length';
        if (this.#left === 0) this.#end(time, EMPTY, 0, 0);
        break;
      case 'chunked':
        this.#chunks.start();
        this.#state = 'chunked';
        break;
      case 'untilClose':
        this.#state = 'untilClose';
        break;
      case 'unknown':
        this.#end(time, EMPTY, 0, 0);
        this.#state = 'lost';
        break;
      default:
        framing satisfies never;
    }
  }

  #end(time: KtimeNs, bytes: Uint8Array, from: number, to: number): void {
    const head = this.#head;
    this.#state = 'start';
    this.#head = undefined;
    if (head !== undefined) this.#events.end(bodyCell(head, bytes, from, to, this.#size), this.#size, time);
    this.#dropKept();
  }

  /** Framing is lost, and with it `bytes` more than those of an unfinished head. */
  #break(time: KtimeNs, bytes: number, reason: LossReason): void {
    const isFirst = this.#state !== 'lost' && !this.#isTentative;
    const isBetween = this.#head === undefined;
    const lost = bytes + this.#partial.length;
    this.#state = 'lost';
    this.#isTentative = false;
    this.#head = undefined;
    this.#partial.clear();
    this.#dropKept();
    this.#events.broken(time, lost, reason, isFirst, isBetween);
  }

  #dropKept(): void {
    if (this.#kept.length > 0) giveBackKeptBuffer(this.#kept);
    this.#kept = EMPTY;
    this.#keptLength = 0;
  }

  #spoil(time: KtimeNs, bytes: number, reason: LossReason): void {
    if (!this.#isSpoiled || bytes > 0) this.#events.spoil(time, bytes, reason);
    this.#isSpoiled = true;
  }

  #takeBody(bytes: Uint8Array, from: number, to: number, time: KtimeNs): number {
    const count = Math.min(this.#left, to - from);
    const end = from + count;
    this.#left -= count;
    if (this.#left === 0 && this.#size === 0) {
      // The whole body lies here: no copy.
      this.#size = count;
      this.#end(time, bytes, from, Math.min(end, from + this.#keepMax));
      return end;
    }
    this.#keep(bytes, from, end, time);
    if (this.#left === 0) this.#end(time, this.#kept, 0, this.#keptLength);
    return end;
  }

  #takeChunks(bytes: Uint8Array, from: number, to: number, time: KtimeNs): number {
    const chunks = this.#chunks;
    let at = from;
    while (at < to) {
      if (chunks.isInData) {
        const count = Math.min(chunks.left, to - at);
        this.#keep(bytes, at, at + count, time);
        chunks.passData(count);
        at += count;
        continue;
      }
      at = chunks.read(bytes, at, to);
      this.#lastTime = time;
      if (chunks.isDone) {
        this.#end(time, this.#kept, 0, this.#keptLength);
        return at;
      }
      if (chunks.isBroken) {
        this.#break(time, to - from, chunks.isTooLong ? 'limit' : 'malformed');
        return to;
      }
    }
    return at;
  }

  /** Counts body bytes and keeps those that belong to the body's unbroken beginning. */
  #keep(bytes: Uint8Array, from: number, to: number, time: KtimeNs): void {
    const room = this.#keepMax - this.#keptLength;
    if (room > 0 && this.#keptLength === this.#size) {
      if (this.#kept.length === 0) this.#kept = takeKeptBuffer();
      const count = Math.min(room, to - from);
      this.#kept.set(bytes.subarray(from, from + count), this.#keptLength);
      this.#keptLength += count;
    }
    this.#size += to - from;
    this.#lastTime = time;
  }

  /**
   * Goes over bytes that are not there as far as the framing allows; gives how many are left. `isGap`: it is not known
   * when they passed, so a message that ends among them has no time.
   */
  #passOver(size: number, time: KtimeNs, isGap: boolean): number {
    const state = this.#state;
    const isInChunk = state === 'chunked' && this.#chunks.isInData;
    let rest = size;
    if (state === 'length' || state === 'untilClose' || isInChunk) {
      const left = isInChunk ? this.#chunks.left : state === 'length' ? this.#left : Infinity;
      const count = Math.min(rest, left);
      this.#size += count;
      this.#lastTime = isGap ? UNSEEN : time;
      rest -= count;
      if (isInChunk) this.#chunks.passData(count);
      if (state === 'length') {
        this.#left -= count;
        if (this.#left > 0) return 0;
        if (isGap) this.#spoil(time, 0, 'gap');
        this.#end(time, this.#kept, 0, this.#keptLength);
        return rest;
      }
    }
    return this.#state === 'chunked' ? this.#chunks.passUnseen(rest) : rest;
  }
}
