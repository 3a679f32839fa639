// `df.ctx['pod']`: which columns a metadata key can be computed from, and by which function.

interface ContextKey {
  readonly name: string;
  /** Columns in order of preference; the function is `<column>_to_<name>`. */
  readonly columns: readonly string[];
}

const KEYS: readonly ContextKey[] = [
  { name: 'container_id', columns: ['upid'] },
  { name: 'service_id', columns: ['upid', 'service_name', 'pod_id', 'pod_name'] },
  { name: 'pod_id', columns: ['upid', 'pod_name'] },
  {
    name: 'deployment_id',
    columns: ['upid', 'deployment_name', 'pod_id', 'pod_name', 'replicaset_id', 'replicaset_name'],
  },
  { name: 'replicaset_id', columns: ['upid', 'pod_id', 'pod_name', 'replicaset_name'] },
  { name: 'service_name', columns: ['upid', 'service_id', 'pod_id', 'pod_name'] },
  { name: 'pod_name', columns: ['upid', 'pod_id'] },
  {
    name: 'deployment_name',
    columns: ['upid', 'deployment_id', 'pod_id', 'pod_name', 'replicaset_id', 'replicaset_name'],
  },
  { name: 'namespace', columns: ['upid', 'pod_id', 'pod_name', 'service_name'] },
  { name: 'replicaset_name', columns: ['upid', 'pod_id', 'pod_name', 'replicaset_id'] },
  { name: 'node_name', columns: ['upid', 'pod_id'] },
  { name: 'hostname', columns: ['upid'] },
  { name: 'container_name', columns: ['upid'] },
  { name: 'cmdline', columns: ['upid'] },
  { name: 'asid', columns: ['upid'] },
  { name: 'pid', columns: ['upid'] },
];

const ALIASES: Readonly<Record<string, string>> = {
  replica_set_id: 'replicaset_id',
  service: 'service_name',
  pod: 'pod_name',
  deployment: 'deployment_name',
  replica_set: 'replicaset_name',
  replicaset: 'replicaset_name',
  node: 'node_name',
  host: 'hostname',
  container: 'container_name',
  cmd: 'cmdline',
};

export const CONTEXT_NAMES: readonly string[] = [...KEYS.map((key) => key.name), ...Object.keys(ALIASES)];

/** The entry of a key or of an alias; undefined where there is none. */
export function contextKey(key: string): ContextKey | undefined {
  const name = Object.hasOwn(ALIASES, key) ? ALIASES[key] : key;
  return KEYS.find((entry) => entry.name === name);
}
