// The image that clusters in tests run: made by the same script as `make image`, once for all that ask at the same time.
import { execFileSync, type ExecFileSyncOptions } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..', '..');

/** As `make image` calls it. */
export const SLUICE_IMAGE = 'localhost/sluice:dev';

/** Path of the archive; makes what has changed of it, which takes seconds. */
export function sluiceImage(): string {
  const inherit: ExecFileSyncOptions = { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] };
  execFileSync('make', ['--no-print-directory', '-C', 'probe', 'alone'], inherit);
  const archive = join(ROOT, 'build', 'sluice-image.tar');
  mkdirSync(join(ROOT, 'build', 'image'), { recursive: true });
  execFileSync('flock', ['build/image/lock', process.execPath, 'scripts/image/build.ts'], {
    ...inherit,
    env: { ...process.env, NODE_OPTIONS: '--disable-warning=ExperimentalWarning' },
  });
  return archive;
}
