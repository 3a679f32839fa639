// Puts a dynamically linked program and the shared libraries that it needs into a root folder.
//
// Libraries are found by readelf and not by ldd, which runs the program's loader and so works for the own architecture only.
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';

export type Architecture = 'amd64' | 'arm64';

export const native = (): Architecture => (process.arch === 'arm64' ? 'arm64' : 'amd64');

export interface Platform {
  readonly architecture: Architecture;
  /** Where its libraries are: `/`, or a folder that Debian packages were unpacked into. */
  readonly sysroot: string;
}

const TRIPLET: Record<Architecture, string> = { amd64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' };

/** The folders that every root has, with `/bin` and `/lib` as links to those below `/usr`. */
export function prepareRoot(root: string): void {
  for (const folder of ['usr/bin', 'usr/lib', 'usr/lib64', 'etc', 'tmp', 'proc', 'sys', 'dev', 'run'])
    mkdirSync(join(root, folder), { recursive: true, mode: 0o755 });
  chmodSync(join(root, 'tmp'), 0o1777);
  for (const folder of ['bin', 'lib', 'lib64']) symlinkSync(`usr/${folder}`, join(root, folder));
}

/** Paths of the libraries that a program needs, directly or not, sorted; none for a static one. Throws where one is not there. */
export function librariesOf(program: string, { architecture, sysroot }: Platform): string[] {
  const triplet = TRIPLET[architecture];
  const folders = [`lib/${triplet}`, `usr/lib/${triplet}`, 'lib64', 'usr/lib64', 'lib', 'usr/lib'].map((folder) =>
    join(sysroot, folder),
  );
  const found = new Map<string, string>();
  const open = [program];
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    for (const library of neededBy(file)) {
      if (found.has(library)) continue;
      const folder = folders.find((candidate) => existsSync(join(candidate, library)));
      if (folder === undefined) throw new Error(`${file} needs ${library}, which is not below ${sysroot}`);
      found.set(library, join(folder, library));
      open.push(join(folder, library));
    }
  }
  return [...found.values()].sort();
}

/** Copies `program` to `target` (a path inside `root`) with its libraries and loader; `root` was prepared. */
export function installProgram(root: string, program: string, target: string, platform: Platform): void {
  copyProgram(program, join(root, target));
  for (const library of librariesOf(program, platform)) {
    // the loader looks where its own distribution puts things
    const place = `/${relative(platform.sysroot, library)}`.replace(/^\/(lib|lib64)\//, '/usr/$1/');
    copyProgram(library, join(root, place));
  }
  // the kernel finds the loader by the path in the program
  const interpreter = interpreterOf(program);
  if (interpreter === undefined) return;
  const loader = join(root, interpreter);
  const place = join(root, 'usr/lib', TRIPLET[platform.architecture], basename(loader));
  if (!existsSync(loader)) symlinkSync(relative(realpathSync(dirname(loader)), realpathSync(place)), loader);
}

function copyProgram(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true, mode: 0o755 });
  rmSync(to, { force: true }); // a link that is there would be written through
  copyFileSync(realpathSync(from), to);
  chmodSync(to, 0o755);
}

const readelf = (...args: readonly string[]): string =>
  execFileSync('readelf', args, { encoding: 'utf8', env: { PATH: process.env['PATH'], LC_ALL: 'C' } });

const neededBy = (file: string): string[] =>
  [...readelf('--dynamic', '--wide', file).matchAll(/\(NEEDED\).*\[(.+)\]/g)].map((match) => match[1] ?? '');

const interpreterOf = (program: string): string | undefined =>
  /program interpreter: ([^\]]+)\]/.exec(readelf('--program-headers', '--wide', program))?.[1];
