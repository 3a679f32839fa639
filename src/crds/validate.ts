// Objects of our kinds from outside (manifests, the API server): checked by ajv against the schema, then against the
// rules. Gives problems with JSON pointers; who read the text adds file and line.
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import { exportScriptRules, exportScriptSchema, type ExportScript } from './export-script.ts';
import { otelPluginRules, otelPluginSchema, type OtelPlugin } from './otel-plugin.ts';
import type { Rule } from './parts.ts';

export interface Problem {
  /** JSON pointer (RFC 6901) into the object. */
  readonly pointer: string;
  /** True: the field named by the pointer's last part is the culprit by being there at all. */
  readonly unknownField: boolean;
  readonly message: string;
}

export type Validated<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problems: readonly Problem[] };

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

// Defaults are filled in here as the API server would.
const ajv = new Ajv({ allErrors: true, useDefaults: true, strict: true, strictRequired: false, verbose: true });
ajv.addVocabulary(['x-kubernetes-list-map-keys']);
ajv.addKeyword({
  keyword: 'x-kubernetes-list-type',
  type: 'array',
  schemaType: 'string',
  /** Sets have no entry twice, maps no key (as the API server has it). */
  validate: (listType: string, list: readonly unknown[], parent?: Record<string, unknown>): boolean => {
    const keys = parent?.['x-kubernetes-list-map-keys'];
    if (listType === 'atomic') return true;
    const identity = (entry: unknown): unknown =>
      listType === 'map' && Array.isArray(keys) && isRecord(entry) ? keys.map((key) => entry[String(key)]) : entry;
    return new Set(list.map((entry) => JSON.stringify(identity(entry)))).size === list.length;
  },
  error: { message: 'must not have an entry twice' },
});

/** What is null is as good as absent, but in a list (structural-schema defaulting of the API server). Changes `value`. */
function pruneNulls(value: unknown, schema: unknown): void {
  if (!isRecord(schema)) return;
  if (Array.isArray(value)) for (const entry of value) pruneNulls(entry, schema['items']);
  if (!isRecord(value)) return;
  const { properties, additionalProperties } = schema;
  for (const [key, entry] of Object.entries(value)) {
    const own = isRecord(properties) && Object.hasOwn(properties, key) ? properties[key] : additionalProperties;
    if (!isRecord(own)) continue;
    if (entry === null) delete value[key];
    else pruneNulls(entry, own);
  }
}

const validators = {
  OtelPlugin: { schema: otelPluginSchema, isRight: ajv.compile<OtelPlugin>(otelPluginSchema) },
  ExportScript: { schema: exportScriptSchema, isRight: ajv.compile<ExportScript>(exportScriptSchema) },
};

const quoted = (values: readonly unknown[]): string => values.map((value) => String(value)).join(', ');

function nearest(name: string, known: readonly string[]): string | undefined {
  const distance = (a: string, b: string): number => {
    let row = Array.from({ length: b.length + 1 }, (_, i) => i);
    for (let i = 1; i <= a.length; i++) {
      const next = [i];
      for (let j = 1; j <= b.length; j++) {
        const change = (row[j - 1] ?? 0) + (a[i - 1]?.toLowerCase() === b[j - 1]?.toLowerCase() ? 0 : 1);
        next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
      }
      row = next;
    }
    return row[b.length] ?? 0;
  };
  const [best] = known.map((candidate) => ({ candidate, d: distance(name, candidate) })).sort((a, b) => a.d - b.d);
  return best !== undefined && best.d <= Math.max(2, name.length / 3) ? best.candidate : undefined;
}

/** The keys that the schema allows where an unknown one was met. */
function allowedKeys(error: ErrorObject): string[] {
  const parent: unknown = error.parentSchema;
  if (typeof parent !== 'object' || parent === null || !('properties' in parent)) return [];
  const { properties } = parent;
  return Object.keys(typeof properties === 'object' && properties !== null ? properties : {}).filter(
    (key) => key !== 'status',
  );
}

function problemOf(error: ErrorObject): Problem {
  const params: Record<string, unknown> = error.params;
  const at = (pointer: string, message: string, unknownField = false): Problem => ({ pointer, unknownField, message });
  switch (error.keyword) {
    case 'additionalProperties': {
      const name = String(params['additionalProperty']);
      const known = allowedKeys(error);
      const guess = nearest(name, known);
      const hint =
        guess === undefined ? `allowed are ${quoted(known)}` : `did you mean ${guess}? Allowed are ${quoted(known)}`;
      return at(
        `${error.instancePath}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`,
        `unknown field "${name}"; ${hint}`,
        true,
      );
    }
    case 'required':
      return at(error.instancePath, `field "${String(params['missingProperty'])}" is missing`);
    case 'type':
      return at(error.instancePath, `must be ${String(params['type'])}`);
    case 'enum':
      return at(
        error.instancePath,
        `must be one of ${quoted(Array.isArray(params['allowedValues']) ? params['allowedValues'] : [])}`,
      );
    case 'const':
      return at(error.instancePath, `must be ${String(params['allowedValue'])}`);
    case 'pattern':
      return at(error.instancePath, `must match ${String(params['pattern'])}`);
    default:
      return at(error.instancePath, error.message ?? error.keyword);
  }
}

function check<S, T extends { readonly spec: S }>(
  value: unknown,
  {
    schema,
    isRight,
  }: { readonly schema: { readonly properties: { readonly spec: unknown } }; readonly isRight: ValidateFunction<T> },
  rules: readonly Rule<S>[],
): Validated<T> {
  const copy: unknown = structuredClone(value);
  if (isRecord(copy)) pruneNulls(copy['spec'], schema.properties.spec);
  if (!isRight(copy)) return { ok: false, problems: (isRight.errors ?? []).map(problemOf) };
  const problems = rules
    .filter((rule) => !rule.holds(copy.spec))
    .map(({ path, field, message }) => ({
      pointer: field === undefined ? path : `${path}/${field}`,
      unknownField: false,
      message,
    }));
  return problems.length === 0 ? { ok: true, value: copy } : { ok: false, problems };
}

/** What is wrong with an object, in one line. */
export const problemText = (problems: readonly Problem[]): string =>
  problems
    .slice(0, 3)
    .map(({ pointer, message }) => `${pointer.slice(1).replaceAll('/', '.')}: ${message}`)
    .join('; ');

/** Checks and completes an OtelPlugin; the value given is not changed. */
export const validateOtelPlugin = (value: unknown): Validated<OtelPlugin> =>
  check(value, validators.OtelPlugin, otelPluginRules);

/** Checks and completes an ExportScript; the value given is not changed. */
export const validateExportScript = (value: unknown): Validated<ExportScript> =>
  check(value, validators.ExportScript, exportScriptRules);
