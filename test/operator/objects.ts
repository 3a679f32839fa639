// OtelPlugins, ExportScripts and what they refer to, written short; and what the tests read of them.
import type { KubeObject } from '../../src/kube/types.ts';
import type { Condition, ExportScriptStatus, OtelPluginStatus } from '../../src/crds/status.ts';

export interface ScriptObject extends KubeObject {
  readonly spec: Readonly<Record<string, unknown>>;
  readonly status?: ExportScriptStatus;
}
export interface PluginObject extends KubeObject {
  readonly spec: Readonly<Record<string, unknown>>;
  readonly status?: OtelPluginStatus;
}

const API_VERSION = 'sluice.dev/v1alpha1';

export const plugin = (
  name: string,
  namespace: string,
  endpoint: string,
  more: object = {},
  spec: object = {},
): object => ({
  apiVersion: API_VERSION,
  kind: 'OtelPlugin',
  metadata: { name, namespace },
  spec: { destination: { type: 'OTLPGRPC', endpoint, tls: { mode: 'Plaintext' }, ...more }, ...spec },
});

/** Exports the number of each tick (live-node.ts) as a gauge, under `service`. */
export const tickScript = (service: string): string => `import px
df = px.DataFrame('http_events', start_time=px.plugin.start_time, end_time=px.plugin.end_time)
px.export(df, px.otel.Data(
  resource={'service.name': '${service}'},
  data=[px.otel.metric.Gauge(name='tick', value=df.latency, attributes={'path': df.req_path})]))
`;

/** `spec` is laid over the defaults of these tests: windows of a second. */
export const script = (name: string, namespace: string, pluginName: string, spec: object = {}): object => ({
  apiVersion: API_VERSION,
  kind: 'ExportScript',
  metadata: { name, namespace },
  spec: { pluginRef: { name: pluginName }, script: { inline: tickScript(name) }, window: '1s', ...spec },
});

export const secret = (name: string, namespace: string, data: Readonly<Record<string, string | Buffer>>): object => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name, namespace },
  data: Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')])),
});

export const configMap = (name: string, namespace: string, data: Readonly<Record<string, string>>): object => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace },
  data,
});

export const conditionOf = (object: ScriptObject | PluginObject | undefined, type: string): Condition | undefined =>
  object?.status?.conditions.find((one) => one.type === type);

/** All conditions as `Type=Status/Reason`, in a word each: what tables of tests compare. */
export const conditionsOf = (object: ScriptObject | PluginObject | undefined): string[] =>
  (object?.status?.conditions ?? []).map(({ type, status, reason }) => `${type}=${status}/${reason}`);
