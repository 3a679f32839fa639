// Images for tests. Every node has two: `localhost/pause:1`, which holds a pod's namespaces, and `localhost/busybox:1`, a
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
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { packLayer, writeArchive } from '../../scripts/image/oci.ts';
import { installProgram, native, prepareRoot } from '../../scripts/image/program.ts';

const CACHE = join(import.meta.dirname, '..', '..', '.cache', 'images');
const BUSYBOX = '/bin/busybox';

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
  const [waits, shell] = [
    { name: 'pause', inputs: [PAUSE], fill: pause, command: ['/pause'] },
    { name: 'busybox', inputs: [readFileSync(BUSYBOX)], fill: busybox, command: ['sh'] },
  ];
  return [await testImage(waits), await testImage(shell)];
}

/**
 * An image with programs of this machine (`/usr/sbin/nginx`, `/usr/bin/wrk`), their libraries and busybox's shell: for
 * applications that stand in for users'. Called `localhost/<name>:1`; the archive's path.
 * @param files absolute path → text: configuration, pages.
 */
export function programImage(
  name: string,
  programs: readonly string[],
  files: Readonly<Record<string, string>> = {},
): Promise<string> {
  const platform = { architecture: native(), sysroot: '/' };
  return testImage({
    name,
    inputs: [
      JSON.stringify(files),
      ...programs.map((path) => `${path} ${statSync(path).size} ${statSync(path).mtimeMs}`),
    ],
    command: programs.slice(0, 1),
    fill(root) {
      prepareRoot(root);
      shell(root, 'usr/bin');
      for (const program of programs) installProgram(root, program, program, platform);
      for (const [path, text] of Object.entries(files)) {
        mkdirSync(dirname(join(root, path)), { recursive: true });
        writeFileSync(join(root, path), text);
      }
    },
  });
}

interface TestImage {
  readonly name: string;
  /** What it is made of: other inputs, another image. */
  readonly inputs: readonly (string | Buffer)[];
  readonly command: readonly string[];
  readonly fill: (root: string) => void;
}

async function testImage({ name, inputs, command, fill }: TestImage): Promise<string> {
  const hash = createHash('sha256').update(readFileSync(import.meta.filename));
  for (const input of inputs) hash.update(input).update('\0');
  const archive = join(CACHE, `${name}-${hash.digest('hex').slice(0, 16)}.tar`);
  if (existsSync(archive)) return archive;
  mkdirSync(CACHE, { recursive: true });
  const work = mkdtempSync(join(CACHE, `${name}-`));
  try {
    const root = join(work, 'root');
    mkdirSync(root);
    chmodSync(root, 0o755);
    fill(root);
    const env = { PATH: '/usr/bin:/bin:/usr/sbin:/sbin' };
    const layer = await packLayer(root, join(work, 'layer.tar'));
    writeArchive(archive, `localhost/${name}:1`, [layer], { architecture: native(), command, env });
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
  for (const folder of ['tmp', 'www']) mkdirSync(join(root, folder));
  chmodSync(join(root, 'tmp'), 0o1777);
  shell(root, 'bin');
  writeFileSync(join(root, 'www', 'index.html'), 'hello\n');
}

/** busybox with all its names in `folder`, and the files that name resolution and user names need. */
function shell(root: string, folder: string): void {
  for (const needed of [folder, 'etc']) mkdirSync(join(root, needed), { recursive: true });
  copyFileSync(BUSYBOX, join(root, folder, 'busybox'));
  chmodSync(join(root, folder, 'busybox'), 0o755);
  const applets = execFileSync(BUSYBOX, ['--list'], { encoding: 'utf8' }).split('\n');
  for (const applet of applets.filter((name) => name !== '' && name !== 'busybox'))
    symlinkSync('busybox', join(root, folder, applet));
  writeFileSync(join(root, 'etc', 'passwd'), 'root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n');
  writeFileSync(join(root, 'etc', 'group'), 'root:x:0:\nnogroup:x:65534:\n');
  // a static glibc looks for plug-ins without this, and there are none
  writeFileSync(join(root, 'etc', 'nsswitch.conf'), 'hosts: files dns\npasswd: files\ngroup: files\n');
}
