// What can be wrong with any field of any schema: a wrong type, a member too many, a required member that is missing, null.
// Made from objects in which everything is there, so that no field is forgotten.
import { manifestOf, withAt, type Case, type Kind, type Spec } from './case.ts';
import { FULL_PLUGINS } from './plugin-cases.ts';
import { FULL_SCRIPT } from './script-cases.ts';
import { exportScriptDefinition, otelPluginDefinition } from '../../src/crds/definitions.ts';
import type { OpenApiSchema } from '../../src/crds/openapi.ts';

const schemaOf = (kind: Kind): OpenApiSchema => {
  const { spec } = kind === 'OtelPlugin' ? otelPluginDefinition : exportScriptDefinition;
  return spec.versions[0]?.schema.openAPIV3Schema.properties?.['spec'] ?? {};
};

/** A value of none of the types that the schema has there. */
const WRONG: Readonly<Record<string, unknown>> = { string: 5, integer: 'five', boolean: 'yes', object: [], array: {} };

function mutations(kind: Kind, spec: Spec, schema: OpenApiSchema, value: unknown, pointer: string): Case[] {
  const made = (what: string, mutated: unknown, isAccepted: boolean): Case => ({
    title: `${kind} ${pointer === '' ? '/' : pointer}: ${what} is ${isAccepted ? 'taken' : 'refused'}`,
    covers: `${pointer} ${what}`,
    manifest: manifestOf(kind, mutated),
    isAccepted,
  });
  const set = (at: string, to: unknown): unknown => (at === '' ? to : withAt(spec, at, to));
  const own = [made('a wrong type', set(pointer, WRONG[schema.type ?? '']), false)];
  if (Array.isArray(value)) {
    // null is not absent in a list
    own.push(made('null in the list', set(`${pointer}/0`, null), false));
    return [
      ...own,
      ...value.flatMap((entry, i) => mutations(kind, spec, schema.items ?? {}, entry, `${pointer}/${i}`)),
    ];
  }
  if (typeof value !== 'object' || value === null) return own;
  const { properties, required = [], additionalProperties: values } = schema;
  if (properties === undefined) {
    const inner = typeof values === 'object' ? values : {};
    return [
      ...own,
      ...Object.entries(value).flatMap(([key, entry]) => mutations(kind, spec, inner, entry, `${pointer}/${key}`)),
    ];
  }
  own.push(made('an unknown member', set(`${pointer}/surprise`, 1), false));
  for (const [key, child] of Object.entries(properties)) {
    if (!Object.hasOwn(value, key)) continue;
    const at = `${pointer}/${key}`;
    const isRequired = required.includes(key);
    if (isRequired)
      own.push(made(`no ${key}`, set(at, undefined), false), made(`null for ${key}`, set(at, null), false));
    own.push(...mutations(kind, spec, child, Reflect.get(value, key), at));
  }
  return own;
}

/** Members that may be null, which is as good as absent. */
const OPTIONAL: Readonly<Record<Kind, readonly string[]>> = {
  ExportScript: ['args', 'window', 'catchUp', 'timeout', 'suspend', 'maxRows', 'catchUp/policy', 'catchUp/maxAge'],
  OtelPlugin: [
    'enabled',
    'resourceAttributes',
    'presets',
    'allowedNamespaces',
    'destination/headers',
    'destination/auth',
    'destination/tls',
    'destination/proxy',
    'destination/tls/mode',
    'destination/tls/ca',
    'destination/tls/insecureSkipVerify',
    'destination/proxy/noProxy',
    'destination/timeout',
    'destination/temporality',
    'presets/include',
  ],
};

const nulls = (kind: Kind, spec: Spec): Case[] =>
  [...OPTIONAL[kind], ...(kind === 'ExportScript' ? ['args/threshold'] : ['resourceAttributes/k8s.cluster.name'])].map(
    (path) => ({
      title: `${kind} /${path}: null is as good as absent`,
      covers: `/${path} null`,
      manifest: manifestOf(kind, withAt(spec, `/${path}`, null)),
      isAccepted: true,
    }),
  );

const whole = (kind: Kind, spec: Spec): Case[] => [
  { title: `${kind}: one with everything`, covers: 'everything', manifest: manifestOf(kind, spec), isAccepted: true },
  ...mutations(kind, spec, schemaOf(kind), spec, ''),
];

export const MUTATIONS: readonly Case[] = [
  ...whole('ExportScript', FULL_SCRIPT),
  ...nulls('ExportScript', FULL_SCRIPT),
  ...FULL_PLUGINS.flatMap((spec) => whole('OtelPlugin', spec)),
  ...nulls('OtelPlugin', FULL_PLUGINS[0] ?? {}),
];
