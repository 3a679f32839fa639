// The CustomResourceDefinitions of both kinds. `scripts/generate-crds.ts` writes them to config/crd; the operator, which
// never installs them, compares the hash that is in the cluster with its own (C17).
import { createHash } from 'node:crypto';
import { exportScriptParts, exportScriptRules, SCRIPT_NAME_MAX } from './export-script.ts';
import { resourceSchema, type OpenApiSchema } from './openapi.ts';
import { otelPluginParts, otelPluginRules, PLUGIN_NAME_MAX } from './otel-plugin.ts';
import { API_GROUP } from './parts.ts';
import { exportScriptColumns, otelPluginColumns, type PrinterColumn } from './printer-columns.ts';

/** Annotation of our CRDs: which schema it is. */
export const SCHEMA_HASH_ANNOTATION = `${API_GROUP}/schema-hash`;

interface Names {
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortName: string;
}

interface CrdVersion {
  readonly name: string;
  readonly served: boolean;
  readonly storage: boolean;
  readonly schema: { readonly openAPIV3Schema: OpenApiSchema };
  readonly subresources: { readonly status: object };
  readonly selectableFields: readonly { readonly jsonPath: string }[];
  readonly additionalPrinterColumns: readonly object[];
}

/** apiextensions.k8s.io/v1 CustomResourceDefinition, the members that ours have. */
export interface CustomResourceDefinition {
  readonly apiVersion: 'apiextensions.k8s.io/v1';
  readonly kind: 'CustomResourceDefinition';
  readonly metadata: {
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
  };
  readonly spec: {
    readonly group: string;
    readonly names: object;
    readonly scope: 'Namespaced';
    readonly versions: readonly CrdVersion[];
  };
}

/** JSON with sorted keys, so that equal values have equal text. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => `${JSON.stringify(key)}:${canonical(member)}`);
  return `{${members.join(',')}}`;
}

/** sha256 of a CRD's `spec` as we write it, 32 hex digits. (The API server adds to it, so only the annotation is compared.) */
export const schemaHash = (spec: object): string =>
  createHash('sha256').update(canonical(spec)).digest('hex').slice(0, 32);

const columnOf = <S, T>({ name, type, jsonPath, priority }: PrinterColumn<S, T>): object => ({
  name,
  type,
  jsonPath,
  ...(priority === 0 ? {} : { priority }),
});

function definition(
  { kind, plural, singular, shortName }: Names,
  openAPIV3Schema: OpenApiSchema,
  columns: readonly object[],
  selectable: readonly string[],
): CustomResourceDefinition {
  const spec: CustomResourceDefinition['spec'] = {
    group: API_GROUP,
    names: { kind, listKind: `${kind}List`, plural, singular, shortNames: [shortName], categories: ['sluice'] },
    scope: 'Namespaced',
    versions: [
      {
        name: 'v1alpha1',
        served: true,
        storage: true,
        subresources: { status: {} },
        selectableFields: selectable.map((jsonPath) => ({ jsonPath })),
        additionalPrinterColumns: [...columns, { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' }],
        schema: { openAPIV3Schema },
      },
    ],
  };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: `${plural}.${API_GROUP}`,
      labels: { 'app.kubernetes.io/name': 'sluice', 'app.kubernetes.io/part-of': 'sluice' },
      annotations: { [SCHEMA_HASH_ANNOTATION]: schemaHash(spec) },
    },
    spec,
  };
}

export const exportScriptDefinition: CustomResourceDefinition = definition(
  { kind: 'ExportScript', plural: 'exportscripts', singular: 'exportscript', shortName: 'exs' },
  resourceSchema({
    description:
      'A PxL script that is run on a schedule over what eBPF captures, and whose metrics and spans are sent to an OtelPlugin.',
    ...exportScriptParts,
    rules: exportScriptRules,
    nameMax: SCRIPT_NAME_MAX,
  }),
  exportScriptColumns.map(columnOf),
  ['.spec.pluginRef.name', '.spec.suspend'],
);

export const otelPluginDefinition: CustomResourceDefinition = definition(
  { kind: 'OtelPlugin', plural: 'otelplugins', singular: 'otelplugin', shortName: 'otelp' },
  resourceSchema({
    description: 'Where telemetry goes: a destination with its credentials, and the presets that are sent there.',
    ...otelPluginParts,
    rules: otelPluginRules,
    nameMax: PLUGIN_NAME_MAX,
  }),
  otelPluginColumns.map(columnOf),
  ['.spec.destination.type'],
);

export const DEFINITIONS: readonly CustomResourceDefinition[] = [otelPluginDefinition, exportScriptDefinition];

/** Name of each of our CRDs -> the schema hash that this build expects. */
export const EXPECTED_SCHEMA_HASHES: Readonly<Record<string, string>> = Object.fromEntries(
  DEFINITIONS.map(({ metadata }) => [metadata.name, metadata.annotations[SCHEMA_HASH_ANNOTATION] ?? '']),
);

/**
 * What is wrong with a CRD as the cluster has it, with what to do; undefined where it is this build's. `crd` undefined: it
 * is not there.
 */
export function definitionFault(
  name: string,
  crd: { readonly metadata: { readonly annotations?: Readonly<Record<string, string>> } } | undefined,
): string | undefined {
  if (crd === undefined) return `CustomResourceDefinition ${name} is not there; apply config/crd of this version`;
  const found = crd.metadata.annotations?.[SCHEMA_HASH_ANNOTATION];
  if (found === EXPECTED_SCHEMA_HASHES[name]) return undefined;
  return `CustomResourceDefinition ${name} is of another version of Sluice; apply config/crd of this version`;
}
