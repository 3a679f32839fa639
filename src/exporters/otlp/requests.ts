// Packs a tree of resources, scopes and items into requests below the limits and writes each in one pass. A resource is
// split over two requests only if it does not fit into one.
import type { EncodedItems } from './items.ts';
import { bytesField, putVarint, tagOf, BYTES, varintSize } from './protobuf.ts';

/** Items `[from, to)` of a buffer. */
export interface ItemRange {
  readonly items: EncodedItems;
  readonly from: number;
  readonly to: number;
}

/** Items of one metric, or (no `metric`) the spans or log records of one scope. */
export interface Leaf {
  readonly metric: { readonly head: Uint8Array; readonly dataField: number; readonly tail: Uint8Array } | undefined;
  ranges: ItemRange[];
}

export interface ScopeNode {
  /** The content of InstrumentationScope. */
  readonly scope: Uint8Array;
  readonly leaves: Map<string, Leaf>;
}

export interface ResourceNode {
  /** The content of Resource. */
  readonly resource: Uint8Array;
  readonly scopes: Map<string, ScopeNode>;
}

export interface RequestLimits {
  readonly bytesMax: number;
  readonly itemsMax: number;
}

export interface PackedRequests {
  readonly requests: { readonly bytes: Uint8Array; readonly items: number }[];
  /** Items that exceed the limit alone. */
  readonly oversize: number;
}

/** A message: a fixed start, then either messages or items, then a fixed end. */
interface Message {
  readonly tag: number;
  readonly head: Uint8Array;
  readonly children: Message[];
  readonly ranges: ItemRange[];
  readonly tail: Uint8Array;
  size: number;
}

const NOTHING = new Uint8Array(0);
/** No tag and length of ours are longer. */
const FRAME_BYTES_MAX = 6;

const message = (tag: number, head: Uint8Array, tail: Uint8Array = NOTHING): Message => ({
  tag,
  head,
  children: [],
  ranges: [],
  tail,
  size: 0,
});

const rangeBytes = ({ items: { starts }, from, to }: ItemRange): number => (starts[to] ?? 0) - (starts[from] ?? 0);

function measure(node: Message): number {
  let size = node.head.length + node.tail.length;
  for (const range of node.ranges) size += rangeBytes(range);
  for (const child of node.children) {
    const content = measure(child);
    size += 1 + varintSize(content) + content;
  }
  node.size = size;
  return size;
}

function write(node: Message, out: Uint8Array, start: number): number {
  out.set(node.head, start);
  let at = start + node.head.length;
  for (const range of node.ranges) {
    const { bytes, starts } = range.items;
    const from = starts[range.from] ?? 0;
    out.set(bytes.subarray(from, from + rangeBytes(range)), at);
    at += rangeBytes(range);
  }
  for (const child of node.children) {
    out[at] = child.tag;
    at = write(child, out, putVarint(out, at + 1, child.size));
  }
  out.set(node.tail, at);
  return at + node.tail.length;
}

/** One request while it is filled. `bytes` is an upper bound of its size. */
function openRequest() {
  const root = message(0, NOTHING);
  let bytes = 0;
  let items = 0;
  const path: { key: unknown; node: Message }[] = [];
  const enter = (depth: number, key: unknown, make: () => Message): Message => {
    const open = path[depth];
    if (open !== undefined && open.key === key) return open.node;
    path.length = depth;
    const node = make();
    (path[depth - 1]?.node ?? root).children.push(node);
    path.push({ key, node });
    bytes += headerBytes(node);
    return node;
  };
  return {
    root,
    enter,
    isOpen: (depth: number, key: unknown) => path[depth]?.key === key,
    add: (node: Message, range: ItemRange) => {
      node.ranges.push(range);
      bytes += rangeBytes(range);
      items += range.to - range.from;
    },
    bytes: () => bytes,
    items: () => items,
  };
}

const headerBytes = (node: Message): number => node.head.length + node.tail.length + FRAME_BYTES_MAX;

const bytesOfLeaf = (leaf: Leaf): number => leaf.ranges.reduce((sum, range) => sum + rangeBytes(range), 0);
const itemsOfLeaf = (leaf: Leaf): number => leaf.ranges.reduce((sum, { from, to }) => sum + to - from, 0);

const leafHeader = ({ metric }: Leaf): number =>
  metric === undefined ? 0 : metric.head.length + metric.tail.length + 2 * FRAME_BYTES_MAX;
const scopeHeader = ({ scope }: ScopeNode): number => scope.length + 2 * FRAME_BYTES_MAX;
const resourceHeader = ({ resource }: ResourceNode): number => resource.length + 2 * FRAME_BYTES_MAX;

function extentOf(node: ResourceNode): { bytes: number; items: number } {
  let bytes = resourceHeader(node);
  let items = 0;
  for (const scope of node.scopes.values()) {
    bytes += scopeHeader(scope);
    for (const leaf of scope.leaves.values()) {
      bytes += leafHeader(leaf) + bytesOfLeaf(leaf);
      items += itemsOfLeaf(leaf);
    }
  }
  return { bytes, items };
}

/** How many items from `from` on fit into `bytes` and `items`. */
function fitting(range: ItemRange, from: number, bytes: number, items: number): number {
  const { starts } = range.items;
  const last = Math.min(range.to, from + items);
  const end = (starts[from] ?? 0) + bytes;
  if ((starts[last] ?? 0) <= end) return last - from;
  let low = from;
  let high = last;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if ((starts[middle] ?? 0) <= end) low = middle;
    else high = middle - 1;
  }
  return low - from;
}

/** Requests in the order of the tree; deterministic. No envelope in them is empty. */
export function packRequests(resources: Iterable<ResourceNode>, limits: RequestLimits): PackedRequests {
  const requests: { bytes: Uint8Array; items: number }[] = [];
  let oversize = 0;
  let current = openRequest();
  const flush = (): void => {
    if (current.items() > 0) {
      const out = new Uint8Array(measure(current.root));
      write(current.root, out, 0);
      requests.push({ bytes: out, items: current.items() });
    }
    current = openRequest();
  };

  const addRange = (resource: ResourceNode, scope: ScopeNode, leaf: Leaf, range: ItemRange): void => {
    let { from } = range;
    while (from < range.to) {
      const headers =
        (current.isOpen(0, resource) ? 0 : resourceHeader(resource)) +
        (current.isOpen(1, scope) ? 0 : scopeHeader(scope)) +
        (current.isOpen(2, leaf) ? 0 : leafHeader(leaf));
      const count = fitting(
        range,
        from,
        limits.bytesMax - current.bytes() - headers,
        limits.itemsMax - current.items(),
      );
      if (count > 0) {
        current.enter(0, resource, () => message(tagOf(1, BYTES), optionalField(resource.resource)));
        const inScope = current.enter(1, scope, () => message(tagOf(2, BYTES), optionalField(scope.scope)));
        const { metric } = leaf;
        let owner = inScope;
        if (metric !== undefined) {
          current.enter(2, leaf, () => message(tagOf(2, BYTES), metric.head));
          owner = current.enter(3, leaf, () => message(tagOf(metric.dataField, BYTES), NOTHING, metric.tail));
        }
        current.add(owner, { ...range, from, to: from + count });
        from += count;
      } else if (current.items() > 0) flush();
      else {
        oversize++;
        from++;
      }
    }
  };

  for (const resource of resources) {
    const whole = extentOf(resource);
    const isFitting = (bytes: number, items: number): boolean =>
      bytes + whole.bytes <= limits.bytesMax && items + whole.items <= limits.itemsMax;
    if (!isFitting(current.bytes(), current.items()) && isFitting(0, 0)) flush();
    for (const scope of resource.scopes.values()) {
      for (const leaf of scope.leaves.values()) {
        for (const range of leaf.ranges) addRange(resource, scope, leaf, range);
      }
    }
  }
  flush();
  return { requests, oversize };
}

/** Resource and InstrumentationScope are field 1 of their parents; left out where they say nothing. */
const optionalField = (content: Uint8Array): Uint8Array => (content.length === 0 ? NOTHING : bytesField(1, content));
