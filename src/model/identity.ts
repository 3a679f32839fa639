// Who a process is, in the words that scripts ask for (`df.ctx['pod']`). The engine asks through this interface; a host,
// a cluster's collector and an identity file answer it.
import type { Uint128 } from './types.ts';

/** Names of one process. Unknown names are the empty string. Pods, services and deployments are `namespace/name`. */
export interface ProcessIdentity {
  readonly cmdline: string;
  readonly container: string;
  readonly containerId: string;
  readonly pod: string;
  readonly podId: string;
  readonly namespace: string;
  /** Living services only. Scripts see one as plain text, several as a JSON array. */
  readonly services: readonly string[];
  readonly serviceIds: readonly string[];
  readonly node: string;
  readonly hostname: string;
  readonly deployment: string;
  readonly deploymentId: string;
  readonly replicaset: string;
  readonly replicasetId: string;
  readonly podIp: string;
}

export interface ServiceIdentity {
  readonly id: string;
  /** `namespace/name`. */
  readonly name: string;
  readonly clusterIp: string;
}

export interface IdentityLookup {
  /** The identity of a UPID, also some time after the process is gone; undefined where it was never known. */
  process(upid: Uint128): ProcessIdentity | undefined;
  /** The identity that owns a pod IP (host-network pods excluded); undefined where nobody does. */
  podByIp(address: string): ProcessIdentity | undefined;
  podByName(name: string): ProcessIdentity | undefined;
  podById(id: string): ProcessIdentity | undefined;
  /** Services themselves; absent where there are none to know, as on a host without Kubernetes. */
  serviceByIp?(address: string): ServiceIdentity | undefined;
  serviceById?(id: string): ServiceIdentity | undefined;
  serviceByName?(name: string): ServiceIdentity | undefined;
}

export const UNKNOWN_PROCESS: ProcessIdentity = {
  cmdline: '',
  container: '',
  containerId: '',
  pod: '',
  podId: '',
  namespace: '',
  services: [],
  serviceIds: [],
  node: '',
  hostname: '',
  deployment: '',
  deploymentId: '',
  replicaset: '',
  replicasetId: '',
  podIp: '',
};
