// Schema pieces that both kinds share. One source: types come from them by `Static`, validation by ajv, the CRD's
// OpenAPI schema by the generator; `x-kubernetes-*` annotations are carried along and mean nothing to ajv.
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
 * and `sluice check`; one table of cases runs through both.
 */
export interface Rule<T> {
  /** JSON pointer of the object that the rule is about, below the resource. */
  readonly path: string;
  readonly cel: string;
  readonly message: string;
  readonly holds: (spec: T) => boolean;
}
