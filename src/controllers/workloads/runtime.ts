// The runtime's StatefulSet, its Service and its disruption budget.
import { childOf, selectorLabels, workloadName, type Child, type Inputs } from './objects.ts';
import {
  containerPort,
  identityVolumes,
  imageOf,
  IDENTITY_MOUNTS,
  NON_ROOT,
  podBasics,
  POD_ENVIRONMENT,
  PROBES,
  resourcesOf,
  roleEnvironment,
  RESTRICTED_CONTAINER,
  templateMetadata,
} from './pods.ts';

const COMPONENT = 'runtime';
const NAME = workloadName(COMPONENT);
const STATE_DIRECTORY = '/var/lib/sluice';

/** How long a pod of a node that does not answer stays: its scripts wait for that ordinal. */
const UNREACHABLE_SECONDS = 30;

function container(inputs: Inputs): object {
  const { runtime, ports } = inputs.settings;
  return {
    name: COMPONENT,
    ...imageOf(inputs),
    args: [COMPONENT],
    env: [
      ...POD_ENVIRONMENT,
      ...roleEnvironment(inputs),
      { name: 'SLUICE_RUN_ADDRESS', value: `[::]:${String(ports.run)}` },
      { name: 'SLUICE_STATE', value: STATE_DIRECTORY },
      ...(runtime.allowedEndpointRanges.length === 0
        ? []
        : [{ name: 'SLUICE_ALLOW_ENDPOINTS', value: runtime.allowedEndpointRanges.join(',') }]),
    ],
    ports: [
      containerPort('run', ports.run),
      containerPort('health', ports.health),
      containerPort('metrics', ports.metrics),
    ],
    ...PROBES,
    resources: resourcesOf(runtime.resources),
    securityContext: RESTRICTED_CONTAINER,
    volumeMounts: [{ name: 'state', mountPath: STATE_DIRECTORY }, ...IDENTITY_MOUNTS],
  };
}

const unreachable = (key: string): object => ({
  key: `node.kubernetes.io/${key}`,
  operator: 'Exists',
  effect: 'NoExecute',
  tolerationSeconds: UNREACHABLE_SECONDS,
});

/** `replicas` is what decide() wants now: while scaling down, an ordinal stays until its spool is empty. */
export function runtimeStatefulSet(inputs: Inputs, replicas: number, annotations?: Record<string, string>): Child {
  const { runtime } = inputs.settings;
  const { size, className, emptyDirLimit } = runtime.storage;
  const child = childOf(inputs, COMPONENT, 'apps/v1', 'StatefulSet', NAME);
  return {
    ...child,
    metadata: { ...child.metadata, ...(annotations === undefined ? {} : { annotations }) },
    spec: {
      replicas,
      serviceName: NAME,
      podManagementPolicy: 'Parallel',
      selector: { matchLabels: selectorLabels(COMPONENT) },
      updateStrategy: { type: 'RollingUpdate' },
      template: {
        metadata: templateMetadata(inputs, COMPONENT, runtime),
        spec: {
          ...podBasics(inputs, COMPONENT, runtime),
          tolerations: [unreachable('not-ready'), unreachable('unreachable'), ...runtime.tolerations],
          securityContext: {
            runAsNonRoot: true,
            runAsUser: NON_ROOT,
            runAsGroup: NON_ROOT,
            fsGroup: NON_ROOT,
            // a large volume is not walked through at each start
            fsGroupChangePolicy: 'OnRootMismatch',
            seccompProfile: { type: 'RuntimeDefault' },
          },
          // 20 s for draining, and as much again for a ledger on a slow disk
          terminationGracePeriodSeconds: 40,
          topologySpreadConstraints: [
            {
              maxSkew: 1,
              topologyKey: 'kubernetes.io/hostname',
              whenUnsatisfiable: 'ScheduleAnyway',
              labelSelector: { matchLabels: selectorLabels(COMPONENT) },
            },
          ],
          containers: [container(inputs)],
          volumes: [
            ...(size === '' ? [{ name: 'state', emptyDir: { sizeLimit: String(emptyDirLimit) } }] : []),
            ...identityVolumes(COMPONENT),
          ],
        },
      },
      ...(size === ''
        ? {}
        : {
            volumeClaimTemplates: [
              {
                apiVersion: 'v1',
                kind: 'PersistentVolumeClaim',
                metadata: { name: 'state' },
                spec: {
                  accessModes: ['ReadWriteOnce'],
                  resources: { requests: { storage: String(size) } },
                  ...(className === '' ? {} : { storageClassName: className }),
                },
              },
            ],
          }),
    },
  };
}

/** Names each ordinal: `sluice-runtime-0.sluice-runtime.<namespace>.svc`; also before it is ready, to ask it for its ledger. */
export const runtimeService = (inputs: Inputs): Child => ({
  ...childOf(inputs, COMPONENT, 'v1', 'Service', NAME),
  spec: {
    clusterIP: 'None',
    publishNotReadyAddresses: true,
    selector: selectorLabels(COMPONENT),
    ports: [{ name: 'run', port: inputs.settings.ports.run, protocol: 'TCP', targetPort: 'run' }],
  },
});

export const runtimeDisruptionBudget = (inputs: Inputs): Child => ({
  ...childOf(inputs, COMPONENT, 'policy/v1', 'PodDisruptionBudget', NAME),
  spec: {
    maxUnavailable: 1,
    selector: { matchLabels: selectorLabels(COMPONENT) },
    // a pod that is not ready anyway does not hold a drain up
    unhealthyPodEvictionPolicy: 'AlwaysAllow',
  },
});
