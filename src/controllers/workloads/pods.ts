// What the pods of runtime and collector have in common.
import { childLabels, tlsSecretName, workloadName, TLS_DIRECTORY, type Component, type Inputs } from './objects.ts';
import type { Placement, Quantity, Resources } from './settings-schema.ts';

/** User and group of every process but the probe: `nonroot` of the common distroless images. */
export const NON_ROOT = 65_532;

/** Pod Security Standards, profile restricted. */
export const RESTRICTED_CONTAINER = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  privileged: false,
  readOnlyRootFilesystem: true,
  runAsNonRoot: true,
  runAsUser: NON_ROOT,
  runAsGroup: NON_ROOT,
  seccompProfile: { type: 'RuntimeDefault' },
};

const field = (name: string, fieldPath: string): object => ({ name, valueFrom: { fieldRef: { fieldPath } } });

/** Who and where a pod is. */
export const POD_ENVIRONMENT = [
  field('NODE_NAME', 'spec.nodeName'),
  field('POD_NAME', 'metadata.name'),
  field('POD_NAMESPACE', 'metadata.namespace'),
  field('POD_UID', 'metadata.uid'),
  field('POD_IP', 'status.podIP'),
];

const variable = (name: string, value: string): object => ({ name, value });

/** What both roles read besides their own: where they listen, where their identity is, what they say of themselves. */
export const roleEnvironment = ({ settings: { ports, log, telemetry } }: Inputs): object[] => [
  variable('SLUICE_HEALTH_ADDRESS', `[::]:${String(ports.health)}`),
  variable('SLUICE_METRICS_ADDRESS', `[::]:${String(ports.metrics)}`),
  variable('SLUICE_TLS', TLS_DIRECTORY),
  variable('SLUICE_LOG_LEVEL', log.level),
  ...(telemetry.endpoint === '' ? [] : [variable('SLUICE_TELEMETRY', telemetry.endpoint)]),
];

const httpGet = (path: string): object => ({ path, port: 'health', scheme: 'HTTP' });

/** Slow starts are the startup probe's matter, so that liveness can be strict afterwards. */
export const PROBES = {
  startupProbe: { httpGet: httpGet('/livez'), periodSeconds: 2, timeoutSeconds: 2, failureThreshold: 60 },
  livenessProbe: { httpGet: httpGet('/livez'), periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 3 },
  readinessProbe: { httpGet: httpGet('/readyz'), periodSeconds: 3, timeoutSeconds: 3, failureThreshold: 2 },
};

export const containerPort = (name: string, port: number): object => ({ name, containerPort: port, protocol: 'TCP' });

const texts = (amounts: Readonly<Record<string, Quantity>>): object =>
  Object.fromEntries(Object.entries(amounts).map(([name, amount]) => [name, String(amount)]));

/** Without the members that are empty: a field that is sent is a field that is owned. */
export const resourcesOf = ({ requests, limits }: Resources): object => ({
  ...(Object.keys(requests).length === 0 ? {} : { requests: texts(requests) }),
  ...(Object.keys(limits).length === 0 ? {} : { limits: texts(limits) }),
});

const API_ACCESS = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Mounts of a container that speaks to the API server and to the other roles. */
export const IDENTITY_MOUNTS = [
  { name: 'tls', mountPath: TLS_DIRECTORY, readOnly: true },
  { name: 'api-access', mountPath: API_ACCESS, readOnly: true },
];

/**
 * The volumes of IDENTITY_MOUNTS. The token is projected here and not mounted into every container by the service account
 * admission: the probe's container gets neither token nor key.
 */
export const identityVolumes = (component: Component): object[] => [
  { name: 'tls', secret: { secretName: tlsSecretName(component), defaultMode: 0o440 } },
  {
    name: 'api-access',
    projected: {
      defaultMode: 0o440,
      sources: [
        { serviceAccountToken: { path: 'token', expirationSeconds: 3607 } },
        { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
        {
          downwardAPI: {
            items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
          },
        },
      ],
    },
  },
];

/** Metadata of a pod template. Its labels hold the version too: a new version is a new template anyway, by its image. */
export function templateMetadata(
  { installation }: Inputs,
  component: Component,
  { podAnnotations }: Placement,
): object {
  return {
    labels: childLabels(component, installation),
    annotations: { ...podAnnotations, 'kubectl.kubernetes.io/default-container': DEFAULT_CONTAINER[component] },
  };
}

/** Of `kubectl logs` and `kubectl exec`. */
const DEFAULT_CONTAINER: Readonly<Record<Component, string>> = {
  operator: 'operator',
  runtime: 'runtime',
  collector: 'agent',
};

/** The parts of a pod's spec that both workloads share. */
export function podBasics({ installation }: Inputs, component: Component, placement: Placement): object {
  const { nodeSelector, priorityClassName } = placement;
  return {
    serviceAccountName: workloadName(component),
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    ...(Object.keys(nodeSelector).length === 0 ? {} : { nodeSelector }),
    ...(priorityClassName === '' ? {} : { priorityClassName }),
    ...(installation.imagePullSecrets.length === 0
      ? {}
      : { imagePullSecrets: installation.imagePullSecrets.map((name) => ({ name })) }),
  };
}

/** Image and pull policy of a container. */
export const imageOf = ({ installation }: Inputs): object => ({
  image: installation.image,
  imagePullPolicy: installation.imagePullPolicy,
});
