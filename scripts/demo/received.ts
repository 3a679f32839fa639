// What a receiver got, read from OTLP/JSON lines (those of `sluice receive --format json` and of the Collector's file
// exporter are the same): the sum of request counts by window, and the latest points and spans for people to look at.

/** Field of an unknown JSON value; undefined where it has none. */
const at = (value: unknown, key: string): unknown =>
  typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
const list = (value: unknown, key: string): unknown[] => {
  const found = at(value, key);
  return Array.isArray(found) ? found : [];
};
const text = (value: unknown): string =>
  ['string', 'number', 'boolean'].includes(typeof value) ? `${value as string | number | boolean}` : '';

const attributesOf = (value: unknown): Map<string, string> =>
  new Map(
    list(value, 'attributes').map((pair) => {
      const any = at(pair, 'value');
      const shown = ['stringValue', 'intValue', 'doubleValue', 'boolValue'].map((kind) => at(any, kind));
      return [text(at(pair, 'key')), text(shown.find((found) => found !== undefined))];
    }),
  );

const labels = (attributes: Map<string, string>, names: readonly string[]): string =>
  names
    .map((name) => attributes.get(name) ?? '')
    .filter((part) => part !== '')
    .join(' ');

export interface Received {
  /** Requests of the service by the start of the window that exported them, in milliseconds since the epoch. */
  readonly requests: ReadonlyMap<number, number>;
  readonly metrics: readonly string[];
  readonly spans: readonly string[];
  readonly points: number;
  readonly firstPointMs: number | undefined;
  /** Takes one line of OTLP/JSON. */
  line(json: string): void;
}

const HISTOGRAM = 'http.server.request.duration';

/** `isShop` picks the process whose requests are summed, by its pod's name. */
export function collectReceived(isShop: (pod: string) => boolean): Received {
  const requests = new Map<number, number>();
  const metrics = new Map<string, string>();
  const spans: string[] = [];
  let points = 0;
  let firstPointMs: number | undefined;

  const readMetric = (pod: string, metric: unknown): void => {
    const name = text(at(metric, 'name'));
    for (const kind of ['gauge', 'sum', 'histogram', 'summary']) {
      for (const point of list(at(metric, kind), 'dataPoints')) {
        points++;
        firstPointMs ??= Date.now();
        const attributes = attributesOf(point);
        const count = Number(text(at(point, 'count')));
        if (name === HISTOGRAM && isShop(pod)) {
          const start = Number(BigInt(text(at(point, 'startTimeUnixNano')) || '0') / 1_000_000n);
          requests.set(start, (requests.get(start) ?? 0) + count);
        }
        if (!isShop(pod)) continue;
        const label = labels(attributes, ['http.request.method', 'http.route', 'http.response.status_code']);
        const value =
          kind === 'histogram' || kind === 'summary'
            ? `count ${count}, mean ${((Number(text(at(point, 'sum'))) / Math.max(1, count)) * 1000).toFixed(1)} ms`
            : text(at(point, 'asInt') ?? at(point, 'asDouble'));
        metrics.set(`${name} ${label}`, `${name.padEnd(30)} ${label.padEnd(30)} ${value}`);
      }
    }
  };

  return {
    requests,
    get metrics() {
      return [...metrics.values()].sort();
    },
    spans,
    get points() {
      return points;
    },
    get firstPointMs() {
      return firstPointMs;
    },
    line(json) {
      const request: unknown = JSON.parse(json);
      for (const resource of list(request, 'resourceMetrics')) {
        const pod = attributesOf(at(resource, 'resource')).get('k8s.pod.name') ?? '';
        for (const scope of list(resource, 'scopeMetrics')) {
          for (const metric of list(scope, 'metrics')) readMetric(pod, metric);
        }
      }
      for (const resource of list(request, 'resourceSpans')) {
        const pod = attributesOf(at(resource, 'resource')).get('k8s.pod.name') ?? '';
        for (const scope of list(resource, 'scopeSpans')) {
          for (const span of list(scope, 'spans')) {
            const ns = BigInt(text(at(span, 'endTimeUnixNano'))) - BigInt(text(at(span, 'startTimeUnixNano')));
            const status = attributesOf(span).get('http.response.status_code') ?? '';
            if (isShop(pod))
              spans.push(
                `${text(at(span, 'name')).padEnd(20)} ${(Number(ns) / 1e6).toFixed(1).padStart(7)} ms  ${status}  ${text(at(span, 'traceId'))}`,
              );
          }
        }
      }
      if (spans.length > 100) spans.splice(0, spans.length - 100);
    },
  };
}
