// Processes of ours that a test starts, kills, halts and reads. The kernel kills them when the test's process dies.
import { spawn, type ChildProcess } from 'node:child_process';

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Process {
  readonly pid: number;
  readonly isRunning: boolean;
  stdout(): string;
  stderr(): string;
  signal(name: NodeJS.Signals): void;
  readonly ended: Promise<Ended>;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
}

/** Starts `command` in the folder of the repository. */
export function startProcess(command: readonly string[], env: Readonly<Record<string, string>> = {}): Process {
  const child: ChildProcess = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...command], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: '', ...env },
  });
  if (child.pid === undefined) throw new Error(`${command.join(' ')} could not be started`);
  const text = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name]?.setEncoding('utf8').on('data', (part: string) => (text[name] += part));
  const ended = new Promise<Ended>((resolve) => child.once('close', (code, signal) => resolve({ code, signal })));
  const isRunning = (): boolean => child.exitCode === null && child.signalCode === null;
  return {
    pid: child.pid,
    get isRunning() {
      return isRunning();
    },
    stdout: () => text.stdout,
    stderr: () => text.stderr,
    signal: (name) => void child.kill(name),
    ended,
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/**
 * Reads a text that grows at its end: the JSON objects in it so far, one a line, each read once. What is none, and a line that is
 * being written, is left out.
 */
export function jsonLineReader(text: () => string): () => readonly unknown[] {
  const found: unknown[] = [];
  let readTo = 0;
  return () => {
    const all = text();
    const end = all.lastIndexOf('\n') + 1;
    if (end > readTo) {
      for (const line of all.slice(readTo, end).split('\n')) {
        if (!line.startsWith('{')) continue;
        try {
          found.push(JSON.parse(line));
        } catch {
          // somebody's braces
        }
      }
      readTo = end;
    }
    return found;
  };
}
