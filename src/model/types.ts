// The data and semantic types of table columns. Ids are those that the telemetry APIs of this field use on the wire
// (DATA_TYPE_*, ST_*), so that schemas can be exchanged; everything inside Sluice goes by name.

/** The six data types of a table cell. There is no null: a missing cell is the type's zero value. */
export type DataType = 'BOOLEAN' | 'INT64' | 'UINT128' | 'FLOAT64' | 'STRING' | 'TIME64NS';

export const SEMANTIC_TYPE_IDS = {
  ST_UNSPECIFIED: 0,
  ST_NONE: 1,
  ST_TIME_NS: 2,
  ST_AGENT_UID: 100,
  ST_ASID: 101,
  ST_UPID: 200,
  ST_SERVICE_NAME: 300,
  ST_POD_NAME: 400,
  ST_POD_PHASE: 401,
  ST_POD_STATUS: 402,
  ST_NODE_NAME: 500,
  ST_CONTAINER_NAME: 600,
  ST_CONTAINER_STATE: 601,
  ST_CONTAINER_STATUS: 602,
  ST_NAMESPACE_NAME: 700,
  ST_BYTES: 800,
  ST_PERCENT: 900,
  ST_DURATION_NS: 901,
  ST_THROUGHPUT_PER_NS: 902,
  ST_THROUGHPUT_BYTES_PER_NS: 903,
  ST_QUANTILES: 1000,
  ST_DURATION_NS_QUANTILES: 1001,
  ST_IP_ADDRESS: 1100,
  ST_PORT: 1200,
  ST_HTTP_REQ_METHOD: 1300,
  ST_HTTP_RESP_STATUS: 1400,
  ST_HTTP_RESP_MESSAGE: 1500,
  ST_SCRIPT_REFERENCE: 3000,
} as const;

/** What a column means. It never changes values; it drives display, units and a few inference rules. */
export type SemanticType = keyof typeof SEMANTIC_TYPE_IDS;

/** A documentation-level hint on how a column behaves over time. */
export type PatternType = 'GENERAL' | 'GENERAL_ENUM' | 'STRUCTURED' | 'METRIC_COUNTER' | 'METRIC_GAUGE';

/** Name and types of one column of a relation. */
export interface Field {
  readonly name: string;
  readonly type: DataType;
  readonly semanticType: SemanticType;
}

/** An ordered list of columns. Order is part of the contract: an unprojected display shows it. */
export type Schema = readonly Field[];

/**
 * One cell as it crosses a row-wise boundary. INT64 and TIME64NS may be given as a safe integer `number` or a
 * `bigint`; UINT128 is `{ high, low }`; STRING is text, or raw bytes where they are not known to be UTF-8.
 */
export type Cell = bigint | number | boolean | string | Uint8Array | Uint128;

/** A 128-bit value: two unsigned 64-bit words, most significant first. */
export interface Uint128 {
  readonly high: bigint;
  readonly low: bigint;
}
