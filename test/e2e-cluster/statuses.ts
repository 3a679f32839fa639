// What statuses said, all of it: a `kubectl get --watch` keeps every version. A status has the ten newest windows; what it said
// before is put together here.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { ExportScriptStatus } from '../../src/crds/status.ts';
import type { Cluster } from '../cluster/cluster.ts';

export type HistoryEntry = ExportScriptStatus['history'][number];

export interface ScriptRecord {
  /** `namespace/name`. */
  readonly script: string;
  readonly uid: string;
  /** When the watch told of it first, and when it was first Ready; milliseconds since the epoch. */
  readonly firstAtMs: number;
  readyAtMs: number | undefined;
  /** The newest version; undefined before the operator has written one. */
  status: ExportScriptStatus | undefined;
  /** Every window that was ever in `history`, by its start. */
  readonly windows: Map<string, HistoryEntry>;
  /** When windows that were complete were told to be otherwise, by their start: a lost disk has them run again. */
  readonly redone: Map<string, number>;
  /** A window with the start of another one and another end: never right. */
  readonly contradictions: string[];
  /** Reasons that `Complete` gave while it was False. */
  readonly incomplete: Set<string>;
}

export interface StatusWatch {
  readonly scripts: ReadonlyMap<string, ScriptRecord>;
  of(script: string): ScriptRecord | undefined;
  stop(): Promise<void>;
}

const LINE = '{.metadata.namespace}/{.metadata.name} {.metadata.uid} {.status}{"\\n"}';

/** Watches until it is stopped; comes back after an API server that went away. */
export function watchStatuses(kubectl: string, { kubeconfig, dir }: Cluster): StatusWatch {
  const scripts = new Map<string, ScriptRecord>();
  let [child, isStopped]: [ChildProcess | undefined, boolean] = [undefined, false];
  const args = ['--kubeconfig', kubeconfig, '--cache-dir', `${dir}/kubectl-cache`, 'get', 'exportscripts', '-A'];
  const start = (): void => {
    child = spawn(kubectl, [...args, '--watch', '-o', `jsonpath=${LINE}`], { stdio: ['ignore', 'pipe', 'ignore'] });
    if (child.stdout !== null) createInterface({ input: child.stdout }).on('line', (line) => take(scripts, line));
    child.once('close', () => void (isStopped || setTimeout(start, 500)));
  };
  start();
  return {
    scripts,
    of: (script) => [...scripts.values()].findLast((one) => one.script === script),
    async stop() {
      isStopped = true;
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'close');
    },
  };
}

function take(scripts: Map<string, ScriptRecord>, line: string): void {
  const [script = '', uid = '', ...rest] = line.split(' ');
  const status = JSON.parse(rest.join(' ') || '{}') as Partial<ExportScriptStatus>;
  const record = scripts.get(uid) ?? {
    script,
    uid,
    firstAtMs: Date.now(),
    readyAtMs: undefined,
    status: undefined,
    windows: new Map<string, HistoryEntry>(),
    redone: new Map<string, number>(),
    contradictions: [],
    incomplete: new Set<string>(),
  };
  scripts.set(uid, record);
  if (status.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') === true)
    record.readyAtMs ??= Date.now();
  if (status.history === undefined) return;
  record.status = status as ExportScriptStatus;
  for (const window of status.history) {
    const before = record.windows.get(window.start);
    if (before !== undefined && before.end !== window.end)
      record.contradictions.push(`${window.start}–${window.end} after ${before.start}–${before.end}`);
    if (before?.outcome === 'Complete' && window.outcome !== 'Complete') record.redone.set(window.start, Date.now());
    record.windows.set(window.start, window);
  }
  const complete = status.conditions?.find(({ type }) => type === 'Complete');
  if (complete?.status === 'False') record.incomplete.add(complete.reason);
}

/** Where the windows that a script finished do not follow each other: a gap or an overlap. */
export function seams(windows: readonly { readonly start: string; readonly end: string }[]): string[] {
  const sorted = windows.toSorted((a, b) => Date.parse(a.start) - Date.parse(b.start));
  return sorted.flatMap((window, i) => {
    const before = sorted[i - 1];
    return before === undefined || Date.parse(before.end) === Date.parse(window.start)
      ? []
      : [`${before.start}–${before.end} is followed by ${window.start}–${window.end}`];
  });
}
