// The folder of manifests and the state folder: reading one, watching it, writing statuses into the other.
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readManifests, type ManifestProblem, type Manifests } from '../../crds/manifest.ts';

const MANIFEST = /\.(ya?ml|json)$/;
/** Larger files are no manifests. */
const FILE_BYTES_MAX = 4 * 1024 * 1024;
const SETTLE_MS = 200;
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Reads all manifest files of a folder (not of its subfolders), in the order of their names. */
export function readFolder(folder: string): Manifests {
  const names = readdirSync(folder)
    .filter((name) => MANIFEST.test(name))
    .sort();
  const texts: { file: string; text: string }[] = [];
  const problems: ManifestProblem[] = [];
  for (const file of names.map((name) => join(folder, name))) {
    const read = readManifest(file);
    if ('text' in read) texts.push(read);
    else problems.push({ file, line: 1, column: 1, path: '', message: read.problem });
  }
  const manifests = readManifests(texts);
  return { ...manifests, problems: [...manifests.problems, ...problems] };
}

/** One file's text, or why it is not read: a link to nothing, a folder, a pipe, rights. */
function readManifest(file: string): { file: string; text: string } | { problem: string } {
  try {
    const facts = statSync(file);
    // a pipe would be waited for, a folder cannot be read
    if (!facts.isFile()) return { problem: 'is not a file and was not read' };
    if (facts.size > FILE_BYTES_MAX) return { problem: 'is larger than 4 MiB and was not read' };
    return { file, text: utf8.decode(readFileSync(file)) };
  } catch (error) {
    if (error instanceof TypeError) return { problem: 'is not text in UTF-8' };
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    return { problem: `cannot be read (${code})` };
  }
}

/** Calls `onChange` after files of the folder have changed and been quiet for a moment. */
export function watchFolder(folder: string, signal: AbortSignal, onChange: () => void): void {
  let timer: NodeJS.Timeout | undefined;
  const watcher = watch(folder, { signal, persistent: false }, () => {
    clearTimeout(timer);
    timer = setTimeout(onChange, SETTLE_MS);
  });
  watcher.on('error', () => clearTimeout(timer));
  signal.addEventListener('abort', () => clearTimeout(timer));
}

interface ObjectId {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

const statusFile = (state: string, { kind, namespace, name }: ObjectId): string =>
  join(state, 'status', `${kind.toLowerCase()}.${namespace}.${name}.json`);

/** The status that an earlier process wrote; undefined where there is none, or none that can be read. */
export function readStatus(state: string, id: ObjectId): unknown {
  try {
    return JSON.parse(readFileSync(statusFile(state, id), 'utf8'));
  } catch {
    return undefined;
  }
}

/** Takes the status of an object away that is not there any more. */
export const removeStatus = (state: string, id: ObjectId): void => rmSync(statusFile(state, id), { force: true });

/** Writes an object's status where scripts can read it: `<state>/status/<kind>.<namespace>.<name>.json`, whole or not at all. */
export function writeStatus(state: string, id: ObjectId, value: unknown): void {
  mkdirSync(join(state, 'status'), { recursive: true });
  const file = statusFile(state, id);
  writeFileSync(`${file}.new`, `${JSON.stringify(value, undefined, 2)}\n`);
  renameSync(`${file}.new`, file);
}
