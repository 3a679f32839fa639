// Telemetry batches -> OTLP requests: one Resource per distinct resource, one Metric per identity, points inside. The
// same batches give the same bytes. https://github.com/open-telemetry/opentelemetry-proto, opentelemetry/proto/**
import type { Attribute, Scope, TelemetryBatch } from '../../telemetry/batches.ts';
import type { EncodedRequest, ItemCounts, Signal } from '../sender.ts';
import { withoutDuplicates } from './duplicates.ts';
import { encodeItems, metricEnvelope } from './items.ts';
import { bytesField, concat, textField } from './protobuf.ts';
import { packRequests, type Leaf, type ResourceNode, type ScopeNode } from './requests.ts';
import { encodeResources, groupRows } from './rows.ts';

/** Below the 4 MiB that many deployed receivers take at most. */
export const REQUEST_BYTES_MAX = 3_670_016;
export const REQUEST_ITEMS_MAX = 8192;
/** All items of one call together, in memory twice while requests are written. */
export const TOTAL_BYTES_MAX = 512 * 2 ** 20;

export interface EncodeOptions {
  /** Of the destination; they replace the script's own of the same key. */
  readonly resourceAttributes?: Readonly<Record<string, string>>;
  /** Before compression. Default 3.5 MiB. */
  readonly requestBytesMax?: number;
  /** Data points, spans or log records. Default 8192. */
  readonly requestItemsMax?: number;
  readonly totalBytesMax?: number;
}

export interface EncodedTelemetry {
  /** Metrics, then traces, then logs. */
  readonly requests: readonly EncodedRequest[];
  /** Items that are not in `requests`, because each alone is larger than a request may be. */
  readonly oversize: ItemCounts;
  /** Points that a later point of the same stream, start and time replaced. */
  readonly duplicatePoints: number;
}

const SIGNALS: readonly Signal[] = ['metrics', 'traces', 'logs'];

export const countsOf = (signal: Signal, items: number): ItemCounts => ({
  metricPoints: signal === 'metrics' ? items : 0,
  spans: signal === 'traces' ? items : 0,
  logs: signal === 'logs' ? items : 0,
});

/**
 * Encodes all batches of a run. No rows give no requests.
 * @throws TooMuchTelemetry (items.ts) where the rows encode to more than `totalBytesMax`.
 */
export function encodeOtlp(batches: readonly TelemetryBatch[], options: EncodeOptions = {}): EncodedTelemetry {
  const limits = {
    bytesMax: options.requestBytesMax ?? REQUEST_BYTES_MAX,
    itemsMax: options.requestItemsMax ?? REQUEST_ITEMS_MAX,
  };
  const orders = keyOrders();
  const totalBytesMax = options.totalBytesMax ?? TOTAL_BYTES_MAX;
  let totalBytes = 0;
  const requests: EncodedRequest[] = [];
  const oversize = { metricPoints: 0, spans: 0, logs: 0 };
  let duplicatePoints = 0;

  for (const signal of SIGNALS) {
    const resources = new Map<string, ResourceNode>();
    let dropped = 0;
    for (const batch of batches) {
      if (batch.signal !== signal || batch.length === 0) continue;
      const resource = orders(withOverrides(batch.resource, options.resourceAttributes ?? {}));
      const groups = groupRows(resource, batch.length);
      const itemLimits = { itemBytesMax: limits.bytesMax, usedBytes: totalBytes, totalBytesMax };
      const items = encodeItems(batch, orders(batch.attributes), groups, itemLimits);
      totalBytes += items.bytes.length;
      dropped += items.oversize;
      const scope = encodeScope(batch.scope);
      const envelope = batch.signal === 'metrics' ? metricEnvelope(batch) : undefined;
      encodeResources(resource, groups).forEach((content, group) => {
        const leaf = leafOf(resources, content, scope, envelope);
        for (const range of filledRanges(items.starts, groups.starts[group] ?? 0, groups.starts[group + 1] ?? 0)) {
          leaf.ranges.push({ items, ...range });
        }
      });
    }
    if (signal === 'metrics') duplicatePoints += removeDuplicates(resources);
    const packed = packRequests(resources.values(), limits);
    for (const { bytes, items } of packed.requests) requests.push({ signal, bytes, ...countsOf(signal, items) });
    const lost = countsOf(signal, dropped + packed.oversize);
    oversize.metricPoints += lost.metricPoints;
    oversize.spans += lost.spans;
    oversize.logs += lost.logs;
  }
  return { requests, oversize, duplicatePoints };
}

/** The runs of items in `[from, to)` that have bytes: oversize ones have none. */
function filledRanges(starts: Int32Array, from: number, to: number): { from: number; to: number }[] {
  const ranges: { from: number; to: number }[] = [];
  let begin = from;
  for (let p = from; p < to; p++) {
    if (starts[p] !== starts[p + 1]) continue;
    if (p > begin) ranges.push({ from: begin, to: p });
    begin = p + 1;
  }
  if (to > begin) ranges.push({ from: begin, to });
  return ranges;
}

function removeDuplicates(resources: ReadonlyMap<string, ResourceNode>): number {
  let count = 0;
  for (const resource of resources.values()) {
    for (const scope of resource.scopes.values()) {
      for (const leaf of scope.leaves.values()) {
        const { ranges, duplicates } = withoutDuplicates(leaf.ranges);
        leaf.ranges = ranges;
        count += duplicates;
      }
    }
  }
  return count;
}

function leafOf(
  resources: Map<string, ResourceNode>,
  resource: Uint8Array,
  scope: Uint8Array,
  metric: Leaf['metric'],
): Leaf {
  const resourceNode = entry(resources, keyOf(resource), () => ({ resource, scopes: new Map<string, ScopeNode>() }));
  const scopeNode = entry(resourceNode.scopes, keyOf(scope), () => ({ scope, leaves: new Map<string, Leaf>() }));
  const metricKey = metric === undefined ? '' : `${metric.dataField}:${keyOf(metric.tail)}:${keyOf(metric.head)}`;
  return entry(scopeNode.leaves, metricKey, () => ({ metric, ranges: [] }));
}

const keyOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');

function entry<Value>(map: Map<string, Value>, key: string, make: () => Value): Value {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
}

/** InstrumentationScope: name = 1, version = 2, attributes = 3 (KeyValue: key = 1, value = 2 AnyValue.string_value = 1). */
function encodeScope({ name, version, attributes }: Scope): Uint8Array {
  const keyValue = (key: string, value: string): Uint8Array => {
    const text = value === '' ? Uint8Array.of(0x0a, 0) : textField(1, value);
    return bytesField(3, concat([textField(1, key), bytesField(2, text)]));
  };
  return concat([
    textField(1, name),
    textField(2, version),
    ...attributes.map(({ key, value }) => keyValue(key, value)),
  ]);
}

function withOverrides(own: readonly Attribute[], overrides: Readonly<Record<string, string>>): readonly Attribute[] {
  const forced = Object.entries(overrides);
  if (forced.length === 0) return own;
  return [
    ...own.filter(({ key }) => !Object.hasOwn(overrides, key)),
    ...forced.map(([key, value]): Attribute => ({ key, value: { kind: 'literal', value } })),
  ];
}

/**
 * Attributes are a set, but bytes have an order. All lists with the same keys get the order of the first such list, so
 * that equal sets have equal bytes and a script's own order stays.
 */
function keyOrders(): (attributes: readonly Attribute[]) => readonly Attribute[] {
  const known = new Map<string, readonly string[]>();
  return (attributes) => {
    const keys = attributes.map(({ key }) => key);
    const set = JSON.stringify(keys.toSorted());
    const order = known.get(set);
    if (order === undefined) {
      known.set(set, keys);
      return attributes;
    }
    return attributes.toSorted((a, b) => order.indexOf(a.key) - order.indexOf(b.key));
  };
}
