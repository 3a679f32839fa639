// Cuts an encoded request into two by its items, on the bytes alone: whoever holds a request that a server finds too
// large need not know what it was made from. Resources, scopes and metrics are repeated in both halves.
import type { EncodedRequest, Signal } from '../sender.ts';
import { countsOf } from './encode.ts';
import { BYTES, concat, FIXED32, FIXED64, putVarint, VARINT, varintSize } from './protobuf.ts';

/** Which fields lead to the items, level by level; the last level is the item itself. */
const PATHS: Readonly<Record<Signal, readonly (readonly number[])[]>> = {
  metrics: [[1], [2], [2], [5, 7, 9, 10, 11], [1]],
  traces: [[1], [2], [2]],
  logs: [[1], [2], [2]],
};

interface Field {
  readonly number: number;
  readonly wireType: number;
  readonly start: number;
  readonly end: number;
  /** Of length-delimited fields: where the content begins. */
  readonly content: number;
}

/** The fields of a message that we encoded ourselves. */
function* fieldsOf(bytes: Uint8Array): Generator<Field> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Error('truncated protobuf message');
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const start = at;
    const tag = varint();
    const wireType = tag % 8;
    let content = at;
    if (wireType === VARINT) varint();
    else if (wireType === FIXED64) at += 8;
    else if (wireType === FIXED32) at += 4;
    else if (wireType === BYTES) {
      const length = varint();
      content = at;
      at += length;
    } else throw new Error(`protobuf wire type ${wireType}`);
    if (at > bytes.length) throw new Error('truncated protobuf message');
    yield { number: Math.floor(tag / 8), wireType, start, end: at, content };
  }
}

/** The items of a request: data points, spans or log records. */
export function countItems(signal: Signal, bytes: Uint8Array): number {
  const count = (message: Uint8Array, level: number): number => {
    const [here, ...deeper] = PATHS[signal].slice(level);
    let items = 0;
    for (const { number, end, content } of fieldsOf(message)) {
      if (here?.includes(number) !== true) continue;
      items += deeper.length === 0 ? 1 : count(message.subarray(content, end), level + 1);
    }
    return items;
  };
  return count(bytes, 0);
}

/** The request with items `[from, to)` only, and no envelope that holds none of them. */
function sliceItems(signal: Signal, bytes: Uint8Array, from: number, to: number): Uint8Array {
  const path = PATHS[signal];
  let item = 0;
  const slice = (message: Uint8Array, level: number): Uint8Array | undefined => {
    const parts: Uint8Array[] = [];
    let kept = false;
    for (const { number, start, end, content } of fieldsOf(message)) {
      if (path[level]?.includes(number) !== true) parts.push(message.subarray(start, end));
      else if (level === path.length - 1) {
        if (item >= from && item < to) {
          parts.push(message.subarray(start, end));
          kept = true;
        }
        item++;
      } else {
        const child = slice(message.subarray(content, end), level + 1);
        if (child === undefined) continue;
        const head = new Uint8Array(1 + varintSize(child.length));
        head[0] = message[start] ?? 0;
        putVarint(head, 1, child.length);
        parts.push(head, child);
        kept = true;
      }
    }
    return kept ? concat(parts) : undefined;
  };
  return slice(bytes, 0) ?? new Uint8Array(0);
}

/** Two requests with the first and the second half of the items; undefined where there is only one item. */
export function splitRequest(request: EncodedRequest): readonly [EncodedRequest, EncodedRequest] | undefined {
  const { signal, bytes } = request;
  const items = request.metricPoints + request.spans + request.logs;
  if (items < 2) return undefined;
  const middle = items >>> 1;
  const part = (from: number, to: number): EncodedRequest => ({
    signal,
    bytes: sliceItems(signal, bytes, from, to),
    ...countsOf(signal, to - from),
  });
  return [part(0, middle), part(middle, items)];
}
