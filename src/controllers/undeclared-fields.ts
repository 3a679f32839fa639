// Fields of a status that the definition in the cluster does not have, because it is older than this operator. Server-side apply
// refuses such a status as a whole, so what is not declared is left out, and all else is written. Pure.

/** Names below `status`; `*` stands for each element of a list. */
export type FieldPath = readonly string[];

const UNDECLARED = /(\.status(?:\.[A-Za-z0-9_-]+|\[[^\]]*\])+): field not declared in schema/g;

/** What the API server's refusal of an apply names (sigs.k8s.io/structured-merge-diff, ValidationErrors). */
export const undeclaredFields = (message: string): FieldPath[] =>
  [...message.matchAll(UNDECLARED)].map(([, path = '']) =>
    (path.match(/\.[A-Za-z0-9_-]+|\[[^\]]*\]/g) ?? [])
      .slice(1)
      .map((part) => (part.startsWith('[') ? '*' : part.slice(1))),
  );

/** A copy of `value` without these fields. */
export const withoutFields = (value: object, paths: readonly FieldPath[]): object =>
  paths.reduce<object>((left, path) => Object(without(left, path)), value);

function without(value: unknown, [first, ...rest]: FieldPath): unknown {
  if (typeof value !== 'object' || value === null || first === undefined) return value;
  if (Array.isArray(value)) return first === '*' ? value.map((one) => without(one, rest)) : value;
  const entries = Object.entries(value);
  return Object.fromEntries(
    rest.length === 0
      ? entries.filter(([key]) => key !== first)
      : entries.map(([key, member]): [string, unknown] => [key, key === first ? without(member, rest) : member]),
  );
}
