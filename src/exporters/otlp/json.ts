// OTLP/JSON from and to a request's bytes, so that what is shown is what is sent. Ids are hex, 64-bit integers decimal
// strings, enums numbers, bytes base64. https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
import type { EncodedRequest, Signal } from '../sender.ts';
import { PROTOCOLS } from './schema.ts';

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
export interface JsonObject {
  readonly [key: string]: Json;
}

/** An Export…ServiceRequest; only the signal's own member is there. */
export interface OtlpJson {
  readonly resourceMetrics?: readonly JsonObject[];
  readonly resourceSpans?: readonly JsonObject[];
  readonly resourceLogs?: readonly JsonObject[];
}

const ID_FIELDS = new Set(['traceId', 'spanId', 'parentSpanId']);

/** A decoded message's field as OTLP/JSON. */
function toJson(value: unknown, field: string): Json {
  if (value instanceof Uint8Array) return Buffer.from(value).toString(ID_FIELDS.has(field) ? 'hex' : 'base64');
  if (Array.isArray(value)) return value.map((item: unknown) => toJson(item, field));
  if (typeof value === 'object' && value !== null) return toJsonObject(value);
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  return typeof value === 'string' || typeof value === 'boolean' ? value : null;
}

const toJsonObject = (value: object): JsonObject =>
  Object.fromEntries(Object.entries(value).map(([key, item]) => [key, toJson(item, key)]));

/**
 * One request's bytes as OTLP/JSON. Fields at their default that are not on the wire are left out.
 * @throws Error where the bytes are not such a message.
 */
export function decodeOtlp(signal: Signal, bytes: Uint8Array): OtlpJson {
  const { request, rootField } = PROTOCOLS[signal];
  const roots: unknown = request.toObject(request.decode(bytes), { longs: String, enums: Number })[rootField];
  return { [rootField]: Array.isArray(roots) ? roots.map((item: object) => toJsonObject(item)) : [] };
}

/** What `encodeOtlp` made, as one object per signal that has items. */
export function requestsToJson(requests: readonly EncodedRequest[]): OtlpJson {
  const all: Record<string, JsonObject[]> = {};
  for (const { signal, bytes } of requests) {
    const { rootField } = PROTOCOLS[signal];
    (all[rootField] ??= []).push(...(decodeOtlp(signal, bytes)[rootField] ?? []));
  }
  return all;
}

const HEX = /^(?:[0-9a-fA-F]{2})*$/;

/** OTLP/JSON's field as protobufjs wants it: ids as base64, non-finite doubles as numbers. */
function fromJson(value: unknown, field: string): unknown {
  if (ID_FIELDS.has(field) && typeof value === 'string') {
    if (!HEX.test(value)) throw new Error(`${field}: ${JSON.stringify(value.slice(0, 64))} is not hexadecimal`);
    return Buffer.from(value, 'hex').toString('base64');
  }
  if (Array.isArray(value)) return value.map((item: unknown) => fromJson(item, field));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(
      Object.entries(value)
        .filter(([, item]) => item !== null)
        .map(([key, item]) => [key, fromJson(item, key)]),
    );
  }
  return value;
}

/**
 * OTLP/JSON to protobuf bytes.
 * @throws Error where the object has not the message's shape.
 */
export function encodeOtlpJson(signal: Signal, json: unknown): Uint8Array {
  const { request, rootField } = PROTOCOLS[signal];
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw new Error('not a JSON object');
  const roots: unknown = Object.entries(json).find(([key]) => key === rootField)?.[1] ?? [];
  if (!Array.isArray(roots)) throw new Error(`${rootField}: not an array`);
  return request.encode(request.fromObject({ [rootField]: fromJson(roots, rootField) })).finish();
}
