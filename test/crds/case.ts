// One case of the tables: an object that is to be accepted or refused, by `validate…` and by a real API server alike.

export type Kind = 'OtelPlugin' | 'ExportScript';
export type Spec = Readonly<Record<string, unknown>>;

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: Kind;
  readonly metadata: { readonly name: string; readonly [field: string]: unknown };
  readonly spec: unknown;
}

export interface Case {
  readonly title: string;
  /** `<path of the node> <keyword>`, or the message of a rule; what the coverage test counts. */
  readonly covers: string;
  readonly manifest: Manifest;
  readonly isAccepted: boolean;
  /** What a refusal says, on both sides. */
  readonly message?: string;
}

export const manifestOf = (kind: Kind, spec: unknown, name = 'it'): Manifest => ({
  apiVersion: 'sluice.dev/v1alpha1',
  kind,
  metadata: { name },
  spec,
});

const stepsOf = (pointer: string): string[] =>
  pointer
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));

/** Texts without blanks, in one. */
export const words = (text: string): string[] => text.split(' ');

/** A copy of `object` with `value` at a JSON pointer; objects on the way are made; `undefined` takes the member away. */
export function withAt<T>(object: T, pointer: string, value: unknown): T {
  const copy = structuredClone(object);
  const steps = stepsOf(pointer);
  const last = steps.pop() ?? '';
  let node = copy as Record<string, unknown>;
  for (const step of steps) {
    node[step] ??= {};
    node = node[step] as Record<string, unknown>;
  }
  if (value === undefined && Array.isArray(node)) node.splice(Number(last), 1);
  else if (value === undefined) delete node[last];
  else node[last] = value;
  return copy;
}

/** `base` with each of the values at `pointer`. */
export const at = (base: Spec, pointer: string, ...values: readonly unknown[]): Spec[] =>
  values.map((value) => withAt(base, pointer, value));

const brief = (spec: unknown): string => {
  const text = JSON.stringify(spec);
  return text.length <= 160 ? text : `${text.slice(0, 120)}… (${text.length})`;
};

/** Cases of one keyword of one node. */
export function bound(kind: Kind, covers: string, good: readonly Spec[], bad: readonly Spec[]): Case[] {
  const cases = (specs: readonly Spec[], isAccepted: boolean): Case[] =>
    specs.map((spec) => ({
      title: `${covers}: ${isAccepted ? 'takes' : 'refuses'} ${brief(spec)}`,
      covers,
      manifest: manifestOf(kind, spec),
      isAccepted,
    }));
  return [...cases(good, true), ...cases(bad, false)];
}

/** Cases of one rule, by its message. */
export const rule = (kind: Kind, message: string, good: readonly Spec[], bad: readonly Spec[]): Case[] =>
  bound(kind, message, good, bad).map((one) => (one.isAccepted ? one : { ...one, message }));

/** `pointer` with `*` for indexes and keys of maps: a node of the schema. */
const nodeOf = (pointer: string): string =>
  pointer.replaceAll(/\/\d+(?=\/|$)/g, '/*').replace(/\/(args|resourceAttributes)\/.*$/, '/$1/*');

/** A text's bounds: `fill` is a character that its pattern takes. */
export function lengths(
  kind: Kind,
  base: Spec,
  pointer: string,
  limits: { readonly min?: number; readonly max: number },
  fill = 'a',
): Case[] {
  const node = nodeOf(pointer);
  return [
    ...bound(
      kind,
      `${node} maxLength`,
      at(base, pointer, fill.repeat(limits.max)),
      at(base, pointer, fill.repeat(limits.max + 1)),
    ),
    ...(limits.min === undefined
      ? []
      : bound(kind, `${node} minLength`, at(base, pointer, fill.repeat(limits.min)), at(base, pointer, ''))),
  ];
}

export const pattern = (
  kind: Kind,
  base: Spec,
  pointer: string,
  good: readonly string[],
  bad: readonly string[],
): Case[] => bound(kind, `${nodeOf(pointer)} pattern`, at(base, pointer, ...good), at(base, pointer, ...bad));

const NAMES = { good: ['a', 'a-1.b2', '0'], bad: ['A', '-a', 'a-', 'a_b', 'a..b', 'ä', 'a\n'] };

export const objectNames = (kind: Kind, base: Spec, pointer: string, max = 253): Case[] => [
  ...pattern(kind, base, pointer, NAMES.good, NAMES.bad),
  ...lengths(kind, base, pointer, { min: 1, max }),
];

/** A {name, key} that is already in `base` at `pointer`. */
export const keyRefs = (kind: Kind, base: Spec, pointer: string): Case[] => [
  ...objectNames(kind, base, `${pointer}/name`),
  ...pattern(kind, base, `${pointer}/key`, ['tls.crt', 'A_b-1', '.x'], ['a/b', 'ä', 'a b', 'a\n']),
  ...lengths(kind, base, `${pointer}/key`, { min: 1, max: 253 }),
];

export const LABELS = { good: ['a', 'a-1', '0'], bad: ['A', '-a', 'a-', 'a.b', 'a_b'] };

/** Texts that are no durations, for either side. */
const NO_DURATIONS = [
  '10',
  '-10s',
  '+10s',
  '1.s',
  '.5s',
  '10 s',
  '10S',
  '1d',
  '',
  '10us',
  '1h-1m',
  's',
  '1,5s',
  '10s\n',
  '٣s',
];

export const durations = (kind: Kind, base: Spec, pointer: string, good: readonly string[]): Case[] => [
  ...pattern(kind, base, pointer, good, NO_DURATIONS),
  // leading zeros change nothing
  ...bound(
    kind,
    `${nodeOf(pointer)} maxLength`,
    at(base, pointer, `${'0'.repeat(29)}10s`),
    at(base, pointer, `${'0'.repeat(30)}10s`),
  ),
];
