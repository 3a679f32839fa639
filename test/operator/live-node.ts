// A node whose tables fill by the wall clock: in each of some namespaces one request every 100 ms, whose latency is its number.
// Rows follow from their time alone, so a process that starts again sees what the one before it saw. Real store, real engine,
// and the collector's own filter by namespace.
import { scopedIdentity, scopedTables, checkScope, type Owners } from '../../src/collector/scope.ts';
import { DEFAULT_LIMITS } from '../../src/engine/context.ts';
import { execute } from '../../src/engine/execute.ts';
import { UNKNOWN_PROCESS, type ProcessIdentity } from '../../src/model/identity.ts';
import { NO_LOSS } from '../../src/model/loss.ts';
import { timeNs, type TimeNs } from '../../src/model/time.ts';
import type { Cell, Uint128 } from '../../src/model/types.ts';
import type { Node } from '../../src/plan/node.ts';
import { createTableStore } from '../../src/tables/store.ts';

export const TICK_MS = 100;
const TICK_NS = BigInt(TICK_MS) * 1_000_000n;
const ZERO: Readonly<Record<string, Cell>> = {
  BOOLEAN: false,
  INT64: 0,
  UINT128: { high: 0n, low: 0n },
  FLOAT64: 0,
  STRING: '',
  TIME64NS: 0n,
};

/** `since`: of the first row, Unix milliseconds. */
export function liveNode(namespaces: readonly string[], since: number): Node {
  const tables = createTableStore();
  const filled = tables.tables.filter((table) => table.filled).map((table) => table.name);
  const columns = tables.tables.find(({ name }) => name === 'http_events')?.columns ?? [];
  const pods = namespaces.map((namespace): ProcessIdentity => ({
    ...UNKNOWN_PROCESS,
    namespace,
    pod: `${namespace}/shop`,
  }));
  const podOf = ({ low }: Uint128): ProcessIdentity | undefined => pods[Number(low) - 1];
  const owners: Owners = {
    process: podOf,
    podByIp: () => undefined,
    podByName: (name) => pods.find(({ pod }) => pod === name),
    podById: () => undefined,
    isPod: () => true,
    isInUnknownPod: () => false,
  };
  let next = BigInt(Math.ceil(since / TICK_MS));
  const oldest = timeNs(next * TICK_NS);

  /** All rows before `time`, and a watermark there. */
  function fill(time: TimeNs): void {
    for (; next * TICK_NS < time; next++) {
      for (const [i, namespace] of namespaces.entries()) {
        const own: Readonly<Record<string, Cell>> = {
          upid: { high: 1n << 32n, low: BigInt(i + 1) },
          req_path: `/${namespace}`,
          latency: next,
        };
        const cells = columns.map(({ name, type }) => own[name] ?? ZERO[type] ?? 0);
        tables.append('http_events', next * TICK_NS, cells);
      }
    }
    for (const table of filled) tables.setWatermark(table, time);
  }

  return {
    name: 'node-1',
    state: () => Promise.resolve({ startTime: oldest, blind: [], oldest }),
    async waitForWatermark(_tables, time, signal) {
      const waitMs = Number(time / 1_000_000n) - Date.now();
      if (waitMs > 0) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, waitMs);
          signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
        });
      }
      signal.throwIfAborted();
      fill(time);
    },
    async *query(fragment, { scope, signal }) {
      signal.throwIfAborted();
      const stats = { rowsRead: 0, bytesRead: 0 };
      const isAll = checkScope(scope, fragment) === '*';
      const clock = (): number => performance.now();
      const seen = isAll
        ? { tables, identity: owners }
        : { tables: scopedTables(tables, scope, owners, () => undefined), identity: scopedIdentity(scope, owners) };
      const context = { ...seen, asid: 1, scope, node: 'node-1', signal, clock, limits: DEFAULT_LIMITS, stats };
      for await (const batch of execute(fragment, context)) yield { kind: 'batch', batch };
      yield { kind: 'end', stats };
    },
    loss: () => Promise.resolve(NO_LOSS),
  };
}
