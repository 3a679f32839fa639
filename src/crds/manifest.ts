// Manifest files as `kubectl apply -f` takes them -> checked objects, or problems with file, line and column. One bad
// document never hides the others.
import { isMap, isNode, isScalar, isSeq, LineCounter, parseAllDocuments, type Document } from 'yaml';
import { v5 } from './uuid.ts';
import { API_GROUP, API_VERSION } from './parts.ts';
import { validateExportScript, validateOtelPlugin, type Problem } from './validate.ts';
import type { ExportScript } from './export-script.ts';
import type { OtelPlugin } from './otel-plugin.ts';

export interface ManifestProblem {
  readonly file: string;
  /** 1-based. */
  readonly line: number;
  readonly column: number;
  /** Field path such as `spec.destination.tls.mode`; empty for the document as a whole. */
  readonly path: string;
  readonly message: string;
}

/** Where an object came from. */
export interface Origin {
  readonly file: string;
  readonly line: number;
}

/** Values of a Secret or ConfigMap, decoded. */
export interface KeyValues {
  readonly kind: 'Secret' | 'ConfigMap';
  readonly namespace: string;
  readonly name: string;
  /** `kubernetes.io/tls` and the like; empty for ConfigMaps. */
  readonly type: string;
  readonly values: ReadonlyMap<string, Uint8Array>;
}

export interface Named<T> {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly object: T;
  readonly origin: Origin;
}

export interface Manifests {
  readonly plugins: readonly Named<OtelPlugin>[];
  readonly scripts: readonly Named<ExportScript>[];
  readonly keyValues: readonly KeyValues[];
  readonly problems: readonly ManifestProblem[];
}

/** Namespace of objects that name none, as in `kubectl apply` without a context's namespace. */
export const DEFAULT_NAMESPACE = 'default';

/** The uid that an object has outside a cluster: stable, so that a restart finds its ledger. */
export const localUid = (kind: string, namespace: string, name: string): string => v5(`${kind}/${namespace}/${name}`);

/** `/spec/a/0` -> `spec.a[0]`. */
const fieldPath = (pointer: string): string =>
  pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce((path, part) => (/^\d+$/.test(part) ? `${path}[${part}]` : path === '' ? part : `${path}.${part}`), '');

/** Line and column of the node that a JSON pointer names; of the nearest ancestor where it is not in the text. */
function positionOf(document: Document, lines: LineCounter, problem: Problem): { line: number; col: number } {
  const parts = problem.pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  let node: unknown = document.contents;
  let offset = document.contents?.range?.[0] ?? document.range?.[0] ?? 0;
  for (const [i, part] of parts.entries()) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === part);
      if (pair === undefined) break;
      if (isScalar(pair.key)) offset = pair.key.range?.[0] ?? offset;
      // a wrong value is shown where it stands, an unknown field where its name stands
      if (i === parts.length - 1 && !problem.unknownField && isScalar(pair.value))
        offset = pair.value.range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      const item: unknown = node.items[Number(part)];
      if (isNode(item)) offset = item.range?.[0] ?? offset;
      node = item;
    } else break;
  }
  return lines.linePos(offset);
}

interface Building {
  readonly plugins: Named<OtelPlugin>[];
  readonly scripts: Named<ExportScript>[];
  readonly keyValues: KeyValues[];
  readonly problems: ManifestProblem[];
  /** `Kind/namespace/name` -> where it was defined. */
  readonly seen: Map<string, Origin>;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

/** Data of a Secret or ConfigMap; undefined with a problem's pointer where a value cannot be decoded. */
function keyValuesOf(kind: 'Secret' | 'ConfigMap', value: Record<string, unknown>): KeyValues | string {
  const values = new Map<string, Uint8Array>();
  const encoder = new TextEncoder();
  const base64 = kind === 'Secret' ? 'data' : 'binaryData';
  const plain = kind === 'Secret' ? 'stringData' : 'data';
  for (const field of [base64, plain]) {
    const entries = value[field] ?? {};
    if (!isRecord(entries)) return `/${field}`;
    for (const [key, entry] of Object.entries(entries)) {
      if (typeof entry !== 'string') return `/${field}/${key}`;
      if (field === plain) values.set(key, encoder.encode(entry));
      else if (/^[A-Za-z0-9+/\s]*={0,2}\s*$/.test(entry)) values.set(key, Buffer.from(entry, 'base64'));
      else return `/${field}/${key}`;
    }
  }
  const meta = isRecord(value['metadata']) ? value['metadata'] : {};
  return {
    kind,
    namespace: text(meta['namespace']) || DEFAULT_NAMESPACE,
    name: text(meta['name']),
    type: text(value['type']),
    values,
  };
}

/**
 * Whether a manifest is read. What a cluster needs besides (namespaces, roles) means nothing here and is passed over; a
 * misspelt kind or a version of ours is a problem.
 */
function useOf(kind: string, apiVersion: string): 'read' | 'ignore' | { pointer: string; message: string } {
  if (kind === 'OtelPlugin' || kind === 'ExportScript') {
    return apiVersion === API_VERSION ? 'read' : { pointer: '/apiVersion', message: `must be ${API_VERSION}` };
  }
  if (kind === 'Secret' || kind === 'ConfigMap') {
    return apiVersion === 'v1' ? 'read' : { pointer: '/apiVersion', message: 'must be v1' };
  }
  if (!apiVersion.startsWith(`${API_GROUP}/`)) return 'ignore';
  return { pointer: '/kind', message: `unknown kind "${kind}"; allowed are OtelPlugin, ExportScript` };
}

/** What the parser says, without the text that it quotes: that may be part of a Secret. The position is enough. */
const syntaxMessage = (message: string): string =>
  (message.split('\n')[0] ?? '')
    .replace(/ at line \d+, column \d+:?$/, '')
    .replace(/: ".*$/, '')
    .replace(/^Maximum call stack.*$/, 'it is nested too deeply')
    .replace(/(extra characters|Unresolved alias|Unresolved tag|escape sequence)\b.*$/, '$1');

function readDocument(document: Document, lines: LineCounter, file: string, building: Building): void {
  const report = (problem: Problem): void => {
    const { line, col } = positionOf(document, lines, problem);
    building.problems.push({ file, line, column: col, path: fieldPath(problem.pointer), message: problem.message });
  };
  const fail = (pointer: string, message: string): void => report({ pointer, unknownField: false, message });
  for (const error of document.errors) {
    const { line, col } = lines.linePos(error.pos[0]);
    building.problems.push({
      file,
      line,
      column: col,
      path: '',
      message: syntaxMessage(error.message),
    });
  }
  if (document.errors.length > 0 || document.contents === null) return;
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    return fail('', error instanceof RangeError ? 'it is nested too deeply' : 'an alias names nothing, or too much');
  }
  if (!isRecord(value)) return fail('', 'a manifest is a mapping with apiVersion, kind and metadata');
  const { apiVersion, kind } = value;
  const meta = isRecord(value['metadata']) ? value['metadata'] : {};
  const [namespace, name] = [text(meta['namespace']) || DEFAULT_NAMESPACE, text(meta['name'])];
  if (typeof kind !== 'string' || typeof apiVersion !== 'string') return fail('', 'apiVersion and kind are missing');
  const origin = { file, line: lines.linePos(document.contents.range?.[0] ?? 0).line };
  const use = useOf(kind, apiVersion);
  if (use === 'ignore') return;
  if (use !== 'read') return fail(use.pointer, use.message);
  const id = `${kind}/${namespace}/${name}`;
  const first = building.seen.get(id);
  if (first !== undefined) return fail('/metadata/name', `${id} is already defined in ${first.file}:${first.line}`);
  building.seen.set(id, origin);
  if (kind === 'Secret' || kind === 'ConfigMap') {
    const read = keyValuesOf(kind, value);
    if (typeof read === 'string')
      return fail(
        read,
        kind === 'Secret' ? 'data values are base64 text, stringData values are text' : 'values are text',
      );
    building.keyValues.push(read);
    return;
  }
  const uid = localUid(kind, namespace, name);
  if (kind === 'OtelPlugin') {
    const result = validateOtelPlugin(value);
    if (result.ok) building.plugins.push({ uid, namespace, name, object: result.value, origin });
    else result.problems.forEach(report);
  } else {
    const result = validateExportScript(value);
    if (result.ok) building.scripts.push({ uid, namespace, name, object: result.value, origin });
    else result.problems.forEach(report);
  }
}

/** Reads manifest texts (`.yaml`, `.yml`, `.json`; several documents a file) in the order given. */
export function readManifests(files: readonly { readonly file: string; readonly text: string }[]): Manifests {
  const building: Building = { plugins: [], scripts: [], keyValues: [], problems: [], seen: new Map() };
  for (const { file, text: source } of files) {
    const lines = new LineCounter();
    const documents = parseAllDocuments(source, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
    if (!Array.isArray(documents)) continue;
    for (const document of documents) readDocument(document, lines, file, building);
  }
  const { plugins, scripts, keyValues, problems } = building;
  return { plugins, scripts, keyValues, problems };
}
