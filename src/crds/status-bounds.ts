// A status as it may be written: within its schema, whatever a peer of another version said, and at most 16 KiB (S16). A
// status that the API server refuses would leave the user with an old one.
import type { TSchema } from '@sinclair/typebox';
import { exportScriptStatusSchema, otelPluginStatusSchema } from './status-schema.ts';
import { cutMessage, type Condition, type ExportScriptStatus, type OtelPluginStatus } from './status.ts';

/** Of one object's status as JSON. */
export const STATUS_BYTES_MAX = 16 * 1024;

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const MAX_INTEGER = Number.MAX_SAFE_INTEGER;

/** Cuts texts and lists to what the schema allows and makes numbers whole; members that it does not know are left out. */
function fit<T>(schema: TSchema, value: T): T;
function fit(schema: TSchema, value: unknown): unknown {
  if (typeof value === 'string') {
    const { maxLength, enum: values } = schema;
    return typeof maxLength !== 'number' || values !== undefined || value.length <= maxLength
      ? value
      : cutMessage(value, maxLength);
  }
  if (typeof value === 'number') {
    const least = typeof schema['minimum'] === 'number' ? schema['minimum'] : 0;
    // NaN and what is below the least become the least
    return value >= least ? Math.min(Math.round(value), MAX_INTEGER) : least;
  }
  if (Array.isArray(value)) {
    const { maxItems } = schema;
    const kept = typeof maxItems === 'number' ? value.slice(0, maxItems) : value;
    return kept.map((entry) => fit(schema['items'], entry));
  }
  if (!isRecord(value)) return value;
  const properties: Record<string, TSchema> = schema['properties'] ?? {};
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, member]) => {
      const own = Object.hasOwn(properties, key) ? properties[key] : undefined;
      return own === undefined || member === undefined ? [] : [[key, fit(own, member)]];
    }),
  );
}

const sizeOf = (value: unknown): number => Buffer.byteLength(JSON.stringify(value));

const shortened = (conditions: readonly Condition[], bytesMax: number): Condition[] =>
  conditions.map((condition) => ({ ...condition, message: cutMessage(condition.message, bytesMax) }));

/** Shortens condition messages until the status is small enough. */
function withShortMessages<T extends { readonly conditions: readonly Condition[] }>(status: T): T {
  let fitted = status;
  for (let bytesMax = 512; sizeOf(fitted) > STATUS_BYTES_MAX && bytesMax >= 32; bytesMax /= 2) {
    fitted = { ...fitted, conditions: shortened(fitted.conditions, bytesMax) };
  }
  return fitted;
}

/** As it may be written: the oldest history goes first where it is too much, then the ends of messages. */
export function boundScriptStatus(status: ExportScriptStatus): ExportScriptStatus {
  let fitted = fit(exportScriptStatusSchema, status);
  while (sizeOf(fitted) > STATUS_BYTES_MAX && fitted.history.length > 0) {
    fitted = { ...fitted, history: fitted.history.slice(0, -1) };
  }
  return withShortMessages(fitted);
}

/** As it may be written: blind nodes go first where it is too much, then the ends of messages. */
export function boundPluginStatus(status: OtelPluginStatus): OtelPluginStatus {
  let fitted = fit(otelPluginStatusSchema, status);
  while (sizeOf(fitted) > STATUS_BYTES_MAX && fitted.nodes.blind.length > 0) {
    fitted = { ...fitted, nodes: { ...fitted.nodes, blind: fitted.nodes.blind.slice(0, -1) } };
  }
  return withShortMessages(fitted);
}
