// What the receiver's file says, flat: one entry a data point or span, with the script that sent it.
import { pointsOf, type ReceivedPoint } from '../e2e/received.ts';

export interface Item {
  /** `namespace/name` of the ExportScript. */
  readonly script: string;
  readonly kind: 'gauge' | 'sum' | 'histogram' | 'summary' | 'span';
  /** Of the metric or span. */
  readonly name: string;
  /** Nanoseconds: start of the stream's interval, of the span; 0 where there is none. */
  readonly start: bigint;
  /** Nanoseconds: the row's `time_`. */
  readonly time: bigint;
  readonly value: number;
  readonly resource: ReadonlyMap<string, string>;
  readonly attributes: ReadonlyMap<string, string>;
  /** What no other item may share. */
  readonly identity: string;
  readonly traceId: string;
}

interface KeyValue {
  readonly key: string;
  readonly value: Readonly<Record<string, string | number | boolean>>;
}
interface Scope {
  readonly name?: string;
  readonly attributes?: readonly KeyValue[];
}
interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly name: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes?: readonly KeyValue[];
}
interface Request {
  readonly resourceMetrics?: readonly {
    readonly resource?: object;
    readonly scopeMetrics?: readonly { readonly scope?: Scope }[];
  }[];
  readonly resourceSpans?: readonly {
    readonly resource?: { readonly attributes?: readonly KeyValue[] };
    readonly scopeSpans?: readonly { readonly scope?: Scope; readonly spans?: readonly Span[] }[];
  }[];
}

const mapOf = (pairs: readonly KeyValue[] = []): Map<string, string> =>
  new Map(pairs.map(({ key, value }) => [key, String(Object.values(value)[0] ?? '')]));

const scriptOf = ({ name = '', attributes }: Scope = {}): string =>
  `${mapOf(attributes).get('script.namespace') ?? ''}/${name.replace(/^sluice\//, '')}`;

const textOf = (pairs: ReadonlyMap<string, string>): string =>
  JSON.stringify([...pairs].sort(([a], [b]) => (a < b ? -1 : 1)));

const DELTA = 1;

function ofPoint(script: string, received: ReceivedPoint): Item {
  const { metric, kind, resource, attributes, point, value, temporality } = received;
  const [start, time] = [BigInt(point.startTimeUnixNano ?? 0), BigInt(point.timeUnixNano ?? 0)];
  // two deltas of one stream from the same start are the same window, whatever they say
  const moment = temporality === DELTA ? `from ${start}` : `at ${time}`;
  const identity = `${script} ${metric} ${textOf(resource)} ${textOf(attributes)} ${moment}`;
  return { script, kind, name: metric, start, time, value, resource, attributes, identity, traceId: '' };
}

const itemsOfRequest = (request: Request): Item[] => [
  ...(request.resourceMetrics ?? []).flatMap(({ resource, scopeMetrics = [] }) =>
    scopeMetrics.flatMap((scope) =>
      pointsOf([{ resourceMetrics: [{ resource, scopeMetrics: [scope] }] }]).map((point) =>
        ofPoint(scriptOf(scope.scope), point),
      ),
    ),
  ),
  ...(request.resourceSpans ?? []).flatMap(({ resource, scopeSpans = [] }) =>
    scopeSpans.flatMap(({ scope, spans = [] }) =>
      spans.map((span): Item => {
        const script = scriptOf(scope);
        return {
          script,
          kind: 'span',
          name: span.name,
          start: BigInt(span.startTimeUnixNano),
          time: BigInt(span.endTimeUnixNano),
          value: 1,
          resource: mapOf(resource?.attributes),
          attributes: mapOf(span.attributes),
          identity: `${script} ${span.traceId} ${span.spanId}`,
          traceId: span.traceId,
        };
      }),
    ),
  ),
];

/** Items of requests, each request read once: `requests` only ever grows. */
export function itemReader(requests: () => readonly unknown[]): () => readonly Item[] {
  const items: Item[] = [];
  let read = 0;
  return () => {
    const now = requests();
    for (; read < now.length; read++) items.push(...itemsOfRequest(now[read] as Request));
    return items;
  };
}

const MS = 1_000_000n;

/** Data points and spans of a script by window (start in milliseconds): what `status.history` counts. */
export function arrivedByWindow(
  items: readonly Item[],
  script: string,
  windowMs: number,
): Map<number, { metrics: number; spans: number }> {
  const found = new Map<number, { metrics: number; spans: number }>();
  for (const item of items) {
    if (item.script !== script) continue;
    const start = Math.floor(Number(item.time / MS) / windowMs) * windowMs;
    const window = found.get(start) ?? { metrics: 0, spans: 0 };
    found.set(start, window);
    if (item.kind === 'span') window.spans++;
    else window.metrics++;
  }
  return found;
}

/** Items that came more than once, by identity, with the window they are of; none is right. */
export function duplicatesOf(items: readonly Item[]): Item[] {
  const seen = new Set<string>();
  return items.filter(({ identity }) => {
    if (seen.has(identity)) return true;
    seen.add(identity);
    return false;
  });
}
