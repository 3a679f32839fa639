// Reading what a real Collector wrote, flat: one entry a data point.

interface AnyValue {
  readonly stringValue?: string;
  readonly intValue?: string | number;
  readonly doubleValue?: number;
  readonly boolValue?: boolean;
}
interface KeyValue {
  readonly key: string;
  readonly value: AnyValue;
}
interface Point {
  readonly attributes?: readonly KeyValue[];
  readonly startTimeUnixNano?: string;
  readonly timeUnixNano?: string;
  readonly asInt?: string;
  readonly asDouble?: number;
  readonly count?: string;
  readonly sum?: number;
  readonly bucketCounts?: readonly string[];
  readonly explicitBounds?: readonly number[];
}
interface Data {
  readonly dataPoints?: readonly Point[];
  readonly aggregationTemporality?: number;
  readonly isMonotonic?: boolean;
}
interface Metric {
  readonly name: string;
  readonly unit?: string;
  readonly gauge?: Data;
  readonly sum?: Data;
  readonly histogram?: Data;
  readonly summary?: Data;
}
interface ResourceMetrics {
  readonly resource?: { readonly attributes?: readonly KeyValue[] };
  readonly scopeMetrics?: readonly { readonly metrics?: readonly Metric[] }[];
}

export interface ReceivedPoint {
  readonly resource: ReadonlyMap<string, string>;
  readonly metric: string;
  readonly unit: string;
  readonly kind: 'gauge' | 'sum' | 'histogram' | 'summary';
  readonly temporality: number;
  readonly monotonic: boolean;
  readonly attributes: ReadonlyMap<string, string>;
  readonly point: Point;
  readonly value: number;
}

const mapOf = (pairs: readonly KeyValue[] = []): Map<string, string> =>
  new Map(
    pairs.map(({ key, value: v }) => [key, String(v.stringValue ?? v.intValue ?? v.doubleValue ?? v.boolValue ?? '')]),
  );

/** All metric data points in OTLP/JSON requests. */
export function pointsOf(requests: readonly unknown[]): ReceivedPoint[] {
  const found: ReceivedPoint[] = [];
  for (const request of requests as readonly { readonly resourceMetrics?: readonly ResourceMetrics[] }[]) {
    for (const { resource, scopeMetrics = [] } of request.resourceMetrics ?? []) {
      for (const metric of scopeMetrics.flatMap(({ metrics = [] }) => metrics)) {
        for (const kind of ['gauge', 'sum', 'histogram', 'summary'] as const) {
          const data = metric[kind];
          for (const point of data?.dataPoints ?? []) {
            found.push({
              resource: mapOf(resource?.attributes),
              metric: metric.name,
              unit: metric.unit ?? '',
              kind,
              temporality: data?.aggregationTemporality ?? 0,
              monotonic: data?.isMonotonic ?? false,
              attributes: mapOf(point.attributes),
              point,
              value: Number(point.asInt ?? point.asDouble ?? point.count ?? 0),
            });
          }
        }
      }
    }
  }
  return found;
}

/** Values of `metric` of `service`, added up by `path status`. */
export function countsOf(requests: readonly unknown[], metric: string, service: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const one of pointsOf(requests)) {
    if (one.metric !== metric || one.resource.get('service.name') !== service) continue;
    const label = `${one.attributes.get('path') ?? ''} ${one.attributes.get('status') ?? ''}`;
    counts.set(label, (counts.get(label) ?? 0) + one.value);
  }
  return counts;
}
