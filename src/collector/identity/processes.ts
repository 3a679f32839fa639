// The processes of this host, living and lately gone, and who they are: PROCESS frames in, identities out. Names are made
// when somebody asks. Gone processes stay for a day of frame time, so that old rows keep their names.
import { packUpid } from '../../model/upid.ts';
import { UNKNOWN_PROCESS } from '../../model/identity.ts';
import type { IdentityLookup, ProcessIdentity } from '../../model/identity.ts';
import type { Uint128 } from '../../model/types.ts';
import type { ProcessFrame } from '../frames/frame.ts';
import type { CollectorMetrics } from '../metrics.ts';
import type { KtimeNs } from '../protocols/protocol.ts';
import { parseCgroup, podsOf } from './cgroup.ts';
import type { CgroupPod } from './cgroup.ts';
import type { KnownPod, PodMetadata } from './cluster.ts';
import { programName } from './program.ts';
import type { IdentityRule } from './rules.ts';

const KEPT_AFTER_EXIT_NS = 24 * 3600 * 1e9;
const EXITED_MAX = 32_768;
const CMDLINE_CHARS_MAX = 4096;
/** Of one pid; a bound for streams that make no sense. */
const LIVES_PER_PID_MAX = 64;
const PORTS_MAX = 64;

export interface Process {
  readonly pid: number;
  readonly startTicks: number;
  readonly upid: Uint128;
  /** False for a process that only other frames have named so far. */
  isKnown: boolean;
  comm: string;
  exe: string;
  cgroup: string;
  /** Arguments separated by NUL. */
  cmdline: string;
  /** Local ports on which it acts as a server. */
  readonly ports: Set<number>;
  exitedAt: KtimeNs | undefined;
  /** The last frame that showed it alive. */
  seenAt: KtimeNs;
  identity: ProcessIdentity | undefined;
  /** Revision of the pods' metadata that `identity` was made at. */
  identityAt: number;
}

export interface Processes extends IdentityLookup {
  /** The process, known already or noted now; never undefined. */
  of(pid: number, startTicks: number): Process;
  update(frame: ProcessFrame): void;
  exited(pid: number, startTicks: number, ktime: KtimeNs): Process;
  /** Living processes that no frame has shown alive since `before`: their exits were lost. They count as gone from now on. */
  vanished(before: KtimeNs, ktime: KtimeNs): Process[];
  /** The process serves on this local port: rules may ask for it. */
  servesOn(process: Process, port: number): void;
  /** Forgets what has been gone for a day. */
  tick(ktime: KtimeNs): void;
  /** Whether these are names of a pod, and not those that a process of the host is given instead. */
  isPod(identity: ProcessIdentity): boolean;
  /** The process lies in a pod that nobody has told us of (yet). */
  isInUnknownPod(upid: Uint128): boolean;
}

export interface ProcessesOptions {
  /** The host's name, once known. */
  readonly node: () => string;
  readonly rules: readonly IdentityRule[];
  readonly metrics: CollectorMetrics;
  /** The agent's short id, in every UPID. */
  readonly asid: number;
  /** In a cluster: who the pods are. Without it every process is one of a host. */
  readonly pods?: PodMetadata | undefined;
}

export function createProcesses({ node, rules, metrics, asid, pods }: ProcessesOptions): Processes {
  /** By pid, the newest first: pids come again, rarely. */
  const byPid = new Map<number, Process[]>();
  /** In the order in which they went. */
  const gone = new Set<Process>();
  const podIdentities = new WeakSet<ProcessIdentity>();
  /** Pods have names by their processes alone; in a cluster only rules make such, and the host. */
  const isSearched = pods === undefined || rules.length > 0;

  const find = (pid: number, startTicks: number): Process | undefined => {
    const list = byPid.get(pid);
    if (list === undefined) return undefined;
    for (const process of list) if (process.startTicks === startTicks) return process;
    return undefined;
  };
  const forget = (process: Process): void => {
    gone.delete(process);
    const rest = (byPid.get(process.pid) ?? []).filter((other) => other !== process);
    if (rest.length === 0) byPid.delete(process.pid);
    else byPid.set(process.pid, rest);
    metrics.processes -= 1;
  };
  const of = (pid: number, startTicks: number): Process => {
    const found = find(pid, startTicks);
    if (found !== undefined) return found;
    const process: Process = {
      pid,
      startTicks,
      upid: packUpid(asid, pid, BigInt(startTicks)),
      isKnown: false,
      comm: '',
      exe: '',
      cgroup: '',
      cmdline: '',
      ports: new Set(),
      exitedAt: undefined,
      seenAt: 0,
      identity: undefined,
      identityAt: -1,
    };
    const list = byPid.get(pid);
    if (list === undefined) byPid.set(pid, [process]);
    else if (list.unshift(process) > LIVES_PER_PID_MAX) forget(list.at(-1) ?? process);
    metrics.processes += 1;
    return process;
  };
  const leave = (process: Process, ktime: KtimeNs): void => {
    if (process.exitedAt !== undefined) return;
    process.exitedAt = ktime;
    gone.add(process);
    if (gone.size <= EXITED_MAX) return;
    for (const oldest of gone) {
      forget(oldest);
      metrics.processesEvicted += 1;
      break;
    }
  };

  /** The names of a process of this host; in a cluster, of one that is in no pod. */
  const hostIdentity = (process: Process): ProcessIdentity => {
    const { containerId, podUid, unit } = parseCgroup(process.cgroup);
    const service = unit || programName(process.comm, process.exe, process.cmdline);
    return {
      ...UNKNOWN_PROCESS,
      containerId,
      pod: `host/${service}-${process.pid}`,
      podId: podUid,
      namespace: 'host',
      services: [`host/${service}`],
      node: node(),
      hostname: node(),
    };
  };
  /** Of the pods that its cgroup names, the outermost that is one of ours: what runs inside of it can name what it likes. */
  const podIdentity = (metadata: PodMetadata, places: readonly CgroupPod[]): ProcessIdentity => {
    for (const { uid, containerId } of places) {
      const pod = metadata.podByUid(uid);
      if (pod !== undefined) return { ...pod.identity, containerId, container: pod.containerName(containerId) };
    }
    const { uid: podId, containerId } = places[0] ?? { uid: '', containerId: '' };
    return { ...UNKNOWN_PROCESS, podId, containerId, node: node() };
  };
  const identify = (process: Process): ProcessIdentity => {
    const cmdline = process.cmdline.replaceAll('\0', ' ').trimEnd();
    const places = pods === undefined ? [] : podsOf(process.cgroup);
    const isHost = pods === undefined || places.length === 0;
    const own = { ...(isHost ? hostIdentity(process) : podIdentity(pods, places)), cmdline };
    const facts = {
      upid: process.upid,
      pid: process.pid,
      comm: process.comm,
      exe: process.exe,
      cgroup: process.cgroup,
      cmdline,
      ports: process.ports,
    };
    const rule = rules.find((candidate) => candidate.matches(facts));
    const identity = rule === undefined ? own : withNamespace({ ...own, ...rule.names }, rule.names);
    if (!isHost && identity.namespace !== '') podIdentities.add(identity);
    return identity;
  };
  const identityOf = (process: Process): ProcessIdentity => {
    const at = pods?.revision ?? 0;
    if (process.identity === undefined || process.identityAt !== at) process.identity = identify(process);
    process.identityAt = at;
    return process.identity;
  };
  const known = (upid: Uint128): Process | undefined => {
    const process = find(Number(upid.high & 0xffff_ffffn), Number(upid.low));
    return process?.isKnown === true && process.upid.high === upid.high ? process : undefined;
  };
  const ofPod = (pod: KnownPod | undefined): ProcessIdentity | undefined => {
    if (pod !== undefined) podIdentities.add(pod.identity);
    return pod?.identity;
  };
  const search = (wanted: (identity: ProcessIdentity) => boolean): ProcessIdentity | undefined => {
    let found: ProcessIdentity | undefined;
    for (const list of byPid.values()) {
      for (const process of list) {
        if (!process.isKnown || !wanted(identityOf(process))) continue;
        if (process.exitedAt === undefined) return identityOf(process);
        found ??= identityOf(process);
      }
    }
    return found;
  };

  return {
    of,
    update(frame) {
      const process = of(frame.tgid, frame.startTicks);
      // A pid that lives has no older life left: that exit was lost.
      for (const older of byPid.get(frame.tgid) ?? [])
        if (older.startTicks < frame.startTicks) leave(older, frame.ktime);
      process.isKnown = true;
      process.seenAt = frame.ktime;
      process.comm = frame.comm;
      process.exe = frame.exe;
      process.cgroup = frame.cgroup;
      process.cmdline = frame.cmdline.slice(0, CMDLINE_CHARS_MAX);
      process.identity = undefined;
    },
    exited(pid, startTicks, ktime) {
      const process = of(pid, startTicks);
      leave(process, ktime);
      return process;
    },
    vanished(before, ktime) {
      const lost: Process[] = [];
      for (const list of byPid.values()) {
        for (const process of list) if (process.exitedAt === undefined && process.seenAt < before) lost.push(process);
      }
      for (const process of lost) leave(process, ktime);
      return lost;
    },
    servesOn(process, port) {
      if (process.ports.size >= PORTS_MAX || process.ports.has(port)) return;
      process.ports.add(port);
      process.identity = undefined;
    },
    tick(ktime) {
      for (const process of gone) {
        if (ktime - (process.exitedAt ?? ktime) <= KEPT_AFTER_EXIT_NS) return;
        forget(process);
      }
    },
    isPod: (identity) => podIdentities.has(identity),
    isInUnknownPod(upid) {
      const process = known(upid);
      return process !== undefined && identityOf(process).namespace === '';
    },
    process(upid) {
      const process = known(upid);
      return process && identityOf(process);
    },
    podByIp: (address) =>
      ofPod(pods?.podByIp(address)) ??
      (isSearched ? search((identity) => identity.podIp !== '' && identity.podIp === address) : undefined),
    podByName: (name) =>
      ofPod(pods?.podByName(name)) ??
      (isSearched || name.startsWith('host/') ? search((identity) => identity.pod === name) : undefined),
    podById: (id) =>
      ofPod(pods?.podByUid(id)) ??
      (isSearched ? search((identity) => identity.podId !== '' && identity.podId === id) : undefined),
    ...(pods !== undefined && {
      serviceByIp: (address: string) => pods.serviceByIp(address),
      serviceById: (id: string) => pods.serviceById(id),
      serviceByName: (name: string) => pods.serviceByName(name),
    }),
  };
}

/** A rule that names a pod or services but no namespace means theirs. */
function withNamespace(identity: ProcessIdentity, given: Partial<ProcessIdentity>): ProcessIdentity {
  if (given.namespace !== undefined) return identity;
  const named = given.pod ?? given.services?.[0] ?? '';
  const slash = named.indexOf('/');
  return slash > 0 ? { ...identity, namespace: named.slice(0, slash) } : identity;
}
