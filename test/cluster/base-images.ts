// The two images that every node of a test has: `localhost/pause:1`, which holds a pod's namespaces, and `localhost/busybox:1`, a
// shell, wget, httpd and the like for pods that stand in for users' applications. Made of what the machine has. (wget's `-T`
// crashes in Debian 12's busybox: `timeout 5 wget …`.)
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { packLayer, writeArchive, type ImageConfig } from '../../scripts/image/oci.ts';

const CACHE = join(import.meta.dirname, '..', '..', '.cache', 'images');
const BUSYBOX = '/bin/busybox';
const ARCHITECTURE = process.arch === 'arm64' ? 'arm64' : 'amd64';

// pid 1 of a pod: waits, reaps, and ends at once when told to
const PAUSE = `#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
static void end(int signal) { (void)signal; _exit(0); }
static void reap(int signal) { (void)signal; while (waitpid(-1, 0, WNOHANG) > 0) {} }
int main(void) {
  signal(SIGINT, end);
  signal(SIGTERM, end);
  signal(SIGCHLD, reap);
  for (;;) pause();
}
`;

/** Archives of both, made where they are not there yet. */
export async function baseImages(): Promise<string[]> {
  return [await made('pause', PAUSE, pause, ['/pause']), await made('busybox', readFileSync(BUSYBOX), busybox, ['sh'])];
}

async function made(
  name: string,
  source: string | Buffer,
  fill: (root: string) => void,
  command: readonly string[],
): Promise<string> {
  const key = createHash('sha256')
    .update(readFileSync(import.meta.filename))
    .update(source)
    .digest('hex')
    .slice(0, 16);
  const archive = join(CACHE, `${name}-${key}.tar`);
  if (existsSync(archive)) return archive;
  mkdirSync(CACHE, { recursive: true });
  const work = mkdtempSync(join(CACHE, `${name}-`));
  try {
    const root = join(work, 'root');
    mkdirSync(root);
    chmodSync(root, 0o755);
    fill(root);
    const config: ImageConfig = { architecture: ARCHITECTURE, command, env: { PATH: '/usr/bin:/bin:/usr/sbin:/sbin' } };
    const layer = await packLayer(root, join(work, 'layer.tar'));
    writeArchive(archive, `localhost/${name}:1`, [layer], config);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return archive;
}

function pause(root: string): void {
  const flags = ['-Os', '-static', '-s', '-x', 'c', '-', '-o', join(root, 'pause')];
  execFileSync('gcc', flags, { input: PAUSE, stdio: ['pipe', 'ignore', 'inherit'] });
}

function busybox(root: string): void {
  for (const folder of ['bin', 'etc', 'tmp', 'www']) mkdirSync(join(root, folder));
  chmodSync(join(root, 'tmp'), 0o1777);
  copyFileSync(BUSYBOX, join(root, 'bin', 'busybox'));
  chmodSync(join(root, 'bin', 'busybox'), 0o755);
  const applets = execFileSync(BUSYBOX, ['--list'], { encoding: 'utf8' }).split('\n');
  for (const applet of applets.filter((name) => name !== '' && name !== 'busybox'))
    symlinkSync('busybox', join(root, 'bin', applet));
  writeFileSync(join(root, 'etc', 'passwd'), 'root:x:0:0:root:/:/bin/sh\n');
  // a static glibc looks for plug-ins without this, and there are none
  writeFileSync(join(root, 'etc', 'nsswitch.conf'), 'hosts: files dns\npasswd: files\ngroup: files\n');
  writeFileSync(join(root, 'www', 'index.html'), 'hello\n');
}
