// A node over tables in memory, through the real store and the real engine. Its watermark, its losses and its failures
// are the test's to say.
import { DEFAULT_LIMITS } from '../../src/engine/context.ts';
import { execute } from '../../src/engine/execute.ts';
import { NO_LOSS, type WindowLoss } from '../../src/model/loss.ts';
import { timeNs, type TimeNs } from '../../src/model/time.ts';
import type { Cell } from '../../src/model/types.ts';
import type { Node } from '../../src/plan/node.ts';
import { createTableStore, type TableStore } from '../../src/tables/store.ts';

export interface TableNode extends Node {
  readonly tables: TableStore;
  /** One row of http_events; what is not given is zero. */
  http(time: TimeNs, cells: Readonly<Record<string, Cell>>): void;
  advance(time: TimeNs): void;
  lose(loss: Partial<WindowLoss>): void;
  /** The next query fails with this. */
  fail(error: Error): void;
  /** Called at the start of each query; may wait. */
  onQuery(hook: (signal: AbortSignal) => Promise<void>): void;
  queries: number;
  /** The time that was asked about last, for its losses. */
  lossAsked: readonly [TimeNs, TimeNs] | undefined;
}

const ZERO: Readonly<Record<string, Cell>> = {
  BOOLEAN: false,
  INT64: 0,
  UINT128: { high: 0n, low: 0n },
  FLOAT64: 0,
  STRING: '',
  TIME64NS: 0n,
};

export function tableNode(name: string, startTime: TimeNs = timeNs(0n)): TableNode {
  const tables = createTableStore();
  const filled = tables.tables.filter((table) => table.filled).map((table) => table.name);
  const http = tables.tables.find((table) => table.name === 'http_events');
  let loss: WindowLoss = NO_LOSS;
  let failure: Error | undefined;
  let hook: ((signal: AbortSignal) => Promise<void>) | undefined;
  const node: TableNode = {
    name,
    state: () => Promise.resolve({ startTime, blind: [] }),
    tables,
    queries: 0,
    lossAsked: undefined,
    http(time, cells) {
      tables.append(
        'http_events',
        time,
        (http?.columns ?? []).map((column) => cells[column.name] ?? ZERO[column.type] ?? 0),
      );
    },
    advance(time) {
      for (const table of filled) tables.setWatermark(table, time);
    },
    lose(more) {
      loss = { ...loss, ...more };
    },
    fail(error) {
      failure = error;
    },
    onQuery(wait) {
      hook = wait;
    },
    waitForWatermark: (names, time, signal) => tables.waitForWatermark(names, time, signal),
    async *query(fragment, { scope, signal }) {
      node.queries += 1;
      await hook?.(signal);
      signal.throwIfAborted();
      if (failure !== undefined) {
        const error = failure;
        failure = undefined;
        throw error;
      }
      const stats = { rowsRead: 0, bytesRead: 0 };
      const identity = {
        process: () => undefined,
        podByIp: () => undefined,
        podByName: () => undefined,
        podById: () => undefined,
      };
      const clock = (): number => performance.now();
      const context = { tables, identity, asid: 1, scope, node: name, signal, clock, limits: DEFAULT_LIMITS, stats };
      for await (const batch of execute(fragment, context)) yield { kind: 'batch', batch };
      yield { kind: 'end', stats };
    },
    loss(_, start, end) {
      node.lossAsked = [start, end];
      return Promise.resolve(loss);
    },
  };
  return node;
}
