// The collector's own counters as metrics: read every few seconds, because its loops count into plain numbers.
import type { CollectorMetrics } from '../../collector/metrics.ts';
import type { Metrics } from '../../model/metrics.ts';
import type { TableStore } from '../../tables/store.ts';

const EVERY_MS = 2000;

/** Names of kernel counters in the label `reason`. */
const KERNEL = [
  'dataRingFull',
  'controlRingFull',
  'connectionsFull',
  'payloadFaults',
  'recursionMisses',
  'compatCalls',
] as const;

export interface CollectorReadings {
  readonly counters: () => CollectorMetrics;
  readonly tables: Pick<TableStore, 'tables' | 'stats'>;
  /** Names of sources that do not run now. */
  readonly blind: () => readonly string[];
}

/** Takes readings until the function that it returns is called. */
export function observeCollector(metrics: Metrics, readings: CollectorReadings): () => void {
  const rising = {
    frames: metrics.counter('sluice_collector_frames_total'),
    frameBytes: metrics.counter('sluice_collector_frame_bytes_total'),
    rows: metrics.counter('sluice_collector_rows_total'),
    rowsLate: metrics.counter('sluice_collector_rows_late_total'),
    rowsRefused: metrics.counter('sluice_collector_rows_refused_total'),
    bytesNotUnderstood: metrics.counter('sluice_collector_bytes_not_understood_total'),
    connectionsSeen: metrics.counter('sluice_collector_connections_total'),
    connectionsDropped: metrics.counter('sluice_collector_connections_dropped_total'),
    probeConnects: metrics.counter('sluice_collector_probe_connects_total'),
    blindIntervals: metrics.counter('sluice_collector_blind_intervals_total'),
    scopesRefused: metrics.counter('sluice_collector_scopes_refused_total'),
  };
  const kernel = metrics.counter('sluice_collector_kernel_drops_total');
  const lost = metrics.counter('sluice_collector_exchanges_lost_total');
  const open = metrics.gauge('sluice_collector_connections_open');
  const processes = metrics.gauge('sluice_collector_processes');
  const held = metrics.gauge('sluice_collector_held_bytes');
  const bytes = metrics.gauge('sluice_table_bytes');
  const rows = metrics.gauge('sluice_table_rows');
  const blind = metrics.gauge('sluice_collector_source_blind');
  const before = new Map<string, number>();
  let shownBlind = new Set<string>();
  const since = (key: string, value: number): number => {
    const grown = value - (before.get(key) ?? 0);
    before.set(key, value);
    return Math.max(0, grown);
  };
  const read = (): void => {
    const now = readings.counters();
    for (const [name, counter] of Object.entries(rising)) {
      const value: unknown = Reflect.get(now, name);
      if (typeof value === 'number') counter.add(since(name, value));
    }
    for (const reason of KERNEL) kernel.add(since(reason, now[reason]), { reason });
    for (const [reason, value] of Object.entries(now.exchangesLost))
      lost.add(since(`lost ${reason}`, value), { reason });
    open.set(now.connectionsOpen);
    processes.set(now.processes);
    held.set(now.bytesHeld);
    for (const { name, filled } of readings.tables.tables) {
      if (!filled) continue;
      const stats = readings.tables.stats(name);
      bytes.set(stats.bytes, { table: name });
      rows.set(stats.rows, { table: name });
    }
    const sources = new Set(readings.blind());
    for (const source of sources) blind.set(1, { source });
    for (const source of shownBlind) if (!sources.has(source)) blind.remove({ source });
    shownBlind = sources;
  };
  read();
  const timer = setInterval(read, EVERY_MS).unref();
  return () => clearInterval(timer);
}
