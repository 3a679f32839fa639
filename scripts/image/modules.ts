// The middle layer: the npm packages that run, and of them what runs. Taken from node_modules as `npm ci` put it there (so the lock
// file's checksums hold), chosen by the lock file: neither development tools nor other platforms' binaries.
import { cpSync, existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

interface LockEntry {
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly devOptional?: boolean;
}

/** Type declarations, and what a package brings for a runtime other than Node.js. */
const UNUSED = /\/(@types\/[^/]+|undici-types|bare-[^/]+)$/;

/** Not read at run time: types, sources of what is there compiled, maps, texts other than licences, configurations of tools. */
const UNUSED_FILE =
  /\.(d\.[cm]?ts|[cm]?ts|map|tsbuildinfo|flow|html|yml|markdown|jshintrc|eslintrc|nycrc|npmignore|gitattributes|babelrc|editorconfig)$/;
const LICENCE = /licen[cs]e|notice|copying/i;
const UNUSED_FOLDER = new Set(['.github', 'test', 'tests', 'docs', 'example', 'examples', 'benchmark', 'benchmarks']);

/** Paths (`node_modules/…`, nested ones too) of the packages that belong into the image, sorted. */
export function runtimePackages(lockFile: string): string[] {
  const lock = JSON.parse(readFileSync(lockFile, 'utf8')) as { packages: Record<string, LockEntry> };
  return Object.entries(lock.packages)
    .filter(
      ([path, { dev, optional, devOptional }]) =>
        path !== '' && !dev && !optional && !devOptional && !UNUSED.test(path),
    )
    .map(([path]) => path)
    .sort();
}

/** Copies them below `<root>/app`. Throws where one is not installed. */
export function fillModules(root: string, repository: string): void {
  for (const path of runtimePackages(join(repository, 'package-lock.json'))) {
    const from = join(repository, path);
    if (!existsSync(from)) throw new Error(`${path} is not installed: run 'make setup'`);
    cpSync(from, join(root, 'app', path), {
      recursive: true,
      dereference: true,
      filter: (source) => source === from || isUsed(source.slice(from.length + 1)),
    });
  }
}

function isUsed(path: string): boolean {
  const [first = ''] = path.split('/');
  // nested packages have entries of their own in the lock file
  if (first === 'node_modules' || UNUSED_FOLDER.has(first)) return false;
  const name = basename(path);
  if (LICENCE.test(name)) return true;
  return !UNUSED_FILE.test(name) && !/\.md$/i.test(name);
}
