// Pods and services as the API server sends them, cut down, for tests.
import type { PodJson, ServiceJson } from '../../../src/collector/identity/objects.ts';

/** A uid that ends in `n`. */
export const uidOf = (n: number | string): string => `11111111-2222-3333-4444-${String(n).padStart(12, '0')}`;
/** A container id that ends in `n`. */
export const containerOf = (n: number | string): string => String(n).padStart(64, '0');
/** Where the kubelet (cgroupfs driver) puts a container. */
export const cgroupOf = (pod: string, container: string): string => `/kubepods/burstable/pod${pod}/${container}`;

interface PodOptions {
  readonly uid?: string;
  readonly namespace?: string;
  readonly ip?: string;
  readonly labels?: Record<string, string>;
  readonly annotations?: Record<string, string>;
  readonly owner?: { kind: string; name: string; uid?: string };
  readonly containers?: Record<string, string>;
  readonly phase?: string;
  readonly hostNetwork?: boolean;
  readonly startTime?: string;
}

export function pod(name: string, options: PodOptions = {}): PodJson {
  const { uid = uidOf(1), namespace = 'shop', ip = '10.0.0.1', labels = {}, annotations = {}, owner } = options;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace,
      uid,
      resourceVersion: '7',
      creationTimestamp: '2026-11-21T10:00:00Z',
      labels,
      annotations,
      ...(owner && {
        ownerReferences: [{ apiVersion: 'apps/v1', uid: 'owner-uid', controller: true, ...owner }],
      }),
    },
    spec: { nodeName: 'n1', ...(options.hostNetwork === true && { hostNetwork: true }) },
    status: {
      phase: options.phase ?? 'Running',
      podIP: ip,
      podIPs: [{ ip }],
      startTime: options.startTime ?? '2026-11-21T10:00:01Z',
      containerStatuses: Object.entries(options.containers ?? {}).map(([id, container]) => ({
        name: container,
        containerID: `containerd://${id}`,
      })),
    },
  };
}

export function service(
  name: string,
  selector: Record<string, string>,
  options: { uid?: string; namespace?: string; ip?: string } = {},
): ServiceJson {
  const { uid = `uid-of-${name}`, namespace = 'shop', ip = '10.96.0.1' } = options;
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace, uid, resourceVersion: '8' },
    spec: { selector, clusterIP: ip, clusterIPs: [ip] },
  };
}
