// Tables of database protocols: MySQL, PostgreSQL, Cassandra, Redis, MongoDB.
import { LATENCY, integer, protocolColumns, text, type TableDefinition } from './definition.ts';

const BODY_BYTES_MAX = 512;

export const MYSQL_EVENTS: TableDefinition = {
  name: 'mysql_events',
  description: 'MySQL commands with their responses',
  kind: 'event',
  filled: false,
  columns: [
    ...protocolColumns('Time of the response'),
    integer('req_cmd', 'GENERAL_ENUM', 'Command byte, e.g. 3 for a query; see px.mysql_command_name'),
    text('req_body', 'SQL text, database name or rendered prepared statement', { bytesMax: BODY_BYTES_MAX }),
    integer('resp_status', 'GENERAL_ENUM', '0 unknown, 1 none, 2 OK, 3 error'),
    text('resp_body', 'Error message, or the number of rows of each result set', { bytesMax: BODY_BYTES_MAX }),
    LATENCY,
  ],
};

export const PGSQL_EVENTS: TableDefinition = {
  name: 'pgsql_events',
  description: 'PostgreSQL requests with their responses',
  kind: 'event',
  filled: false,
  columns: [
    ...protocolColumns('Time of the response'),
    text('req_cmd', 'Query, Parse, Bind, Describe or Execute', { pattern: 'GENERAL_ENUM' }),
    text('req', 'SQL text or rendered message'),
    text('resp', 'Rows and command tag, acknowledgement, or error fields'),
    LATENCY,
  ],
};

export const CQL_EVENTS: TableDefinition = {
  name: 'cql_events',
  description: 'Cassandra (CQL) requests with their responses',
  kind: 'event',
  filled: false,
  columns: [
    ...protocolColumns('Time of the response'),
    integer('req_op', 'GENERAL_ENUM', 'Request opcode, e.g. 7 for a query; see px.cql_opcode_name'),
    text('req_body', 'Rendered request', { bytesMax: BODY_BYTES_MAX }),
    integer('resp_op', 'GENERAL_ENUM', 'Response opcode, e.g. 8 for a result; see px.cql_opcode_name'),
    text('resp_body', 'Rendered response', { bytesMax: BODY_BYTES_MAX }),
    LATENCY,
  ],
};

export const REDIS_EVENTS: TableDefinition = {
  name: 'redis_events',
  description: 'Redis commands with their responses',
  kind: 'event',
  filled: false,
  columns: [
    ...protocolColumns('Time of the response'),
    text('req_cmd', 'Command in upper case; empty where it is not known'),
    text('req_args', 'Arguments as a JSON object or array'),
    text('resp', 'Rendered response'),
    LATENCY,
  ],
};

export const MONGODB_EVENTS: TableDefinition = {
  name: 'mongodb_events',
  description: 'MongoDB commands with their responses',
  kind: 'event',
  filled: false,
  columns: [
    ...protocolColumns('Time of the request'),
    text('req_cmd', 'Command, the first key of the request document'),
    text('req_body', 'Request documents as extended JSON'),
    text('resp_status', '`cursor`, or the `ok` field of the reply'),
    text('resp_body', 'Reply documents as extended JSON'),
    LATENCY,
  ],
};
