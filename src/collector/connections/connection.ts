// The record of one connection, from its first sign to its close, and the index that finds it by process and descriptor.
import type { ConnectionId } from '../frames/frame.ts';
import type { Process } from '../identity/processes.ts';
import type { KtimeNs, Protocol, ProtocolTracker, Role } from '../protocols/protocol.ts';
import { UNKNOWN_ADDRESS, UNKNOWN_PORT } from './address.ts';

export const UNSET = -1;

/** A message kept until the connection's protocol and side are known; `payload` is a copy. */
export interface HeldMessage {
  readonly sent: boolean;
  readonly position: number;
  readonly size: number;
  readonly payload: Uint8Array;
  readonly ktime: KtimeNs;
}

/** Totals of one key of conn_stats. */
export interface StatsEntry {
  readonly key: string;
  readonly process: Process;
  readonly remoteAddress: string;
  /** 0 where the process is the server: the ports of its clients mean nothing. */
  readonly remotePort: number;
  readonly role: number;
  family: number;
  protocol: number;
  opened: number;
  closed: number;
  sent: number;
  received: number;
  isDirty: boolean;
}

export interface Connection {
  readonly id: ConnectionId;
  readonly process: Process;
  /** Which life of the probe, counted by HELLOs, last spoke of it. */
  life: number;
  /** An OPEN has been seen: addresses are as known as they will be. */
  isOpened: boolean;
  /** The kernel said who called whom; else a guess that the first recognised message overrules. */
  isRoleCertain: boolean;
  role: Role | undefined;
  /** 1 IPv4, 2 IPv6, 0 unknown: the encoding of `conn_stats.addr_family`. */
  family: number;
  localAddress: string;
  localPort: number;
  remoteAddress: string;
  remotePort: number;
  /** We saw it open: its first bytes are the beginning of something. */
  isFromOpen: boolean;
  /** The peer is this host itself, or in the cluster: its own side makes the rows. */
  isPeerInside: boolean;
  /** undecided: nobody knows yet what it carries. followed: messages go to the tracker. muted: only its counters matter. */
  state: 'undecided' | 'followed' | 'muted';
  protocol: Protocol | undefined;
  tracker: ProtocolTracker | undefined;
  /** Undecided: messages so far, and those held from the first recognised one on. */
  messages: number;
  held: HeldMessage[];
  /**
   * Where the tracker's streams begin, as it counts from 0: behind what passed before it was asked. UNSET until a first
   * message of that direction says where we joined.
   */
  baseSent: number;
  baseReceived: number;
  /** Ends of the furthest messages that the tracker was given. */
  givenSent: number;
  givenReceived: number;
  /** Fresh starts that its parser has had after throwing. */
  restarts: number;
  /** Bytes held by `held` or the tracker, as they are in the sum. */
  bytesHeld: number;
  /** Stream positions reached, as far as the probe's counters say. */
  sent: number;
  received: number;
  seenAt: KtimeNs;
  closedAt: KtimeNs | undefined;
  /** Out of the index; lists that still name it pass over it. */
  isGone: boolean;
  /** Its key of conn_stats, and what of its bytes is in there. */
  stats: StatsEntry | undefined;
  sentCounted: number;
  receivedCounted: number;
  /** An earlier life of the same descriptor whose end is not settled yet. */
  older: Connection | undefined;
}

export const newConnection = (id: ConnectionId, process: Process, life: number, ktime: KtimeNs): Connection => ({
  id: { ...id },
  process,
  life,
  isOpened: false,
  isRoleCertain: false,
  role: undefined,
  family: 0,
  localAddress: UNKNOWN_ADDRESS,
  localPort: UNKNOWN_PORT,
  remoteAddress: UNKNOWN_ADDRESS,
  remotePort: UNKNOWN_PORT,
  isFromOpen: false,
  isPeerInside: false,
  state: 'undecided',
  protocol: undefined,
  tracker: undefined,
  messages: 0,
  held: [],
  baseSent: UNSET,
  baseReceived: UNSET,
  givenSent: 0,
  givenReceived: 0,
  restarts: 0,
  bytesHeld: 0,
  sent: 0,
  received: 0,
  seenAt: ktime,
  closedAt: undefined,
  isGone: false,
  stats: undefined,
  sentCounted: 0,
  receivedCounted: 0,
  older: undefined,
});

/** Connections by (tgid, fd); of one descriptor the newest first, chained by `older`. */
export interface ConnectionIndex {
  readonly size: number;
  newest(tgid: number, fd: number): Connection | undefined;
  find(id: ConnectionId): Connection | undefined;
  add(connection: Connection): void;
  remove(connection: Connection): void;
  ofProcess(tgid: number): Connection[];
  all(): IterableIterator<Connection>;
}

export function createConnectionIndex(): ConnectionIndex {
  const byTgid = new Map<number, Map<number, Connection>>();
  let size = 0;
  const newest = (tgid: number, fd: number): Connection | undefined => byTgid.get(tgid)?.get(fd);

  function* chain(fds: Map<number, Connection>): Generator<Connection> {
    for (const head of fds.values())
      for (let one: Connection | undefined = head; one !== undefined; one = one.older) yield one;
  }

  return {
    get size() {
      return size;
    },
    newest,
    find(id) {
      let connection = newest(id.tgid, id.fd);
      while (
        connection !== undefined &&
        (connection.id.tsidLow !== id.tsidLow || connection.id.tsidHigh !== id.tsidHigh)
      ) {
        connection = connection.older;
      }
      return connection;
    },
    add(connection) {
      const { tgid, fd } = connection.id;
      let fds = byTgid.get(tgid);
      if (fds === undefined) byTgid.set(tgid, (fds = new Map<number, Connection>()));
      connection.older = fds.get(fd);
      fds.set(fd, connection);
      size += 1;
    },
    remove(connection) {
      const { tgid, fd } = connection.id;
      const fds = byTgid.get(tgid);
      const head = fds?.get(fd);
      if (fds === undefined || head === undefined) return;
      if (head === connection) {
        if (connection.older === undefined) fds.delete(fd);
        else fds.set(fd, connection.older);
        if (fds.size === 0) byTgid.delete(tgid);
      } else {
        let newer = head;
        while (newer.older !== undefined && newer.older !== connection) newer = newer.older;
        if (newer.older === undefined) return;
        newer.older = connection.older;
      }
      connection.older = undefined;
      size -= 1;
    },
    ofProcess(tgid) {
      const fds = byTgid.get(tgid);
      return fds === undefined ? [] : [...chain(fds)];
    },
    *all() {
      for (const fds of byTgid.values()) yield* chain(fds);
    },
  };
}
