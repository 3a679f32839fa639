// What we read of Pods and Services as the API server sends them: JSON from outside, of which nothing is taken for granted.
// `slimPod` and `slimService` keep exactly what the other functions here look at, so a store may keep no more.
import { isIP } from 'node:net';

export interface OwnerJson {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
}

interface MetaJson {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly creationTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerJson[];
}

interface ContainerStatusJson {
  readonly name?: string;
  readonly containerID?: string;
  readonly state?: { readonly terminated?: { readonly containerID?: string } };
  readonly lastState?: { readonly terminated?: { readonly containerID?: string } };
}

export interface PodJson {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: MetaJson;
  readonly spec?: { readonly nodeName?: string; readonly hostNetwork?: boolean; readonly hostname?: string };
  readonly status?: {
    readonly phase?: string;
    readonly podIP?: string;
    readonly podIPs?: readonly { readonly ip?: string }[];
    readonly startTime?: string;
    readonly initContainerStatuses?: readonly ContainerStatusJson[];
    readonly containerStatuses?: readonly ContainerStatusJson[];
    readonly ephemeralContainerStatuses?: readonly ContainerStatusJson[];
  };
}

export interface ServiceJson {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: MetaJson;
  readonly spec?: {
    readonly selector?: Readonly<Record<string, string>>;
    readonly clusterIP?: string;
    readonly clusterIPs?: readonly string[];
  };
}

/** Of a static pod: the uid that the kubelet gave it itself, under which its cgroup is found (kubelet's pod source types). */
const STATIC_HASH = 'kubernetes.io/config.hash';
/** Of the object that stands for a static pod in the API: its mirror pod. */
const MIRROR = 'kubernetes.io/config.mirror';
const TEMPLATE_HASH = 'pod-template-hash';
const STATUS_LISTS = ['initContainerStatuses', 'containerStatuses', 'ephemeralContainerStatuses'] as const;

export interface OwnerFacts {
  readonly name: string;
  readonly uid: string;
}

export interface PodFacts {
  readonly uid: string;
  /** `namespace/name`. */
  readonly fullName: string;
  readonly name: string;
  readonly namespace: string;
  /** What the kubelet calls a static pod, if this is the mirror of one; else empty. */
  readonly staticUid: string;
  readonly node: string;
  /** Of the pod's UTS namespace: the spec's, else the pod's name. */
  readonly hostname: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly replicaSet: OwnerFacts | undefined;
  /** Bare name; empty where no Deployment owns the ReplicaSet. */
  readonly deployment: string;
  readonly podIp: string;
  /** Addresses that are its own: none with hostNetwork, whose address is the node's. */
  readonly ownIps: readonly string[];
  /** Names by container id, those of containers that have ended included. */
  readonly containers: ReadonlyMap<string, string>;
  /** Succeeded or Failed: its address may be another pod's by now. */
  readonly isOver: boolean;
  /** Milliseconds since 1970; 0 where not known. */
  readonly startedAt: number;
}

export interface ServiceFacts {
  readonly uid: string;
  readonly fullName: string;
  readonly namespace: string;
  /** Empty: it selects nothing. */
  readonly selector: ReadonlyMap<string, string>;
  /** None for headless and ExternalName services. */
  readonly clusterIps: readonly string[];
}

type Json = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const objectOf = (value: unknown): Json => (isObject(value) ? value : {});
const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');
const textsOf = (value: unknown): Map<string, string> =>
  new Map(Object.entries(objectOf(value)).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
const timeOf = (value: unknown): number => {
  const ms = Date.parse(textOf(value));
  return Number.isNaN(ms) ? 0 : ms;
};
/** `containerd://<id>` and the like. */
const containerIdOf = (value: unknown): string => textOf(value).replace(/^[a-z0-9.+-]+:\/\//, '');

function containersOf(status: Json): Map<string, string> {
  const names = new Map<string, string>();
  for (const list of STATUS_LISTS) {
    for (const one of listOf(status[list]).map(objectOf)) {
      const name = textOf(one['name']);
      const ended = [one['state'], one['lastState']].map(
        (state) => objectOf(objectOf(state)['terminated'])['containerID'],
      );
      for (const id of [...ended, one['containerID']].map(containerIdOf)) if (id !== '') names.set(id, name);
    }
  }
  return names;
}

/** A Deployment names its ReplicaSets `<deployment>-<pod-template-hash>`, and its pods carry that hash as a label. */
function deploymentOf(replicaSet: OwnerFacts | undefined, labels: ReadonlyMap<string, string>): string {
  const ending = `-${labels.get(TEMPLATE_HASH) ?? ''}`;
  if (replicaSet === undefined || ending === '-' || !replicaSet.name.endsWith(ending)) return '';
  return replicaSet.name.slice(0, -ending.length);
}

/**
 * What a Pod object says. Undefined where it has no uid, name or namespace and so is no pod; anything else that is missing
 * or of a wrong type reads as empty.
 */
export function podFacts(pod: unknown): PodFacts | undefined {
  const { metadata, spec, status } = objectOf(pod);
  const [meta, wanted, is] = [objectOf(metadata), objectOf(spec), objectOf(status)];
  const [uid, name, namespace] = [meta['uid'], meta['name'], meta['namespace']].map(textOf);
  if (uid === undefined || name === undefined || namespace === undefined) return undefined;
  if (uid === '' || name === '' || namespace === '') return undefined;
  const labels = textsOf(meta['labels']);
  const annotations = textsOf(meta['annotations']);
  const owners = listOf(meta['ownerReferences']).map(objectOf);
  const controller = owners.find((owner) => owner['controller'] === true) ?? {};
  const owner = { name: textOf(controller['name']), uid: textOf(controller['uid']) };
  const replicaSet = controller['kind'] === 'ReplicaSet' && owner.name !== '' ? owner : undefined;
  // Anybody may write annotations; a mirror is owned by its node as well.
  const isMirror = annotations.has(MIRROR) && controller['kind'] === 'Node';
  const ips = [is['podIP'], ...listOf(is['podIPs']).map((one) => objectOf(one)['ip'])]
    .map(textOf)
    .filter((ip) => isIP(ip) !== 0);
  return {
    uid,
    name,
    namespace,
    fullName: `${namespace}/${name}`,
    staticUid: isMirror ? (annotations.get(STATIC_HASH) ?? '') : '',
    node: textOf(wanted['nodeName']),
    hostname: textOf(wanted['hostname']) || name,
    labels,
    replicaSet,
    deployment: deploymentOf(replicaSet, labels),
    podIp: ips[0] ?? '',
    ownIps: wanted['hostNetwork'] === true ? [] : [...new Set(ips)],
    containers: containersOf(is),
    isOver: is['phase'] === 'Succeeded' || is['phase'] === 'Failed',
    startedAt: timeOf(is['startTime']) || timeOf(meta['creationTimestamp']),
  };
}

/** What a Service object says, as `podFacts`. */
export function serviceFacts(service: unknown): ServiceFacts | undefined {
  const { metadata, spec } = objectOf(service);
  const [meta, wanted] = [objectOf(metadata), objectOf(spec)];
  const [uid, name, namespace] = [meta['uid'], meta['name'], meta['namespace']].map(textOf);
  if (uid === undefined || name === undefined || namespace === undefined) return undefined;
  if (uid === '' || name === '' || namespace === '') return undefined;
  const ips = [wanted['clusterIP'], ...listOf(wanted['clusterIPs'])].map(textOf).filter((ip) => isIP(ip) !== 0);
  return {
    uid,
    namespace,
    fullName: `${namespace}/${name}`,
    selector: textsOf(wanted['selector']),
    clusterIps: [...new Set(ips)],
  };
}

/** The named members that are there, as they are. */
const only = <T extends object, K extends keyof T>(object: T | undefined, keys: readonly K[]): Pick<T, K> => {
  const entries = keys.flatMap((key) => (object?.[key] === undefined ? [] : [[key, object[key]] as const]));
  // eslint-disable-next-line typescript/no-unsafe-type-assertion -- optional members, copied by name
  return Object.fromEntries(entries) as Pick<T, K>;
};

const META = ['name', 'namespace', 'uid', 'resourceVersion', 'creationTimestamp', 'ownerReferences', 'labels'] as const;

/** A copy with what `podFacts` reads and what a store needs (name, uid, resourceVersion), and nothing else. */
export function slimPod(pod: PodJson): PodJson {
  const { metadata, spec, status } = pod;
  const annotations = only(metadata.annotations, [STATIC_HASH, MIRROR]);
  return {
    ...only(pod, ['apiVersion', 'kind']),
    metadata: { ...only(metadata, META), ...(Object.keys(annotations).length > 0 && { annotations }) },
    spec: only(spec, ['nodeName', 'hostNetwork', 'hostname']),
    status: {
      ...only(status, ['phase', 'podIP', 'podIPs', 'startTime']),
      ...slimList(status, 'initContainerStatuses'),
      ...slimList(status, 'containerStatuses'),
      ...slimList(status, 'ephemeralContainerStatuses'),
    },
  };
}

const slimList = (
  status: PodJson['status'],
  list: (typeof STATUS_LISTS)[number],
): Partial<Record<typeof list, ContainerStatusJson[]>> => {
  const statuses = status?.[list];
  return Array.isArray(statuses) ? { [list]: statuses.map(slimStatus) } : {};
};

function slimStatus(status: unknown): ContainerStatusJson {
  const one = objectOf(status);
  const ended = (state: unknown): string => textOf(objectOf(objectOf(state)['terminated'])['containerID']);
  const [now, before] = [ended(one['state']), ended(one['lastState'])];
  return {
    name: textOf(one['name']),
    containerID: textOf(one['containerID']),
    ...(now === '' ? {} : { state: { terminated: { containerID: now } } }),
    ...(before === '' ? {} : { lastState: { terminated: { containerID: before } } }),
  };
}

/** A copy with what `serviceFacts` reads and what a store needs, and nothing else. */
export function slimService(service: ServiceJson): ServiceJson {
  const { metadata, spec } = service;
  return {
    ...only(service, ['apiVersion', 'kind']),
    metadata: only(metadata, ['name', 'namespace', 'uid', 'resourceVersion', 'creationTimestamp']),
    spec: only(spec, ['selector', 'clusterIP', 'clusterIPs']),
  };
}
