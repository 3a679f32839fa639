// The generated pages: docs/conditions.md from the tables of reasons, docs/resources.md from the schemas.
import type { CustomResourceDefinition } from '../../src/crds/definitions.ts';
import type { OpenApiSchema } from '../../src/crds/openapi.ts';
import type { ReasonTable } from '../../src/crds/reason-table.ts';

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
const row = (...cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |`;

function conditionTable(table: ReasonTable): string[] {
  return Object.entries(table).flatMap(([type, { means, reasons }]) => [
    `### ${type}`,
    '',
    `True: ${means}.`,
    '',
    row('status', 'reason', 'what is the case', 'what to do'),
    '|---|---|---|---|',
    ...Object.entries(reasons).map(([reason, { status, means: what, action = '' }]) =>
      row(status, `\`${reason}\``, what, action),
    ),
    '',
  ]);
}

/** docs/conditions.md. */
export const conditionsPage = (kinds: Readonly<Record<string, ReasonTable>>): string =>
  [
    '<!-- Made by scripts/generate-crds.ts from src/crds/*-reasons.ts. -->',
    '# Conditions',
    '',
    'What `status.conditions` can say and what to do. The lists are closed: scripts and alerts may rely on the words.',
    '`kubectl describe` shows the messages, which carry the details.',
    '',
    '- `Ready` is computed from the others. False: nothing will be delivered without a change, or three windows failed in a row.',
    '- `Reconciling` (True or absent): something is still on its way. What is missing (a plugin, a Secret, a ConfigMap) counts as',
    '  on its way for two minutes, because `kubectl apply` and GitOps tools bring objects in any order.',
    '- `Stalled` (True or absent): nothing changes without a change by somebody.',
    '- Each condition, and the status, has `observedGeneration`: which `metadata.generation` was judged. It is -1 before the operator',
    '  has seen the object.',
    '',
    'So `kubectl wait --for=condition=Ready`, kstatus (Flux, Helm) and the health checks for Argo CD in config/argocd agree: Ready is',
    'done, Stalled has failed, all else is under way. One row differs: not Ready and not Stalled after failures (the destination or the',
    'runtime may come back by itself) is Degraded in Argo CD, while the others go on waiting.',
    '',
    ...Object.entries(kinds).flatMap(([kind, table]) => [`## ${kind}`, '', ...conditionTable(table)]),
  ].join('\n');

function limits(schema: OpenApiSchema): string {
  const { minLength, maxLength, minimum, maximum, maxItems, maxProperties, pattern, format } = schema;
  const between = (what: string, min: number | undefined, max: number | undefined): string[] => {
    if (min === undefined && max === undefined) return [];
    return [max === undefined ? `${what} ≥ ${min}` : min === undefined ? `${what} ≤ ${max}` : `${what} ${min}–${max}`];
  };
  return [
    ...(schema.enum === undefined ? [] : [schema.enum.map((one) => `\`${String(one)}\``).join(', ')]),
    ...between('length', minLength, maxLength),
    ...between('value', minimum, maximum),
    ...between('entries', undefined, maxItems ?? maxProperties),
    ...(format === undefined || format === 'int64' ? [] : [format]),
    ...(pattern === undefined ? [] : [`\`${pattern}\``]),
  ].join('; ');
}

function fieldRows(schema: OpenApiSchema, path: string): string[] {
  const { properties = {}, required = [] } = schema;
  return Object.entries(properties).flatMap(([name, child]) => {
    const list = child.items === undefined ? '' : '[]';
    const own = `${path}.${name}${list}`;
    const { additionalProperties: values } = child;
    const type = typeof values === 'object' ? `map of ${values.type ?? ''}` : (child.type ?? '');
    const standard = child.default === undefined ? '' : `\`${JSON.stringify(child.default)}\``;
    const bounds = [limits(child), child.items === undefined ? '' : limits(child.items)].filter((text) => text !== '');
    return [
      row(
        `\`${own}\`${required.includes(name) ? ' *' : ''}`,
        type,
        standard,
        bounds.join('; '),
        child.description ?? '',
      ),
      ...fieldRows(child.items ?? child, own),
    ];
  });
}

function rulesOf(schema: OpenApiSchema): string[] {
  const own = (schema['x-kubernetes-validations'] ?? []).map((rule) => `- ${String(Reflect.get(rule, 'message'))}`);
  const children = [...Object.values(schema.properties ?? {}), ...(schema.items === undefined ? [] : [schema.items])];
  return [...own, ...children.flatMap(rulesOf)];
}

function resourceSection({ spec }: CustomResourceDefinition): string[] {
  const [version] = spec.versions;
  const schema = version?.schema.openAPIV3Schema ?? {};
  const names = spec.names as { readonly kind: string; readonly shortNames: readonly string[] };
  const heads = [row('field', 'type', 'default', 'bounds', 'meaning'), '|---|---|---|---|---|'];
  const part = (name: 'spec' | 'status'): string[] => fieldRows(schema.properties?.[name] ?? {}, `.${name}`);
  return [
    `## ${names.kind} (\`${names.shortNames.join(', ')}\`)`,
    '',
    schema.description ?? '',
    '',
    '### spec',
    '',
    ...heads,
    ...part('spec'),
    '',
    'Besides:',
    '',
    ...rulesOf(schema),
    '',
    '### status',
    '',
    ...heads,
    ...part('status'),
    '',
  ];
}

/** docs/resources.md. */
export const resourcesPage = (definitions: readonly CustomResourceDefinition[]): string =>
  [
    '<!-- Made by scripts/generate-crds.ts from src/crds. -->',
    '# Resources',
    '',
    'Both kinds are namespaced and of API `sluice.dev/v1alpha1`; `kubectl get sluice` lists both. `kubectl explain otelp.spec` says the',
    'same as this page. A field with * is required. What the API server refuses, `sluice check` and `sluice local` refuse too.',
    'config/samples has manifests to start from; [conditions.md](conditions.md) says what the conditions mean.',
    '',
    '- An object whose script is near the limit is larger than the copy that `kubectl apply` keeps in an annotation (256 KiB): use',
    '  `kubectl apply --server-side`, or a ConfigMap.',
    '- References to Secrets and ConfigMaps are to the namespace of the object. A Secret outside of the namespace of the operator is read',
    '  only after its owner has allowed it; the message of `CredentialsResolved` has the two commands.',
    '- `kubectl annotate exs NAME sluice.dev/run-now=TOKEN` runs the last complete window if that was not done, also of a script that is',
    '  suspended; `.status.lastManualRun` has what became of it. Another TOKEN asks again.',
    '- What `presets.include` makes may be changed (window, suspend, …) but for `pluginRef` and `script`, which are set again.',
    '',
    ...definitions.flatMap(resourceSection),
  ].join('\n');
