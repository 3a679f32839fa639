// pyarrow, Arrow's own Flight client, for tests: an environment of Python's in the ignored cache folder, once per machine.
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const VERSION = '22.0.0';
const HOME = join(dirname(dirname(import.meta.dirname)), '.cache', `pyarrow-${VERSION}`);
const PYTHON = join(HOME, 'bin', 'python');
const INSTALL_MS = 300_000;

/** Makes the environment where it is not there. Returns why it cannot be had, undefined where it can. */
function install(): string | undefined {
  const works = (): boolean => spawnSync(PYTHON, ['-c', 'import pyarrow.flight']).status === 0;
  if (existsSync(PYTHON) && works()) return undefined;
  rmSync(HOME, { recursive: true, force: true });
  try {
    execFileSync('python3', ['-m', 'venv', HOME], { stdio: 'pipe', timeout: INSTALL_MS });
    execFileSync(join(HOME, 'bin', 'pip'), ['install', '--quiet', `pyarrow==${VERSION}`], {
      stdio: 'pipe',
      timeout: INSTALL_MS,
    });
  } catch (error) {
    rmSync(HOME, { recursive: true, force: true });
    const why = error instanceof Error ? error.message.split('\n')[0] : String(error);
    return `no pyarrow ${VERSION}: ${why}`;
  }
  return works() ? undefined : `pyarrow ${VERSION} is installed and does not start`;
}

/** Why tests with pyarrow cannot run here; undefined where they can. */
export const pyarrowMissing: string | undefined = install();

/** Runs a program; resolves with what it printed, rejects with its error output. */
export async function python(program: string, args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(PYTHON, ['-c', program, ...args], { maxBuffer: 64 * 2 ** 20 });
  return stdout;
}
