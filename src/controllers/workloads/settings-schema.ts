// The shape of the settings file (config/manager/sluice.yaml) as JSON schema, with the defaults in it. Closed: an unknown
// field is an error. Who edits this file chooses what runs with BPF, so nothing of it can come from a custom resource.
import { DURATION_PATTERN } from '../../crds/duration.ts';

export interface Toleration {
  readonly key?: string;
  readonly operator?: 'Exists' | 'Equal';
  readonly value?: string;
  readonly effect?: 'NoSchedule' | 'PreferNoSchedule' | 'NoExecute';
  readonly tolerationSeconds?: number;
}

/** `256Mi`, `500m`, or a plain number (resource.Quantity). */
export type Quantity = string | number;

/** Quantities by resource name, as in a container (core/v1 ResourceRequirements). */
export interface Resources {
  readonly requests: Readonly<Record<string, Quantity>>;
  readonly limits: Readonly<Record<string, Quantity>>;
}

/** Where the pods of a workload go. */
export interface Placement {
  readonly nodeSelector: Readonly<Record<string, string>>;
  readonly tolerations: readonly Toleration[];
  readonly priorityClassName: string;
  readonly podAnnotations: Readonly<Record<string, string>>;
}

export interface Settings {
  /** Namespaces whose OtelPlugins and ExportScripts are served; empty: all. `.` is the operator's own: see `watchedNamespaces`. */
  readonly watchNamespaces: readonly string[];
  readonly log: { readonly level: 'error' | 'warn' | 'info' | 'debug' };
  /** `http://HOST:PORT` of OTLP/gRPC for Sluice's own metrics and traces; empty: nowhere. */
  readonly telemetry: { readonly endpoint: string };
  readonly leaderElection: {
    readonly leaseDuration: string;
    readonly renewDeadline: string;
    readonly retryPeriod: string;
  };
  readonly certificates: {
    readonly caValidity: string;
    readonly caOverlap: string;
    readonly leafValidity: string;
    readonly renewEvery: string;
  };
  /** Of the pods that the operator makes; what is empty is taken from the operator's own Deployment. */
  readonly image: {
    readonly name: string;
    readonly pullPolicy: '' | 'Always' | 'IfNotPresent' | 'Never';
    readonly pullSecrets: readonly string[];
  };
  readonly ports: { readonly run: number; readonly flight: number; readonly health: number; readonly metrics: number };
  readonly network: {
    /** Whether NetworkPolicies are made. */
    readonly policies: boolean;
    readonly apiServerPorts: readonly number[];
    /** CIDRs; empty: any address, on those ports. */
    readonly apiServerRanges: readonly string[];
    /** Labels of the namespaces that may scrape metrics. */
    readonly metricsNamespaces: Readonly<Record<string, string>>;
  };
  readonly collector: Placement & {
    readonly tableBudget: Quantity;
    /** Whether processes of the host that belong to no pod are reported. */
    readonly hostProcesses: boolean;
    /** CIDRs of pods and services on any node: of a call to a peer in them only the server's node makes a row. */
    readonly insideRanges: readonly string[];
    /** Whether the probe looks for TLS libraries in processes, which needs two more capabilities. */
    readonly libraryDiscovery: boolean;
    /** Nodes, or a part of them with `%`. */
    readonly maxUnavailable: string | number;
    readonly agent: { readonly resources: Resources };
    readonly probe: { readonly resources: Resources };
  };
  readonly runtime: Placement & {
    readonly replicas: number;
    readonly resources: Resources;
    /** A volume claim of this size for ledger and spool; empty: an emptyDir. */
    readonly storage: { readonly size: Quantity; readonly className: string; readonly emptyDirLimit: Quantity };
    /** CIDRs that destinations may lie in although they are refused otherwise: link-local, metadata services, the address of the API server's Service. */
    readonly allowedEndpointRanges: readonly string[];
  };
}

export type JsonSchema = Readonly<Record<string, unknown>>;

/** Annotation of a node: what its value has to be, in the words of an error. */
export const WHAT = 'x-what';

const text = (what: string, pattern: string, value: string, maxLength = 253): JsonSchema => ({
  type: 'string',
  [WHAT]: what,
  pattern,
  maxLength,
  default: value,
});
const duration = (value: string): JsonSchema => text('a duration such as 30s, 10m or 24h', DURATION_PATTERN, value, 32);
const QUANTITY = '[0-9]+(\\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi)?';
const quantity = (what: string, pattern = `^${QUANTITY}$`): JsonSchema => ({
  type: ['string', 'number'],
  [WHAT]: what,
  pattern,
  maxLength: 32,
  minimum: 0,
});
const oneOf = (values: readonly string[], value: string): JsonSchema => ({
  type: 'string',
  enum: values,
  default: value,
});
const flag = (value: boolean): JsonSchema => ({ type: 'boolean', [WHAT]: 'true or false', default: value });
const whole = (minimum: number, maximum: number, value?: number): JsonSchema => ({
  type: 'integer',
  minimum,
  maximum,
  [WHAT]: `a whole number from ${String(minimum)} to ${String(maximum)}`,
  ...(value === undefined ? {} : { default: value }),
});
const port = (value?: number): JsonSchema => whole(1024, 65_535, value);
const list = (items: JsonSchema, what: string, maxItems: number, value: readonly unknown[] = []): JsonSchema => ({
  type: 'array',
  items,
  maxItems,
  uniqueItems: true,
  [WHAT]: what,
  default: value,
});

const LABEL_NAME = '^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$';
const map = (
  values: JsonSchema,
  what: string,
  value: Readonly<Record<string, Quantity>> = {},
  names = LABEL_NAME,
): JsonSchema => ({
  type: 'object',
  propertyNames: { pattern: names, maxLength: 317, [WHAT]: 'a name such as kubernetes.io/os' },
  additionalProperties: values,
  maxProperties: 64,
  [WHAT]: what,
  default: value,
});
const labelValue: JsonSchema = {
  type: 'string',
  maxLength: 63,
  pattern: '^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$',
  [WHAT]: 'text of a label, in quotes where it reads as a number or as true',
};
const labels = (value: Readonly<Record<string, string>> = {}): JsonSchema =>
  map(labelValue, 'labels such as {kubernetes.io/os: linux}', value);

// The mapped type makes a field of the interface that is missing here an error of the type checker. `required` makes ajv
// fill every field in, so that the values read are whole.
function object<T>(properties: Readonly<Record<keyof T & string, JsonSchema>>): JsonSchema {
  return {
    type: 'object',
    additionalProperties: false,
    [WHAT]: 'an object of the fields that the documentation lists',
    properties,
    required: Object.keys(properties),
  };
}

const section = <T>(properties: Readonly<Record<keyof T & string, JsonSchema>>): JsonSchema => ({
  ...object<T>(properties),
  default: {},
});

const NAME = '[a-z0-9]([-a-z0-9.]*[a-z0-9])?';
const namespace: JsonSchema = {
  type: 'string',
  maxLength: 63,
  pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$',
  [WHAT]: 'the name of a namespace',
};
const watchedNamespace: JsonSchema = {
  ...namespace,
  pattern: '^([a-z0-9]([-a-z0-9]*[a-z0-9])?|[.])$',
  [WHAT]: "the name of a namespace, or '.' for the operator's own",
};
const secretName: JsonSchema = { type: 'string', maxLength: 253, pattern: `^${NAME}$`, [WHAT]: 'the name of a Secret' };
/** Only the form; addresses are checked by a rule. */
const cidr: JsonSchema = {
  type: 'string',
  maxLength: 64,
  pattern: '^[0-9a-fA-F.:]+/[0-9]{1,3}$',
  [WHAT]: 'a range such as 10.0.0.0/8 or fd00::/8',
};

const resources = (requests: Record<string, string>, limits: Record<string, string>): JsonSchema => {
  const amounts = (value: Record<string, string>): JsonSchema =>
    map(quantity('a quantity such as 500m or 256Mi'), 'quantities such as {cpu: 100m, memory: 256Mi}', value);
  return section<Resources>({ requests: amounts(requests), limits: amounts(limits) });
};

const toleration: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  [WHAT]: 'a toleration such as {key: dedicated, operator: Exists}',
  properties: {
    key: { type: 'string', maxLength: 317, pattern: LABEL_NAME, [WHAT]: 'the key of a taint' },
    operator: { type: 'string', enum: ['Exists', 'Equal'] },
    value: labelValue,
    effect: { type: 'string', enum: ['NoSchedule', 'PreferNoSchedule', 'NoExecute'] },
    tolerationSeconds: whole(0, 86_400),
  },
};

const placement = (tolerations: readonly Toleration[]): Readonly<Record<keyof Placement, JsonSchema>> => ({
  nodeSelector: labels({ 'kubernetes.io/os': 'linux' }),
  tolerations: list(toleration, 'a list of tolerations', 32, tolerations),
  priorityClassName: text('the name of a PriorityClass', `^(${NAME})?$`, ''),
  podAnnotations: map(
    { type: 'string', maxLength: 4096, [WHAT]: 'text, in quotes where it reads as a number or as true' },
    'annotations such as {example.com/team: observability}',
  ),
});

export const settingsSchema: JsonSchema = object<Settings>({
  watchNamespaces: list(watchedNamespace, 'a list of namespaces', 50),
  log: section<Settings['log']>({ level: oneOf(['error', 'warn', 'info', 'debug'], 'info') }),
  telemetry: section<Settings['telemetry']>({
    endpoint: text(
      'http://HOST:PORT or https://HOST:PORT of an OTLP/gRPC receiver',
      '^(https?://[A-Za-z0-9.:\\[\\]-]+:[0-9]{1,5})?$',
      '',
    ),
  }),
  leaderElection: section<Settings['leaderElection']>({
    leaseDuration: duration('15s'),
    renewDeadline: duration('10s'),
    retryPeriod: duration('2s'),
  }),
  certificates: section<Settings['certificates']>({
    caValidity: duration('8760h'),
    caOverlap: duration('24h'),
    leafValidity: duration('168h'),
    renewEvery: duration('24h'),
  }),
  image: section<Settings['image']>({
    name: text('an image such as registry.example/sluice:1.0', '^([A-Za-z0-9][A-Za-z0-9._:/@-]*)?$', '', 1024),
    pullPolicy: oneOf(['', 'Always', 'IfNotPresent', 'Never'], ''),
    pullSecrets: list(secretName, 'a list of Secrets', 16),
  }),
  ports: section<Settings['ports']>({ run: port(7443), flight: port(7444), health: port(8081), metrics: port(9090) }),
  network: section<Settings['network']>({
    policies: flag(true),
    apiServerPorts: list(whole(1, 65_535), 'a list of ports', 8, [443, 6443]),
    apiServerRanges: list(cidr, 'a list of ranges', 64),
    metricsNamespaces: labels({ 'sluice.dev/metrics': 'scrape' }),
  }),
  collector: section<Settings['collector']>({
    ...placement([{ operator: 'Exists' }]),
    tableBudget: { ...quantity('a number of bytes such as 256Mi'), default: '256Mi' },
    hostProcesses: flag(false),
    insideRanges: list(cidr, 'a list of ranges', 64),
    libraryDiscovery: flag(false),
    maxUnavailable: {
      type: ['string', 'integer'],
      [WHAT]: 'a number of nodes or a part of them, such as 1 or 10%',
      pattern: '^([1-9][0-9]{0,4}|[1-9][0-9]?%|100%)$',
      minimum: 1,
      default: '10%',
    },
    agent: section<Settings['collector']['agent']>({
      resources: resources({ cpu: '100m', memory: '384Mi' }, { memory: '1Gi' }),
    }),
    probe: section<Settings['collector']['probe']>({
      resources: resources({ cpu: '20m', memory: '64Mi' }, { memory: '256Mi' }),
    }),
  }),
  runtime: section<Settings['runtime']>({
    ...placement([]),
    replicas: whole(1, 64, 1),
    resources: resources({ cpu: '200m', memory: '384Mi' }, { memory: '1Gi' }),
    storage: section<Settings['runtime']['storage']>({
      size: { ...quantity('a size such as 2Gi', `^(${QUANTITY})?$`), default: '' },
      className: text('the name of a StorageClass', `^(${NAME})?$`, ''),
      emptyDirLimit: { ...quantity('a size such as 2Gi'), default: '2Gi' },
    }),
    allowedEndpointRanges: list(cidr, 'a list of ranges', 64),
  }),
});
