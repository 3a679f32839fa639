// Which response answers which request. HTTP/1 answers in order, so a queue would do, were nothing ever lost. After a loss
// it is not known any more which response belongs to which request; then nothing is paired until a point where nothing
// can be outstanding, and what passes is counted, so that always: pairs <= exchanges <= pairs + lost.
//
// Such a point is the start of a burst. Nearly all clients wait for all answers to what they sent before they send more:
// a request that comes after a response starts a new burst, and everything before it has been answered. A client that
// was seen to send more while answers were due ("overlaps") is not paired again before it falls silent. The one
// assumption is that a client which never did so does not begin just after a loss.
//
// What is counted: each request that was seen and not paired; each response that was seen and not paired, unless its
// request was counted; and for exchanges of which neither half was seen, as many as the shorter of the lost stretches of
// both directions can hold. Responses before the first request of a connection that was joined in its middle are of
// exchanges that began before; they are not counted unless requests turn out to have been lost.
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
  /** Whether it waits for its response in the queue. */
  isQueued: boolean;
}

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
  /** Requests whose responses are to come next, in this order, whatever was lost behind them. */
  #queue: Pending[] = [];
  /** Behind the queue it is not known what is outstanding. */
  #isUnsure = false;
  /** While unsure: how many responses are still to come at the least, those to the queue aside. */
  #outstanding = 0;
  /** While unsure: exchanges that were counted by their request, and whose response is not to be counted again. */
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

  /** Whether no response is due. */
  get isIdle(): boolean {
    return this.#queue.length === 0 && !this.#isUnsure;
  }

  /** Whether a response may be read now: one is expected, or none can be waited for. */
  get canAnswer(): boolean {
    return this.#queue.length > 0 || this.#isUnsure || !this.#seenRequest;
  }

  /** A request's head was read. It is queued, or counted as lost if it cannot be known which response will be its. */
  request(pending: Pending, time: KtimeNs): void {
    const mayBeAnswered = this.#isOrphaned;
    const startsBurst = this.#lastResponse > this.#lastRequest && time >= this.#lastResponse && !this.#overlaps;
    const isAligned = !this.#isUnsure || (startsBurst && this.#queue.length === 0 && this.#outstanding === 0);
    this.#seenRequest = true;
    this.#isOrphaned = false;
    this.#lastRequest = time;
    if (!isAligned || mayBeAnswered) {
      if (this.#isUnsure) this.#outstanding++;
      this.#isUnsure = true;
      this.#prepaid++;
      this.giveUp(pending, time, 'unmatched');
      return;
    }
    this.#isUnsure = false;
    this.#prepaid = 0;
    if (this.#queue.length > 0 && this.#hasAnsweredSinceEmpty) this.#overlaps = true;
    if (this.#queue.length >= PENDING_MAX) {
      this.#giveUpAll(time, 'limit');
      this.giveUp(pending, time, 'limit');
      this.#prepaid++;
      return;
    }
    pending.isQueued = true;
    this.#queue.push(pending);
    this.#bytes += costOf(pending);
    if (this.#bytes > PENDING_BYTES_MAX) this.giveUp(pending, time, 'limit');
  }

  /** Counts a request as lost; if it is queued its place in the order stays. */
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
    const first = this.#queue.shift();
    if (first !== undefined) {
      this.#bytes -= costOf(first);
      first.isQueued = false;
      this.#hasAnsweredSinceEmpty = this.#queue.length > 0;
      return first;
    }
    if (this.#isUnsure) {
      if (this.#outstanding > 0) this.#outstanding--;
      if (this.#prepaid > 0) this.#prepaid--;
      else this.#lose(time, 1, 0, 'unmatched');
    } else {
      this.#isOrphaned = true;
      if (this.#seenRequest) this.#lose(time, 1, 0, 'unmatched');
      else this.#early++;
    }
    return undefined;
  }

  /** A pair became a row: if nothing was lost behind it, whatever was lost before it has been counted. */
  paired(): void {
    if (!this.#isUnsure) this.#lostRequestBytes = this.#lostResponseBytes = this.#unseen = 0;
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
    if (!this.#seenRequest) exchanges += this.#early;
    if (isFirst && isBetween && !(this.#isOrphaned && this.#seenRequest)) {
      // At least one request is in them, unless it is one whose response was counted already.
      exchanges++;
      this.#prepaid++;
      this.#outstanding++;
    }
    this.#seenRequest = true;
    this.#isOrphaned = false;
    this.#isUnsure = true;
    this.#lastRequest = time;
    this.#lostRequestBytes += bytes;
    this.#lose(time, exchanges + this.#newlyUnseen(), bytes, reason);
  }

  /** Bytes of the response direction are lost: whatever is pending may have been answered in them. */
  responsesLost(time: KtimeNs, bytes: number, reason: LossReason): void {
    this.#lastResponse = time;
    this.#giveUpAll(time, reason);
    this.#lostResponseBytes += bytes;
    this.#lose(time, this.#newlyUnseen(), bytes, reason);
  }

  /** Gives up what waits too long, and uncertainty once nothing has moved for as long. */
  expire(time: KtimeNs): void {
    const before = time - EXPIRY_NS;
    for (const pending of this.#queue) {
      if (pending.began > before) break;
      this.giveUp(pending, time, 'expired');
    }
    if (!this.#isUnsure || this.#lastRequest > before || this.#lastResponse > before) return;
    this.#giveUpAll(time, 'expired');
    this.#isUnsure = false;
    this.#prepaid = 0;
  }

  close(time: KtimeNs): void {
    this.#giveUpAll(time, 'unmatched');
  }

  #giveUpAll(time: KtimeNs, reason: LossReason): void {
    for (const pending of this.#queue) {
      this.giveUp(pending, time, reason);
      pending.isQueued = false;
    }
    this.#prepaid += this.#queue.length;
    this.#queue = [];
    this.#outstanding = 0;
    this.#isUnsure = true;
  }

  /** How many more exchanges than counted so far may have both halves in lost bytes. */
  #newlyUnseen(): number {
    const most = Math.floor(Math.min(this.#lostRequestBytes, this.#lostResponseBytes) / MESSAGE_BYTES_MIN);
    const more = Math.max(0, most - this.#unseen);
    this.#unseen += more;
    return more;
  }
}
