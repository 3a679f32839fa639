// The way of a connection's bytes: held until its protocol and side are known, then to a parser or nowhere, and the
// parser's exchanges to rows. What is held anywhere is bounded in sum; what is given up is counted.
import { ROLE, WIRE_CAPTURE_BYTES_MAX, WIRE_UNDECIDED_MESSAGES } from '../frames/frame.ts';
import { encodeFollow, encodeMute } from '../frames/encode.ts';
import type { Cell } from '../../model/types.ts';
import type { CollectorMetrics } from '../metrics.ts';
import type { KtimeNs, LossReason, Protocol, ProtocolSink, Role } from '../protocols/protocol.ts';
import type { LossSink, RowSink } from '../rows.ts';
import { UNKNOWN_ADDRESS } from './address.ts';
import { UNSET } from './connection.ts';
import type { Connection } from './connection.ts';

/** Messages that a connection joined in its middle may take to show a beginning. */
const PATIENCE_MESSAGES = 64;
/** A parser that throws gets a fresh start this often before its connection is given up. */
const RESTARTS_MAX = 3;
/** Of a connection that was seen to open: what may wait to show, put together, what it is. */
const UNRECOGNISED_BYTES_MAX = 16 * 1024;
/** No exchange is shorter than this; bounds how many were in bytes that nobody will parse. */
const EXCHANGE_BYTES_MIN = 16;

export interface PayloadOptions {
  readonly protocols: readonly Protocol[];
  /** Rows of both sides, wherever the peer is. */
  readonly bothSides: boolean;
  readonly bytesHeldMax: number;
  readonly rows: RowSink;
  readonly loss: LossSink;
  readonly metrics: CollectorMetrics;
  /** Takes frames for the probe. */
  readonly control: (frame: Uint8Array) => void;
  /** The connection's protocol or role became known. */
  readonly onDecided: (connection: Connection) => void;
}

export interface PayloadPath {
  message(
    connection: Connection,
    sent: boolean,
    position: number,
    size: number,
    payload: Uint8Array,
    ktime: KtimeNs,
  ): void;
  /** A message of a descriptor's earlier life: no connection takes it, so what it began (or ended) is lost. */
  stale(size: number, payload: Uint8Array, ktime: KtimeNs): void;
  /** Its addresses are known now. */
  opened(connection: Connection): void;
  /** Every event before `ktime` has been seen: decides what still waits for an open, or for bytes, that did not come. */
  settleBefore(ktime: KtimeNs): void;
  /** As an earlier record of the same connection was: no need to find out again. */
  resume(connection: Connection, earlier: Connection): void;
  mute(connection: Connection): void;
  /** Tells the probe again what was decided: it may have forgotten. */
  remind(connection: Connection): void;
  close(connection: Connection, ktime: KtimeNs): void;
  /** Drops what it holds without a word to the parser: bytes in between are missing. */
  abandon(connection: Connection): void;
  tick(connections: Iterable<Connection>, ktime: KtimeNs): void;
  /** Brings the held bytes below their bound again, taking from those that hold most. */
  relieve(connections: Iterable<Connection>, ktime: KtimeNs): void;
}

export function createPayloadPath(options: PayloadOptions): PayloadPath {
  const { protocols, rows, loss, metrics, control } = options;
  const cells: Cell[] = [];
  let waiting: Connection[] = [];
  /** Whose parsers hold what came behind a hole. */
  const behindHoles = new Set<Connection>();

  const account = (connection: Connection, bytes: number): void => {
    metrics.bytesHeld += bytes - connection.bytesHeld;
    connection.bytesHeld = bytes;
  };
  const lose = (
    protocol: Protocol,
    ktime: KtimeNs,
    exchanges: number,
    bytes: number,
    reason: LossReason | 'unresolved' | 'broken',
  ): void => {
    metrics.exchangesLost[reason] += exchanges;
    metrics.bytesNotUnderstood += bytes;
    loss.add(protocol.table, 'exchangesLost', ktime, exchanges);
    loss.add(protocol.table, 'bytesNotUnderstood', ktime, bytes);
  };
  const release = (connection: Connection): void => {
    connection.held = [];
    connection.tracker = undefined;
    account(connection, 0);
  };
  const mute = (connection: Connection): void => {
    if (connection.state === 'muted') return;
    release(connection);
    connection.state = 'muted';
    metrics.connectionsMuted += 1;
    control(encodeMute(connection.id));
  };

  const sinkFor = (connection: Connection, protocol: Protocol, role: Role): ProtocolSink => ({
    exchange(time, values) {
      if (role === 'client' && connection.remoteAddress === UNKNOWN_ADDRESS && !options.bothSides) {
        // Its server may be here and make this very row; without the address nobody can tell.
        lose(protocol, time, 1, 0, 'unresolved');
        return;
      }
      cells.length = 8 + values.length;
      cells[1] = connection.process.upid;
      cells[2] = connection.remoteAddress;
      cells[3] = connection.remotePort;
      cells[4] = connection.localAddress;
      cells[5] = connection.localPort;
      cells[6] = role === 'server' ? ROLE.SERVER : ROLE.CLIENT;
      cells[7] = false;
      for (let i = 0; i < values.length; i += 1) cells[8 + i] = values[i] ?? 0;
      rows.append(protocol.table, time, cells);
    },
    lost: (time, exchanges, bytes, reason) => lose(protocol, time, exchanges, bytes, reason),
    stop: () => mute(connection),
  });

  const start = (connection: Connection): void => {
    const { protocol, role } = connection;
    if (protocol === undefined || role === undefined) return;
    const isFromOpen = connection.isFromOpen && connection.baseSent === 0 && connection.baseReceived === 0;
    connection.tracker = protocol.start(role, sinkFor(connection, protocol, role), isFromOpen);
  };
  /** The parser failed or had to be emptied: what it held is lost, and it begins anew. */
  const restart = (connection: Connection, ktime: KtimeNs, reason: 'limit' | 'broken'): void => {
    const { protocol, bytesHeld } = connection;
    release(connection);
    if (protocol !== undefined) lose(protocol, ktime, Math.ceil(bytesHeld / EXCHANGE_BYTES_MIN) + 1, bytesHeld, reason);
    connection.baseSent = Math.max(connection.baseSent, connection.givenSent);
    connection.baseReceived = Math.max(connection.baseReceived, connection.givenReceived);
    start(connection);
  };
  const broken = (connection: Connection, ktime: KtimeNs): void => {
    connection.restarts += 1;
    restart(connection, ktime, 'broken');
    if (connection.restarts <= RESTARTS_MAX) return;
    metrics.connectionsBroken += 1;
    mute(connection);
  };
  /** Where the tracker is to see a message; negative for one from before it was asked. */
  const place = (connection: Connection, sent: boolean, position: number, size: number): number => {
    const end = position + size;
    if (sent) {
      if (connection.baseSent === UNSET) connection.baseSent = position;
      if (end > connection.givenSent) connection.givenSent = end;
      return position - connection.baseSent;
    }
    if (connection.baseReceived === UNSET) connection.baseReceived = position;
    if (end > connection.givenReceived) connection.givenReceived = end;
    return position - connection.baseReceived;
  };
  const deliver = (
    connection: Connection,
    sent: boolean,
    position: number,
    size: number,
    payload: Uint8Array,
    ktime: KtimeNs,
  ): void => {
    const { tracker } = connection;
    if (tracker === undefined) return;
    const at = place(connection, sent, position, size);
    if (at < 0) return;
    try {
      tracker.message(sent, at, size, payload, ktime);
    } catch {
      broken(connection, ktime);
      return;
    }
    if (connection.tracker !== undefined && tracker.bytesHeld !== connection.bytesHeld)
      account(connection, tracker.bytesHeld);
    if (tracker.isWaiting === true) behindHoles.add(connection);
  };
  const tickOne = (connection: Connection, ktime: KtimeNs): void => {
    const { tracker } = connection;
    if (tracker === undefined) return;
    try {
      tracker.tick(ktime);
    } catch {
      broken(connection, ktime);
      return;
    }
    if (connection.tracker !== undefined) account(connection, tracker.bytesHeld);
  };

  const follow = (connection: Connection): void => {
    const { held } = connection;
    release(connection);
    connection.state = 'followed';
    if (connection.isFromOpen) {
      connection.baseSent = Math.max(connection.baseSent, 0);
      connection.baseReceived = Math.max(connection.baseReceived, 0);
    }
    metrics.connectionsFollowed += 1;
    if (connection.role === 'client' && connection.remoteAddress === UNKNOWN_ADDRESS)
      metrics.connectionsUnresolved += 1;
    control(encodeFollow(connection.id, WIRE_CAPTURE_BYTES_MAX));
    start(connection);
    for (const { sent, position, size, payload, ktime } of held)
      deliver(connection, sent, position, size, payload, ktime);
  };
  const isWanted = (connection: Connection): boolean =>
    options.bothSides || connection.role === 'server' || !connection.isPeerInside;
  const settle = (connection: Connection): void => {
    if (connection.isGone || connection.state !== 'undecided' || connection.protocol === undefined) return;
    options.onDecided(connection);
    if (isWanted(connection)) follow(connection);
    else mute(connection);
  };

  /** Direction and kind together say which side this is: who sends a request or reads a response is the client. */
  const recognise = (connection: Connection, sent: boolean, size: number, payload: Uint8Array): boolean => {
    for (const protocol of protocols) {
      const kind = protocol.classify(payload, size);
      if (kind === undefined) continue;
      const role: Role = sent !== (kind === 'response') ? 'client' : 'server';
      if (connection.isRoleCertain && connection.role !== role) continue;
      connection.protocol = protocol;
      connection.role = role;
      return true;
    }
    return false;
  };
  const giveUp = (connection: Connection): void => {
    const isFromStart = connection.isRoleCertain;
    if (isFromStart || connection.messages >= PATIENCE_MESSAGES) {
      mute(connection);
      options.onDecided(connection);
    } else if (connection.messages === WIRE_UNDECIDED_MESSAGES)
      control(encodeFollow(connection.id, WIRE_CAPTURE_BYTES_MAX));
  };
  const hold = (
    connection: Connection,
    sent: boolean,
    position: number,
    size: number,
    payload: Uint8Array,
    ktime: KtimeNs,
  ): void => {
    connection.held.push({ sent, position, size, payload: new Uint8Array(payload), ktime });
    account(connection, connection.bytesHeld + payload.length);
  };
  /** Nothing of a protocol begins before the end of this message; what waited before it is no beginning either. */
  const passOver = (connection: Connection, sent: boolean, position: number, size: number): void => {
    for (const one of [...connection.held, { sent, position, size }]) {
      const end = one.position + one.size;
      if (one.sent) connection.baseSent = Math.max(connection.baseSent, end);
      else connection.baseReceived = Math.max(connection.baseReceived, end);
    }
    connection.isFromOpen = false;
    connection.held = [];
    account(connection, 0);
  };
  /** A first line may come in pieces: the direction's bytes from its very beginning, where they are all there. */
  const beginning = (connection: Connection, sent: boolean, position: number, payload: Uint8Array): Uint8Array => {
    const pieces = connection.held.filter((one) => one.sent === sent);
    let end = 0;
    for (const piece of pieces) {
      if (piece.position !== end || piece.payload.length !== piece.size) return payload;
      end += piece.size;
    }
    if (end === 0 || position !== end) return payload;
    return Uint8Array.from([...pieces.map((piece) => piece.payload), payload].flatMap((bytes) => [...bytes]));
  };
  const consider = (
    connection: Connection,
    sent: boolean,
    position: number,
    size: number,
    payload: Uint8Array,
    ktime: KtimeNs,
  ): void => {
    connection.messages += 1;
    const isNew = connection.protocol === undefined;
    if (
      isNew &&
      (payload.length === 0 || !recognise(connection, sent, size, beginning(connection, sent, position, payload)))
    ) {
      metrics.bytesBeforeRecognised += size;
      const mayWait = connection.isFromOpen && connection.bytesHeld + payload.length <= UNRECOGNISED_BYTES_MAX;
      if (mayWait) hold(connection, sent, position, size, payload, ktime);
      else passOver(connection, sent, position, size);
      if (connection.messages >= WIRE_UNDECIDED_MESSAGES) giveUp(connection);
      return;
    }
    // what waited is part of the first exchange after all
    if (isNew) for (const one of connection.held) metrics.bytesBeforeRecognised -= one.size;
    hold(connection, sent, position, size, payload, ktime);
    if (connection.isOpened || connection.held.length > PATIENCE_MESSAGES) settle(connection);
    else if (isNew || connection.held.length === 1) waiting.push(connection);
  };

  return {
    mute,
    remind(connection) {
      if (connection.state === 'muted') control(encodeMute(connection.id));
      else if (connection.state === 'followed') control(encodeFollow(connection.id, WIRE_CAPTURE_BYTES_MAX));
    },
    abandon: release,
    opened: settle,
    message(connection, sent, position, size, payload, ktime) {
      if (connection.state === 'followed') deliver(connection, sent, position, size, payload, ktime);
      else if (connection.state === 'undecided') consider(connection, sent, position, size, payload, ktime);
      else metrics.messagesUnwanted += 1;
    },
    stale(size, payload, ktime) {
      const protocol = protocols.find((one) => one.classify(payload, size) !== undefined);
      if (protocol !== undefined) lose(protocol, ktime, 1, size, 'unmatched');
    },
    settleBefore(ktime) {
      for (const connection of behindHoles) {
        tickOne(connection, ktime);
        if (connection.tracker?.isWaiting !== true) behindHoles.delete(connection);
      }
      if (waiting.length === 0) return;
      const late = waiting.filter((connection) => (connection.held[0]?.ktime ?? 0) < ktime);
      waiting = waiting.filter((connection) => (connection.held[0]?.ktime ?? 0) >= ktime && connection.held.length > 0);
      late.forEach(settle);
    },
    resume(connection, earlier) {
      connection.protocol = earlier.protocol;
      connection.role = earlier.role ?? connection.role;
      if (earlier.state === 'muted') mute(connection);
      else settle(connection);
    },
    close(connection, ktime) {
      if (connection.protocol !== undefined) settle(connection);
      try {
        const { tracker, baseSent, baseReceived, sent, received } = connection;
        // Of a direction that never spoke nobody knows where we joined it.
        const sentEnd = baseSent === UNSET ? 0 : Math.max(0, sent - baseSent);
        const receivedEnd = baseReceived === UNSET ? 0 : Math.max(0, received - baseReceived);
        tracker?.close(sentEnd, receivedEnd, ktime);
      } catch {
        restart(connection, ktime, 'broken');
      }
      release(connection);
    },
    tick(connections, ktime) {
      for (const connection of connections) tickOne(connection, ktime);
    },
    relieve(connections, ktime) {
      if (metrics.bytesHeld <= options.bytesHeldMax) return;
      const holders = [...connections].filter((connection) => connection.bytesHeld > 0);
      holders.sort((a, b) => b.bytesHeld - a.bytesHeld);
      for (const connection of holders) {
        if (metrics.bytesHeld <= options.bytesHeldMax * 0.75) return;
        metrics.connectionsReset += 1;
        if (connection.state === 'followed') restart(connection, ktime, 'limit');
        else {
          if (connection.protocol !== undefined)
            lose(connection.protocol, ktime, connection.held.length, connection.bytesHeld, 'limit');
          release(connection);
        }
      }
    },
  };
}
