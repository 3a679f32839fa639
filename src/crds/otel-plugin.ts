// OtelPlugin: where telemetry goes. Schema, type and rules.
import { Type, type Static } from '@sinclair/typebox';
import { durationWithinCel, isDurationWithin } from './duration.ts';
import { endpointRules } from './endpoint-rules.ts';
import {
  API_VERSION,
  duration,
  keyRef,
  keysWithin,
  keysWithinCel,
  metadata,
  object,
  objectName,
  oneOf,
  presetName,
  textMap,
  type Rule,
} from './parts.ts';
import { otelPluginStatusSchema } from './status-schema.ts';

/** With a preset's name and a hyphen at most 63. */
export const PLUGIN_NAME_MAX = 40;
const ATTRIBUTE_NAME_MAX = 253;

const DESTINATION_TYPES = ['OTLPGRPC', 'OTLPHTTP', 'PrometheusRemoteWrite', 'Prometheus', 'Zipkin', 'Console'] as const;

const header = object(
  {
    name: Type.String({
      description: 'Name of the header or gRPC metadata key; compared without case.',
      minLength: 1,
      maxLength: 128,
      pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
    }),
    value: Type.Optional(
      Type.String({
        description: 'The value itself: visible ASCII and blanks, at most 8192. What is secret belongs in valueFrom.',
        maxLength: 8192,
        pattern: '^[ -~]*$',
      }),
    ),
    valueFrom: Type.Optional(
      object({ secretKeyRef: keyRef('Secret') }, { description: 'Takes the value from a Secret.' }),
    ),
  },
  { description: 'One header: exactly one of value and valueFrom.' },
);

const auth = object(
  {
    basic: Type.Optional(
      object(
        {
          username: object({ secretKeyRef: keyRef('Secret') }, { description: 'User name.' }),
          password: object({ secretKeyRef: keyRef('Secret') }, { description: 'Password.' }),
        },
        { description: 'HTTP basic authentication.' },
      ),
    ),
    bearer: Type.Optional(object({ secretKeyRef: keyRef('Secret') }, { description: 'Bearer token.' })),
  },
  { description: 'Credentials sent in the authorization header. Exactly one member.' },
);

const tls = object(
  {
    mode: Type.Optional(
      oneOf(
        ['TLS', 'Plaintext'],
        "Whether the connection is encrypted; an endpoint's http:// or https:// wins. Default TLS.",
        'TLS',
      ),
    ),
    ca: Type.Optional(
      object(
        { secretKeyRef: Type.Optional(keyRef('Secret')), configMapKeyRef: Type.Optional(keyRef('ConfigMap')) },
        { description: 'PEM bundle of trusted authorities. Default: those of the image. Exactly one member.' },
      ),
    ),
    clientCertificate: Type.Optional(
      object(
        {
          secretRef: object(
            { name: objectName('Name of the Secret, in the namespace of this object.') },
            { description: 'A Secret of type kubernetes.io/tls.' },
          ),
        },
        { description: 'Certificate and key presented to the server.' },
      ),
    ),
    serverName: Type.Optional(
      Type.String({
        description: "Name that the server's certificate must carry, if not the endpoint's.",
        minLength: 1,
        maxLength: 253,
      }),
    ),
    insecureSkipVerify: Type.Optional(
      Type.Boolean({
        description: 'Accept any server certificate. For trying out only. Default false.',
        default: false,
      }),
    ),
  },
  { description: 'Transport security.', default: {} },
);

const destination = object(
  {
    type: oneOf(DESTINATION_TYPES, 'The protocol spoken to the destination.'),
    endpoint: Type.Optional(
      Type.String({
        description:
          'host:port for OTLPGRPC, a URL with http or https for OTLPHTTP, PrometheusRemoteWrite and Zipkin, none for Prometheus ' +
          'and Console. Example: otel-collector.default.svc.cluster.local:4317.',
        minLength: 1,
        maxLength: 2048,
      }),
    ),
    headers: Type.Optional(
      Type.Array(header, {
        description:
          'Headers (gRPC: metadata) of every request, at most 32. Those that the transport sets itself are refused; ' +
          'authorization must come from a Secret.',
        maxItems: 32,
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['name'],
      }),
    ),
    auth: Type.Optional(auth),
    tls: Type.Optional(tls),
    proxy: Type.Optional(
      object(
        {
          url: Type.String({
            description: 'URL of the proxy, e.g. http://proxy.example:3128.',
            minLength: 1,
            maxLength: 2048,
          }),
          noProxy: Type.Optional(
            Type.Array(Type.String({ description: 'A host name.', minLength: 1, maxLength: 253 }), {
              description: 'Hosts reached without the proxy, at most 32.',
              maxItems: 32,
              'x-kubernetes-list-type': 'set',
            }),
          ),
        },
        { description: 'Proxy to go through. None is taken from the environment.' },
      ),
    ),
    compression: Type.Optional(oneOf(['gzip', 'none'], 'Compression of request bodies. Default gzip.', 'gzip')),
    timeout: Type.Optional(
      duration('Deadline of one request, 1s to 60s. A request that is late is tried again. Default 10s.', '10s'),
    ),
    temporality: Type.Optional(
      oneOf(
        ['delta', 'cumulative'],
        'Turns sums and histograms into this temporality. Default: as the script says (sums over a window are delta).',
      ),
    ),
  },
  { description: 'Where to send and how.' },
);

const spec = object(
  {
    enabled: Type.Optional(
      Type.Boolean({ description: 'False: no new runs; what waits to be sent is kept. Default true.', default: true }),
    ),
    destination,
    resourceAttributes: Type.Optional(
      textMap(
        "Added to every resource; they win over a script's own. At most 32, names of at most 253 characters, values of at most " +
          '1024. Example: {k8s.cluster.name: prod}.',
        1024,
        32,
      ),
    ),
    presets: Type.Optional(
      object(
        {
          include: Type.Optional(
            Type.Array(presetName('Name of a preset, e.g. http-metrics.'), {
              description:
                'Presets that become ExportScripts owned by this plugin, named `<plugin>-<preset>`. At most 32. A name that is ' +
                'taken out deletes its script.',
              maxItems: 32,
              default: [],
              'x-kubernetes-list-type': 'set',
            }),
          ),
        },
        { description: 'Ready-made scripts.', default: {} },
      ),
    ),
    allowedNamespaces: Type.Optional(
      oneOf(
        ['Same', 'All'],
        'Namespaces whose ExportScripts may refer to this plugin: its own, or all. Default Same.',
        'Same',
      ),
    ),
  },
  { description: 'Where telemetry goes, and which presets are sent there.' },
);

/** The whole resource as a manifest has it; `status` is the operator's and is not read from manifests. */
export const otelPluginSchema = object({
  apiVersion: Type.Literal(API_VERSION),
  kind: Type.Literal('OtelPlugin'),
  metadata: metadata(PLUGIN_NAME_MAX),
  spec,
  status: Type.Optional(Type.Unknown()),
});

/** As the API server has it: the spec that users write and the status that the operator writes. */
export const otelPluginParts = { spec, status: otelPluginStatusSchema };

export type OtelPlugin = Static<typeof otelPluginSchema>;
export type OtelPluginSpec = Static<typeof spec>;

const RESERVED_HEADERS = new Set([
  'content-type',
  'content-encoding',
  'content-length',
  'host',
  'te',
  'connection',
  'transfer-encoding',
  'user-agent',
]);

const headersOf = (value: OtelPluginSpec) => value.destination.headers ?? [];
const members = (value: object): number => Object.values(value).filter((member) => member !== undefined).length;

const RESERVED_LIST = [...RESERVED_HEADERS].map((name) => `'${name}'`).join(', ');

export const otelPluginRules: readonly Rule<OtelPluginSpec>[] = [
  ...endpointRules,
  {
    path: '/spec/destination',
    field: 'headers',
    cel: '!has(self.headers) || self.headers.all(h, has(h.value) != has(h.valueFrom))',
    message: 'each header has exactly one of value and valueFrom',
    holds: (s) => headersOf(s).every((h) => (h.value === undefined) !== (h.valueFrom === undefined)),
  },
  {
    path: '/spec/destination',
    field: 'headers',
    cel: '!has(self.headers) || self.headers.all(h, self.headers.filter(o, o.name.lowerAscii() == h.name.lowerAscii()).size() == 1)',
    message: 'header names are unique, compared without case',
    holds: (s) => new Set(headersOf(s).map((h) => h.name.toLowerCase())).size === headersOf(s).length,
  },
  {
    path: '/spec/destination',
    field: 'headers',
    cel: `!has(self.headers) || self.headers.all(h, !(h.name.lowerAscii() in [${RESERVED_LIST}]) && !h.name.lowerAscii().startsWith('grpc-'))`,
    message:
      'a header of the transport cannot be given (content-*, host, te, connection, transfer-encoding, user-agent, grpc-*)',
    reason: 'FieldValueForbidden',
    holds: (s) => headersOf(s).every((h) => !RESERVED_HEADERS.has(h.name.toLowerCase()) && !/^grpc-/i.test(h.name)),
  },
  {
    path: '/spec/destination',
    field: 'headers',
    cel: "!has(self.headers) || self.headers.all(h, h.name.lowerAscii() != 'authorization' || (has(h.valueFrom) && !has(self.auth)))",
    message: 'authorization must come from a Secret and excludes auth',
    holds: (s) =>
      headersOf(s).every(
        (h) =>
          h.name.toLowerCase() !== 'authorization' || (h.valueFrom !== undefined && s.destination.auth === undefined),
      ),
  },
  {
    path: '/spec/destination/auth',
    cel: 'has(self.basic) != has(self.bearer)',
    message: 'auth has exactly one of basic and bearer',
    holds: ({ destination: d }) => d.auth === undefined || members(d.auth) === 1,
  },
  {
    path: '/spec/destination/tls',
    cel: "!has(self.mode) || self.mode != 'Plaintext' || (!has(self.ca) && !has(self.clientCertificate))",
    message: 'mode Plaintext excludes ca and clientCertificate',
    holds: ({ destination: d }) =>
      d.tls?.mode !== 'Plaintext' || (d.tls.ca === undefined && d.tls.clientCertificate === undefined),
  },
  {
    path: '/spec/destination/tls/ca',
    cel: 'has(self.secretKeyRef) != has(self.configMapKeyRef)',
    message: 'ca has exactly one of secretKeyRef and configMapKeyRef',
    holds: ({ destination: d }) => d.tls?.ca === undefined || members(d.tls.ca) === 1,
  },
  {
    path: '/spec/destination/timeout',
    cel: durationWithinCel('1s', '60s'),
    message: 'timeout is between 1s and 60s',
    holds: ({ destination: d }) => isDurationWithin(d.timeout ?? '10s', '1s', '60s'),
  },
  {
    path: '/spec/resourceAttributes',
    cel: keysWithinCel(ATTRIBUTE_NAME_MAX),
    message: `names of resourceAttributes have 1 to ${ATTRIBUTE_NAME_MAX} characters`,
    holds: (s) => keysWithin(s.resourceAttributes, ATTRIBUTE_NAME_MAX),
  },
];
