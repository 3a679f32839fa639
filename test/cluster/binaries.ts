// The programs of a cluster, built from source by test/servers/build.sh: once per machine and version.
import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';

const BUILD = join(import.meta.dirname, '..', 'servers', 'build.sh');

const exists = (program: string): boolean =>
  spawnSync('/bin/sh', ['-c', `command -v ${program}`], { stdio: 'ignore' }).status === 0;

/** Why there can be no control plane on this machine; undefined where there can. Printed once, loudly, by who imports this. */
export const clusterMissing: string | undefined = (() => {
  if (process.platform !== 'linux') return 'not Linux';
  const needs = { go: 'Go, which builds Kubernetes and etcd', openssl: 'openssl', setpriv: 'setpriv of util-linux' };
  const missing = Object.entries(needs).filter(([program]) => !exists(program));
  return missing.length === 0 ? undefined : `this machine lacks ${missing.map(([, name]) => name).join(', ')}`;
})();
if (clusterMissing !== undefined)
  process.stderr.write(`\n*** SKIPPED: everything against a real API server: ${clusterMissing} ***\n\n`);

/**
 * Paths of programs of the Go module `test/servers/<server>`, in this order. Builds those that are not there yet, which
 * takes up to five minutes on two cores for the first of Kubernetes' (`make test-setup` does all of them); says so on standard error.
 */
export function binaries(server: string, ...programs: readonly string[]): string[] {
  const output = execFileSync(BUILD, [server, ...programs], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return output.trim().split('\n');
}

/** As `binaries`, for one. */
export function binary(server: string, program: string = server): string {
  const [path] = binaries(server, program);
  if (path === undefined) throw new Error(`build.sh said nothing about ${server} ${program}`);
  return path;
}
