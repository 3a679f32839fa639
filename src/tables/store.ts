// The table store of one node: rows in, snapshots out, bounded memory, a watermark per table. Everything happens on one
// thread and nothing waits, so a snapshot is one moment of its table.
import { CATALOGUE, type TableDefinition } from '../model/catalogue.ts';
import { timeNs, type TimeNs } from '../model/time.ts';
import type { Cell } from '../model/types.ts';
import { BUDGET_BYTES_DEFAULT, SHARES_DEFAULT, shareBudget } from './budget.ts';
import type { Snapshot, SnapshotOptions } from './snapshot.ts';
import { FOREVER, Table, type TableStats } from './table.ts';

export interface TableStoreOptions {
  /** Bytes that all tables together may hold; 256 MiB where not given. */
  readonly budgetBytes?: number;
  /** Parts of the budget by table, over the defaults: 40 % http_events, little for status tables and exits. */
  readonly shares?: Readonly<Record<string, number>>;
  /** The catalogue where not given. */
  readonly tables?: readonly TableDefinition[];
}

export interface TableStore {
  /**
   * Appends a row at `time` (Unix nanoseconds). `cells` are all columns in catalogue order; the one of `time_` is not
   * looked at. The array may be used again. A row behind the table's watermark is stored at the watermark: `late`.
   * Throws, with nothing appended, for an unknown table, a wrong number of cells, or a cell of the wrong type.
   */
  append(table: string, time: bigint | number, cells: readonly Cell[]): 'stored' | 'late';
  /** Rows of [start, end) as they are now. Throws for a table or a column that does not exist. */
  snapshot(table: string, options?: SnapshotOptions): Snapshot;
  /** No row before `time` will be appended to `table`. Never goes back: an earlier time is ignored. */
  setWatermark(table: string, time: TimeNs): void;
  /** The lowest watermark of `tables`. Tables that nothing fills have none and do not hold others back. */
  watermark(tables: readonly string[]): TimeNs;
  /** Resolves once `watermark(tables)` has reached `time`; rejects with the reason of `signal` when it aborts. */
  waitForWatermark(tables: readonly string[], time: TimeNs, signal: AbortSignal): Promise<void>;
  /** Rows of [start, end), at most, that were expired; summed over `tables`. */
  rowsExpired(tables: readonly string[], start: TimeNs, end: TimeNs): number;
  stats(table: string): TableStats;
  /** Bytes that all tables hold now. */
  bytes(): number;
  readonly tables: readonly TableDefinition[];
}

interface Waiter {
  readonly tables: readonly string[];
  readonly time: TimeNs;
  readonly resolve: () => void;
}

export function createTableStore({
  budgetBytes = BUDGET_BYTES_DEFAULT,
  shares = {},
  tables: definitions = CATALOGUE,
}: TableStoreOptions = {}): TableStore {
  const budgets = shareBudget(definitions, budgetBytes, { ...SHARES_DEFAULT, ...shares });
  const tables = new Map(
    definitions.map((definition) => [definition.name, new Table(definition, budgets.get(definition.name) ?? 0)]),
  );
  const waiters = new Set<Waiter>();

  const tableOf = (name: string): Table => {
    const table = tables.get(name);
    if (table !== undefined) return table;
    throw new Error(`no table ${name}; there are ${[...tables.keys()].join(', ')}`);
  };

  const watermark = (names: readonly string[]): TimeNs => {
    let lowest: TimeNs = FOREVER;
    for (const name of names) {
      const table = tableOf(name);
      const isQuiet = !table.definition.filled && table.watermark === undefined;
      const mark = table.watermark ?? (isQuiet ? FOREVER : 0n);
      if (mark < lowest) lowest = timeNs(mark);
    }
    return lowest;
  };

  return {
    tables: definitions,
    append: (table, time, cells) => tableOf(table).append(typeof time === 'bigint' ? time : BigInt(time), cells),
    snapshot: (table, options = {}) => tableOf(table).snapshot(options),
    setWatermark(name, time) {
      const table = tableOf(name);
      if (table.watermark !== undefined && time <= table.watermark) return;
      table.watermark = time;
      for (const waiter of waiters) if (watermark(waiter.tables) >= waiter.time) waiter.resolve();
    },
    watermark,
    waitForWatermark(names, time, signal) {
      if (watermark(names) >= time) return Promise.resolve();
      return new Promise((resolve, reject) => {
        const giveUp = (): void => {
          waiters.delete(waiter);
          reject(signal.reason instanceof Error ? signal.reason : new Error('waiting for a watermark was given up'));
        };
        const waiter: Waiter = {
          tables: names,
          time,
          resolve: () => {
            waiters.delete(waiter);
            signal.removeEventListener('abort', giveUp);
            resolve();
          },
        };
        if (signal.aborted) {
          giveUp();
          return;
        }
        waiters.add(waiter);
        signal.addEventListener('abort', giveUp, { once: true });
      });
    },
    rowsExpired: (names, start, end) => names.reduce((rows, name) => rows + tableOf(name).expiredWithin(start, end), 0),
    stats: (table) => tableOf(table).stats(),
    bytes: () => [...tables.values()].reduce((bytes, table) => bytes + table.stats().bytes, 0),
  };
}
