// Kubernetes and process metadata, looked up once per distinct UPID, id, name or address of a batch. In a
// scope that is one namespace, objects outside it have no names; addresses stay.
import type { ProcessIdentity } from '../../model/identity.ts';
import type { Uint128 } from '../../model/types.ts';
import { formatUpid, packUpid } from '../../model/upid.ts';
import { asByteString, toBytes, toText, type ByteString } from '../byte-string.ts';
import type { ExecutionContext } from '../context.ts';
import { parseJson } from './json-parse.ts';
import { quoteJson } from './json-text.ts';
import { I, perDistinct, S, toB, toI, toS, toT, toU, U, type Implementation, type Implementations } from './kernel.ts';

const EMPTY = asByteString('');

type Finder = (context: ExecutionContext) => (key: ByteString) => ProcessIdentity | undefined;
type Property = (identity: ProcessIdentity) => string;

/** Names that the scope may not see read as unknown. */
function visible(context: ExecutionContext, identity: ProcessIdentity | undefined): ProcessIdentity | undefined {
  return context.scope === '*' || identity?.namespace === context.scope ? identity : undefined;
}

/** None: empty; one: the bare value; more: a JSON array. */
export function listText(values: readonly string[]): string {
  if (values.length > 1) return toText(asByteString(`[${values.map((value) => quoteJson(toBytes(value))).join(',')}]`));
  return values[0] ?? '';
}

const byUpid =
  (property: Property): Implementation =>
  ({ context }) =>
    perDistinct([U], toS, (upid) => {
      const identity = visible(context, context.identity.process(upid));
      return identity === undefined ? EMPTY : toBytes(property(identity));
    });

const byKey =
  (find: Finder, property: Property): Implementation =>
  ({ context }) => {
    const lookUp = find(context);
    return perDistinct([S], toS, (key) => {
      const identity = key === '' ? undefined : visible(context, lookUp(key));
      return identity === undefined ? EMPTY : toBytes(property(identity));
    });
  };

const podById: Finder = (context) => (id) => context.identity.podById(toText(id));

/** A name without exactly one slash is no name of a pod. */
const podByName: Finder = (context) => (name) =>
  namespaceOf(name) === undefined ? undefined : context.identity.podByName(toText(name));

/** The part before the only slash; undefined where there is not exactly one. */
function namespaceOf(name: ByteString): ByteString | undefined {
  const slash = name.indexOf('/');
  return slash < 0 || name.includes('/', slash + 1) ? undefined : asByteString(name.slice(0, slash));
}

const namespacePart: Implementation = () => perDistinct([S], toS, (name) => namespaceOf(name) ?? EMPTY);

const PROPERTIES: Readonly<Record<string, Property>> = {
  cmdline: (identity) => identity.cmdline,
  container_id: (identity) => identity.containerId,
  container_name: (identity) => identity.container,
  pod_id: (identity) => identity.podId,
  pod_name: (identity) => identity.pod,
  pod_ip: (identity) => identity.podIp,
  namespace: (identity) => identity.namespace,
  node_name: (identity) => identity.node,
  hostname: (identity) => identity.hostname,
  service_id: (identity) => listText(identity.serviceIds),
  service_name: (identity) => listText(identity.services),
  replicaset_id: (identity) => identity.replicasetId,
  replicaset_name: (identity) => identity.replicaset,
  deployment_id: (identity) => identity.deploymentId,
  deployment_name: (identity) => identity.deployment,
};

/** `<prefix>_to_<property>` for the named properties. */
const family = (
  prefix: string,
  letter: string,
  implement: (property: Property) => Implementation,
  names: readonly string[],
): Implementations =>
  Object.fromEntries(
    names.map((name) => {
      const property = PROPERTIES[name];
      if (property === undefined) throw new Error(`identities have no ${name}`);
      return [`${prefix}_to_${name}:${letter}`, implement(property)];
    }),
  );

const OWNERS = ['service_id', 'service_name', 'replicaset_id', 'replicaset_name', 'deployment_id', 'deployment_name'];
const PROCESS = [
  'cmdline',
  'container_id',
  'container_name',
  'pod_id',
  'pod_name',
  'namespace',
  'node_name',
  'hostname',
];

const podNameOrAddress: Implementation = ({ context }) =>
  perDistinct([U, S], toS, (upid, address) => {
    const process = visible(context, context.identity.process(upid));
    if (process !== undefined && process.pod !== '') return toBytes(process.pod);
    return toBytes(visible(context, podOfAddress(context, address))?.pod ?? '');
  });

const podOfAddress = (context: ExecutionContext, address: ByteString): ProcessIdentity | undefined =>
  address === '' ? undefined : context.identity.podByIp(toText(address));

const podIdOfAddress: Implementation = ({ context }) =>
  perDistinct([S], toS, (address) => toBytes(visible(context, podOfAddress(context, address))?.podId ?? ''));

const inScope = (context: ExecutionContext, name: string): boolean =>
  context.scope === '*' || name.startsWith(`${context.scope}/`);

const serviceIdOfAddress: Implementation = ({ context }) =>
  perDistinct([S], toS, (address) => {
    const service = address === '' ? undefined : context.identity.serviceByIp?.(toText(address));
    if (service !== undefined && inScope(context, service.name)) return toBytes(service.id);
    return toBytes(listText(visible(context, podOfAddress(context, address))?.serviceIds ?? []));
  });

const serviceOf =
  (find: 'serviceById' | 'serviceByName', property: 'id' | 'name' | 'clusterIp'): Implementation =>
  ({ context }) =>
    perDistinct([S], toS, (key) => {
      const service = key === '' ? undefined : context.identity[find]?.(toText(key));
      return service === undefined || !inScope(context, service.name) ? EMPTY : toBytes(service[property]);
    });

/** `values` is one bare value, or a JSON array of which a string before any other kind of element matches. */
function hasValue(values: ByteString, wanted: ByteString): boolean {
  const parsed = parseJson(values);
  if (parsed?.kind !== 'array') return values === wanted;
  for (const item of parsed.items) {
    if (item.kind !== 'string') return false;
    if (item.value === wanted) return true;
  }
  return false;
}

const has: Implementation = () => perDistinct([S, S], toB, hasValue);

const constant =
  (text: (context: ExecutionContext) => string): Implementation =>
  ({ context }) =>
  (_, length) =>
    perDistinct([], toS, () => toBytes(text(context)))([], length);

const constantInt =
  (value: (context: ExecutionContext) => number): Implementation =>
  ({ context }) =>
  (_, length) => ({ type: 'INT64', length, values: new BigInt64Array(length).fill(BigInt(value(context))) });

const packed = (asid: bigint, pid: bigint, start: bigint): Uint128 =>
  packUpid(Number(BigInt.asUintN(32, asid)), Number(BigInt.asUintN(32, pid)), BigInt.asUintN(64, start));

export const METADATA: Implementations = {
  // Scripts cannot name it: the planner adds it for cumulative metrics.
  '_collector_start:':
    ({ context }) =>
    (_, length) => ({ type: 'TIME64NS', length, values: new BigInt64Array(length).fill(context.collectorStart ?? 0n) }),
  'upid:II': ({ context }) => perDistinct([I, I], toU, (pid, start) => packed(BigInt(context.asid), pid, start)),
  'upid:III': () => perDistinct([I, I, I], toU, packed),
  'upid_to_string:U': () => perDistinct([U], toS, (upid) => asByteString(formatUpid(upid))),
  'upid_to_asid:U': () => perDistinct([U], toI, ({ high }) => high >> 32n),
  'upid_to_pid:U': () => perDistinct([U], toI, ({ high }) => high & 0xffff_ffffn),
  'upid_to_start_ts:U': () => perDistinct([U], toT, ({ low }) => BigInt.asIntN(64, low)),
  ...family('upid', 'U', byUpid, [...PROCESS, ...OWNERS]),
  '_upid_to_podname_local_addr_fallback:UST': podNameOrAddress,
  ...family('pod_id', 'S', (property) => byKey(podById, property), ['pod_name', 'namespace', 'node_name', ...OWNERS]),
  ...family('pod_name', 'S', (property) => byKey(podByName, property), ['pod_id', 'pod_ip', ...OWNERS]),
  'pod_name_to_namespace:S': namespacePart,
  'service_name_to_namespace:S': namespacePart,
  'service_id_to_service_name:S': serviceOf('serviceById', 'name'),
  'service_id_to_cluster_ip:S': serviceOf('serviceById', 'clusterIp'),
  'service_name_to_service_id:S': serviceOf('serviceByName', 'id'),
  'has_service_name:SS': has,
  'has_service_id:SS': has,
  'has_value:SS': has,
  'ip_to_pod_id:S': podIdOfAddress,
  'ip_to_pod_id:ST': podIdOfAddress,
  'ip_to_service_id:S': serviceIdOfAddress,
  'asid:': constantInt((context) => context.asid),
  '_exec_hostname:': constant((context) => context.node),
  '_exec_host_num_cpus:': constantInt((context) => context.processors ?? 0),
  'vizier_id:': constant((context) => context.installation?.id ?? ''),
  'vizier_name:': constant((context) => context.installation?.name ?? ''),
  'vizier_namespace:': constant((context) => context.installation?.namespace ?? ''),
};
