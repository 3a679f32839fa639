// Our TypeBox schemas as a CustomResourceDefinition takes them: structural OpenAPI v3 (KEP-1693 and the CRD
// documentation, "Specifying a structural schema"), with the rules as CEL beside the nodes that they are about.
import type { TSchema } from '@sinclair/typebox';
import type { Rule } from './parts.ts';

/** The members of a JSON schema that ours use. */
export interface OpenApiSchema {
  readonly type?: string;
  readonly format?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxItems?: number;
  readonly maxProperties?: number;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, OpenApiSchema>>;
  readonly additionalProperties?: OpenApiSchema | boolean;
  readonly items?: OpenApiSchema;
  readonly 'x-kubernetes-list-type'?: string;
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly 'x-kubernetes-validations'?: readonly object[];
}

/** In the order in which they are written. `properties`, `items`, `additionalProperties` are handled by themselves. */
const PLAIN = [
  'description',
  'type',
  'format',
  'enum',
  'default',
  'pattern',
  'minLength',
  'maxLength',
  'minimum',
  'maximum',
  'maxItems',
  'maxProperties',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
] as const;

/** A rule as `x-kubernetes-validations` has it. */
const validation = (rule: Rule<never>): object => ({
  rule: rule.cel,
  message: rule.message,
  reason: rule.reason ?? 'FieldValueInvalid',
  ...(rule.field === undefined ? {} : { fieldPath: `.${rule.field}` }),
});

interface ConvertOptions {
  readonly rules: readonly Rule<never>[];
  /** False for a status: an operator of another version may write it, too. Elements of lists keep what they require. */
  readonly isRequiring: boolean;
}

function convert(schema: OpenApiSchema, path: string, options: ConvertOptions): OpenApiSchema {
  const out: Record<string, unknown> = {};
  for (const key of PLAIN) if (schema[key] !== undefined) out[key] = schema[key];
  if (schema.properties !== undefined) {
    // what is unknown is pruned or refused because a structural schema names all that is known
    out['properties'] = Object.fromEntries(
      Object.entries(schema.properties).map(([name, child]) => [name, convert(child, `${path}/${name}`, options)]),
    );
    if (options.isRequiring && schema.required !== undefined) out['required'] = schema.required;
  } else if (typeof schema.additionalProperties === 'object') {
    out['additionalProperties'] = convert(schema.additionalProperties, `${path}/*`, options);
  }
  if (schema.items !== undefined) out['items'] = convert(schema.items, `${path}/*`, { ...options, isRequiring: true });
  const rules = options.rules.filter((rule) => rule.path === path);
  if (rules.length > 0) out['x-kubernetes-validations'] = rules.map(validation);
  return out;
}

export interface ResourceSchemas<Spec> {
  readonly description: string;
  readonly spec: TSchema;
  readonly status: TSchema;
  readonly rules: readonly Rule<Spec>[];
  /** Of metadata.name: longer ones would not leave room for names that are made from it (C8). */
  readonly nameMax: number;
}

/** A TypeBox schema is a JSON schema with symbols. */
const plain = (schema: TSchema): OpenApiSchema => JSON.parse(JSON.stringify(schema));

/** The `openAPIV3Schema` of a version. */
export function resourceSchema<Spec>({
  description,
  spec,
  status,
  rules,
  nameMax,
}: ResourceSchemas<Spec>): OpenApiSchema {
  const nameRule: Rule<unknown> = {
    path: '',
    cel: `self.metadata.name.size() <= ${nameMax}`,
    message: `metadata.name has at most ${nameMax} characters`,
    holds: () => true,
  };
  return {
    description,
    type: 'object',
    required: ['spec'],
    properties: {
      apiVersion: { description: 'Version of this representation: sluice.dev/v1alpha1.', type: 'string' },
      kind: { description: 'Kind of the object.', type: 'string' },
      metadata: { type: 'object' },
      spec: convert(plain(spec), '/spec', { rules, isRequiring: true }),
      status: convert(plain(status), '/status', { rules: [], isRequiring: false }),
    },
    'x-kubernetes-validations': [validation(nameRule)],
  };
}
