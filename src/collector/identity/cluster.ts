// The pods and services that a collector knows of, living and lately gone, and the names they give. Whoever follows the API
// server feeds it; processes, addresses and scripts ask it. Nothing unknown is remembered as unknown: a pod may run before
// we hear of it, so every answer is made anew when `revision` has moved.
import type { ProcessIdentity, ServiceIdentity } from '../../model/identity.ts';
import { UNKNOWN_PROCESS } from '../../model/identity.ts';
import type { BlindInterval, BlindSource } from '../../model/loss.ts';
import { timeNs } from '../../model/time.ts';
import type { TimeNs } from '../../model/time.ts';
import { createKept } from './kept.ts';
import { podFacts, serviceFacts } from './objects.ts';
import type { PodFacts, ServiceFacts } from './objects.ts';

/** Rows are younger than this, so names of what is gone longer serve nobody. */
const KEPT_AFTER_END_MS = 24 * 3600 * 1000;
/** Of each kind; a bound for nodes that run very many short jobs. */
const GONE_MAX = 8192;
/** Of one pod: a crash loop makes a new container every few minutes. */
const CONTAINERS_MAX = 256;
const BLIND_INTERVALS_MAX = 64;

/** `before` is what the object was, `after` what it is; undefined: it was not, or is not any more. */
export interface ObjectChange {
  readonly before?: unknown;
  readonly after?: unknown;
}

export interface KnownPod {
  /** Of the pod as a whole: no command line, no container. */
  readonly identity: ProcessIdentity;
  /** Name of a container by its id; empty for the sandbox, and while the kubelet has not reported it. */
  containerName(id: string): string;
}

/** What is asked. */
export interface PodMetadata {
  /** Moves whenever an answer may be another than before. */
  readonly revision: number;
  /** By the uid in a cgroup's path: the pod's, or the one that the kubelet gave a static pod. */
  podByUid(uid: string): KnownPod | undefined;
  /** The living owner of an address, else the one that had it last; never a pod of the host's network. */
  podByIp(address: string): KnownPod | undefined;
  /** By `namespace/name`: the living one, else the last of that name. */
  podByName(name: string): KnownPod | undefined;
  serviceByIp(address: string): ServiceIdentity | undefined;
  serviceById(id: string): ServiceIdentity | undefined;
  serviceByName(name: string): ServiceIdentity | undefined;
  /** Whether an address is a living pod's or service's. */
  isInside(address: string): boolean;
  /** Why names may be missing now; empty while they are up to date. */
  blind(): BlindSource[];
  /** When that was so, within [start, end). */
  blindWithin(start: TimeNs, end: TimeNs): BlindInterval[];
}

/** What is fed. */
export interface PodMetadataFeed {
  pod(change: ObjectChange): void;
  service(change: ObjectChange): void;
  /** All that the API server has is known now, and changes come as they happen. */
  fresh(): void;
  /** Changes do not come (any more): `reason` is a CamelCase word for machines, `message` says what is wrong. */
  stale(reason: string, message: string): void;
  /** Objects that were no pod or service. */
  readonly refused: number;
}

interface Pod {
  readonly facts: PodFacts;
  readonly containers: Map<string, string>;
  known: KnownPod | undefined;
  /** `revision` that `known` was made at. */
  knownAt: number;
}

export interface PodMetadataOptions {
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Knows nothing yet, and says so: `stale` from the beginning until `fresh` is called. */
export function createPodMetadata({ now }: PodMetadataOptions): PodMetadata & PodMetadataFeed {
  let revision = 0;
  let refused = 0;
  const bounds = { keptMs: KEPT_AFTER_END_MS, goneMax: GONE_MAX };
  const pods = createKept<Pod>({
    ...bounds,
    keysOf: ({ facts }) => [
      `name ${facts.fullName}`,
      ...(facts.staticUid === '' ? [] : [`static ${facts.staticUid}`]),
      ...facts.ownIps.map((ip) => `ip ${ip}`),
    ],
    isOver: ({ facts }) => facts.isOver,
    startedAt: ({ facts }) => facts.startedAt,
  });
  const services = createKept<ServiceFacts>({
    ...bounds,
    keysOf: ({ fullName, namespace, clusterIps }) => [
      `name ${fullName}`,
      `namespace ${namespace}`,
      ...clusterIps.map((ip) => `ip ${ip}`),
    ],
    isOver: () => false,
    startedAt: () => 0,
  });
  const past: { readonly start: number; readonly end: number; readonly reason: string }[] = [];
  let trouble: (BlindSource & { readonly since: number }) | undefined = {
    source: 'metadata',
    reason: 'MetadataNotSynced',
    message: 'pods and services have not been listed yet',
    since: now(),
  };

  const servicesOf = ({ namespace, labels }: PodFacts): ServiceFacts[] =>
    services
      .living(`namespace ${namespace}`)
      .filter(({ selector }) => selector.size > 0 && [...selector].every(([key, value]) => labels.get(key) === value))
      .toSorted((a, b) => (a.fullName < b.fullName ? -1 : 1));
  const describe = ({ facts, containers }: Pod): KnownPod => {
    const { namespace, replicaSet, deployment } = facts;
    const own = servicesOf(facts);
    const identity: ProcessIdentity = {
      ...UNKNOWN_PROCESS,
      pod: facts.fullName,
      podId: facts.uid,
      namespace,
      services: own.map(({ fullName }) => fullName),
      serviceIds: own.map(({ uid }) => uid),
      node: facts.node,
      hostname: facts.hostname,
      deployment: deployment === '' ? '' : `${namespace}/${deployment}`,
      replicaset: replicaSet === undefined ? '' : `${namespace}/${replicaSet.name}`,
      replicasetId: replicaSet?.uid ?? '',
      podIp: facts.podIp,
    };
    return { identity, containerName: (id) => containers.get(id) ?? '' };
  };
  const known = (pod: Pod | undefined): KnownPod | undefined => {
    if (pod === undefined) return undefined;
    if (pod.known === undefined || pod.knownAt !== revision) pod.known = describe(pod);
    pod.knownAt = revision;
    return pod.known;
  };
  const service = (facts: ServiceFacts | undefined): ServiceIdentity | undefined =>
    facts && { id: facts.uid, name: facts.fullName, clusterIp: facts.clusterIps[0] ?? '' };

  /** Hands over the facts of both sides of a change, or counts it as refused. */
  const change = <F extends { readonly uid: string }>(
    { before, after }: ObjectChange,
    read: (object: unknown) => F | undefined,
    put: (facts: F) => void,
    end: (uid: string) => void,
  ): void => {
    const [was, is] = [read(before), read(after)];
    if ((is === undefined && after !== undefined) || (was === undefined && is === undefined)) refused += 1;
    if (was !== undefined && was.uid !== is?.uid) end(was.uid);
    if (is !== undefined) put(is);
    revision += 1;
  };
  const endTrouble = (): void => {
    if (trouble === undefined) return;
    const end = now();
    if (end > trouble.since) past.push({ start: trouble.since, end, reason: trouble.reason });
    if (past.length > BLIND_INTERVALS_MAX) {
      // The two oldest become one that covers both.
      const [first, second] = past.splice(0, 2);
      if (first !== undefined && second !== undefined) past.unshift({ ...second, start: first.start });
    }
    trouble = undefined;
  };

  return {
    get revision() {
      return revision;
    },
    get refused() {
      return refused;
    },
    pod(event) {
      const put = (facts: PodFacts): void => {
        const containers = pods.get(facts.uid)?.containers ?? new Map<string, string>();
        // Those of before stay: rows may still speak of them. The oldest go first where they are too many.
        for (const [id, name] of facts.containers) {
          containers.delete(id);
          containers.set(id, name);
        }
        for (const id of containers.keys()) if (containers.size > CONTAINERS_MAX) containers.delete(id);
        pods.put(facts.uid, { facts, containers, known: undefined, knownAt: -1 }, now());
      };
      change(event, podFacts, put, (uid) => pods.end(uid, now()));
    },
    service: (event) =>
      change(
        event,
        serviceFacts,
        (facts) => services.put(facts.uid, facts, now()),
        (uid) => services.end(uid, now()),
      ),
    fresh: endTrouble,
    stale(reason, message) {
      const since = trouble?.reason === reason ? trouble.since : now();
      if (trouble?.reason !== reason) endTrouble();
      trouble = { source: 'metadata', reason, message, since };
    },
    // What the API server gave a uid beats what an annotation claims; a claim counts if nobody else makes it.
    podByUid: (uid) => known(pods.get(uid) ?? pods.unique(`static ${uid}`)),
    podByIp: (address) => known(pods.best(`ip ${address}`)),
    podByName: (name) => known(pods.best(`name ${name}`)),
    serviceByIp: (address) => service(services.best(`ip ${address}`)),
    serviceById: (id) => service(services.get(id)),
    serviceByName: (name) => service(services.best(`name ${name}`)),
    isInside: (address) => pods.living(`ip ${address}`).length > 0 || services.living(`ip ${address}`).length > 0,
    blind: () =>
      trouble === undefined ? [] : [{ source: trouble.source, reason: trouble.reason, message: trouble.message }],
    blindWithin(start, end) {
      const intervals: BlindInterval[] = past
        .map((one) => ({
          source: 'metadata',
          reason: one.reason,
          start: nanoseconds(one.start),
          end: nanoseconds(one.end),
        }))
        .filter((one) => one.start < end && one.end > start);
      const since = trouble === undefined ? undefined : nanoseconds(trouble.since);
      if (trouble !== undefined && since !== undefined && since < end)
        intervals.push({ source: 'metadata', reason: trouble.reason, start: since });
      return intervals;
    },
  };
}

const nanoseconds = (ms: number): TimeNs => timeNs(BigInt(Math.floor(ms)) * 1_000_000n);
