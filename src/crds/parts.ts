// Schema pieces that both kinds share. One source: types come from them by `Static`, validation by ajv, the CRD's
// OpenAPI schema by openapi.ts; `x-kubernetes-*` annotations are carried along and mean nothing to ajv.
import { Type, type TSchema } from '@sinclair/typebox';
import { DURATION_PATTERN } from './duration.ts';

export const API_GROUP = 'sluice.dev';
export const API_VERSION = 'sluice.dev/v1alpha1';

/** RFC 1123 subdomain, the form of object names. */
const NAME_PATTERN = '^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$';
/** RFC 1123 label, the form of namespaces. */
const LABEL_PATTERN = '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$';

const closed = { additionalProperties: false };

export const objectName = (description: string, maxLength = 253) =>
  Type.String({ description, minLength: 1, maxLength, pattern: NAME_PATTERN });

export const namespaceName = (description: string) =>
  Type.String({ description, minLength: 1, maxLength: 63, pattern: LABEL_PATTERN });

/** At most 22 characters, so that `<plugin>-<preset>` has at most 63. */
export const presetName = (description: string) =>
  Type.String({ description, minLength: 1, maxLength: 22, pattern: LABEL_PATTERN });

export const duration = (description: string, value?: string) =>
  Type.String({
    description,
    maxLength: 32,
    pattern: DURATION_PATTERN,
    ...(value === undefined ? {} : { default: value }),
  });

/** A closed set as an OpenAPI enum (a union of literals would not be structural). */
export const oneOf = <const T extends readonly string[]>(values: T, description: string, value?: T[number]) =>
  Type.Unsafe<T[number]>({
    type: 'string',
    enum: [...values],
    description,
    ...(value === undefined ? {} : { default: value }),
  });

/** `Type.Object`, closed: an unknown field is an error, not a surprise. */
export const object = <T extends Record<string, TSchema>>(properties: T, options: Record<string, unknown> = {}) =>
  Type.Object(properties, { ...closed, ...options });

/** A map of texts. OpenAPI has no bound for keys: a rule has it (`keysWithin`). */
export const textMap = (description: string, valueMax: number, entriesMax: number) =>
  Type.Unsafe<Record<string, string>>({
    type: 'object',
    description,
    maxProperties: entriesMax,
    additionalProperties: { type: 'string', description: 'The value.', maxLength: valueMax },
  });

export const keyRef = (what: string) =>
  object(
    {
      name: objectName(`Name of the ${what}, in the namespace of this object.`),
      key: Type.String({
        description: `Key in the ${what}'s data.`,
        minLength: 1,
        maxLength: 253,
        pattern: '^[-._a-zA-Z0-9]+$',
      }),
    },
    { description: `A key of a ${what} in the same namespace.` },
  );

/** The part of ObjectMeta that we read. Everything else in `metadata` belongs to the API server and passes. */
export const metadata = (nameMax: number) =>
  Type.Object({
    name: objectName('Name of the object.', nameMax),
    namespace: Type.Optional(namespaceName('Namespace of the object.')),
    annotations: Type.Optional(Type.Record(Type.String(), Type.String())),
    labels: Type.Optional(Type.Record(Type.String(), Type.String())),
    uid: Type.Optional(Type.String()),
    generation: Type.Optional(Type.Integer()),
  });

/**
 * What a schema alone cannot say. `cel` is what the API server evaluates at `path`, `holds` the same for `sluice local`
 * and `sluice check`; one table of cases runs through both. Neither is asked where the schema already refuses an object.
 */
export interface Rule<T> {
  /** JSON pointer of the node that the rule is about, below the resource. Where it is absent the rule holds. */
  readonly path: string;
  /** The field below `path` that is at fault, for messages. */
  readonly field?: string;
  readonly cel: string;
  readonly message: string;
  /** What kind of mistake it is (metav1 CauseType). FieldValueDuplicate is left out: the API server drops its message. */
  readonly reason?: 'FieldValueInvalid' | 'FieldValueForbidden' | 'FieldValueRequired';
  readonly holds: (spec: T) => boolean;
}

/** Whether every key of a map has 1 to `max` characters (code points, as in CEL). */
export const keysWithin = (map: Readonly<Record<string, string>> | undefined, max: number): boolean =>
  Object.keys(map ?? {}).every((key) => key !== '' && Array.from(key).length <= max);

export const keysWithinCel = (max: number): string => `self.all(key, key.size() >= 1 && key.size() <= ${max})`;

/** A text as a CEL string literal (https://github.com/google/cel-spec, "String and Bytes Values"). */
export const celString = (text: string): string => JSON.stringify(text);
