// What a table of the catalogue is, and short constructors for its columns.
import type { DataType, PatternType, SemanticType } from '../types.ts';

export interface TableColumn {
  readonly name: string;
  readonly type: DataType;
  readonly semanticType: SemanticType;
  readonly pattern: PatternType;
  readonly description: string;
  /** Longest STRING cell in bytes before it is cut and marked; 1024 where not given. */
  readonly bytesMax?: number;
}

export interface TableDefinition {
  readonly name: string;
  readonly description: string;
  /** Event tables have a row per event; sampled tables have rows of one sample time; status tables are about us. */
  readonly kind: 'event' | 'sampled' | 'status';
  /** False while nothing in this build fills the table: it exists, stays empty, and a compile warns. */
  readonly filled: boolean;
  readonly columns: readonly TableColumn[];
}

/** The parts of a column that have an obvious default: no semantic type, pattern GENERAL, the usual length limit. */
interface ColumnOptions {
  readonly semanticType?: SemanticType;
  readonly pattern?: PatternType;
  readonly bytesMax?: number;
}

export const column = (
  name: string,
  type: DataType,
  description: string,
  { semanticType = 'ST_NONE', pattern = 'GENERAL', bytesMax }: ColumnOptions = {},
): TableColumn => ({
  name,
  type,
  semanticType,
  pattern,
  description,
  ...(bytesMax === undefined ? {} : { bytesMax }),
});

/** An INT64 column. */
export const integer = (
  name: string,
  pattern: PatternType,
  description: string,
  semanticType: SemanticType = 'ST_NONE',
): TableColumn => column(name, 'INT64', description, { semanticType, pattern });

/** A STRING column. */
export const text = (name: string, description: string, options: ColumnOptions = {}): TableColumn =>
  column(name, 'STRING', description, options);

/** `time_`: the only column that start and end times of a query look at. Its semantic type is ST_NONE, as scripts expect. */
export const time = (description: string): TableColumn =>
  column('time_', 'TIME64NS', description, { pattern: 'METRIC_COUNTER' });

export const UPID = column('upid', 'UINT128', 'Process: agent short id, process id, start time in clock ticks', {
  semanticType: 'ST_UPID',
});

export const REMOTE_ADDRESS = text('remote_addr', "Peer's address; `-` where it is not known", {
  semanticType: 'ST_IP_ADDRESS',
});
export const REMOTE_PORT = integer('remote_port', 'GENERAL', "Peer's port; -1 where it is not known", 'ST_PORT');
export const LOCAL_ADDRESS = text('local_addr', 'Own address; `-` where it is not known', {
  semanticType: 'ST_IP_ADDRESS',
});
export const LOCAL_PORT = integer('local_port', 'GENERAL', 'Own port; -1 where it is not known', 'ST_PORT');
export const TRACE_ROLE = integer(
  'trace_role',
  'GENERAL_ENUM',
  'Side of the connection that was observed: 1 client, 2 server, 4 unknown',
);
export const ENCRYPTED = column('encrypted', 'BOOLEAN', 'Plaintext was taken from a TLS library, not from the wire', {
  pattern: 'GENERAL_ENUM',
});
export const LATENCY = integer(
  'latency',
  'METRIC_GAUGE',
  'Time from the request to the response as the observed process saw it; never negative',
  'ST_DURATION_NS',
);

/** The seven columns that open tls_events, and with `encrypted` every other protocol table. */
export const endpointColumns = (timeDescription: string): readonly TableColumn[] => [
  time(timeDescription),
  UPID,
  REMOTE_ADDRESS,
  REMOTE_PORT,
  LOCAL_ADDRESS,
  LOCAL_PORT,
  TRACE_ROLE,
];

export const protocolColumns = (timeDescription: string): readonly TableColumn[] => [
  ...endpointColumns(timeDescription),
  ENCRYPTED,
];
