// A query runtime as a process of its own (runtime-child.ts) that can be killed, halted and started again on its ledger.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../servers/free-port.ts';
import { GiveUp, waitFor } from '../cluster/instance.ts';
import { jsonLineReader, startProcess, type Process } from './processes.ts';
import type { RuntimeLine } from './runtime-child.ts';

export interface RuntimeProcess {
  /** `127.0.0.1:port`, the same for all its lives. */
  readonly address: string;
  readonly process: Process;
  /** What it was asked for, in all its lives. */
  lines(): readonly RuntimeLine[];
  /** Starts it (again). */
  start(): Promise<void>;
  kill(): Promise<void>;
  /**
   * Windows that were committed, in that order; with those on which a life ended that never said whether it had, and that
   * were not asked for again.
   */
  committed(uid?: string): WindowLine[];
}

type WindowLine = Extract<RuntimeLine, { readonly start: string }>;

const CHILD = join(import.meta.dirname, 'runtime-child.ts');

export async function startRuntime(dir: string, namespaces: readonly string[]): Promise<RuntimeProcess> {
  mkdirSync(dir, { recursive: true });
  const port = await freePort();
  const since = Date.now() - 60_000;
  let earlier = '';
  let child = begin();
  function begin(): Process {
    return startProcess([process.execPath, CHILD, dir, String(port), String(since), namespaces.join(',')]);
  }
  const listening = (): Promise<void> =>
    waitFor(
      'the runtime',
      () => {
        if (!child.isRunning) throw new GiveUp(`the runtime has ended:\n${child.stderr().slice(-3000)}`);
        return child.stdout().includes('"listening"');
      },
      60_000,
    );
  await listening();
  const lines = jsonLineReader(() => earlier + child.stdout()) as () => readonly RuntimeLine[];
  return {
    address: `127.0.0.1:${port}`,
    get process() {
      return child;
    },
    lines,
    committed: (uid) => committedIn(lines()).filter((line) => uid === undefined || line.uid === uid),
    async start() {
      if (child.isRunning) return;
      // a line that it was killed in stays one by itself
      earlier += `${child.stdout()}\n`;
      child = begin();
      await listening();
    },
    kill: () => child.kill(),
  };
}

function committedIn(lines: readonly RuntimeLine[]): WindowLine[] {
  const life = lines.findLastIndex(({ kind }) => kind === 'listening');
  const isOfWindow = (line: RuntimeLine): line is WindowLine => 'start' in line;
  const nameOf = ({ uid, start, end }: WindowLine): string => `${uid} ${start} ${end}`;
  const windows = lines.filter(isOfWindow);
  const answered = new Set(windows.filter(({ kind }) => kind !== 'committing').map(nameOf));
  const cutOff = new Set(
    lines
      .slice(0, life)
      .filter(isOfWindow)
      .filter((line) => line.kind === 'committing' && !answered.has(nameOf(line))),
  );
  return windows.filter((line) => line.kind === 'committed' || cutOff.has(line));
}

/** Where one window does not begin at the end of the one before it, in order of time: a line for each place. */
export function gapsAndOverlaps(windows: readonly { readonly start: string; readonly end: string }[]): string[] {
  const sorted = windows.toSorted((a, b) => (BigInt(a.start) < BigInt(b.start) ? -1 : 1));
  return sorted.flatMap(({ start }, i) => {
    const before = sorted[i - 1]?.end;
    return before === undefined || before === start ? [] : [`${before} is followed by ${start}`];
  });
}
