// The top layer: the program compiled to JavaScript, presets, the probe.
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const PROBE = '/usr/lib/sluice/sluice-probe';

export interface AppOptions {
  readonly repository: string;
  /** The statically linked probe of the image's architecture. */
  readonly probe: string;
}

export function fillApp(root: string, { repository, probe }: AppOptions): void {
  const app = join(root, 'app');
  const dist = join(app, 'dist');
  mkdirSync(dist, { recursive: true });
  // `make types` and `make test` check the types; here they are only taken off
  const tsc = ['-p', join(repository, 'tsconfig.build.json'), '--outDir', dist, '--sourceMap', 'false', '--noCheck'];
  execFileSync(join(repository, 'node_modules/.bin/tsc'), tsc, { stdio: ['ignore', 'inherit', 'inherit'] });
  // presets, .proto files and the like
  cpSync(join(repository, 'src'), dist, { recursive: true, filter: (source) => !source.endsWith('.ts') });
  const main = join(dist, 'main.js');
  writeFileSync(main, `#!/usr/bin/node\n${readFileSync(main, 'utf8')}`);
  const { name, version, license, type } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as Record<
    string,
    unknown
  >;
  writeFileSync(join(app, 'package.json'), `${JSON.stringify({ name, version, license, type })}\n`);
  copyFileSync(join(repository, 'LICENSE'), join(app, 'LICENSE'));
  for (const folder of ['usr/bin', 'usr/lib/sluice']) mkdirSync(join(root, folder), { recursive: true });
  // Node resolves the link, so the program finds its package.json and packages
  symlinkSync('/app/dist/main.js', join(root, 'usr/bin/sluice'));
  copyFileSync(probe, join(root, PROBE));
  chmodSync(join(root, PROBE), 0o755);
}

/** Programs among the layer's files. */
export const PROGRAMS = ['app/dist/main.js', PROBE.slice(1)];
