// The settings file: text -> settings with every default filled in, or what is wrong where and what to write instead.
import { isIPv4, isIPv6 } from 'node:net';
import { Ajv, type ErrorObject } from 'ajv';
import { LineCounter, parseDocument, type Document } from 'yaml';
import { parseDurationMs } from '../../crds/duration.ts';
import { settingsSchema, WHAT, type Quantity, type Settings } from './settings-schema.ts';

export interface SettingsProblem {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly column: number;
  /** `collector.tableBudget`; empty for the file as a whole. */
  readonly path: string;
  readonly message: string;
}

export type SettingsResult =
  | { readonly ok: true; readonly settings: Settings }
  | { readonly ok: false; readonly problems: readonly SettingsProblem[] };

/** A ConfigMap carries no more (core/v1: data of at most 1 MiB). */
const TEXT_MAX = 1024 * 1024;

const ajv = new Ajv({
  allErrors: true,
  useDefaults: true,
  strict: true,
  strictRequired: false,
  verbose: true,
  allowUnionTypes: true,
});
ajv.addVocabulary([WHAT]);
const validate = ajv.compile<Settings>(settingsSchema);

type Path = readonly (string | number)[];

/** `1.5Gi` and the like -> bytes (resource.Quantity). It has been checked by the schema. */
export function quantityBytes(quantity: Quantity): number {
  const [, digits = '0', suffix = ''] = /^([0-9.]+)([A-Za-z]*)$/.exec(String(quantity)) ?? [];
  const step = suffix.endsWith('i') ? 1024 : 1000;
  const power = suffix === '' ? 0 : 'kMGTP'.indexOf(suffix.slice(0, 1).replace('K', 'k')) + 1;
  return Math.round(Number(digits) * (suffix === 'm' ? 0.001 : step ** power));
}

/** Milliseconds of a duration that the schema has checked. */
export const durationMs = (text: string): number => parseDurationMs(text) ?? 0;

const isRange = (text: string): boolean => {
  const [address = '', bits = ''] = text.split('/');
  return (isIPv4(address) && Number(bits) <= 32) || (isIPv6(address) && Number(bits) <= 128);
};

interface Rule {
  readonly path: Path;
  readonly holds: (settings: Settings) => boolean;
  readonly message: string;
}

const shorter = (a: string, b: string): boolean => durationMs(a) < durationMs(b);

/** What the schema cannot say. */
const RULES: readonly Rule[] = [
  {
    path: ['leaderElection', 'renewDeadline'],
    holds: ({ leaderElection: { renewDeadline, leaseDuration } }) => shorter(renewDeadline, leaseDuration),
    message: 'must be shorter than leaderElection.leaseDuration',
  },
  {
    path: ['leaderElection', 'retryPeriod'],
    holds: ({ leaderElection: { retryPeriod, renewDeadline } }) =>
      durationMs(retryPeriod) > 0 && shorter(retryPeriod, renewDeadline),
    message: 'must be more than 0s and shorter than leaderElection.renewDeadline',
  },
  {
    path: ['certificates', 'renewEvery'],
    holds: ({ certificates: { renewEvery, leafValidity } }) =>
      durationMs(renewEvery) > 0 && durationMs(renewEvery) * 2 <= durationMs(leafValidity),
    message: 'must be more than 0s and at most half of certificates.leafValidity',
  },
  {
    path: ['certificates', 'caValidity'],
    holds: ({ certificates: { caValidity, caOverlap, leafValidity } }) =>
      durationMs(caValidity) >= 2 * (durationMs(leafValidity) + durationMs(caOverlap)),
    message: 'must be at least twice certificates.leafValidity and certificates.caOverlap together',
  },
  {
    path: ['ports'],
    holds: ({ ports }) => new Set(Object.values(ports)).size === Object.values(ports).length,
    message: 'must be different numbers',
  },
  {
    path: ['network', 'apiServerPorts'],
    holds: ({ network }) => !network.policies || network.apiServerPorts.length > 0,
    message: 'must have a port while network.policies is true: without one nothing reaches the API server',
  },
  {
    path: ['network', 'apiServerRanges'],
    holds: ({ network }) => network.apiServerRanges.every(isRange),
    message: 'must be ranges such as 10.0.0.0/8 or fd00::/8',
  },
  {
    path: ['collector', 'insideRanges'],
    holds: ({ collector }) => collector.insideRanges.every(isRange),
    message: 'must be ranges such as 10.0.0.0/8 or fd00::/8',
  },
  {
    path: ['runtime', 'allowedEndpointRanges'],
    holds: ({ runtime }) => runtime.allowedEndpointRanges.every(isRange),
    message: 'must be ranges such as 10.0.0.0/8 or fd00::/8',
  },
  {
    path: ['runtime', 'storage', 'className'],
    holds: ({ runtime: { storage } }) => storage.className === '' || storage.size !== '',
    message: 'needs runtime.storage.size: without a size there is no volume claim',
  },
  {
    path: ['collector', 'tableBudget'],
    holds: ({ collector }) => {
      const { memory } = collector.agent.resources.limits;
      return memory === undefined || quantityBytes(collector.tableBudget) * 1.5 <= quantityBytes(memory);
    },
    message:
      'must be at most two thirds of collector.agent.resources.limits.memory, or the agent is killed when tables fill',
  },
];

const whatOf = (error: ErrorObject): string => {
  const schema: unknown = error.parentSchema;
  const what: unknown = typeof schema === 'object' && schema !== null ? Reflect.get(schema, WHAT) : undefined;
  return typeof what === 'string' ? what : 'something else';
};

function pathOf(error: ErrorObject): Path {
  const parts = error.instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  const params: Record<string, unknown> = error.params;
  const name = error.keyword === 'additionalProperties' ? params['additionalProperty'] : error.propertyName;
  return typeof name === 'string' ? [...parts, name] : parts;
}

function messageOf(error: ErrorObject): string | undefined {
  const params: Record<string, unknown> = error.params;
  switch (error.keyword) {
    // follows the error about the name itself
    case 'propertyNames':
      return undefined;
    case 'additionalProperties': {
      const schema: unknown = error.parentSchema?.['properties'];
      const known = typeof schema === 'object' && schema !== null ? Object.keys(schema) : [];
      return `is not a setting; here are ${known.join(', ')}`;
    }
    case 'enum': {
      const values: unknown = params['allowedValues'];
      return `must be one of ${(Array.isArray(values) ? values : []).map((value) => JSON.stringify(value)).join(', ')}`;
    }
    case 'maxItems':
    case 'maxProperties':
      return `must have at most ${String(params['limit'])} entries`;
    case 'uniqueItems':
      return 'must not name the same twice';
    default:
      return `must be ${whatOf(error)}`;
  }
}

/** Line and column of a path, or of the nearest thing around it that is in the file. */
function positionOf(document: Document, lines: LineCounter, path: Path): { line: number; column: number } {
  for (let length = path.length; length > 0; length--) {
    const part = path.slice(0, length);
    const node: unknown = document.getIn(
      part.map((name) => (typeof name === 'string' && /^[0-9]+$/.test(name) ? Number(name) : name)),
      true,
    );
    const range: unknown = typeof node === 'object' && node !== null ? Reflect.get(node, 'range') : undefined;
    if (Array.isArray(range) && typeof range[0] === 'number') {
      const { line, col } = lines.linePos(range[0]);
      return { line: Math.max(1, line), column: Math.max(1, col) };
    }
  }
  return { line: 1, column: 1 };
}

function valuesOf(document: Document): { readonly values: unknown } | { readonly message: string } {
  try {
    const values: unknown = document.toJS({ maxAliasCount: 64 });
    return { values: values ?? {} };
  } catch (error) {
    return { message: `cannot be read: ${error instanceof Error ? error.message : String(error)}` };
  }
}

/** Reads a settings file. An empty one gives all defaults. `file` only names it in problems. */
export function parseSettings(text: string, file: string): SettingsResult {
  const whole = (message: string, line = 1, column = 1): SettingsResult => ({
    ok: false,
    problems: [{ file, line, column, path: '', message }],
  });
  if (text.length > TEXT_MAX) return whole('is larger than 1 MiB');
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const [error] = document.errors;
  if (error !== undefined) {
    const { line, col } = lines.linePos(error.pos[0]);
    return whole(`is no YAML: ${error.message}`, Math.max(1, line), Math.max(1, col));
  }
  const read = valuesOf(document);
  if ('message' in read) return whole(read.message);
  const problem = (path: Path, message: string): SettingsProblem => ({
    file,
    ...positionOf(document, lines, path),
    path: path.join('.'),
    message,
  });
  const { values } = read;
  if (!validate(values)) {
    const problems = (validate.errors ?? []).flatMap((one) => {
      const message = messageOf(one);
      return message === undefined ? [] : [problem(pathOf(one), message)];
    });
    return { ok: false, problems };
  }
  const broken = RULES.filter(({ holds }) => !holds(values)).map(({ path, message }) => problem(path, message));
  return broken.length === 0 ? { ok: true, settings: values } : { ok: false, problems: broken };
}

/** The namespaces to watch, by name; empty: all. `own`: the operator's, which no name can be mistaken for. */
export const watchedNamespaces = ({ watchNamespaces }: Settings, own: string): readonly string[] => [
  ...new Set(watchNamespaces.map((name) => (name === '.' ? own : name))),
];

/** One line for people: `sluice.yaml:12:16: collector.tableBudget must be a number of bytes such as 256Mi`. */
export const problemText = ({ file, line, column, path, message }: SettingsProblem): string =>
  `${file}:${String(line)}:${String(column)}: ${path === '' ? 'the file' : path} ${message}`;

/** The settings that the operator reads when it starts: a change of them needs a new process, all others are applied as they are. */
export const startSettings = ({ watchNamespaces, log, telemetry, leaderElection, ports }: Settings): string =>
  JSON.stringify({ watchNamespaces, log, telemetry, leaderElection, ports });
