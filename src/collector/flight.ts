// What a collector serves over Arrow Flight: its agent, its tables, and which errors a plan itself is to blame for.
import { EngineError } from '../engine/context.ts';
import type { TimeNs } from '../model/time.ts';
import type { Node, NodeState } from '../plan/node.ts';
import type { FlightBackend } from '../rpc/flight-server.ts';
import type { TableStore } from '../tables/store.ts';

export interface FlightSource {
  readonly node: Node;
  readonly tables: Pick<TableStore, 'tables' | 'stats'>;
}

export const flightBackend = ({ node, tables }: FlightSource): FlightBackend => ({
  node: { ...node, state: async (signal) => withOldest(await node.state(signal), tables) },
  tables: () =>
    tables.tables.map(({ name, columns }) => {
      const { rows, bytes } = tables.stats(name);
      const schema = columns.map(({ name: column, type, semanticType }) => ({ name: column, type, semanticType }));
      return { name, schema, rows, bytes };
    }),
  planErrorCode: (error) => (error instanceof EngineError ? error.code : undefined),
});

/** Rows before counting began there are none; later the oldest of a table may have expired. */
function withOldest(state: NodeState, { tables, stats }: FlightSource['tables']): NodeState {
  if (state.startTime === 0n) return state;
  let oldest: TimeNs | undefined;
  for (const { name, filled } of tables) {
    if (!filled) continue;
    const from = stats(name).goneUntil ?? state.startTime;
    if (oldest === undefined || from < oldest) oldest = from;
  }
  return oldest === undefined ? state : { ...state, oldest };
}
