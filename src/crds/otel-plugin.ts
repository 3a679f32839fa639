// OtelPlugin: where telemetry goes. Schema, type and rules.
import { Type, type Static } from '@sinclair/typebox';
import type { DestinationType } from '../model/destination.ts';
import { API_VERSION, duration, keyRef, metadata, object, objectName, oneOf, type Rule } from './parts.ts';
import { parseDurationMs } from './duration.ts';

const DESTINATION_TYPES = ['OTLPGRPC', 'OTLPHTTP', 'PrometheusRemoteWrite', 'Prometheus', 'Zipkin', 'Console'] as const;

const header = object({
  name: Type.String({
    description: 'Name of the header or gRPC metadata key; compared without case.',
    minLength: 1,
    maxLength: 128,
    pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
  }),
  value: Type.Optional(Type.String({ description: 'The value itself. For secrets use valueFrom.', maxLength: 8192 })),
  valueFrom: Type.Optional(
    object({ secretKeyRef: keyRef('Secret') }, { description: 'Takes the value from a Secret.' }),
  ),
});

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
    mode: Type.Optional(oneOf(['TLS', 'Plaintext'], 'Whether the connection is encrypted.', 'TLS')),
    ca: Type.Optional(
      object(
        { secretKeyRef: Type.Optional(keyRef('Secret')), configMapKeyRef: Type.Optional(keyRef('ConfigMap')) },
        { description: 'PEM bundle of trusted authorities. Default: those of the image. Exactly one member.' },
      ),
    ),
    clientCertificate: Type.Optional(
      object(
        { secretRef: object({ name: objectName('Name of a Secret of type kubernetes.io/tls.') }) },
        { description: 'Certificate and key presented to the server.' },
      ),
    ),
    serverName: Type.Optional(
      Type.String({ description: 'Name that the server certificate must carry.', minLength: 1, maxLength: 253 }),
    ),
    insecureSkipVerify: Type.Optional(
      Type.Boolean({ description: 'Accept any server certificate. For trying out only.', default: false }),
    ),
  },
  { description: 'Transport security.', default: {} },
);

const destination = object(
  {
    type: oneOf(DESTINATION_TYPES, 'The protocol spoken to the destination.'),
    endpoint: Type.Optional(
      Type.String({
        description: 'host:port for OTLPGRPC, a URL for the others; none for Prometheus and Console.',
        minLength: 1,
        maxLength: 2048,
      }),
    ),
    headers: Type.Optional(
      Type.Array(header, {
        description: 'Headers of every request.',
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
          url: Type.String({ description: 'URL of the proxy.', minLength: 1, maxLength: 2048 }),
          noProxy: Type.Optional(
            Type.Array(Type.String({ minLength: 1, maxLength: 253 }), {
              description: 'Hosts reached without the proxy.',
              maxItems: 32,
              'x-kubernetes-list-type': 'set',
            }),
          ),
        },
        { description: 'Proxy to go through. None is taken from the environment.' },
      ),
    ),
    compression: Type.Optional(oneOf(['gzip', 'none'], 'Compression of request bodies.', 'gzip')),
    timeout: Type.Optional(duration('Deadline of one request, 1s to 60s.', '10s')),
    temporality: Type.Optional(
      oneOf(['delta', 'cumulative'], 'Turns sums and histograms into this temporality. Default: as the script says.'),
    ),
  },
  { description: 'Where to send and how.' },
);

const spec = object({
  enabled: Type.Optional(Type.Boolean({ description: 'False: no new runs; what waits is kept.', default: true })),
  destination,
  resourceAttributes: Type.Optional(
    Type.Record(Type.String({ minLength: 1, maxLength: 253 }), Type.String({ maxLength: 1024 }), {
      description: "Added to every resource; they win over a script's own.",
      maxProperties: 32,
    }),
  ),
  presets: Type.Optional(
    object(
      {
        include: Type.Optional(
          Type.Array(Type.String({ minLength: 1, maxLength: 22, pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$' }), {
            description: 'Presets that become ExportScripts owned by this plugin.',
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
    oneOf(['Same', 'All'], 'Namespaces whose ExportScripts may refer to this plugin.', 'Same'),
  ),
});

/** The whole resource as a manifest has it; `status` is the operator's and is not read from manifests. */
export const otelPluginSchema = object({
  apiVersion: Type.Literal(API_VERSION),
  kind: Type.Literal('OtelPlugin'),
  metadata: metadata(40),
  spec,
  status: Type.Optional(Type.Unknown()),
});

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
const NO_ENDPOINT: readonly DestinationType[] = ['Prometheus', 'Console'];

const headersOf = (value: OtelPluginSpec) => value.destination.headers ?? [];
const members = (value: object): number => Object.values(value).filter((member) => member !== undefined).length;

const RESERVED_LIST = [...RESERVED_HEADERS].map((name) => `'${name}'`).join(', ');

export const otelPluginRules: readonly Rule<OtelPluginSpec>[] = [
  {
    path: '/spec/destination',
    cel: "self.type in ['Prometheus', 'Console'] || has(self.endpoint)",
    message: 'endpoint is required for this type',
    holds: ({ destination: d }) => NO_ENDPOINT.includes(d.type) || d.endpoint !== undefined,
  },
  {
    path: '/spec/destination/endpoint',
    cel: "!self.contains('@')",
    message: 'endpoint must not carry user information; use auth',
    holds: ({ destination: d }) => !(d.endpoint ?? '').includes('@'),
  },
  {
    path: '/spec/destination',
    cel: "self.type != 'OTLPGRPC' || !has(self.endpoint) || self.endpoint.matches('^(https?://)?(\\\\[[0-9a-fA-F:.]+\\\\]|[^:/?#\\\\[\\\\]]+):[0-9]{1,5}/?$')",
    message: 'endpoint of OTLPGRPC is host:port, e.g. otel-collector.default.svc.cluster.local:4317',
    holds: ({ destination: d }) =>
      d.type !== 'OTLPGRPC' ||
      d.endpoint === undefined ||
      /^(https?:\/\/)?(\[[0-9a-fA-F:.]+\]|[^:/?#[\]]+):[0-9]{1,5}\/?$/.test(d.endpoint),
  },
  {
    path: '/spec/destination',
    cel: '!has(self.headers) || self.headers.all(h, has(h.value) != has(h.valueFrom))',
    message: 'each header has exactly one of value and valueFrom',
    holds: (s) => headersOf(s).every((h) => (h.value === undefined) !== (h.valueFrom === undefined)),
  },
  {
    path: '/spec/destination',
    cel: '!has(self.headers) || self.headers.all(h, self.headers.filter(o, o.name.lowerAscii() == h.name.lowerAscii()).size() == 1)',
    message: 'header names are unique, compared without case',
    holds: (s) => new Set(headersOf(s).map((h) => h.name.toLowerCase())).size === headersOf(s).length,
  },
  {
    path: '/spec/destination',
    cel: `!has(self.headers) || self.headers.all(h, !(h.name.lowerAscii() in [${RESERVED_LIST}]) && !h.name.lowerAscii().startsWith('grpc-'))`,
    message: 'this header is set by the transport and cannot be given',
    holds: (s) => headersOf(s).every((h) => !RESERVED_HEADERS.has(h.name.toLowerCase()) && !/^grpc-/i.test(h.name)),
  },
  {
    path: '/spec/destination',
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
    path: '/spec/destination',
    cel: "!has(self.timeout) || (duration(self.timeout) >= duration('1s') && duration(self.timeout) <= duration('60s'))",
    message: 'timeout is between 1s and 60s',
    holds: ({ destination: d }) => {
      const ms = parseDurationMs(d.timeout ?? '10s') ?? 0;
      return ms >= 1000 && ms <= 60_000;
    },
  },
];
