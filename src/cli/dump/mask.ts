// Keeps secrets out of a support bundle. Secrets themselves are never read; what is left are values that somebody wrote into a
// custom resource in plain text, and whatever a log line may carry.

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const MASK = '***';
/** Holds a second copy of the whole manifest. */
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

const at = (value: unknown, ...path: readonly string[]): unknown =>
  path.reduce<unknown>((inner, name) => (isObject(inner) ? inner[name] : undefined), value);

const texts = (value: unknown): string[] =>
  typeof value === 'string'
    ? [value]
    : isObject(value) || Array.isArray(value)
      ? Object.values(value).flatMap(texts)
      : [];

/** What custom resources hold in plain text: header values, arguments of scripts, credentials in a proxy's URL. */
export function plainSecrets(objects: readonly unknown[]): string[] {
  return objects
    .flatMap((object) => {
      const headers: unknown = at(object, 'spec', 'destination', 'headers');
      const values = Array.isArray(headers) ? headers.flatMap((header: unknown) => texts(at(header, 'value'))) : [];
      const proxy = texts(at(object, 'spec', 'destination', 'proxy', 'url')).flatMap((url) => {
        const [, credentials = ''] = /\/\/([^/@]*)@/.exec(url) ?? [];
        return [credentials, credentials.slice(credentials.indexOf(':') + 1)];
      });
      return [...values, ...proxy, ...texts(at(object, 'spec', 'args'))];
    })
    .filter((value) => value !== '');
}

/** Without managedFields and the copy of the manifest, with `***` for header values and arguments. */
export function cleaned(object: unknown): unknown {
  if (!isObject(object)) return object;
  const copy = structuredClone(object);
  const { metadata } = copy;
  if (isObject(metadata)) {
    Reflect.deleteProperty(metadata, 'managedFields');
    const { annotations } = metadata;
    if (isObject(annotations)) Reflect.deleteProperty(annotations, LAST_APPLIED);
  }
  const headers: unknown = at(copy, 'spec', 'destination', 'headers');
  if (Array.isArray(headers))
    for (const header of headers) if (isObject(header) && 'value' in header) Reflect.set(header, 'value', MASK);
  const args: unknown = at(copy, 'spec', 'args');
  if (isObject(args)) for (const name of Object.keys(args)) Reflect.set(args, name, MASK);
  return copy;
}

const escapeRegExp = (text: string): string => text.replace(/[.*+?^${}()|[\]\\/-]/g, String.raw`\$&`);

/** The value as it may turn up in a text. */
const formsOf = (value: string): string[] => {
  const base64 = Buffer.from(value).toString('base64');
  const json = JSON.stringify(value).slice(1, -1);
  return [value, json, base64, base64.replace(/=+$/, ''), encodeURIComponent(value.toWellFormed())];
};

/** Shorter values are ordinary words and numbers: masked by field, not wherever they occur. */
const LENGTH_MIN = 6;

const GENERIC: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN ([A-Z ]*)PRIVATE KEY-----[^-]*(-----END \1PRIVATE KEY-----)?/g, MASK],
  [/\b(Bearer|Basic)(\s+)[A-Za-z0-9._~+/=-]{6,}/gi, `$1$2${MASK}`],
  [/\beyJ[\w-]{5,}\.[\w-]+\.[\w-]*/g, MASK],
  [/:\/\/[^/@\s"']+@/g, `://${MASK}@`],
];

/** A function for every text that leaves. */
export function masker(secrets: readonly string[]): (text: string) => string {
  const forms = [...new Set(secrets.filter(({ length }) => length >= LENGTH_MIN).flatMap(formsOf))];
  // longest first: a value must not hide in pieces behind a shorter one that it contains
  forms.sort((a, b) => b.length - a.length);
  const known = forms.length === 0 ? undefined : new RegExp(forms.map(escapeRegExp).join('|'), 'g');
  return (text) => {
    let masked = known === undefined ? text : text.replace(known, MASK);
    for (const [pattern, replacement] of GENERIC) masked = masked.replace(pattern, replacement);
    return masked;
  };
}
