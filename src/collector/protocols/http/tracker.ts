// One HTTP/1 connection: puts messages of both directions in order, reads them, pairs requests with responses, and says
// what was lost. Decides how each body ends, since that of a response depends on its request.
import { Buffer } from 'node:buffer';
import type { Cell } from '../../../model/types.ts';
import type { KtimeNs, LossReason, ProtocolSink, ProtocolTracker, Role } from '../protocol.ts';
import { ByteStream, type Piece, REORDER_WINDOW_NS } from '../stream.ts';
import type { HeadCache } from './head-cache.ts';
import type { Head } from './head.ts';
import { Pairing, type Pending } from './pairing.ts';
import { MessageReader } from './reader.ts';
import type { Framing, ReaderEvents } from './reader-events.ts';
import { guessRequest } from './start-line.ts';

/** A finished response, and whom it answers. */
interface Answer {
  readonly pending: Pending;
  readonly head: Head;
  body: string | Uint8Array;
  bodySize: number;
  /** Undefined while its body goes on. */
  time: KtimeNs | undefined;
}

const PREFACE = Buffer.from('PRI * HTTP/2.0');

export class HttpTracker implements ProtocolTracker {
  readonly #sink: ProtocolSink;
  readonly #sendsRequests: boolean;
  readonly #fromOpen: boolean;
  readonly #requests = new ByteStream();
  readonly #responses = new ByteStream();
  readonly #requestReader: MessageReader;
  readonly #responseReader: MessageReader;
  readonly #pairing: Pairing;
  /** The request that is being read. */
  #incoming: Pending | undefined;
  /** The response that is being read, if it is paired; and one that is complete while its request is not. */
  #answer: Answer | undefined;
  #early: Answer | undefined;
  #isInterim = false;
  /** A response may be read although no request is there for it: it has waited long enough. */
  #isWaitOver = false;
  #isStopped = false;
  /** Time of the event that is being read. */
  #now: KtimeNs = 0;

  constructor(role: Role, sink: ProtocolSink, cache: HeadCache, fromOpen: boolean) {
    this.#sink = sink;
    this.#sendsRequests = role === 'client';
    this.#fromOpen = fromOpen;
    this.#pairing = new Pairing(
      (time, exchanges, bytes, reason) => this.#lose(time, exchanges, bytes, reason),
      fromOpen,
    );
    this.#requestReader = new MessageReader(true, cache, this.#requestEvents(), fromOpen);
    this.#responseReader = new MessageReader(false, cache, this.#responseEvents(), fromOpen);
  }

  get bytesHeld(): number {
    const streams = this.#requests.bytesHeld + this.#responses.bytesHeld;
    return streams + this.#requestReader.bytesHeld + this.#responseReader.bytesHeld + this.#pairing.bytesHeld;
  }

  get isWaiting(): boolean {
    return this.#hasHeld && !this.#isStopped;
  }

  message(sent: boolean, position: number, size: number, payload: Uint8Array, time: KtimeNs): void {
    if (this.#isStopped || size === 0) return;
    const isRequest = sent === this.#sendsRequests;
    const stream = isRequest ? this.#requests : this.#responses;
    const captured = payload.length > size ? payload.subarray(0, size) : payload;
    if (isRequest && position === 0 && PREFACE.every((byte, i) => captured[i] === byte)) {
      this.#stop('HTTP/2', time);
      return;
    }
    if (!this.#hasHeld) {
      if (stream.position === position) {
        const read = this.#read(isRequest, captured, 0, size, time, true);
        stream.position += read;
        if (read < size && !this.#isStopped) stream.hold(position, size, captured, time, read);
        return;
      }
      if (position + size <= stream.position) return;
    }
    stream.hold(position, size, captured, time);
    this.#pump();
    this.#giveUpWaiting(time);
  }

  close(sent: number, received: number, time: KtimeNs): void {
    if (this.#isStopped) return;
    this.#giveUpWaiting(Infinity);
    if (this.#isStopped) return;
    const [requestEnd, responseEnd] = this.#sendsRequests ? [sent, received] : [received, sent];
    if (requestEnd > this.#requests.position) this.#requestReader.gap(requestEnd - this.#requests.position, time);
    if (responseEnd > this.#responses.position) this.#responseReader.gap(responseEnd - this.#responses.position, time);
    this.#now = time;
    if (this.#requestReader.hasPartialHead) this.#lose(time, 1, 0, 'unmatched');
    this.#requestReader.close(time);
    this.#responseReader.close(time);
    this.#pairing.close(time);
    this.#isStopped = true;
  }

  tick(time: KtimeNs): void {
    if (this.#isStopped) return;
    if (this.#hasHeld) this.#giveUpWaiting(time);
    this.#pairing.expire(time);
  }

  get #hasHeld(): boolean {
    return !this.#requests.isEmpty || !this.#responses.isEmpty;
  }

  /** Ends the wait for missing bytes, or for a missing request, that has lasted for the reorder window at `time`. */
  #giveUpWaiting(time: KtimeNs): void {
    while (!this.#isStopped) {
      const request = this.#requests.behindHole();
      const response = this.#responses.behindHole();
      const isRequest = request !== undefined && (response === undefined || request.time <= response.time);
      const behind = isRequest ? request : response;
      const isOver = this.#requests.isOverfull || this.#responses.isOverfull;
      if (behind !== undefined && (isOver || time - behind.time >= REORDER_WINDOW_NS)) {
        this.#skipHole(isRequest, behind.time);
      } else {
        const blocked = this.#responses.next();
        if (blocked === undefined || !(isOver || time - blocked.time >= REORDER_WINDOW_NS)) return;
        // What is next in line and still there waits for its request, or for a hole in the other direction.
        if (this.#isWaitOver || this.#pairing.canAnswer) return;
        this.#isWaitOver = true;
      }
      this.#pump();
    }
  }

  #skipHole(isRequest: boolean, time: KtimeNs): void {
    const stream = isRequest ? this.#requests : this.#responses;
    const reader = isRequest ? this.#requestReader : this.#responseReader;
    const isLateJoin = stream.position === 0 && !this.#fromOpen;
    const size = stream.skipHole();
    if (isLateJoin) reader.joinLate(time);
    else reader.gap(size, time);
  }

  /**
   * Reads what is held and next in line, in the order of time over both directions. What is later than the far side of a
   * hole waits with it, in the other direction too: else requests would pile up that may have been answered in the hole.
   */
  #pump(): void {
    let isBlocked = false;
    while (!this.#isStopped) {
      const holeTime = Math.min(
        this.#requests.behindHole()?.time ?? Infinity,
        this.#responses.behindHole()?.time ?? Infinity,
      );
      const request: Piece | undefined = this.#requests.next();
      const response: Piece | undefined = isBlocked ? undefined : this.#responses.next();
      const isRequest: boolean = request !== undefined && (response === undefined || request.time <= response.time);
      const piece = isRequest ? request : response;
      if (piece === undefined || piece.time > holeTime) return;
      const read = this.#read(isRequest, piece.bytes, piece.offset, piece.size, piece.time, piece.isMessageStart);
      if (this.#isStopped) return;
      (isRequest ? this.#requests : this.#responses).consume(piece, read);
      isBlocked = !isRequest && read === 0;
    }
  }

  /** Reads a message of `size` bytes from `offset` on; gives how many of them it read. */
  #read(isRequest: boolean, bytes: Uint8Array, offset: number, size: number, time: KtimeNs, isStart: boolean): number {
    const reader = isRequest ? this.#requestReader : this.#responseReader;
    this.#now = time;
    if (isRequest && this.#early !== undefined) this.#checkForMissingBody(bytes, offset);
    if (!isRequest) this.#pairing.responseGoesOn(time);
    if (offset < bytes.length) {
      const at = reader.take(bytes, offset, bytes.length, time, isStart && offset === 0);
      if (at < bytes.length) return at - offset;
    }
    const missing = size - Math.max(offset, bytes.length);
    if (missing > 0 && !this.#isStopped) reader.skip(missing, time);
    return size - offset;
  }

  /** After a final answer to `Expect: 100-continue` the client may go on with its next request instead of the body. */
  #checkForMissingBody(bytes: Uint8Array, offset: number): void {
    if (this.#incoming?.head?.expectsContinue !== true || !this.#requestReader.isBeforeBody) return;
    if (guessRequest(bytes, offset, bytes.length) === 'yes') this.#requestReader.endWithoutBody();
  }

  #requestEvents(): ReaderEvents {
    return {
      mayStart: () => !this.#isStopped,
      mayDrift: () => false,
      head: (head, time) => {
        const pending: Pending = {
          head,
          isHead: head.method === 'HEAD',
          isConnect: head.method === 'CONNECT',
          began: time,
          time: undefined,
          body: '',
          bodySize: 0,
          isQueued: false,
        };
        this.#incoming = pending;
        this.#pairing.request(pending, time);
        if (head.coding === 'chunked') return 'chunked';
        if (head.coding === 'other') return 'untilClose';
        return head.contentLength > 0 ? 'length' : 'none';
      },
      end: (body, size, time) => {
        const pending = this.#incoming;
        if (pending === undefined) return;
        this.#incoming = undefined;
        pending.time = time;
        if (pending.head !== undefined) {
          pending.body = body;
          pending.bodySize = size;
        }
        const early = this.#early;
        this.#early = undefined;
        if (early !== undefined) this.#emit(early);
      },
      spoil: (time, bytes, reason) => this.#spoil(this.#incoming, time, bytes, reason),
      broken: (time, bytes, reason, isFirst, isBetween) => {
        if (this.#incoming !== undefined) this.#pairing.giveUp(this.#incoming, time, reason);
        this.#incoming = this.#early = undefined;
        this.#pairing.requestsLost(time, bytes, reason, isFirst, isBetween);
      },
    };
  }

  #responseEvents(): ReaderEvents {
    return {
      mayStart: () => !this.#isStopped && (this.#pairing.canAnswer || this.#isWaitOver),
      mayDrift: () => this.#pairing.isIdle,
      head: (head, time) => this.#responseHead(head, time),
      end: (body, size, time) => this.#responseEnd(body, size, time),
      spoil: (time, bytes, reason) => this.#spoil(this.#answer?.pending, time, bytes, reason),
      broken: (time, bytes, reason) => {
        if (this.#answer !== undefined) this.#pairing.giveUp(this.#answer.pending, time, reason);
        this.#answer = undefined;
        this.#isInterim = false;
        this.#pairing.responsesLost(time, bytes, reason);
      },
    };
  }

  /** The length of a response's body depends on status, request method and fields, in this order (RFC 9112 6.3). */
  #responseHead(head: Head, time: KtimeNs): Framing {
    const { status } = head;
    this.#isInterim = status < 200 && status !== 101;
    if (this.#isInterim) return 'none';
    this.#isWaitOver = false;
    const pending = this.#pairing.answer(time);
    this.#answer = pending === undefined ? undefined : { pending, head, body: '', bodySize: 0, time: undefined };
    if (status === 101 || status === 204 || status === 304 || pending?.isHead === true) return 'none';
    // Without its request a response may or may not have the body that it announces.
    if (pending === undefined) return head.coding === 'none' && head.contentLength === 0 ? 'none' : 'unknown';
    if (pending.isConnect && status < 300) return 'none';
    if (head.coding === 'chunked') return 'chunked';
    return head.coding === 'none' && head.contentLength >= 0 ? 'length' : 'untilClose';
  }

  #responseEnd(body: string | Uint8Array, size: number, time: KtimeNs): void {
    if (this.#isInterim) {
      this.#isInterim = false;
      return;
    }
    const answer = this.#answer;
    this.#answer = undefined;
    if (answer === undefined) return;
    answer.body = body;
    answer.bodySize = size;
    answer.time = time;
    if (answer.pending.time === undefined && !this.#endsHttp(answer)) this.#early = answer;
    else this.#emit(answer);
  }

  #endsHttp({ head, pending }: Answer): boolean {
    return head.status === 101 || (pending.isConnect && head.status < 300);
  }

  #emit(answer: Answer): void {
    const { pending, head } = answer;
    const request = pending.head;
    const time = answer.time ?? 0;
    if (request !== undefined) {
      this.#pairing.paired();
      const values: Cell[] = [
        1,
        head.minor,
        head.isJson ? 1 : 0,
        request.headersJson,
        request.method,
        request.target,
        pending.body,
        pending.bodySize,
        head.headersJson,
        head.status,
        head.reason,
        answer.body,
        answer.bodySize,
        Math.max(0, time - (pending.time ?? pending.began)),
      ];
      // A close may have ended the body, or the request may have gone on after its answer.
      this.#sink.exchange(Math.max(time, this.#now), values);
    }
    if (this.#endsHttp(answer)) this.#stop(head.status === 101 ? 'upgrade' : 'tunnel', time);
  }

  /** What is being read goes on, but its row would be wrong. */
  #spoil(pending: Pending | undefined, time: KtimeNs, bytes: number, reason: LossReason): void {
    if (pending !== undefined) this.#pairing.giveUp(pending, time, reason);
    if (bytes > 0) this.#lose(time, 0, bytes, reason);
  }

  #lose(time: KtimeNs, exchanges: number, bytes: number, reason: LossReason): void {
    // After a stop the rest of the message is still gone through; it is nobody's loss.
    if (!this.#isStopped && (exchanges > 0 || bytes > 0)) this.#sink.lost(time, exchanges, bytes, reason);
  }

  #stop(reason: string, time: KtimeNs): void {
    this.#pairing.close(time);
    this.#isStopped = true;
    this.#requests.clear();
    this.#responses.clear();
    this.#sink.stop(reason);
  }
}
