// What an endpoint may look like, by destination type. The patterns are the same text in CEL (RE2) and here, and use only
// what both understand alike; a look at the parts of a URL would differ between Go and JavaScript.
import type { DestinationType } from '../model/destination.ts';
import { celString, type Rule } from './parts.ts';

/** The part of an OtelPlugin's spec that the rules look at. */
interface WithEndpoint {
  readonly destination: {
    readonly type: DestinationType;
    readonly endpoint?: string;
    readonly proxy?: { readonly url: string };
  };
}

const HOST = '(\\[[0-9a-fA-F:.]+\\]|[0-9A-Za-z]([-_.0-9A-Za-z]*[0-9A-Za-z])?)';
/** 1 to 65535. */
const PORT = '([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])';

/** `host:port`; a scheme says whether TLS is spoken, and wins over tls.mode. */
const HOST_PORT = `^(https?://)?${HOST}:${PORT}/?$`;
/** A path and a query of visible characters, no fragment; `@` may be in them, but not before (user information). */
const HTTP_URL = `^https?://${HOST}(:${PORT})?([/?][!"$-~]*)?$`;
const PROXY_URL = `^https?://${HOST}(:${PORT})?/?$`;

const URL_TYPES: readonly DestinationType[] = ['OTLPHTTP', 'PrometheusRemoteWrite', 'Zipkin'];
/** These are asked (Prometheus) or write to the log (Console). */
const WITHOUT_ENDPOINT: readonly DestinationType[] = ['Prometheus', 'Console'];
const list = (types: readonly string[]): string => `[${types.map((type) => `'${type}'`).join(', ')}]`;

export const endpointRules: readonly Rule<WithEndpoint>[] = [
  {
    path: '/spec/destination',
    field: 'endpoint',
    cel: `self.type in ${list(WITHOUT_ENDPOINT)} || has(self.endpoint)`,
    message: 'endpoint is required for this type',
    reason: 'FieldValueRequired',
    holds: ({ destination: d }) => WITHOUT_ENDPOINT.includes(d.type) || d.endpoint !== undefined,
  },
  {
    path: '/spec/destination',
    field: 'endpoint',
    cel: `!(self.type in ${list(WITHOUT_ENDPOINT)}) || !has(self.endpoint)`,
    message: 'endpoint means nothing for Prometheus and Console; remove it',
    reason: 'FieldValueForbidden',
    holds: ({ destination: d }) => !WITHOUT_ENDPOINT.includes(d.type) || d.endpoint === undefined,
  },
  {
    path: '/spec/destination',
    field: 'endpoint',
    cel: `!has(self.endpoint) || !self.endpoint.matches('^([A-Za-z][-+.0-9A-Za-z]*://)?[^/?#]*@')`,
    message: 'endpoint must not carry user information; use auth',
    reason: 'FieldValueForbidden',
    holds: ({ destination: d }) => !/^([A-Za-z][-+.0-9A-Za-z]*:\/\/)?[^/?#]*@/.test(d.endpoint ?? ''),
  },
  {
    path: '/spec/destination',
    field: 'endpoint',
    cel: `self.type != 'OTLPGRPC' || !has(self.endpoint) || self.endpoint.matches(${celString(HOST_PORT)})`,
    message: 'endpoint of OTLPGRPC is host:port, e.g. otel-collector.default.svc.cluster.local:4317',
    holds: ({ destination: d }) =>
      d.type !== 'OTLPGRPC' || d.endpoint === undefined || new RegExp(HOST_PORT).test(d.endpoint),
  },
  {
    path: '/spec/destination',
    field: 'endpoint',
    cel: `!(self.type in ${list(URL_TYPES)}) || !has(self.endpoint) || self.endpoint.matches(${celString(HTTP_URL)})`,
    message:
      'endpoint of this type is a URL with http or https and without a fragment, e.g. https://backend.example:4318',
    holds: ({ destination: d }) =>
      !URL_TYPES.includes(d.type) || d.endpoint === undefined || new RegExp(HTTP_URL).test(d.endpoint),
  },
  {
    path: '/spec/destination/proxy/url',
    cel: `self.matches(${celString(PROXY_URL)})`,
    message: 'proxy.url is http or https, host and port only, e.g. http://proxy.example:3128',
    holds: ({ destination: d }) => d.proxy === undefined || new RegExp(PROXY_URL).test(d.proxy.url),
  },
];
