// Starts candidates (leader-child.ts) and waits for what they say.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { LeaseTimes } from '../../src/kube/leader-election.ts';

export interface CandidateSettings extends LeaseTimes {
  /** Name of the Lease, and of the ConfigMap that it writes into. */
  readonly lease: string;
  readonly identity: string;
  readonly kubeconfig: string;
  readonly loopLagMaxMs?: number;
  readonly endingMaxMs?: number;
  /** How often it says that it leads. */
  readonly sampleMs?: number;
}

export type Said =
  | { readonly kind: 'ready' }
  | { readonly kind: 'stopped' }
  | { readonly kind: 'acquired'; readonly transitions: number; readonly number: number }
  | { readonly kind: 'lost'; readonly reason: string }
  | { readonly kind: 'stuck'; readonly reason: string }
  | { readonly kind: 'leads'; readonly transitions: number; readonly sampledMs: number }
  | { readonly kind: 'wrote'; readonly value: string }
  | { readonly kind: 'refused'; readonly value: string; readonly error: string }
  | { readonly kind: 'unblocked'; readonly mayWrite: boolean; readonly isAborted: boolean };

export type Heard = Said & { /** The machine's monotonic clock, one for all processes. */ readonly atMs: number };

export interface Candidate {
  readonly identity: string;
  readonly heard: readonly Heard[];
  /** The next of that kind that was not asked for yet. Rejects after half a minute, or when the process has ended. */
  next<K extends Said['kind']>(kind: K): Promise<Extract<Said, { readonly kind: K }> & { readonly atMs: number }>;
  tell(command: string): void;
  signal(name: NodeJS.Signals): void;
  readonly isRunning: boolean;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
}

const DEADLINE_MS = 30_000;
const PROGRAM = join(import.meta.dirname, 'leader-child.ts');

export function startCandidate(settings: CandidateSettings): Candidate {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', PROGRAM, JSON.stringify(settings)], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  const heard: Heard[] = [];
  const taken = new Map<string, number>();
  const listeners = new Set<() => void>();
  let isRunning = true;
  const changed = (): void => listeners.forEach((listener) => listener());
  createInterface({ input: child.stdout }).on('line', (line) => {
    heard.push(JSON.parse(line) as Heard);
    changed();
  });
  child.on('exit', () => {
    isRunning = false;
    changed();
  });
  // a command to a process that has just ended
  child.stdin.on('error', () => undefined);

  return {
    identity: settings.identity,
    heard,
    next: (kind) =>
      new Promise((resolve, reject) => {
        const end = (): void => {
          clearTimeout(timer);
          listeners.delete(look);
        };
        const fail = (what: string): void => {
          end();
          reject(new Error(`${settings.identity} never said ${kind} (${what}); it said ${JSON.stringify(heard)}`));
        };
        const look = (): void => {
          const from = taken.get(kind) ?? 0;
          const at = heard.findIndex((said, i) => i >= from && said.kind === kind);
          if (at >= 0) {
            end();
            taken.set(kind, at + 1);
            resolve(heard[at] as Extract<Heard, { readonly kind: typeof kind }>);
          } else if (!isRunning) fail('it has ended');
        };
        const timer = setTimeout(() => fail('in time'), DEADLINE_MS);
        listeners.add(look);
        look();
      }),
    tell: (command) => void child.stdin.write(`${command}\n`),
    signal: (name) => void child.kill(name),
    get isRunning() {
      return isRunning;
    },
    async kill() {
      if (!isRunning) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}
