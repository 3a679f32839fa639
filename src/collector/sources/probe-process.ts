// The probe as our child: started with a socket path, watched, its last words kept for messages. It dies with us.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export interface ProbeCommand {
  /** `build/sluice-probe`, or wherever it was installed. */
  readonly path: string;
  /** Before `--socket PATH`. */
  readonly args?: readonly string[];
}

export interface ProbeProcess {
  readonly pid: number | undefined;
  /** Resolves with a sentence on why it ended; never rejects. */
  readonly ended: Promise<string>;
  /** Asks it to end and waits; after three seconds it is made to. */
  stop(): Promise<void>;
}

const GRACE_MS = 3000;
const LAST_WORDS_LINES = 5;
const LINE_CHARS_MAX = 512;

/** Starts the probe. What it writes goes to `onLine`, a line at a time, each cut at 512 characters. */
export function startProbe(command: ProbeCommand, socketPath: string, onLine: (line: string) => void): ProbeProcess {
  const child = spawn(command.path, [...(command.args ?? []), '--socket', socketPath], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lastWords: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (text) => {
      const line = text.slice(0, LINE_CHARS_MAX);
      lastWords.push(line);
      if (lastWords.length > LAST_WORDS_LINES) lastWords.shift();
      onLine(line);
    });
  }
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(`${command.path} could not be started: ${error.message}`));
    child.once('close', (code, signal) => {
      const how = signal === null ? `with status ${code ?? '?'}` : `by ${signal}`;
      resolve(`${command.path} ended ${how}${lastWords.length === 0 ? '' : `: ${lastWords.join(' | ')}`}`);
    });
  });
  return {
    pid: child.pid,
    ended,
    async stop() {
      child.kill('SIGTERM');
      const force = setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
      await ended;
      clearTimeout(force);
    },
  };
}
