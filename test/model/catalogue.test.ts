import { expect, test } from '@jest/globals';
import { CATALOGUE, schemaOf, tableNamed } from '../../src/model/catalogue.ts';

const HEADER =
  'time_ TIME64NS, upid UINT128, remote_addr STRING, remote_port INT64, local_addr STRING, local_port INT64, trace_role INT64, encrypted BOOLEAN';

/** Names, order and types are what scripts rely on; written down here a second time, on purpose. */
const CONTRACT: Readonly<Record<string, string>> = {
  http_events: `${HEADER}, major_version INT64, minor_version INT64, content_type INT64, req_headers STRING, req_method STRING, req_path STRING, req_body STRING, req_body_size INT64, resp_headers STRING, resp_status INT64, resp_message STRING, resp_body STRING, resp_body_size INT64, latency INT64`,
  conn_stats:
    'time_ TIME64NS, upid UINT128, remote_addr STRING, remote_port INT64, trace_role INT64, addr_family INT64, protocol INT64, ssl BOOLEAN, conn_open INT64, conn_close INT64, conn_active INT64, bytes_sent INT64, bytes_recv INT64',
  process_stats:
    'time_ TIME64NS, upid UINT128, major_faults INT64, minor_faults INT64, cpu_utime_ns INT64, cpu_ktime_ns INT64, num_threads INT64, vsize_bytes INT64, rss_bytes INT64, rchar_bytes INT64, wchar_bytes INT64, read_bytes INT64, write_bytes INT64',
  network_stats:
    'time_ TIME64NS, pod_id STRING, rx_bytes INT64, rx_packets INT64, rx_errors INT64, rx_drops INT64, tx_bytes INT64, tx_packets INT64, tx_errors INT64, tx_drops INT64',
  jvm_stats:
    'time_ TIME64NS, upid UINT128, young_gc_time INT64, full_gc_time INT64, used_heap_size INT64, total_heap_size INT64, max_heap_size INT64',
  mysql_events: `${HEADER}, req_cmd INT64, req_body STRING, resp_status INT64, resp_body STRING, latency INT64`,
  pgsql_events: `${HEADER}, req_cmd STRING, req STRING, resp STRING, latency INT64`,
  cql_events: `${HEADER}, req_op INT64, req_body STRING, resp_op INT64, resp_body STRING, latency INT64`,
  dns_events: `${HEADER}, req_header STRING, req_body STRING, resp_header STRING, resp_body STRING, latency INT64`,
  redis_events: `${HEADER}, req_cmd STRING, req_args STRING, resp STRING, latency INT64`,
  'nats_events.beta': `${HEADER}, cmd STRING, body STRING, resp STRING`,
  'kafka_events.beta': `${HEADER}, req_cmd INT64, client_id STRING, req_body STRING, resp STRING, latency INT64`,
  mux_events: `${HEADER}, req_type INT64, latency INT64`,
  amqp_events: `${HEADER}, frame_type INT64, channel INT64, req_class_id INT64, req_method_id INT64, resp_class_id INT64, resp_method_id INT64, req_msg STRING, resp_msg STRING, latency INT64`,
  mongodb_events: `${HEADER}, req_cmd STRING, req_body STRING, resp_status STRING, resp_body STRING, latency INT64`,
  tls_events: `${HEADER.replace(', encrypted BOOLEAN', '')}, req_type INT64, req_body STRING, resp_body STRING, latency INT64`,
  'stack_traces.beta': 'time_ TIME64NS, upid UINT128, stack_trace_id INT64, stack_trace STRING, count INT64',
  proc_exit_events: 'time_ TIME64NS, upid UINT128, exit_code INT64, signal INT64, comm STRING',
  stirling_error: 'time_ TIME64NS, upid UINT128, source_connector STRING, status INT64, error STRING, context STRING',
  probe_status:
    'time_ TIME64NS, upid UINT128, source_connector STRING, tracepoint STRING, status INT64, error STRING, info STRING',
};

test('the catalogue has the twenty tables that scripts name', () => {
  expect(CATALOGUE.map((table) => table.name).sort()).toEqual(Object.keys(CONTRACT).sort());
  expect(CATALOGUE).toHaveLength(20);
});

test.each(Object.entries(CONTRACT))('%s has its columns in the contractual order', (name, columns) => {
  const table = tableNamed(name);
  expect(
    table &&
      schemaOf(table)
        .map((field) => `${field.name} ${field.type}`)
        .join(', '),
  ).toBe(columns);
});

test('semantic types follow the meaning of the columns', () => {
  const semanticTypes = new Map(
    CATALOGUE.flatMap((table) => table.columns.map((c) => [`${table.name}.${c.name}`, c.semanticType])),
  );
  for (const [column, expected] of [
    ['http_events.time_', 'ST_NONE'],
    ['http_events.upid', 'ST_UPID'],
    ['http_events.remote_addr', 'ST_IP_ADDRESS'],
    ['http_events.local_port', 'ST_PORT'],
    ['http_events.req_method', 'ST_HTTP_REQ_METHOD'],
    ['http_events.resp_status', 'ST_HTTP_RESP_STATUS'],
    ['http_events.resp_message', 'ST_HTTP_RESP_MESSAGE'],
    ['http_events.resp_body_size', 'ST_BYTES'],
    ['http_events.latency', 'ST_DURATION_NS'],
    ['conn_stats.bytes_sent', 'ST_BYTES'],
    ['conn_stats.conn_open', 'ST_NONE'],
    ['jvm_stats.used_heap_size', 'ST_NONE'],
    ['jvm_stats.young_gc_time', 'ST_DURATION_NS'],
    ['process_stats.cpu_utime_ns', 'ST_DURATION_NS'],
    ['process_stats.rss_bytes', 'ST_BYTES'],
    ['network_stats.rx_packets', 'ST_NONE'],
  ] as const) {
    expect([column, semanticTypes.get(column)]).toEqual([column, expected]);
  }
});

test('every column is described, named once per table, and limits are on STRING columns only', () => {
  for (const table of CATALOGUE) {
    expect(new Set(table.columns.map((column) => column.name)).size).toBe(table.columns.length);
    expect(table.columns[0]?.name).toBe('time_');
    for (const column of table.columns) {
      expect(column.description).not.toBe('');
      if (column.bytesMax !== undefined) expect(column.type).toBe('STRING');
    }
  }
});

test('only tables that this build fills say so', () => {
  expect(CATALOGUE.filter((table) => table.filled).map((table) => table.name)).toEqual([
    'http_events',
    'conn_stats',
    'process_stats',
    'proc_exit_events',
  ]);
  expect(tableNamed('no_such_table')).toBeUndefined();
});
