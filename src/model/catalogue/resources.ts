// Tables about processes, pods and connections as a whole: counters, samples, profiles, exits.
import { REMOTE_ADDRESS, TRACE_ROLE, UPID, column, integer, text, time, type TableDefinition } from './definition.ts';

export const PROCESS_STATS: TableDefinition = {
  name: 'process_stats',
  description: 'CPU, memory and I/O counters of each process, as the kernel counts them since the process began',
  kind: 'sampled',
  filled: true,
  columns: [
    time('Time of the sample'),
    UPID,
    integer('major_faults', 'METRIC_COUNTER', 'Page faults that needed I/O'),
    integer('minor_faults', 'METRIC_COUNTER', 'Page faults that needed no I/O'),
    integer('cpu_utime_ns', 'METRIC_COUNTER', 'CPU time in user mode', 'ST_DURATION_NS'),
    integer('cpu_ktime_ns', 'METRIC_COUNTER', 'CPU time in the kernel', 'ST_DURATION_NS'),
    integer('num_threads', 'METRIC_GAUGE', 'Threads now'),
    integer('vsize_bytes', 'METRIC_GAUGE', 'Virtual memory', 'ST_BYTES'),
    integer('rss_bytes', 'METRIC_GAUGE', 'Resident memory', 'ST_BYTES'),
    integer('rchar_bytes', 'METRIC_COUNTER', 'Bytes returned by read calls, from cache and sockets too', 'ST_BYTES'),
    integer('wchar_bytes', 'METRIC_COUNTER', 'Bytes given to write calls', 'ST_BYTES'),
    integer('read_bytes', 'METRIC_COUNTER', 'Bytes fetched from storage', 'ST_BYTES'),
    integer('write_bytes', 'METRIC_COUNTER', 'Bytes sent to storage', 'ST_BYTES'),
  ],
};

export const NETWORK_STATS: TableDefinition = {
  name: 'network_stats',
  description: "Interface counters of each pod's network namespace",
  kind: 'sampled',
  filled: false,
  columns: [
    time('Time of the sample'),
    text('pod_id', 'UID of the pod'),
    integer('rx_bytes', 'METRIC_COUNTER', 'Bytes received', 'ST_BYTES'),
    integer('rx_packets', 'METRIC_COUNTER', 'Packets received'),
    integer('rx_errors', 'METRIC_COUNTER', 'Receive errors'),
    integer('rx_drops', 'METRIC_COUNTER', 'Received packets that were dropped'),
    integer('tx_bytes', 'METRIC_COUNTER', 'Bytes sent', 'ST_BYTES'),
    integer('tx_packets', 'METRIC_COUNTER', 'Packets sent'),
    integer('tx_errors', 'METRIC_COUNTER', 'Send errors'),
    integer('tx_drops', 'METRIC_COUNTER', 'Packets dropped on sending'),
  ],
};

export const JVM_STATS: TableDefinition = {
  name: 'jvm_stats',
  description: 'Heap and garbage collection of Java processes',
  kind: 'sampled',
  filled: false,
  columns: [
    time('Time of the sample'),
    UPID,
    integer('young_gc_time', 'METRIC_COUNTER', 'Time spent in young collections', 'ST_DURATION_NS'),
    integer('full_gc_time', 'METRIC_COUNTER', 'Time spent in full collections', 'ST_DURATION_NS'),
    integer('used_heap_size', 'METRIC_GAUGE', 'Heap bytes in use'),
    integer('total_heap_size', 'METRIC_GAUGE', 'Heap bytes committed'),
    integer('max_heap_size', 'METRIC_GAUGE', 'Limit of the heap in bytes'),
  ],
};

export const CONN_STATS: TableDefinition = {
  name: 'conn_stats',
  description: 'Traffic totals per process and remote endpoint, counted since the collector began; both sides report',
  kind: 'event',
  filled: true,
  columns: [
    time('Time of the reading'),
    UPID,
    REMOTE_ADDRESS,
    integer('remote_port', 'GENERAL', "Peer's port; 0 where the process is the server", 'ST_PORT'),
    TRACE_ROLE,
    integer('addr_family', 'GENERAL_ENUM', '1 IPv4, 2 IPv6'),
    integer('protocol', 'GENERAL_ENUM', 'Protocol of the connections, 0 where it is not known; see px.protocol_name'),
    column('ssl', 'BOOLEAN', 'Plaintext was taken from a TLS library', { pattern: 'GENERAL_ENUM' }),
    integer('conn_open', 'METRIC_COUNTER', 'Connections seen so far'),
    integer('conn_close', 'METRIC_COUNTER', 'Connections closed so far'),
    integer('conn_active', 'METRIC_GAUGE', 'Connections open now'),
    integer('bytes_sent', 'METRIC_COUNTER', 'Bytes sent so far', 'ST_BYTES'),
    integer('bytes_recv', 'METRIC_COUNTER', 'Bytes received so far', 'ST_BYTES'),
  ],
};

const STACK_BYTES_MAX = 32_768;

export const STACK_TRACES: TableDefinition = {
  name: 'stack_traces.beta',
  description: 'Sampled stacks of running processes, folded and counted',
  kind: 'sampled',
  filled: false,
  columns: [
    time('End of the reporting interval'),
    UPID,
    integer('stack_trace_id', 'GENERAL', 'Id of the stack, valid for a short time only'),
    text('stack_trace', 'Frames joined with `;`, root first', { bytesMax: STACK_BYTES_MAX }),
    integer('count', 'METRIC_GAUGE', 'Samples of this stack in the reporting interval'),
  ],
};

export const PROC_EXIT_EVENTS: TableDefinition = {
  name: 'proc_exit_events',
  description: 'Exits of processes',
  kind: 'event',
  filled: true,
  columns: [
    time('Time of the exit'),
    UPID,
    integer('exit_code', 'GENERAL', 'Exit status of the process'),
    integer('signal', 'GENERAL', 'Signal that ended the process; 0 where it exited by itself'),
    text('comm', 'Command name, at most 15 bytes'),
  ],
};
