// Kubernetes objects as the applications of the tests need them, written short.

interface ServiceOptions {
  readonly name: string;
  readonly namespace: string;
  readonly ports: readonly number[];
}

/** Of the pods with the label `app: <name>`. */
export const service = ({ name, namespace, ports }: ServiceOptions): object => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace },
  spec: { selector: { app: name }, ports: ports.map((port) => ({ name: `p${port}`, port, targetPort: port })) },
});

export const namespace = (name: string, labels: Readonly<Record<string, string>> = {}): object => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name, labels },
});

export const configMap = (name: string, space: string, data: Readonly<Record<string, string>>): object => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: space },
  data,
});

export const secret = (name: string, space: string, stringData: Readonly<Record<string, string>>): object => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name, namespace: space },
  stringData,
});

interface PodOptions {
  readonly name: string;
  readonly namespace: string;
  readonly container: object;
  readonly volumes?: readonly object[];
  /** The pods must be on this node. */
  readonly nodeName?: string;
  readonly restartPolicy?: 'Always' | 'Never';
}

interface ReplicaOptions extends PodOptions {
  readonly replicas?: number;
  readonly kind?: 'Deployment' | 'ReplicaSet';
  readonly strategy?: object;
}

const podSpec = ({ name, container, volumes = [], nodeName, restartPolicy = 'Always' }: PodOptions): object => ({
  restartPolicy,
  terminationGracePeriodSeconds: 1,
  enableServiceLinks: false,
  automountServiceAccountToken: false,
  ...(nodeName === undefined
    ? {
        topologySpreadConstraints: [
          {
            maxSkew: 1,
            topologyKey: 'kubernetes.io/hostname',
            whenUnsatisfiable: 'DoNotSchedule',
            labelSelector: { matchLabels: { app: name } },
          },
        ],
      }
    : { nodeSelector: { 'kubernetes.io/hostname': nodeName } }),
  // a crashed node keeps its pods: the tests bring it back
  tolerations: [{ operator: 'Exists', effect: 'NoExecute' }],
  containers: [{ imagePullPolicy: 'Never', ...container }],
  volumes,
});

/** One pod by itself, labelled `app: <name>`. */
export const pod = (options: PodOptions): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: options.name, namespace: options.namespace, labels: { app: options.name } },
  spec: podSpec(options),
});

/** A Deployment (or a ReplicaSet without one) whose pods are labelled `app: <name>`, spread over the nodes. */
export const deployment = (options: ReplicaOptions): object => ({
  apiVersion: 'apps/v1',
  kind: options.kind ?? 'Deployment',
  metadata: { name: options.name, namespace: options.namespace },
  spec: {
    replicas: options.replicas ?? 1,
    selector: { matchLabels: { app: options.name } },
    ...(options.strategy === undefined ? {} : { strategy: options.strategy }),
    template: { metadata: { labels: { app: options.name } }, spec: podSpec(options) },
  },
});
