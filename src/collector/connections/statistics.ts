// conn_stats: traffic totals per process and remote endpoint, cumulative since the agent began. Connections add to the
// entry of their key; changed entries become rows once a second of frame time, those with a closed connection at once.
import { ROLE } from '../frames/frame.ts';
import type { Cell } from '../../model/types.ts';
import type { CollectorMetrics } from '../metrics.ts';
import type { KtimeNs } from '../protocols/protocol.ts';
import type { RowSink } from '../rows.ts';
import { UNKNOWN_ADDRESS } from './address.ts';
import type { Connection, StatsEntry } from './connection.ts';

export const CONN_STATS = 'conn_stats';
/** Keys without an open connection go, the longest unused first, beyond this number. */
const KEYS_MAX = 65_536;

export interface ConnStats {
  /** Gives the connection its key if it can have one by now, and brings the entry up to date with it. */
  readonly update: (connection: Connection) => void;
  closed(connection: Connection): void;
  /** A row per changed key if `isFull`, else only if one of them lost a connection. All rows have the time of `ktime`. */
  emit(ktime: KtimeNs, isFull: boolean): void;
  /** Forgets keys that no connection and no living process uses. */
  sweep(): void;
}

export function createConnStats(rows: RowSink, metrics: CollectorMetrics): ConnStats {
  /** The least recently opened first. */
  const entries = new Map<string, StatsEntry>();
  const cells: Cell[] = [];
  let dirty: StatsEntry[] = [];
  let closing: StatsEntry[] = [];

  const touch = (entry: StatsEntry): void => {
    if (entry.isDirty) return;
    entry.isDirty = true;
    dirty.push(entry);
  };
  const entryOf = (connection: Connection): StatsEntry | undefined => {
    const { process, role, remoteAddress, family } = connection;
    if (role === undefined || remoteAddress === UNKNOWN_ADDRESS) return undefined;
    const remotePort = role === 'server' ? 0 : connection.remotePort;
    const key = `${process.pid}:${process.startTicks} ${remoteAddress} ${remotePort}`;
    const known = entries.get(key);
    if (known !== undefined) {
      entries.delete(key);
      entries.set(key, known);
      return known;
    }
    const traceRole = role === 'server' ? ROLE.SERVER : ROLE.CLIENT;
    const entry: StatsEntry = {
      key, process, remoteAddress, remotePort, role: traceRole, family, protocol: 0, opened: 0, closed: 0, sent: 0, received: 0, isDirty: false,
    }; // prettier-ignore
    entries.set(key, entry);
    return entry;
  };
  const detach = (connection: Connection, entry: StatsEntry): void => {
    entry.closed += 1;
    touch(entry);
    connection.stats = undefined;
  };
  const update = (connection: Connection): void => {
    const wanted = connection.role === 'server' ? ROLE.SERVER : ROLE.CLIENT;
    // A guessed role that proved wrong: the connection moves to the other side's key.
    if (connection.stats !== undefined && connection.stats.role !== wanted) detach(connection, connection.stats);
    let entry = connection.stats;
    if (entry === undefined) {
      entry = entryOf(connection);
      if (entry === undefined) return;
      connection.stats = entry;
      entry.opened += 1;
      entry.family = connection.family;
      touch(entry);
    }
    const sent = connection.sent - connection.sentCounted;
    const received = connection.received - connection.receivedCounted;
    const protocol = connection.protocol?.id ?? entry.protocol;
    if (sent === 0 && received === 0 && protocol === entry.protocol) return;
    entry.sent += sent;
    entry.received += received;
    entry.protocol = protocol;
    connection.sentCounted = connection.sent;
    connection.receivedCounted = connection.received;
    touch(entry);
  };
  const row = (entry: StatsEntry, ktime: KtimeNs): void => {
    cells[1] = entry.process.upid;
    cells[2] = entry.remoteAddress;
    cells[3] = entry.remotePort;
    cells[4] = entry.role;
    cells[5] = entry.family;
    cells[6] = entry.protocol;
    cells[7] = false;
    cells[8] = entry.opened;
    cells[9] = entry.closed;
    cells[10] = entry.opened - entry.closed;
    cells[11] = entry.sent;
    cells[12] = entry.received;
    rows.append(CONN_STATS, ktime, cells);
    entry.isDirty = false;
  };

  return {
    update,
    closed(connection) {
      update(connection);
      const entry = connection.stats;
      if (entry === undefined) return;
      detach(connection, entry);
      closing.push(entry);
    },
    emit(ktime, isFull) {
      if (isFull) {
        for (const entry of dirty) if (entry.isDirty) row(entry, ktime);
        dirty = [];
      } else {
        for (const entry of closing) if (entry.isDirty) row(entry, ktime);
        if (closing.length > 0) dirty = dirty.filter((entry) => entry.isDirty);
      }
      closing = [];
      metrics.connStatsKeys = entries.size;
    },
    sweep() {
      let excess = entries.size - KEYS_MAX;
      for (const entry of entries.values()) {
        if (entry.opened !== entry.closed || entry.isDirty) continue;
        if (entry.process.exitedAt === undefined) {
          if (excess <= 0) continue;
          metrics.connStatsKeysEvicted += 1;
        }
        entries.delete(entry.key);
        excess -= 1;
      }
      metrics.connStatsKeys = entries.size;
    },
  };
}
