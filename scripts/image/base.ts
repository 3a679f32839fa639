// The bottom layer: Node.js, the shared libraries that it needs, certificates of authorities, users. No shell, no package manager.
//
// Authorities are those that Node.js itself ships: the list of the machine that builds may hold some of its owner's, which an
// image must not trust.
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { installProgram, native, prepareRoot, type Platform } from './program.ts';

/** Not in any system's range for people or services. */
export const USER = 65_532;

export interface BaseOptions extends Platform {
  /** The `node` program of that architecture. */
  readonly node: string;
}

/** Puts the layer's contents into `root`, an empty folder. */
export function fillBase(root: string, options: BaseOptions): void {
  const { node, sysroot, architecture } = options;
  prepareRoot(root);
  installProgram(root, node, '/usr/bin/node', options);
  if (architecture === native()) strip(join(root, 'usr/bin/node'));
  mkdirSync(join(root, 'etc/ssl/certs'), { recursive: true });
  const files: Record<string, string> = {
    'etc/passwd': `root:x:0:0:root:/:/sbin/nologin\nsluice:x:${USER}:${USER}:sluice:/:/sbin/nologin\n`,
    'etc/group': `root:x:0:\nsluice:x:${USER}:\n`,
    'etc/nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\n',
    'etc/ssl/certs/ca-certificates.crt': `${rootCertificates.join('\n')}\n`,
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(root, name), text, { mode: 0o644 });
  copyLicences(root, sysroot, join(dirname(dirname(node)), 'LICENSE'));
}

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
