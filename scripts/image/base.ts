// The bottom layer: Node.js, the shared libraries that it needs, certificates of authorities, users. No shell, no package manager.
//
// Libraries come from the Debian system that builds (or from `sysroot`), found by readelf and not by ldd, which runs the program
// and so works for the own architecture only. Authorities are those that Node.js itself ships: the machine's list
// may hold some of its owner's, which an image must not trust.
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { rootCertificates } from 'node:tls';

export type Architecture = 'amd64' | 'arm64';

/** Not in any system's range for people or services; the same number as other images without root use. */
export const USER = 65_532;

export interface BaseOptions {
  readonly architecture: Architecture;
  /** The `node` program of that architecture. */
  readonly node: string;
  /** Where its libraries are: `/`, or a folder that Debian packages were unpacked into. */
  readonly sysroot: string;
}

const TRIPLET: Record<Architecture, string> = { amd64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' };

/** Files that the base is made of, program first; throws where one cannot be found. Paths as on the machine that builds. */
export function baseFiles({ architecture, node, sysroot }: BaseOptions): string[] {
  const triplet = TRIPLET[architecture];
  const folders = [`lib/${triplet}`, `usr/lib/${triplet}`, 'lib64', 'usr/lib64', 'lib', 'usr/lib'].map((folder) =>
    join(sysroot, folder),
  );
  const found = new Map<string, string>();
  const open = [node];
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    for (const library of neededBy(file)) {
      if (found.has(library)) continue;
      const folder = folders.find((candidate) => existsSync(join(candidate, library)));
      if (folder === undefined) throw new Error(`${file} needs ${library}, which is not below ${sysroot}`);
      found.set(library, join(folder, library));
      open.push(join(folder, library));
    }
  }
  return [node, ...[...found.values()].sort()];
}

function neededBy(file: string): string[] {
  const output = execFileSync('readelf', ['--dynamic', '--wide', file], { encoding: 'utf8', env: { LC_ALL: 'C' } });
  return [...output.matchAll(/\(NEEDED\).*\[(.+)\]/g)].map((match) => match[1] ?? '');
}

function interpreterOf(program: string): string {
  const output = execFileSync('readelf', ['--program-headers', '--wide', program], {
    encoding: 'utf8',
    env: { LC_ALL: 'C' },
  });
  const path = /program interpreter: ([^\]]+)\]/.exec(output)?.[1];
  if (path === undefined) throw new Error(`${program} is no dynamically linked program`);
  return path;
}

/** Puts the layer's contents into `root`, an empty folder. */
export function fillBase(root: string, options: BaseOptions): void {
  for (const folder of ['usr/bin', 'usr/lib', 'usr/lib64', 'etc/ssl/certs', 'tmp', 'proc', 'sys', 'dev', 'run'])
    mkdirSync(join(root, folder), { recursive: true, mode: 0o755 });
  chmodSync(join(root, 'tmp'), 0o1777);
  for (const folder of ['bin', 'lib', 'lib64']) symlinkSync(`usr/${folder}`, join(root, folder));
  const [node = '', ...libraries] = baseFiles(options);
  const program = join(root, 'usr/bin/node');
  copyFileSync(node, program);
  chmodSync(program, 0o755);
  if (options.architecture === native()) strip(program);
  for (const library of libraries) {
    // the loader looks where its own distribution puts things
    const place = `/${relative(options.sysroot, library)}`.replace(/^\/(lib|lib64)\//, '/usr/$1/');
    const target = join(root, place);
    mkdirSync(dirname(target), { recursive: true, mode: 0o755 });
    copyFileSync(realpathSync(library), target);
    chmodSync(target, 0o755);
  }
  // the kernel finds the loader by the path in the program
  const loader = join(root, interpreterOf(node));
  const place = join(root, 'usr/lib', TRIPLET[options.architecture], basename(loader));
  if (!existsSync(loader)) symlinkSync(relative(realpathSync(dirname(loader)), place), loader);
  const files: Record<string, string> = {
    'etc/passwd': `root:x:0:0:root:/:/sbin/nologin\nsluice:x:${USER}:${USER}:sluice:/:/sbin/nologin\n`,
    'etc/group': `root:x:0:\nsluice:x:${USER}:\n`,
    'etc/nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\n',
    'etc/ssl/certs/ca-certificates.crt': `${rootCertificates.join('\n')}\n`,
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(root, name), text, { mode: 0o644 });
  copyLicences(root, options.sysroot, join(dirname(dirname(node)), 'LICENSE'));
}

export const native = (): Architecture => (process.arch === 'arm64' ? 'arm64' : 'amd64');

/** Takes the symbol table off (15 % of the file); what the loader and uprobes need is in the dynamic one. */
function strip(program: string): void {
  try {
    execFileSync('strip', [program], { stdio: 'ignore' });
  } catch {
    // no binutils: a larger image
  }
}

function copyLicences(root: string, sysroot: string, nodeLicence: string): void {
  const copy = (from: string, name: string): void => {
    if (!existsSync(from)) return;
    const target = join(root, 'usr/share/doc', name);
    mkdirSync(dirname(target), { recursive: true, mode: 0o755 });
    copyFileSync(realpathSync(from), target);
    chmodSync(target, 0o644);
  };
  for (const name of ['libc6', 'libgcc-s1', 'libstdc++6'])
    copy(join(sysroot, 'usr/share/doc', name, 'copyright'), `${name}/copyright`);
  copy(nodeLicence, 'node/LICENSE');
}
