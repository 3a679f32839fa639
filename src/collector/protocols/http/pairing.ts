// Which response answers which request. HTTP/1 answers in order, so a queue would do, were nothing ever lost. After a
// loss several alignments of the two directions can be possible; this keeps the set of them and makes a pair only when
// one is left. What cannot be paired is counted, so that exchanges <= pairs + lost.
//
// How alignment is found again: a client that waits for all its answers before it sends more (nearly all do, burst by
// burst) cannot have anything outstanding when it starts a new burst. The one assumption made here is that a client
// which never was seen to overlap bursts does not begin to do so right after a loss. One that was seen to is not paired
// again before it falls silent.
import type { KtimeNs, LossReason } from '../protocol.ts';
import { BODY_CELL_BYTES_MAX } from './body.ts';
import type { Head } from './head.ts';

/** A request that waits for its response, or for its own end. */
export interface Pending {
  /** Undefined: it is counted as lost, but its response is still to come. */
  head: Head | undefined;
  readonly isHead: boolean;
  readonly isConnect: boolean;
  /** When the head ended; `time` is when the request did, undefined while it goes on. */
  readonly began: KtimeNs;
  time: KtimeNs | undefined;
  body: string | Uint8Array;
  bodySize: number;
  isQueued: boolean;
}

/** Stands for an unknown number of requests that were not seen. */
const HIDDEN = 'hidden';

export type Lose = (time: KtimeNs, exchanges: number, bytes: number, reason: LossReason) => void;

const PENDING_MAX = 4096;
const PENDING_BYTES_MAX = 256 * 1024;
const PENDING_OVERHEAD_BYTES = 128;
/** An unanswered request is given up after this long. */
export const EXPIRY_NS = 300e9;
/** Shortest possible heads: `G / HTTP/1.1` and `HTTP/1.1 200` with an empty line. */
const MESSAGE_BYTES_MIN = 16;

/** Bytes that a pending request holds, its body cell at its largest. */
function costOf({ head }: Pending): number {
  if (head === undefined) return 0;
  const body = head.coding === 'none' && head.contentLength <= 0 ? 0 : BODY_CELL_BYTES_MAX;
  return PENDING_OVERHEAD_BYTES + head.headersJson.length + head.target.length + body;
}

export class Pairing {
  readonly #lose: Lose;
  #queue: (Pending | typeof HIDDEN)[] = [];
  /** How many of the queue's first entries may have been answered unseen. */
  #slack = 0;
  /** Entries HIDDEN in the queue. */
  #hidden = 0;
  /** How many responses are still to come at the least. */
  #outstanding = 0;
  /** Requests that were counted when a HIDDEN was queued: their responses are not counted again. */
  #prepaid = 0;
  /** A response came while nothing was pending: the next request may be the one it answered. */
  #isOrphaned = false;
  #seenRequest: boolean;
  /** Responses before the first request, of exchanges that began before the connection was watched. */
  #early = 0;
  #lastRequest: KtimeNs = -Infinity;
  #lastResponse: KtimeNs = -Infinity;
  #hasAnsweredSinceEmpty = false;
  #overlaps = false;
  /** Bytes lost in each direction since the last pair, and exchanges counted for the case that both their halves were in them. */
  #lostRequestBytes = 0;
  #lostResponseBytes = 0;
  #unseen = 0;
  #bytes = 0;

  /** `fromOpen`: the connection is watched from its first byte on. */
  constructor(lose: Lose, fromOpen: boolean) {
    this.#lose = lose;
    this.#seenRequest = fromOpen;
  }

  /** Bytes that pending requests hold. */
  get bytesHeld(): number {
    return this.#bytes;
  }

  get isEmpty(): boolean {
    return this.#queue.length === 0;
  }

  /** Whether a response may be read now: one is expected, or none can be waited for. */
  get canAnswer(): boolean {
    return this.#queue.length > 0 || !this.#seenRequest;
  }

  /** A request's head was read. */
  request(pending: Pending, time: KtimeNs): void {
    if (this.#slack > 0 || this.#hidden > 0) {
      const startsBurst = this.#lastResponse > this.#lastRequest && time >= this.#lastResponse;
      if (this.#outstanding === 0 && startsBurst && !this.#overlaps) this.#clear(time, 'unmatched');
    } else if (this.#queue.length > 0 && this.#hasAnsweredSinceEmpty) {
      this.#overlaps = true;
    }
    if (this.#queue.length >= PENDING_MAX) {
      this.#clear(time, 'limit');
      this.#queue.push(HIDDEN);
      this.#hidden = 1;
    }
    this.#queue.push(pending);
    this.#outstanding++;
    this.#seenRequest = true;
    this.#lastRequest = time;
    if (this.#isOrphaned && this.#queue.length === 1) {
      this.#slack = 1;
      this.#outstanding = 0;
    }
    this.#isOrphaned = false;
    this.#bytes += costOf(pending);
    if (this.#bytes > PENDING_BYTES_MAX) this.giveUp(pending, time, 'limit');
  }

  /** Counts a pending request as lost; its place in the order stays. */
  giveUp(pending: Pending, time: KtimeNs, reason: LossReason): void {
    if (pending.head === undefined) return;
    if (pending.isQueued) this.#bytes -= costOf(pending);
    pending.head = undefined;
    pending.body = '';
    this.#lose(time, 1, 0, reason);
  }

  /**
   * The head of a final response was read: gives the request it answers, which leaves the queue, or undefined where that
   * is none or not certain.
   */
  answer(time: KtimeNs): Pending | undefined {
    this.#lastResponse = time;
    if (this.#outstanding > 0) this.#outstanding--;
    const first = this.#queue[0];
    if (first === undefined) {
      this.#isOrphaned = true;
      if (this.#seenRequest) this.#lose(time, 1, 0, 'unmatched');
      else this.#early++;
      return undefined;
    }
    if (first === HIDDEN) {
      if (this.#prepaid > 0) this.#prepaid--;
      else this.#lose(time, 1, 0, 'unmatched');
      return undefined;
    }
    this.#queue.shift();
    this.#slack = Math.min(this.#slack, this.#queue.length);
    if (this.#slack > 0) {
      this.giveUp(first, time, 'unmatched');
      return undefined;
    }
    this.#bytes -= costOf(first);
    first.isQueued = false;
    this.#hasAnsweredSinceEmpty = this.#queue.length > 0;
    return first;
  }

  /** A pair became a row: whatever was lost before it has been counted. */
  paired(): void {
    this.#lostRequestBytes = this.#lostResponseBytes = this.#unseen = 0;
  }

  /** More of a response came. */
  responseGoesOn(time: KtimeNs): void {
    this.#lastResponse = time;
  }

  /**
   * Bytes of the request direction are lost. `isFirst`: until here they were understood; then `isBetween` says whether
   * they begin with a request of which nothing is known.
   */
  requestsLost(time: KtimeNs, bytes: number, reason: LossReason, isFirst: boolean, isBetween: boolean): void {
    let exchanges = 0;
    if (!this.#seenRequest) {
      exchanges += this.#early;
      this.#early = 0;
      this.#seenRequest = true;
    }
    if (isFirst) {
      if (isBetween && !this.#isOrphaned) {
        exchanges++;
        this.#prepaid++;
        this.#outstanding++;
      }
      this.#isOrphaned = false;
      if (this.#queue.at(-1) !== HIDDEN) {
        this.#queue.push(HIDDEN);
        this.#hidden++;
      }
    }
    this.#lostRequestBytes += bytes;
    this.#lose(time, exchanges + this.#newlyUnseen(), bytes, reason);
  }

  /**
   * Bytes of the response direction are lost. `isFirst`: until here they were understood; then `isBetween` says that they
   * begin with a response of which nothing is known, so the first pending request is answered by it.
   */
  responsesLost(time: KtimeNs, bytes: number, reason: LossReason, isFirst: boolean, isBetween: boolean): void {
    this.#lastResponse = time;
    if (isFirst && isBetween) {
      const first = this.#queue[0];
      if (first !== undefined && first !== HIDDEN) {
        this.#queue.shift();
        this.giveUp(first, time, reason);
      }
    }
    this.#slack = this.#queue.length;
    this.#outstanding = 0;
    this.#lostResponseBytes += bytes;
    this.#lose(time, this.#newlyUnseen(), bytes, reason);
  }

  /** Gives up what waits too long, and uncertainty once nothing has moved for as long. */
  expire(time: KtimeNs): void {
    const before = time - EXPIRY_NS;
    if (this.#lastRequest > before && this.#queue.length === 0) return;
    for (const entry of this.#queue) {
      if (entry === HIDDEN) continue;
      if (entry.began > before) break;
      this.giveUp(entry, time, 'expired');
    }
    const isUncertain = this.#slack > 0 || this.#hidden > 0;
    if (isUncertain && this.#lastRequest <= before && this.#lastResponse <= before) this.#clear(time, 'expired');
  }

  close(time: KtimeNs): void {
    this.#clear(time, 'unmatched');
  }

  #clear(time: KtimeNs, reason: LossReason): void {
    for (const entry of this.#queue) if (entry !== HIDDEN) this.giveUp(entry, time, reason);
    this.#queue = [];
    this.#slack = this.#hidden = this.#outstanding = this.#prepaid = 0;
  }

  /** How many more exchanges than counted so far may have both halves in lost bytes. */
  #newlyUnseen(): number {
    const most = Math.floor(Math.min(this.#lostRequestBytes, this.#lostResponseBytes) / MESSAGE_BYTES_MIN);
    const more = Math.max(0, most - this.#unseen);
    this.#unseen += more;
    return more;
  }
}
