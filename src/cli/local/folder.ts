// The folder of manifests and the state folder: reading one, watching it, writing statuses into the other.
import { mkdirSync, readdirSync, readFileSync, renameSync, statSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readManifests, type Manifests } from '../../crds/manifest.ts';

const MANIFEST = /\.(ya?ml|json)$/;
/** Larger files are no manifests. */
const FILE_BYTES_MAX = 4 * 1024 * 1024;
const SETTLE_MS = 200;

/** Reads all manifest files of a folder (not of its subfolders), in the order of their names. */
export function readFolder(folder: string): Manifests {
  const names = readdirSync(folder)
    .filter((name) => MANIFEST.test(name))
    .sort();
  const paths = names.map((name) => join(folder, name));
  const tooLarge = paths.filter((file) => statSync(file).size > FILE_BYTES_MAX);
  const read = paths.filter((file) => !tooLarge.includes(file));
  const manifests = readManifests(read.map((file) => ({ file, text: readFileSync(file, 'utf8') })));
  const message = 'is larger than 4 MiB and was not read';
  const problems = tooLarge.map((file) => ({ file, line: 1, column: 1, path: '', message }));
  return { ...manifests, problems: [...manifests.problems, ...problems] };
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

/** Writes an object's status where scripts can read it: `<state>/status/<kind>.<namespace>.<name>.json`, whole or not at all. */
export function writeStatus(
  state: string,
  id: { kind: string; namespace: string; name: string },
  value: unknown,
): void {
  const folder = join(state, 'status');
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${id.kind.toLowerCase()}.${id.namespace}.${id.name}.json`);
  writeFileSync(`${file}.new`, `${JSON.stringify(value, undefined, 2)}\n`);
  renameSync(`${file}.new`, file);
}
