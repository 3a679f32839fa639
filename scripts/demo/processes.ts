// Child processes of the demo: started together, their lines read, ended by pid in any case.
import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { createInterface } from 'node:readline';

const children = new Set<ChildProcess>();

export interface Child {
  readonly pid: number;
  /** Resolves with the exit status, or with a signal's name. */
  readonly ended: Promise<number | string>;
  stop(signal?: NodeJS.Signals): void;
}

/** Starts a process; every line of its standard output goes to `onLine`, of its standard error to `onError`. */
export function start(
  command: string,
  args: readonly string[],
  onLine: (line: string) => void,
  onError: (line: string) => void = () => undefined,
): Child {
  // the IPC channel is what lets our own children notice that we are gone
  const stdio: StdioOptions =
    command === process.execPath ? ['ignore', 'pipe', 'pipe', 'ipc'] : ['ignore', 'pipe', 'pipe'];
  const child = spawn(command, [...args], { stdio });
  children.add(child);
  if (child.stdout !== null) createInterface({ input: child.stdout }).on('line', onLine);
  if (child.stderr !== null) createInterface({ input: child.stderr }).on('line', onError);
  const ended = new Promise<number | string>((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('exit', (code, signal) => {
      children.delete(child);
      resolve(code ?? signal ?? 1);
    });
  });
  return { pid: child.pid ?? 0, ended, stop: (signal = 'SIGTERM') => void child.kill(signal) };
}

/** Ends everything that still runs. */
export async function stopAll(): Promise<void> {
  const ends = [...children].map((child) => new Promise((resolve) => child.once('exit', resolve)));
  for (const child of children) child.kill('SIGTERM');
  const late = setTimeout(() => children.forEach((child) => child.kill('SIGKILL')), 5000);
  await Promise.all(ends);
  clearTimeout(late);
}
