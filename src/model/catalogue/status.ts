// Tables about the collector itself.
import { UPID, integer, text, time, type TableDefinition } from './definition.ts';

export const STIRLING_ERROR: TableDefinition = {
  name: 'stirling_error',
  description: 'Whether each source of rows started, and errors it met',
  kind: 'status',
  filled: false,
  columns: [
    time('Time of the report'),
    UPID,
    text('source_connector', 'Name of the source'),
    integer('status', 'GENERAL_ENUM', 'Status code: 0 is OK'),
    text('error', 'What went wrong; empty if nothing did'),
    text('context', 'More, as a JSON object'),
  ],
};

export const PROBE_STATUS: TableDefinition = {
  name: 'probe_status',
  description: 'Changes of state of deployed probes',
  kind: 'status',
  filled: false,
  columns: [
    time('Time of the change'),
    UPID,
    text('source_connector', 'Name of the source'),
    text('tracepoint', 'Name of the probe'),
    integer('status', 'GENERAL_ENUM', 'Status code: 0 is OK'),
    text('error', 'What went wrong; empty if nothing did'),
    text('info', 'More, as a JSON object'),
  ],
};
