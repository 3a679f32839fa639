// The collector's DaemonSet and its Service. A pod is two containers: the probe, which may load BPF and nothing else, and
// the agent, which may nothing at all. They meet at a unix socket in a volume of their pod.
import { childOf, selectorLabels, workloadName, type Child, type Inputs } from './objects.ts';
import {
  containerPort,
  identityVolumes,
  imageOf,
  NON_ROOT,
  podBasics,
  POD_ENVIRONMENT,
  PROBES,
  resourcesOf,
  roleEnvironment,
  RESTRICTED_CONTAINER,
  templateMetadata,
  IDENTITY_MOUNTS,
} from './pods.ts';
import { quantityBytes } from './settings.ts';
import type { Settings } from './settings-schema.ts';

const COMPONENT = 'collector';
const NAME = workloadName(COMPONENT);
const SOCKET_DIRECTORY = '/run/sluice';
const SOCKET = `${SOCKET_DIRECTORY}/probe.sock`;

/** BPF and PERFMON load the programs; the other two read the files of processes, which is where TLS libraries are found. */
const capabilitiesOf = ({ collector }: Settings): string[] => [
  'BPF',
  'PERFMON',
  ...(collector.libraryDiscovery ? ['SYS_PTRACE', 'DAC_READ_SEARCH'] : []),
];

const probeContainer = (inputs: Inputs): object => ({
  name: 'probe',
  ...imageOf(inputs),
  command: ['/usr/lib/sluice/sluice-probe'],
  // by the group, which the pod's fsGroup puts the probe in: giving a file to another user takes CAP_CHOWN
  args: [
    '--socket',
    SOCKET,
    '--socket-gid',
    String(NON_ROOT),
    // never `auto`: where its own place is a surprise it must see nothing rather than everybody's
    '--cgroup',
    'pods',
    ...(inputs.settings.collector.hostProcesses ? ['--host-processes'] : []),
  ],
  resources: resourcesOf(inputs.settings.collector.probe.resources),
  securityContext: {
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'], add: capabilitiesOf(inputs.settings) },
    privileged: false,
    readOnlyRootFilesystem: true,
    // capabilities reach a process of another user only as ambient ones, which Kubernetes does not set
    runAsNonRoot: false,
    runAsUser: 0,
    runAsGroup: 0,
    seccompProfile: { type: 'RuntimeDefault' },
  },
  volumeMounts: [{ name: 'run', mountPath: SOCKET_DIRECTORY }],
});

function agentContainer(inputs: Inputs): object {
  const { collector, ports } = inputs.settings;
  return {
    name: 'agent',
    ...imageOf(inputs),
    args: [COMPONENT],
    env: [
      ...POD_ENVIRONMENT,
      ...roleEnvironment(inputs),
      { name: 'SLUICE_FLIGHT_ADDRESS', value: `[::]:${String(ports.flight)}` },
      { name: 'SLUICE_SOCKET', value: SOCKET },
      { name: 'SLUICE_TABLE_BUDGET', value: String(quantityBytes(collector.tableBudget)) },
      ...(collector.insideRanges.length === 0
        ? []
        : [{ name: 'SLUICE_INSIDE_RANGES', value: collector.insideRanges.join(',') }]),
    ],
    ports: [
      containerPort('flight', ports.flight),
      containerPort('health', ports.health),
      containerPort('metrics', ports.metrics),
    ],
    ...PROBES,
    resources: resourcesOf(collector.agent.resources),
    securityContext: RESTRICTED_CONTAINER,
    volumeMounts: [{ name: 'run', mountPath: SOCKET_DIRECTORY }, ...IDENTITY_MOUNTS],
  };
}

/** `10%` stays text, a whole number becomes one (intstr). */
const countOrPart = (value: string | number): number | string =>
  typeof value === 'string' && value.endsWith('%') ? value : Number(value);

export const collectorDaemonSet = (inputs: Inputs): Child => ({
  ...childOf(inputs, COMPONENT, 'apps/v1', 'DaemonSet', NAME),
  spec: {
    selector: { matchLabels: selectorLabels(COMPONENT) },
    updateStrategy: {
      type: 'RollingUpdate',
      rollingUpdate: { maxUnavailable: countOrPart(inputs.settings.collector.maxUnavailable), maxSurge: 0 },
    },
    template: {
      metadata: templateMetadata(inputs, COMPONENT, inputs.settings.collector),
      spec: {
        ...podBasics(inputs, COMPONENT, inputs.settings.collector),
        tolerations: inputs.settings.collector.tolerations,
        // process ids in frames and in /proc have to be the kernel's own
        hostPID: true,
        // the group of the socket's volume, of the key and of the token
        securityContext: { fsGroup: NON_ROOT, seccompProfile: { type: 'RuntimeDefault' } },
        terminationGracePeriodSeconds: 30,
        containers: [probeContainer(inputs), agentContainer(inputs)],
        volumes: [{ name: 'run', emptyDir: {} }, ...identityVolumes(COMPONENT)],
      },
    },
  },
});

/** Its EndpointSlices are how the runtime finds the nodes, ready or not: a node that is not ready is asked and named. */
export const collectorService = (inputs: Inputs): Child => ({
  ...childOf(inputs, COMPONENT, 'v1', 'Service', NAME),
  spec: {
    clusterIP: 'None',
    publishNotReadyAddresses: true,
    selector: selectorLabels(COMPONENT),
    ports: [{ name: 'flight', port: inputs.settings.ports.flight, protocol: 'TCP', targetPort: 'flight' }],
  },
});
