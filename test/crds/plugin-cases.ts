// Every bound, enum value and rule of an OtelPlugin, accepted and refused.
import {
  at,
  bound,
  durations,
  keyRefs,
  LABELS,
  lengths,
  manifestOf,
  objectNames,
  pattern,
  rule,
  withAt,
  words,
  type Case,
  type Spec,
} from './case.ts';

const KIND = 'OtelPlugin';
const secretKeyRef = { name: 'backend', key: 'token' };
const GRPC: Spec = { destination: { type: 'OTLPGRPC', endpoint: 'otel:4317' } };
const HTTP: Spec = { destination: { type: 'OTLPHTTP', endpoint: 'https://backend.example:4318' } };
const CONSOLE: Spec = { destination: { type: 'Console' } };
const withHeaders = (...headers: readonly object[]): Spec => withAt(GRPC, '/destination/headers', headers);
const withTls = (tls: object): Spec => withAt(GRPC, '/destination/tls', tls);
const withAuth = (auth: object): Spec => withAt(GRPC, '/destination/auth', auth);

const basic = { username: { secretKeyRef }, password: { secretKeyRef } };
const PROXY = withAt(GRPC, '/destination/proxy', { url: 'http://proxy:3128', noProxy: ['localhost'] });
const BASIC = withAuth({ basic });
const BEARER = withAuth({ bearer: { secretKeyRef } });
const CA_SECRET = withTls({ ca: { secretKeyRef } });
const CA_CONFIG_MAP = withTls({ ca: { configMapKeyRef: secretKeyRef } });
const CLIENT = withTls({ clientCertificate: { secretRef: { name: 'client' } } });
const HEADER = withHeaders({ name: 'api-key', valueFrom: { secretKeyRef } });

/** Two with everything that can be there at once. */
export const FULL_PLUGINS: readonly Spec[] = [
  {
    enabled: false,
    destination: {
      type: 'OTLPHTTP',
      endpoint: 'https://backend.example:4318/otlp',
      headers: [
        { name: 'x-scope', value: 'a' },
        { name: 'api-key', valueFrom: { secretKeyRef } },
      ],
      auth: { bearer: { secretKeyRef } },
      tls: {
        mode: 'TLS',
        ca: { secretKeyRef },
        clientCertificate: { secretRef: { name: 'client' } },
        serverName: 'backend',
        insecureSkipVerify: true,
      },
      proxy: { url: 'http://proxy:3128', noProxy: ['localhost'] },
      compression: 'none',
      timeout: '5s',
      temporality: 'cumulative',
    },
    resourceAttributes: { 'k8s.cluster.name': 'prod' },
    presets: { include: ['http-metrics'] },
    allowedNamespaces: 'All',
  },
  {
    destination: {
      type: 'OTLPGRPC',
      endpoint: 'otel:4317',
      auth: { basic },
      tls: { ca: { configMapKeyRef: { name: 'ca', key: 'ca.crt' } } },
    },
  },
];

const list = (count: number): string[] => Array.from({ length: count }, (_, i) => `p${i}`);
const entries = (count: number): Record<string, string> => Object.fromEntries(list(count).map((key) => [key, 'x']));
const headers = (count: number): object[] => list(count).map((name) => ({ name, value: 'x' }));
const enums = (pointer: string, good: readonly string[], bad: readonly string[]): Case[] =>
  bound(KIND, `${pointer} enum`, at(GRPC, pointer, ...good), at(GRPC, pointer, ...bad));
const name = (length: number, isAccepted: boolean): Case => ({
  title: `metadata.name: ${isAccepted ? 'takes' : 'refuses'} ${length} characters`,
  covers: 'metadata.name',
  manifest: manifestOf(KIND, GRPC, 'n'.repeat(length)),
  isAccepted,
});
const endpoints = (type: string, ...texts: readonly string[]): Spec[] =>
  texts.map((endpoint) => ({ destination: { type, endpoint } }));
const URL_TYPES = ['OTLPHTTP', 'PrometheusRemoteWrite', 'Zipkin'];
const RESERVED = words(
  'Content-Type content-encoding Content-Length HOST te Connection transfer-encoding User-Agent grpc-timeout GRPC-x',
);
const value = (header: string): object => ({ name: header, value: 'x' });

const BOUNDS: readonly Case[] = [
  name(40, true),
  name(41, false),
  ...bound(
    KIND,
    '/destination/type enum',
    [
      GRPC,
      HTTP,
      CONSOLE,
      { destination: { type: 'Prometheus' } },
      ...URL_TYPES.flatMap((type) => endpoints(type, 'https://backend.example')),
    ],
    at(GRPC, '/destination/type', 'OTLP', 'otlpgrpc', '', 'Jaeger'),
  ),
  ...bound(
    KIND,
    '/destination/endpoint maxLength',
    endpoints('OTLPHTTP', `https://h/${'a'.repeat(2038)}`),
    endpoints('OTLPHTTP', `https://h/${'a'.repeat(2039)}`),
  ),
  ...bound(KIND, '/destination/endpoint minLength', endpoints('OTLPGRPC', 'h:1'), endpoints('OTLPGRPC', '')),
  ...bound(KIND, '/destination/headers maxItems', at(GRPC, '/destination/headers', [], headers(32)), [
    withHeaders(...headers(33)),
  ]),
  ...bound(
    KIND,
    '/destination/headers map',
    [withHeaders(value('a'), value('b'))],
    [withHeaders(value('a'), value('a'))],
  ),
  ...pattern(
    KIND,
    HEADER,
    '/destination/headers/0/name',
    ['X-Api-Key', "!#$%&'*+.^_`|~0-9A"],
    ['a b', ':path', 'a:', 'ä', 'a/b', 'a\n'],
  ),
  ...lengths(KIND, HEADER, '/destination/headers/0/name', { min: 1, max: 128 }),
  ...bound(
    KIND,
    '/destination/headers/*/value pattern',
    [withHeaders({ name: 'a', value: '' }), withHeaders({ name: 'a', value: 'a ~!"' })],
    ['a\n', 'a\tb', 'ä', '\u007f', 'a\r\nb: c'].map((text) => withHeaders({ name: 'a', value: text })),
  ),
  ...lengths(KIND, withHeaders(value('a')), '/destination/headers/0/value', { max: 8192 }),
  ...keyRefs(KIND, HEADER, '/destination/headers/0/valueFrom/secretKeyRef'),
  ...keyRefs(KIND, BASIC, '/destination/auth/basic/username/secretKeyRef'),
  ...keyRefs(KIND, BASIC, '/destination/auth/basic/password/secretKeyRef'),
  ...keyRefs(KIND, BEARER, '/destination/auth/bearer/secretKeyRef'),
  ...enums('/destination/tls/mode', ['TLS', 'Plaintext'], ['tls', 'None', '']),
  ...keyRefs(KIND, CA_SECRET, '/destination/tls/ca/secretKeyRef'),
  ...keyRefs(KIND, CA_CONFIG_MAP, '/destination/tls/ca/configMapKeyRef'),
  ...objectNames(KIND, CLIENT, '/destination/tls/clientCertificate/secretRef/name'),
  ...lengths(KIND, GRPC, '/destination/tls/serverName', { min: 1, max: 253 }),
  ...bound(
    KIND,
    '/destination/proxy/url maxLength',
    at(PROXY, '/destination/proxy/url', `http://${'a'.repeat(2041)}`),
    at(PROXY, '/destination/proxy/url', `http://${'a'.repeat(2042)}`),
  ),
  ...bound(
    KIND,
    '/destination/proxy/url minLength',
    at(PROXY, '/destination/proxy/url', 'http://p'),
    at(PROXY, '/destination/proxy/url', ''),
  ),
  ...bound(
    KIND,
    '/destination/proxy/noProxy maxItems',
    at(PROXY, '/destination/proxy/noProxy', [], list(32)),
    at(PROXY, '/destination/proxy/noProxy', list(33)),
  ),
  ...bound(
    KIND,
    '/destination/proxy/noProxy set',
    at(PROXY, '/destination/proxy/noProxy', ['a', 'b']),
    at(PROXY, '/destination/proxy/noProxy', ['a', 'b', 'a']),
  ),
  ...lengths(KIND, PROXY, '/destination/proxy/noProxy/0', { min: 1, max: 253 }),
  ...enums('/destination/compression', ['gzip', 'none'], ['snappy', 'GZIP', '']),
  ...durations(KIND, GRPC, '/destination/timeout', ['1s', '1500ms', '60s', '1m']),
  ...enums('/destination/temporality', ['delta', 'cumulative'], ['Delta', 'lowmemory', '']),
  ...bound(
    KIND,
    '/resourceAttributes maxProperties',
    at(GRPC, '/resourceAttributes', {}, entries(32)),
    at(GRPC, '/resourceAttributes', entries(33)),
  ),
  ...lengths(KIND, GRPC, '/resourceAttributes/a', { max: 1024 }, 'ü'),
  ...bound(
    KIND,
    '/presets/include maxItems',
    at(GRPC, '/presets/include', [], list(32)),
    at(GRPC, '/presets/include', list(33)),
  ),
  ...bound(
    KIND,
    '/presets/include set',
    at(GRPC, '/presets/include', ['a', 'b']),
    at(GRPC, '/presets/include', ['a', 'a']),
  ),
  ...pattern(KIND, withAt(GRPC, '/presets/include', ['a']), '/presets/include/0', LABELS.good, LABELS.bad),
  ...lengths(KIND, withAt(GRPC, '/presets/include', ['a']), '/presets/include/0', { min: 1, max: 22 }),
  ...enums('/allowedNamespaces', ['Same', 'All'], ['same', 'None', '']),
];

const RULES: readonly Case[] = [
  ...rule(
    KIND,
    'endpoint is required for this type',
    [CONSOLE, { destination: { type: 'Prometheus' } }],
    ['OTLPGRPC', ...URL_TYPES].map((type) => ({ destination: { type } })),
  ),
  ...rule(
    KIND,
    'endpoint means nothing for Prometheus and Console; remove it',
    [CONSOLE],
    ['Prometheus', 'Console'].flatMap((type) => endpoints(type, 'h:1', 'https://h')),
  ),
  ...rule(
    KIND,
    'endpoint must not carry user information; use auth',
    [...endpoints('OTLPHTTP', 'https://h/a@b', 'https://h?user=a@b')],
    [
      ...endpoints('OTLPGRPC', 'me:pw@otel:4317', 'me@otel:4317', 'https://me@otel:4317'),
      ...endpoints('OTLPHTTP', 'https://me:pw@h', 'http://me@h/x', 'https://a@b@h'),
    ],
  ),
  ...rule(
    KIND,
    'endpoint of OTLPGRPC is host:port, e.g. otel-collector.default.svc.cluster.local:4317',
    endpoints(
      'OTLPGRPC',
      'otel:4317',
      '[::1]:4317',
      'https://h:1',
      'http://h:65535',
      'a_b.c:80',
      'h:4317/',
      '10.0.0.1:1',
    ),
    endpoints(
      'OTLPGRPC',
      ...words('otel otel: otel:0 otel:65536 otel:99999 otel:04317 :4317 otel:4317/x grpc://h:1 otel:4317?x h:1#f'),
      ...words('::1:4317 [::g]:1 -h:1 h-:1 hö:1 HTTP://h:1 h:1//'),
      'ho st:1',
      'h:1\n',
    ),
  ),
  ...rule(
    KIND,
    'endpoint of this type is a URL with http or https and without a fragment, e.g. https://backend.example:4318',
    URL_TYPES.flatMap((type) =>
      endpoints(type, 'http://h', 'https://h:4318/v1/metrics?x=1&y', 'https://[::1]:4318', 'https://h?x', 'https://h/'),
    ),
    URL_TYPES.flatMap((type) =>
      endpoints(
        type,
        ...words('h:4318 h ftp://h https:// https:///x https://h/#f https://h#f https://h:0 https://h: HTTPS://h'),
        ...words('https://h/ä https://-h'),
        'https://h/a b',
        'https://h\n',
        ' https://h',
      ),
    ),
  ),
  ...rule(
    KIND,
    'proxy.url is http or https, host and port only, e.g. http://proxy.example:3128',
    at(PROXY, '/destination/proxy/url', 'http://p', 'https://p:3128/'),
    at(
      PROXY,
      '/destination/proxy/url',
      'socks5://p',
      'http://u:p@p',
      'http://p/path',
      'p:3128',
      'http://p?x',
      'http://p:0',
    ),
  ),
  ...rule(
    KIND,
    'each header has exactly one of value and valueFrom',
    [HEADER, withHeaders(value('a'))],
    [withHeaders({ name: 'a' }), withHeaders({ name: 'a', value: 'x', valueFrom: { secretKeyRef } })],
  ),
  ...rule(
    KIND,
    'header names are unique, compared without case',
    [withHeaders(value('a'), value('b'))],
    [withHeaders(value('Api-Key'), value('api-key'))],
  ),
  ...rule(
    KIND,
    'a header of the transport cannot be given (content-*, host, te, connection, transfer-encoding, user-agent, grpc-*)',
    [withHeaders(value('content-language'), value('hosts'), value('x-grpc-y'), value('grpc'))],
    RESERVED.map((one) => withHeaders(value(one))),
  ),
  ...rule(
    KIND,
    'authorization must come from a Secret and excludes auth',
    [withHeaders({ name: 'Authorization', valueFrom: { secretKeyRef } })],
    [
      withHeaders(value('Authorization')),
      withAt(withHeaders({ name: 'authorization', valueFrom: { secretKeyRef } }), '/destination/auth', {
        bearer: { secretKeyRef },
      }),
    ],
  ),
  ...rule(
    KIND,
    'auth has exactly one of basic and bearer',
    [BASIC, BEARER],
    [withAuth({}), withAuth({ basic, bearer: { secretKeyRef } })],
  ),
  ...rule(
    KIND,
    'mode Plaintext excludes ca and clientCertificate',
    [withTls({ mode: 'Plaintext' }), CA_SECRET, CLIENT],
    [
      withAt(CA_SECRET, '/destination/tls/mode', 'Plaintext'),
      withAt(CLIENT, '/destination/tls/mode', 'Plaintext'),
      withAt(CA_CONFIG_MAP, '/destination/tls/mode', 'Plaintext'),
    ],
  ),
  ...rule(
    KIND,
    'ca has exactly one of secretKeyRef and configMapKeyRef',
    [CA_SECRET, CA_CONFIG_MAP],
    [withTls({ ca: {} }), withTls({ ca: { secretKeyRef, configMapKeyRef: secretKeyRef } })],
  ),
  ...rule(
    KIND,
    'timeout is between 1s and 60s',
    at(GRPC, '/destination/timeout', '1s', '60s', '1m', '1.5s'),
    at(GRPC, '/destination/timeout', '999ms', '0s', '60.001s', '9999999999999h'),
  ),
  ...rule(
    KIND,
    'names of resourceAttributes have 1 to 253 characters',
    at(GRPC, '/resourceAttributes', { ['n'.repeat(253)]: 'x' }),
    at(GRPC, '/resourceAttributes', { '': 'x' }, { ['n'.repeat(254)]: 'x' }),
  ),
];

export const PLUGIN_CASES: readonly Case[] = [...BOUNDS, ...RULES];
