// OTLP's messages as numbers and types, for decoding what arrives (and, in tests, what we send: it shares nothing with
// the encoder). Field numbers: opentelemetry-proto 1.11, opentelemetry/proto/{common,resource,metrics,trace,logs,collector}.
import protobuf from 'protobufjs/light.js';
import type { Signal } from '../sender.ts';

/** `name: 'number type'`; a leading `*` makes it repeated, a leading `?` gives it presence. */
type Fields = Readonly<Record<string, string>>;

const NUMBER_POINT: Fields = {
  startTimeUnixNano: '2 fixed64',
  timeUnixNano: '3 fixed64',
  asDouble: '4 double',
  exemplars: '5 *Exemplar',
  asInt: '6 sfixed64',
  attributes: '7 *KeyValue',
  flags: '8 uint32',
};

const MESSAGES: Readonly<Record<string, Fields>> = {
  AnyValue: {
    stringValue: '1 string',
    boolValue: '2 bool',
    intValue: '3 int64',
    doubleValue: '4 double',
    arrayValue: '5 ArrayValue',
    kvlistValue: '6 KeyValueList',
    bytesValue: '7 bytes',
  },
  ArrayValue: { values: '1 *AnyValue' },
  KeyValueList: { values: '1 *KeyValue' },
  KeyValue: { key: '1 string', value: '2 AnyValue' },
  InstrumentationScope: {
    name: '1 string',
    version: '2 string',
    attributes: '3 *KeyValue',
    droppedAttributesCount: '4 uint32',
  },
  Resource: { attributes: '1 *KeyValue', droppedAttributesCount: '2 uint32' },

  ExportMetricsServiceRequest: { resourceMetrics: '1 *ResourceMetrics' },
  ResourceMetrics: { resource: '1 Resource', scopeMetrics: '2 *ScopeMetrics', schemaUrl: '3 string' },
  ScopeMetrics: { scope: '1 InstrumentationScope', metrics: '2 *Metric', schemaUrl: '3 string' },
  Metric: {
    name: '1 string',
    description: '2 string',
    unit: '3 string',
    gauge: '5 Gauge',
    sum: '7 Sum',
    histogram: '9 Histogram',
    exponentialHistogram: '10 ExponentialHistogram',
    summary: '11 Summary',
    metadata: '12 *KeyValue',
  },
  Gauge: { dataPoints: '1 *NumberDataPoint' },
  Sum: { dataPoints: '1 *NumberDataPoint', aggregationTemporality: '2 uint32', isMonotonic: '3 bool' },
  Histogram: { dataPoints: '1 *HistogramDataPoint', aggregationTemporality: '2 uint32' },
  ExponentialHistogram: { dataPoints: '1 *ExponentialHistogramDataPoint', aggregationTemporality: '2 uint32' },
  Summary: { dataPoints: '1 *SummaryDataPoint' },
  NumberDataPoint: NUMBER_POINT,
  HistogramDataPoint: {
    startTimeUnixNano: '2 fixed64',
    timeUnixNano: '3 fixed64',
    count: '4 fixed64',
    sum: '5 ?double',
    bucketCounts: '6 *fixed64',
    explicitBounds: '7 *double',
    exemplars: '8 *Exemplar',
    attributes: '9 *KeyValue',
    flags: '10 uint32',
    min: '11 ?double',
    max: '12 ?double',
  },
  ExponentialHistogramDataPoint: {
    attributes: '1 *KeyValue',
    startTimeUnixNano: '2 fixed64',
    timeUnixNano: '3 fixed64',
    count: '4 fixed64',
    sum: '5 ?double',
    scale: '6 sint32',
    zeroCount: '7 fixed64',
    positive: '8 Buckets',
    negative: '9 Buckets',
    flags: '10 uint32',
    exemplars: '11 *Exemplar',
    min: '12 ?double',
    max: '13 ?double',
    zeroThreshold: '14 double',
  },
  Buckets: { offset: '1 sint32', bucketCounts: '2 *uint64' },
  SummaryDataPoint: {
    startTimeUnixNano: '2 fixed64',
    timeUnixNano: '3 fixed64',
    count: '4 fixed64',
    sum: '5 double',
    quantileValues: '6 *ValueAtQuantile',
    attributes: '7 *KeyValue',
    flags: '8 uint32',
  },
  ValueAtQuantile: { quantile: '1 double', value: '2 double' },
  Exemplar: {
    timeUnixNano: '2 fixed64',
    asDouble: '3 double',
    spanId: '4 bytes',
    traceId: '5 bytes',
    asInt: '6 sfixed64',
    filteredAttributes: '7 *KeyValue',
  },

  ExportTraceServiceRequest: { resourceSpans: '1 *ResourceSpans' },
  ResourceSpans: { resource: '1 Resource', scopeSpans: '2 *ScopeSpans', schemaUrl: '3 string' },
  ScopeSpans: { scope: '1 InstrumentationScope', spans: '2 *Span', schemaUrl: '3 string' },
  Span: {
    traceId: '1 bytes',
    spanId: '2 bytes',
    traceState: '3 string',
    parentSpanId: '4 bytes',
    name: '5 string',
    kind: '6 uint32',
    startTimeUnixNano: '7 fixed64',
    endTimeUnixNano: '8 fixed64',
    attributes: '9 *KeyValue',
    droppedAttributesCount: '10 uint32',
    events: '11 *SpanEvent',
    droppedEventsCount: '12 uint32',
    links: '13 *SpanLink',
    droppedLinksCount: '14 uint32',
    status: '15 SpanStatus',
    flags: '16 fixed32',
  },
  SpanEvent: {
    timeUnixNano: '1 fixed64',
    name: '2 string',
    attributes: '3 *KeyValue',
    droppedAttributesCount: '4 uint32',
  },
  SpanLink: {
    traceId: '1 bytes',
    spanId: '2 bytes',
    traceState: '3 string',
    attributes: '4 *KeyValue',
    droppedAttributesCount: '5 uint32',
    flags: '6 fixed32',
  },
  SpanStatus: { message: '2 string', code: '3 uint32' },

  ExportLogsServiceRequest: { resourceLogs: '1 *ResourceLogs' },
  ResourceLogs: { resource: '1 Resource', scopeLogs: '2 *ScopeLogs', schemaUrl: '3 string' },
  ScopeLogs: { scope: '1 InstrumentationScope', logRecords: '2 *LogRecord', schemaUrl: '3 string' },
  LogRecord: {
    timeUnixNano: '1 fixed64',
    severityNumber: '2 uint32',
    severityText: '3 string',
    body: '5 AnyValue',
    attributes: '6 *KeyValue',
    droppedAttributesCount: '7 uint32',
    flags: '8 fixed32',
    traceId: '9 bytes',
    spanId: '10 bytes',
    observedTimeUnixNano: '11 fixed64',
    eventName: '12 string',
  },

  ExportMetricsServiceResponse: { partialSuccess: '1 MetricsPartialSuccess' },
  MetricsPartialSuccess: { rejected: '1 int64', errorMessage: '2 string' },

  // google.rpc, in the trailer grpc-status-details-bin and in HTTP error bodies.
  RpcStatus: { code: '1 int32', message: '2 string', details: '3 *RpcAny' },
  RpcAny: { typeUrl: '1 string', value: '2 bytes' },
  RetryInfo: { retryDelay: '1 Duration' },
  Duration: { seconds: '1 int64', nanos: '2 int32' },
};

/** Fields of a oneof keep the presence that proto3 takes from other scalars. */
const ONEOFS: Readonly<Record<string, Readonly<Record<string, string[]>>>> = {
  AnyValue: {
    value: ['stringValue', 'boolValue', 'intValue', 'doubleValue', 'arrayValue', 'kvlistValue', 'bytesValue'],
  },
  NumberDataPoint: { value: ['asDouble', 'asInt'] },
  Exemplar: { value: ['asDouble', 'asInt'] },
  Metric: { data: ['gauge', 'sum', 'histogram', 'exponentialHistogram', 'summary'] },
};

function fieldOf(text: string): protobuf.IField {
  const [number = '', mark = ''] = text.split(' ');
  const type = mark.replace(/^[*?]/, '');
  return {
    id: Number(number),
    type,
    ...(mark.startsWith('*') ? { rule: 'repeated' } : {}),
    ...(mark.startsWith('?') ? { options: { proto3_optional: true } } : {}),
  };
}

function describe(name: string, fields: Fields): protobuf.IType {
  const oneofs = Object.entries(ONEOFS[name] ?? {}).map(([oneof, members]) => [oneof, { oneof: members }] as const);
  return {
    fields: Object.fromEntries(Object.entries(fields).map(([field, text]) => [field, fieldOf(text)])),
    oneofs: Object.fromEntries(oneofs),
  };
}

const root = protobuf.Root.fromJSON({
  nested: Object.fromEntries(Object.entries(MESSAGES).map(([name, fields]) => [name, describe(name, fields)])),
}).resolveAll();

/** A message type by name, e.g. `RpcStatus`. */
export const messageType = (name: string): protobuf.Type => root.lookupType(name);

export interface SignalProtocol {
  readonly request: protobuf.Type;
  /** The gRPC method; a request to another path is another signal's. */
  readonly method: string;
  /** Under the base URL of OTLP/HTTP. */
  readonly httpPath: string;
  /** The one field of the request. */
  readonly rootField: 'resourceMetrics' | 'resourceSpans' | 'resourceLogs';
}

export const PROTOCOLS: Readonly<Record<Signal, SignalProtocol>> = {
  metrics: {
    request: messageType('ExportMetricsServiceRequest'),
    method: '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export',
    httpPath: '/v1/metrics',
    rootField: 'resourceMetrics',
  },
  traces: {
    request: messageType('ExportTraceServiceRequest'),
    method: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
    httpPath: '/v1/traces',
    rootField: 'resourceSpans',
  },
  logs: {
    request: messageType('ExportLogsServiceRequest'),
    method: '/opentelemetry.proto.collector.logs.v1.LogsService/Export',
    httpPath: '/v1/logs',
    rootField: 'resourceLogs',
  },
};

/** Export…ServiceResponse is the same shape for all signals: partial_success = 1 { rejected_… = 1, error_message = 2 }. */
export const RESPONSE = messageType('ExportMetricsServiceResponse');
