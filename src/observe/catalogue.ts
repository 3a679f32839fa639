// Every metric that a role may have, once: the instruments' kinds and help come from here, and docs/metrics.md is made of
// it. Names follow Prometheus: base units, `_total` on counters. Where controllers everywhere count the same thing, the
// names are theirs, so that dashboards fit.

type Role = 'operator' | 'runtime' | 'collector';

export interface MetricDefinition {
  readonly name: string;
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
  readonly roles: readonly Role[];
}

const ALL: readonly Role[] = ['operator', 'runtime', 'collector'];

const define =
  (roles: readonly Role[]) =>
  (kind: MetricDefinition['kind'], name: string, help: string, labels: readonly string[] = []): MetricDefinition => ({
    name,
    kind,
    help,
    labels,
    roles,
  });

const every = define(ALL);
const operator = define(['operator']);
const runtime = define(['runtime']);
const collector = define(['collector']);
const servers = define(['runtime', 'collector']);
const followers = define(['operator', 'runtime', 'collector']);

export const CATALOGUE: readonly MetricDefinition[] = [
  every('gauge', 'process_resident_memory_bytes', 'Resident memory of the process.'),
  every('gauge', 'nodejs_heap_used_bytes', 'Heap of the main thread that is in use.'),
  every('gauge', 'process_open_fds', 'Open file descriptors.'),
  every('gauge', 'process_start_time_seconds', 'Start of the process, Unix seconds.'),
  every('counter', 'process_cpu_seconds_total', 'User and system CPU time.'),
  every(
    'gauge',
    'nodejs_eventloop_delay_p99_seconds',
    'How late timers of the main thread were, p99 of the last five seconds.',
  ),

  followers('counter', 'rest_client_requests_total', 'Requests to the API server, by HTTP status.', ['code', 'method']),
  followers('counter', 'sluice_kube_relists_total', 'Collections that were listed again.', ['resource']),
  followers('counter', 'sluice_kube_watch_reconnects_total', 'Watches that were opened again.', ['resource']),
  followers('gauge', 'sluice_kube_store_objects', 'Objects held in memory.', ['resource']),

  operator('counter', 'controller_runtime_reconcile_total', 'Reconciles, by how they ended.', ['controller', 'result']),
  operator('counter', 'controller_runtime_reconcile_errors_total', 'Reconciles that failed.', ['controller']),
  operator('histogram', 'controller_runtime_reconcile_time_seconds', 'Duration of a reconcile.', ['controller']),
  operator('gauge', 'controller_runtime_active_workers', 'Reconciles that run now.', ['controller']),
  operator('gauge', 'workqueue_depth', 'Keys that wait.', ['name']),
  operator('counter', 'workqueue_adds_total', 'Keys that were added.', ['name']),
  operator('counter', 'workqueue_retries_total', 'Keys that were added again after a failure.', ['name']),
  operator('histogram', 'workqueue_queue_duration_seconds', 'How long a key waited.', ['name']),
  operator('histogram', 'workqueue_work_duration_seconds', 'How long a key was worked on.', ['name']),
  operator('gauge', 'workqueue_longest_running_processor_seconds', 'Age of the oldest reconcile under way.', ['name']),
  operator('gauge', 'leader_election_master_status', '1 where this process leads, else 0.', ['name']),
  operator('counter', 'sluice_leader_transitions_total', 'Leases that this process won or lost.'),
  operator(
    'gauge',
    'sluice_event_loop_lag_seconds',
    'Worst lateness of the main thread in the last ten seconds, as the thread that holds the lease sees it.',
  ),
  operator('counter', 'sluice_events_dropped_total', 'Kubernetes events that were too many, or could not be sent.'),

  operator('gauge', 'sluice_dispatch_due', 'Windows that are due and not started.', ['runtime']),
  operator('gauge', 'sluice_dispatch_running', 'Windows that run.', ['runtime']),
  operator('histogram', 'sluice_dispatch_start_delay_seconds', 'From when a window was due to its start.'),
  operator('counter', 'sluice_dispatch_calls_broken_total', 'Calls to a runtime that did not come back with a result.'),
  operator('counter', 'sluice_windows_total', 'Windows that were finished, by outcome.', ['outcome']),
  operator(
    'counter',
    'sluice_windows_repeated_total',
    'Windows that were sent again because a lost disk, a crash or a broken call left their fate unknown.',
  ),
  operator(
    'gauge',
    'sluice_windows_lag_seconds',
    'How far the script that is furthest behind is behind, beyond the window that it waits for.',
  ),
  operator('gauge', 'sluice_runtime_up', '1 where the runtime of this ordinal is reached, else 0.', ['runtime']),
  operator(
    'gauge',
    'sluice_certificate_expiry_timestamp_seconds',
    'When the certificate of a role, or the authority that signs them, ends, Unix seconds; it is renewed long before.',
    ['certificate'],
  ),
  operator('counter', 'sluice_checkpoint_writes_total', 'Checkpoint ConfigMaps that were written.'),
  operator('counter', 'sluice_checkpoint_write_failures_total', 'Checkpoints that could not be written; tried again.'),
  operator(
    'counter',
    'sluice_checkpoint_corrupt_total',
    'Entries of checkpoints that made no sense and were left out.',
  ),
  operator('counter', 'sluice_status_writes_total', 'Statuses written, by what made it time to.', ['urgency']),
  operator(
    'counter',
    'sluice_status_write_failures_total',
    'Statuses that could not be written; they are tried again.',
  ),

  servers(
    'counter',
    'sluice_rpc_refused_total',
    'Callers that were refused: no certificate of ours, or not theirs to ask.',
    ['reason'],
  ),
  runtime('gauge', 'sluice_spool_bytes', 'Encoded telemetry that waits to be sent.'),
  runtime('gauge', 'sluice_spool_batches', 'Batches that wait to be sent.'),
  runtime('gauge', 'sluice_runs_active', 'Runs under way.'),
  runtime('gauge', 'sluice_runs_waiting', 'Runs that wait for a place.'),
  runtime(
    'gauge',
    'sluice_destination_consecutive_failures',
    'Attempts that failed since the last that did not; the destination is the uid of the OtelPlugin.',
    ['destination'],
  ),

  collector('counter', 'sluice_collector_frames_total', 'Frames of the probe.'),
  collector('counter', 'sluice_collector_frame_bytes_total', 'Bytes of them.'),
  collector('counter', 'sluice_collector_probe_connects_total', 'Connections to the probe.'),
  collector('counter', 'sluice_collector_blind_intervals_total', 'Times in which the probe was not heard.'),
  collector('gauge', 'sluice_collector_source_blind', '1 for each source that does not run now.', ['source']),
  collector('counter', 'sluice_collector_rows_total', 'Rows stored.'),
  collector(
    'counter',
    'sluice_collector_rows_late_total',
    'Rows that came behind the watermark and were stored at it.',
  ),
  collector('counter', 'sluice_collector_rows_refused_total', 'Rows with a value that their column cannot hold.'),
  collector('counter', 'sluice_collector_connections_total', 'Connections seen.'),
  collector('gauge', 'sluice_collector_connections_open', 'Connections known and open.'),
  collector('counter', 'sluice_collector_connections_dropped_total', 'Connections that were too many.'),
  collector('gauge', 'sluice_collector_held_bytes', 'Bytes held in parsers and undecided connections.'),
  collector('gauge', 'sluice_collector_processes', 'Processes known, living and lately gone.'),
  collector('counter', 'sluice_collector_kernel_drops_total', 'Events that the kernel side could not hand over.', [
    'reason',
  ]),
  collector('counter', 'sluice_collector_exchanges_lost_total', 'Exchanges that may be missing, by why.', ['reason']),
  collector('counter', 'sluice_collector_bytes_not_understood_total', 'Bytes that no parser understood.'),
  collector('counter', 'sluice_collector_scopes_refused_total', 'Questions in a scope that could not be kept to.'),
  collector('gauge', 'sluice_table_bytes', 'Memory of a table.', ['table']),
  collector('gauge', 'sluice_table_rows', 'Rows of a table.', ['table']),
];
