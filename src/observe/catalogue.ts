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
];
