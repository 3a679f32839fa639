// The table catalogue: every table that a script may name, with columns in their contractual order. Scripts that name a
// table which this build does not fill must still compile, so all of them are here; `filled` says which have rows.
import { CQL_EVENTS, MONGODB_EVENTS, MYSQL_EVENTS, PGSQL_EVENTS, REDIS_EVENTS } from './catalogue/databases.ts';
import type * as definition from './catalogue/definition.ts';
import { HTTP_EVENTS } from './catalogue/http.ts';
import { AMQP_EVENTS, DNS_EVENTS, KAFKA_EVENTS, MUX_EVENTS, NATS_EVENTS, TLS_EVENTS } from './catalogue/messaging.ts';
import {
  CONN_STATS,
  JVM_STATS,
  NETWORK_STATS,
  PROCESS_STATS,
  PROC_EXIT_EVENTS,
  STACK_TRACES,
} from './catalogue/resources.ts';
import { PROBE_STATUS, STIRLING_ERROR } from './catalogue/status.ts';
import type { Schema } from './types.ts';

export type TableColumn = definition.TableColumn;
export type TableDefinition = definition.TableDefinition;

/** Longest STRING cell in bytes where the column does not say otherwise. */
export const BYTES_MAX_DEFAULT = 1024;

export const CATALOGUE: readonly TableDefinition[] = [
  HTTP_EVENTS,
  CONN_STATS,
  PROCESS_STATS,
  NETWORK_STATS,
  JVM_STATS,
  MYSQL_EVENTS,
  PGSQL_EVENTS,
  CQL_EVENTS,
  DNS_EVENTS,
  REDIS_EVENTS,
  NATS_EVENTS,
  KAFKA_EVENTS,
  MUX_EVENTS,
  AMQP_EVENTS,
  MONGODB_EVENTS,
  TLS_EVENTS,
  STACK_TRACES,
  PROC_EXIT_EVENTS,
  STIRLING_ERROR,
  PROBE_STATUS,
];

const byName: ReadonlyMap<string, TableDefinition> = new Map(CATALOGUE.map((table) => [table.name, table]));

/** The table of that exact name; undefined where there is none. */
export const tableNamed = (name: string): TableDefinition | undefined => byName.get(name);

/** Names and types of a table's columns, in order. */
export const schemaOf = (table: TableDefinition): Schema =>
  table.columns.map(({ name, type, semanticType }) => ({ name, type, semanticType }));
