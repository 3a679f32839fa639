// OtelPlugins and ExportScripts of the tests.
import { GRID_MS } from './shops.ts';

export interface PluginOptions {
  readonly name: string;
  readonly namespace: string;
  readonly endpoint?: string;
  /** Of `spec`. */
  readonly more?: object;
  /** Of `spec.destination`. */
  readonly destination?: object;
}

export const ENDPOINT = 'otel-collector.default.svc.cluster.local:4317';

export const plugin = ({ name, namespace, endpoint = ENDPOINT, more, destination }: PluginOptions): object => ({
  apiVersion: 'sluice.dev/v1alpha1',
  kind: 'OtelPlugin',
  metadata: { name, namespace },
  spec: {
    destination: { type: 'OTLPGRPC', endpoint, tls: { mode: 'Plaintext' }, timeout: '5s', ...destination },
    ...more,
  },
});

export interface ScriptOptions {
  readonly name: string;
  readonly namespace: string;
  readonly plugin: string;
  readonly window?: string;
  readonly text: string;
}

const SHORT = `${GRID_MS / 1000}s`;

export const script = ({ name, namespace, plugin: pluginName, window = SHORT, text }: ScriptOptions): object => ({
  apiVersion: 'sluice.dev/v1alpha1',
  kind: 'ExportScript',
  metadata: { name, namespace },
  spec: { pluginRef: { name: pluginName }, window, script: { inline: text } },
});

const SERVER_ROWS = `import px
df = px.DataFrame('http_events', start_time=px.plugin.start_time, end_time=px.plugin.end_time)
df = df[df.trace_role == 2]
df.service = df.ctx['service']
df.pod = df.ctx['pod']
df.namespace = df.ctx['namespace']
df.node = df.ctx['node']
`;
const RESOURCE = `{'service.name': df.service, 'k8s.pod.name': df.pod, 'k8s.namespace.name': df.namespace, 'k8s.node.name': df.node}`;

/** A delta sum of answers by path and status, for each pod. */
export const COUNTS = `${SERVER_ROWS}
df = df.groupby(['service', 'pod', 'namespace', 'node', 'req_method', 'req_path', 'resp_status']).agg(
    n=('latency', px.count), time_=('time_', px.max))
px.export(df, px.otel.Data(
    resource=${RESOURCE},
    data=[px.otel.metric.Sum(name='requests', value=df.n,
        attributes={'method': df.req_method, 'path': df.req_path, 'status': df.resp_status})]))
`;

/** A gauge for each pod, and a span for each answer. */
export const GAUGES_AND_SPANS = `${SERVER_ROWS}
df.name = df.req_method + ' ' + df.req_path
df.begin = df.time_ - df.latency
px.export(df, px.otel.Data(
    resource=${RESOURCE},
    data=[px.otel.trace.Span(name=df.name, start_time=df.begin, end_time=df.time_,
        attributes={'method': df.req_method, 'path': df.req_path, 'status': df.resp_status})]))
df = df.groupby(['service', 'pod', 'namespace', 'node']).agg(slowest=('latency', px.max), time_=('time_', px.max))
px.export(df, px.otel.Data(
    resource=${RESOURCE},
    data=[px.otel.metric.Gauge(name='slowest', value=df.slowest, unit='ns')]))
`;
