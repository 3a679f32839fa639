// What a cgroup path says: the container that a process runs in, its pod's uid, and the systemd service it belongs to.

export interface CgroupNames {
  /** 64 hex digits (ECS: 32 and a number); empty where the process is in no container. */
  readonly containerId: string;
  /** The pod's uid with dashes, or the 32 hex digits of a static pod; empty where there is none. */
  readonly podUid: string;
  /** Name of the innermost systemd service, without `.service`; empty where the path ends in none. */
  readonly unit: string;
}

const CONTAINER = /(?<=^|[-/:])([0-9a-f]{64}|[0-9a-f]{32}-\d+)(?=$|[-/:.])/g;
const POD = /pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12}|[0-9a-f]{32})(?=$|[/:.])/g;
const SERVICE = /(?:^|\/)([^/]+)\.service(?=\/|$)/g;
/** A user's session manager and systemd's own root: everything of that user is in it, so its name says nothing. */
const NO_SERVICE = /^(user@\d+|init)$/;

const last = (path: string, pattern: RegExp): RegExpExecArray | undefined => [...path.matchAll(pattern)].at(-1);

export interface CgroupPod {
  /** With dashes, or the 32 hex digits of a static pod. */
  readonly uid: string;
  /** The container of that pod; empty where the path ends before it. */
  readonly containerId: string;
}

/**
 * All pods that a path names, the outermost first: more than one where a pod runs a node of its own. Which of them is meant
 * is known to whoever knows the pods of this node.
 */
export function podsOf(path: string): CgroupPod[] {
  const containers = [...path.matchAll(CONTAINER)];
  return [...path.matchAll(POD)].map(({ 1: uid = '', index }) => ({
    uid: uid.replaceAll('_', '-'),
    containerId: containers.find((container) => container.index > index)?.[1] ?? '',
  }));
}

/** systemd writes bytes that a unit's name may not hold as \xNN. */
const unescapeUnit = (unit: string): string =>
  unit.replaceAll(/\\x([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));

/**
 * Reads the path of any of the known runtimes and cgroup drivers. In nested layouts (a node that is itself a container)
 * the last container and pod are meant; a service outside of a container is not the service inside of it.
 */
export function parseCgroup(path: string): CgroupNames {
  const container = last(path, CONTAINER);
  const service = last(path, SERVICE);
  const unit = service?.[1] ?? '';
  const isService = container === undefined || (service !== undefined && service.index > container.index);
  return {
    containerId: container?.[1] ?? '',
    podUid: (last(path, POD)?.[1] ?? '').replaceAll('_', '-'),
    unit: isService && !NO_SERVICE.test(unit) ? unescapeUnit(unit) : '',
  };
}
