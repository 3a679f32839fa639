// `px.export(df, px.otel.Data(…))`: endpoint, data and resource are checked in this order, then the
// sink is added.
import type { MetricSpec, OtelExport, ScriptEndpoint, SpanSpec } from '../../plan/plan.ts';
import { isNone } from '../call.ts';
import { uniqueName } from '../builtins/sinks.ts';
import { type Bound, describe, type OtelData, type OtelEndpoint, type Session } from '../values.ts';
import { isInvalid, wantBool, wantFrame, wantInt, wantString } from '../wants.ts';
import { type Exported, plainAttributes, readAttributes } from './columns.ts';
import { readMetric } from './metrics.ts';
import { readSpan } from './spans.ts';

export function exportTo(session: Session, out: Bound, spec: Bound, at: number): void {
  const frame = wantFrame(session, out, "'out'");
  if (spec.value.kind !== 'otel-data') {
    if (!isInvalid(spec.value))
      session.diagnostics.report(
        'OTEL_BAD_SPEC',
        spec.at,
        `the second argument of px.export is ${describe(spec.value)}`,
        'pass px.otel.Data(resource={…}, data=[…])',
      );
    return;
  }
  if (frame === undefined) return;
  const exported: Exported = { session, frame };
  const endpoint = readEndpoint(session, spec.value);
  const { metrics, spans } = readData(exported, spec.value);
  const { resource, fanOut } = readResource(exported, spec.value, at);
  const otel: OtelExport = { resource, fanOut, metrics, spans, ...(endpoint !== undefined && { endpoint }) };
  session.sinks.push({ kind: 'otel', name: uniqueName(session, 'otel'), input: frame.operator, export: otel });
}

function readEndpoint(session: Session, data: OtelData): ScriptEndpoint | undefined {
  const { diagnostics } = session;
  const arg = data.args.get('endpoint');
  if (arg === undefined || isNone(arg.value)) {
    if (!session.hasDefaultEndpoint)
      diagnostics.report(
        'OTEL_NO_ENDPOINT',
        data.at,
        'there is nowhere to send to',
        "add endpoint=px.otel.Endpoint(url='host:4317'), or run it with a destination",
      );
    return undefined;
  }
  if (arg.value.kind !== 'otel-endpoint') {
    if (!isInvalid(arg.value))
      diagnostics.report(
        'OTEL_ENDPOINT_TYPE',
        arg.at,
        `endpoint is ${describe(arg.value)}`,
        "write px.otel.Endpoint(url='host:4317')",
      );
    return undefined;
  }
  if (session.forbidScriptEndpoint) {
    diagnostics.report(
      'OTEL_ENDPOINT_FORBIDDEN',
      arg.at,
      'scripts may not choose their own endpoint here',
      'leave it out; the OtelPlugin of the script says where to send',
    );
    return undefined;
  }
  return checkEndpoint(session, arg.value);
}

function checkEndpoint(session: Session, { args }: OtelEndpoint): ScriptEndpoint | undefined {
  const given = (name: string): Bound | undefined => {
    const arg = args.get(name);
    return arg === undefined || isNone(arg.value) ? undefined : arg;
  };
  const urlArg = args.get('url');
  const url = urlArg === undefined ? undefined : wantString(session, urlArg, 'endpoint.url', 'OTEL_ARG_KIND');
  const [insecureArg, timeoutArg] = [given('insecure'), given('timeout')];
  const insecure =
    insecureArg === undefined ? false : wantBool(session, insecureArg, 'endpoint.insecure', 'OTEL_ARG_KIND');
  const timeout = timeoutArg === undefined ? 5n : wantInt(session, timeoutArg, 'endpoint.timeout', 'OTEL_ARG_KIND');
  const headers = readHeaders(session, given('headers'));
  if (url === undefined || insecure === undefined || timeout === undefined || headers === undefined) return undefined;
  if (urlArg !== undefined && url.trim() === '') {
    session.diagnostics.report('OTEL_ARG_KIND', urlArg.at, 'endpoint.url is empty', "write url='host:4317'");
    return undefined;
  }
  const seconds = timeout <= 0n ? 0 : Number(timeout > 86_400n ? 86_400n : timeout);
  return { url, headers, insecure, timeoutMs: seconds * 1000 };
}

function readHeaders(session: Session, arg: Bound | undefined): ScriptEndpoint['headers'] | undefined {
  if (arg === undefined) return [];
  if (arg.value.kind !== 'dict') {
    if (!isInvalid(arg.value))
      session.diagnostics.report(
        'OTEL_HEADERS_TYPE',
        arg.at,
        `endpoint.headers is ${describe(arg.value)}`,
        "write {'name': 'value'}",
      );
    return undefined;
  }
  const headers = arg.value.entries.map(({ key, value }) => ({
    name: wantString(session, key, 'a name of endpoint.headers', 'OTEL_HEADERS_TYPE')?.toLowerCase(),
    value: wantString(session, value, 'a value of endpoint.headers', 'OTEL_HEADERS_TYPE'),
  }));
  return headers.every(
    (header): header is { name: string; value: string } => header.name !== undefined && header.value !== undefined,
  )
    ? headers
    : undefined;
}

function readData(exported: Exported, data: OtelData): { metrics: readonly MetricSpec[]; spans: readonly SpanSpec[] } {
  const { diagnostics } = exported.session;
  const metrics: MetricSpec[] = [];
  const spans: SpanSpec[] = [];
  const arg = data.args.get('data');
  if (arg === undefined) return { metrics, spans };
  if (arg.value.kind !== 'list' && arg.value.kind !== 'tuple') {
    if (!isInvalid(arg.value))
      diagnostics.report(
        'OTEL_DATA_TYPE',
        arg.at,
        `data is ${describe(arg.value)}, wanted a list`,
        'write data=[px.otel.metric.Gauge(…)]',
      );
    return { metrics, spans };
  }
  if (arg.value.items.length === 0)
    diagnostics.report('OTEL_DATA_EMPTY', arg.at, 'data is empty', 'add a metric or a span');
  arg.value.items.forEach(({ value, at }, i) => {
    const path = `data[${i}]`;
    if (value.kind !== 'otel-entry') {
      if (!isInvalid(value))
        diagnostics.report(
          'OTEL_DATA_ITEM',
          at,
          `${path} is ${describe(value)}`,
          'use px.otel.metric.Gauge, Sum, Histogram, Summary or px.otel.trace.Span',
        );
      return;
    }
    const metric = value.entry === 'Span' ? undefined : readMetric(exported, value, path);
    const span = value.entry === 'Span' ? readSpan(exported, value, path) : undefined;
    if (metric !== undefined) metrics.push(metric);
    if (span !== undefined) spans.push(span);
  });
  return { metrics, spans };
}

function readResource(exported: Exported, data: OtelData, at: number): Pick<OtelExport, 'resource' | 'fanOut'> {
  const arg = data.args.get('resource');
  const attributes = readAttributes(exported, arg, 'resource', 'OTEL_RESOURCE_TYPE');
  if (arg?.value.kind === 'dict' && !hasServiceName(arg)) {
    exported.session.diagnostics.report(
      'OTEL_NO_SERVICE_NAME',
      arg.at ?? at,
      "resource lacks 'service.name'",
      "add 'service.name': df.service, with df.service = df.ctx['service']",
    );
  }
  const fanOut = attributes.filter(
    (attribute) => attribute.field?.semanticType === 'ST_SERVICE_NAME' && attribute.field.type === 'STRING',
  );
  return { resource: plainAttributes(attributes), fanOut: fanOut.map((attribute) => attribute.key) };
}

/** Only the key is looked at, so that a wrong value is not reported twice. */
const hasServiceName = ({ value }: Bound): boolean =>
  value.kind === 'dict' &&
  value.entries.some(
    ({ key }) =>
      key.value.kind === 'expression' && key.value.draft.kind === 'literal' && key.value.draft.value === 'service.name',
  );
