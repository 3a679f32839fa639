// The life of connections, from frames that may come late, twice or not at all: opens complete what data began, closes
// wait until everything before them has been seen, a descriptor's new life ends its old one.
import { DATA_FLAG, IP_PROTOCOL, ORIGIN, ROLE } from '../frames/frame.ts';
import type { ConnCountsFrame, ConnDataFrame, ConnOpenFrame, ConnectionId } from '../frames/frame.ts';
import type { Process, Processes } from '../identity/processes.ts';
import type { CollectorMetrics } from '../metrics.ts';
import type { KtimeNs, Protocol } from '../protocols/protocol.ts';
import type { LossSink, RowSink } from '../rows.ts';
import { LOOPBACK, UNKNOWN_ADDRESS, addressText, isUnspecified, isV4, mapped, rangeHas } from './address.ts';
import type { AddressRange } from './address.ts';
import { createConnectionIndex, newConnection } from './connection.ts';
import type { Connection } from './connection.ts';
import { createPayloadPath } from './payload.ts';
import { CONN_STATS, createConnStats } from './statistics.ts';

const NS_PER_SECOND = 1e9;
/** Own addresses learned from sockets; a bound for hosts with very many. */
const LOCAL_ADDRESSES_MAX = 8192;
/** How many of the oldest are looked at for the one to drop when there are too many connections. */
const DROP_CANDIDATES = 64;

export interface TrackingOptions {
  readonly protocols: readonly Protocol[];
  readonly processes: Processes;
  readonly rows: RowSink;
  readonly loss: LossSink;
  readonly metrics: CollectorMetrics;
  readonly control: (frame: Uint8Array) => void;
  /** Addresses whose own side makes the rows: this host's, the cluster's. Loopback always is one. */
  readonly insideRanges: readonly AddressRange[];
  /** Addresses that belong to the cluster as of now. */
  readonly isInside?: (address: string) => boolean;
  readonly bothSides: boolean;
  readonly connectionsMax: number;
  readonly bytesHeldMax: number;
}

export interface ConnectionTracking {
  open(frame: ConnOpenFrame): void;
  data(frame: ConnDataFrame): void;
  counts(frame: ConnCountsFrame): void;
  close(frame: ConnCountsFrame): void;
  processExited(process: Process, ktime: KtimeNs): void;
  /** Nothing of this process is to be seen: it is one of ours. */
  ignore(tgid: number): void;
  addInside(range: AddressRange): void;
  /** The probe began (again) to tell what there is. */
  hello(ktime: KtimeNs): void;
  /** It has told: what it did not name is gone. */
  snapshotEnd(ktime: KtimeNs): void;
  /** Every event before `ktime` has been seen. Timers run on it. */
  drained(ktime: KtimeNs): void;
  /** Nothing more will come: settles what waits, and says the last totals as of `ktime`. */
  finish(ktime: KtimeNs): void;
}

export function createConnectionTracking(options: TrackingOptions): ConnectionTracking {
  const { processes, metrics } = options;
  const index = createConnectionIndex();
  const stats = createConnStats(options.rows, metrics);
  const payload = createPayloadPath({ ...options, onDecided: stats.update });
  const ignored = new Set<number>();
  const inside: AddressRange[] = [...LOOPBACK, ...options.insideRanges];
  const ownAddresses = new Set<string>();
  let closing: Connection[] = [];
  let life = 0;
  /** When the probe began to tell: what is older was open before. */
  let lifeStart: KtimeNs = 0;
  let second = -1;

  const closeAt = (connection: Connection, ktime: KtimeNs): void => {
    if (connection.closedAt !== undefined) return;
    connection.closedAt = ktime;
    closing.push(connection);
  };
  const forget = (connection: Connection): void => {
    payload.abandon(connection);
    index.remove(connection);
    connection.isGone = true;
  };
  const finish = (connection: Connection): void => {
    if (connection.isGone) return;
    payload.close(connection, connection.closedAt ?? connection.seenAt);
    stats.closed(connection);
    forget(connection);
  };
  const dropOne = (ktime: KtimeNs): void => {
    let oldest: Connection | undefined;
    let looked = 0;
    for (const candidate of index.all()) {
      if (oldest === undefined || candidate.seenAt < oldest.seenAt) oldest = candidate;
      if ((looked += 1) === DROP_CANDIDATES) break;
    }
    if (oldest === undefined) return;
    metrics.connectionsDropped += 1;
    options.loss.add(CONN_STATS, 'eventsDropped', ktime, 1);
    if (oldest.protocol !== undefined) options.loss.add(oldest.protocol.table, 'eventsDropped', ktime, 1);
    stats.closed(oldest);
    forget(oldest);
  };

  /** A connection not seen before; undefined where a newer life of its descriptor is known already. */
  const create = (id: ConnectionId, ktime: KtimeNs): Connection | undefined => {
    const newest = index.newest(id.tgid, id.fd);
    if (newest !== undefined) {
      if (newest.id.tsid > id.tsid && newest.life === life) return undefined;
      // Its close was lost or comes later; a process has a descriptor once.
      closeAt(newest, Math.max(newest.seenAt, Math.min(id.tsid, ktime)));
    }
    if (index.size >= options.connectionsMax) dropOne(ktime);
    const connection = newConnection(id, processes.of(id.tgid, id.startTicks), life, ktime);
    index.add(connection);
    metrics.connectionsSeen += 1;
    return connection;
  };
  const findOrCreate = (id: ConnectionId, ktime: KtimeNs): Connection | undefined => {
    if (ignored.has(id.tgid)) {
      metrics.framesIgnored += 1;
      return undefined;
    }
    const found = index.find(id);
    if (found !== undefined) return found;
    const created = create(id, ktime);
    if (created === undefined) metrics.framesStale += 1;
    return created;
  };

  const learn = (connection: Connection, frame: ConnOpenFrame): void => {
    const local = mapped(frame.family, frame.localAddress);
    const remote = mapped(frame.family, frame.remoteAddress);
    if (!isUnspecified(local)) {
      connection.localAddress = addressText(local);
      connection.localPort = frame.localPort;
    } else if (frame.localPort !== 0) connection.localPort = frame.localPort;
    if (!isUnspecified(remote)) {
      connection.remoteAddress = addressText(remote);
      connection.remotePort = frame.remotePort;
      connection.family = isV4(remote) ? 1 : 2;
    }
    const isKernelSure = frame.origin === ORIGIN.ACCEPT || frame.origin === ORIGIN.CONNECT;
    if (frame.role === ROLE.SERVER || frame.role === ROLE.CLIENT) {
      const role = frame.role === ROLE.SERVER ? 'server' : 'client';
      // A guess does not overrule what a recognised message has said.
      if (isKernelSure || connection.protocol === undefined) connection.role = role;
    }
    connection.isFromOpen ||= isKernelSure && frame.id.tsid >= lifeStart;
    connection.isRoleCertain ||= isKernelSure && connection.role !== undefined;
    if (frame.role === ROLE.SERVER && connection.localPort > 0) {
      processes.servesOn(connection.process, connection.localPort);
      if (ownAddresses.size < LOCAL_ADDRESSES_MAX) ownAddresses.add(connection.localAddress);
    }
    connection.isPeerInside =
      connection.remoteAddress !== UNKNOWN_ADDRESS &&
      (connection.remoteAddress === connection.localAddress ||
        ownAddresses.has(connection.remoteAddress) ||
        inside.some((range) => rangeHas(range, remote)) ||
        options.isInside?.(connection.remoteAddress) === true);
  };

  /** The record under which the probe's earlier life knew the same socket. */
  const earlierLife = (connection: Connection): Connection | undefined => {
    const { older } = connection;
    if (older === undefined || older.life === life || older.process !== connection.process) return undefined;
    const isSame =
      older.localPort === connection.localPort &&
      older.remotePort === connection.remotePort &&
      older.remoteAddress === connection.remoteAddress;
    return isSame ? older : undefined;
  };
  const continueFrom = (earlier: Connection, connection: Connection): void => {
    connection.stats = earlier.stats;
    earlier.stats = undefined;
    forget(earlier);
    metrics.connectionsSeen -= 1;
    if (earlier.protocol === undefined && earlier.messages === 0) return;
    connection.isOpened = true;
    payload.resume(connection, earlier);
  };

  const seen = (connection: Connection, ktime: KtimeNs): void => {
    if (ktime > connection.seenAt) connection.seenAt = ktime;
    connection.life = life;
  };
  const reach = (connection: Connection, sent: number, received: number): void => {
    if (sent > connection.sent) connection.sent = sent;
    if (received > connection.received) connection.received = received;
  };

  const finishBefore = (ktime: KtimeNs): void => {
    if (closing.length === 0) return;
    const due = closing.filter((connection) => (connection.closedAt ?? 0) < ktime);
    closing = closing.filter((connection) => (connection.closedAt ?? 0) >= ktime);
    due.forEach(finish);
  };
  const everySecond = (ktime: KtimeNs): void => {
    payload.tick(index.all(), ktime);
    stats.emit(ktime, true);
    if (second % 10 === 0) stats.sweep();
  };

  return {
    open(frame) {
      const known = index.find(frame.id);
      const connection = findOrCreate(frame.id, frame.ktime);
      if (connection === undefined) return;
      const isRepeated = known !== undefined && connection.life !== life;
      learn(connection, frame);
      seen(connection, frame.ktime);
      connection.isOpened = true;
      if (isRepeated) payload.remind(connection);
      const earlier = known === undefined ? earlierLife(connection) : undefined;
      if (earlier !== undefined) continueFrom(earlier, connection);
      if (frame.protocol !== IP_PROTOCOL.TCP) payload.mute(connection);
      else payload.opened(connection);
      if (connection.isRoleCertain || connection.stats !== undefined) stats.update(connection);
    },
    data(frame) {
      let connection = index.find(frame.id);
      if (connection === undefined) {
        connection = findOrCreate(frame.id, frame.ktime);
        if (connection === undefined) {
          if (!ignored.has(frame.id.tgid)) payload.stale(frame.size, frame.payload, frame.ktime);
          return;
        }
        metrics.connectionsImplicit += 1;
      }
      metrics.messages += 1;
      metrics.messageBytes += frame.size;
      seen(connection, frame.ktime);
      const sent = (frame.flags & DATA_FLAG.SENT) !== 0;
      const end = frame.position + frame.size;
      if (sent) reach(connection, end, 0);
      else reach(connection, 0, end);
      payload.message(connection, sent, frame.position, frame.size, frame.payload, frame.ktime);
      if (metrics.bytesHeld > options.bytesHeldMax) payload.relieve(index.all(), frame.ktime);
    },
    counts(frame) {
      const connection = findOrCreate(frame.id, frame.ktime);
      if (connection === undefined) return;
      seen(connection, frame.ktime);
      reach(connection, frame.sent, frame.received);
      stats.update(connection);
    },
    close(frame) {
      const connection = index.find(frame.id);
      if (connection === undefined) {
        if (ignored.has(frame.id.tgid)) metrics.framesIgnored += 1;
        else metrics.framesStale += 1;
        return;
      }
      reach(connection, frame.sent, frame.received);
      seen(connection, frame.ktime);
      if (connection.closedAt === undefined) closeAt(connection, frame.ktime);
      else connection.closedAt = frame.ktime;
    },
    processExited(process, ktime) {
      ignored.delete(process.pid);
      for (const connection of index.ofProcess(process.pid))
        if (connection.process === process) closeAt(connection, ktime);
    },
    ignore(tgid) {
      ignored.add(tgid);
      for (const connection of index.ofProcess(tgid)) {
        stats.closed(connection);
        forget(connection);
      }
    },
    addInside: (range) => inside.push(range),
    hello(ktime) {
      life += 1;
      lifeStart = ktime;
    },
    snapshotEnd(ktime) {
      for (const connection of index.all()) {
        if (connection.life === life || connection.closedAt !== undefined) continue;
        // Whatever its parser waits for fell into the time that nobody saw.
        payload.abandon(connection);
        closeAt(connection, ktime);
      }
    },
    drained(ktime) {
      payload.settleBefore(ktime);
      finishBefore(ktime);
      const now = Math.floor(ktime / NS_PER_SECOND);
      if (now > second) {
        second = now;
        everySecond(ktime);
      } else stats.emit(ktime, false);
      metrics.connectionsOpen = index.size;
    },
    finish(ktime) {
      payload.settleBefore(Number.POSITIVE_INFINITY);
      finishBefore(Number.POSITIVE_INFINITY);
      stats.emit(ktime, true);
      metrics.connectionsOpen = index.size;
    },
  };
}
