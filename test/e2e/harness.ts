// The whole program as a user runs it: `sluice local` as a process of its own, real servers beside it. Waiting is always
// for something that happens, with a deadline that only says "broken".
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { ExportScriptStatus } from '../../src/crds/status.ts';

export const ROOT = join(import.meta.dirname, '..', '..');
const PROBE = join(ROOT, 'build', 'sluice-probe');

/** Why nothing can be captured here; undefined where it can. */
export const captureMissing: string | undefined = (() => {
  if (!existsSync(PROBE)) return 'build/sluice-probe is not built';
  const { status, stderr } = spawnSync(PROBE, ['--check'], { encoding: 'utf8' });
  return status === 0 ? undefined : `the probe cannot run here: ${stderr.trim()}`;
})();

/** Says loudly what is left out, and why. */
export function skipping(what: string, why: string | undefined): boolean {
  if (why !== undefined) process.stderr.write(`\nSKIPPED: ${what}: ${why}\n`);
  return why !== undefined;
}

export interface Scratch {
  readonly dir: string;
  write(name: string, text: string): string;
  remove(): void;
}

export function scratch(): Scratch {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-e2e-'));
  return {
    dir,
    write(name, text) {
      const path = join(dir, name);
      mkdirSync(join(path, '..'), { recursive: true });
      writeFileSync(path, text);
      return path;
    },
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}

const DEADLINE_MS = 45_000;

/** Polls nothing that has an event: `check` is called whenever `changed` says so, and rarely besides. */
export async function until<T>(what: string, check: () => T | undefined | false, deadlineMs = DEADLINE_MS): Promise<T> {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const result = check();
    if (result !== undefined && result !== false) return result;
    if (Date.now() > end) throw new Error(`never happened: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export interface LocalEvent {
  readonly event: string;
  readonly message?: string;
  readonly kind?: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly since?: string;
  readonly status?: ExportScriptStatus;
  readonly problems?: readonly {
    readonly file: string;
    readonly line: number;
    readonly path: string;
    readonly message: string;
  }[];
}

export interface Local {
  readonly process: ChildProcess;
  readonly events: readonly LocalEvent[];
  readonly errors: readonly string[];
  /** The newest status of an ExportScript. */
  status(name: string): ExportScriptStatus | undefined;
  /** Since when rows are captured. */
  capturing(): Promise<Date>;
  /** Resolves once a script's first window has begun: what happens from now on is in a window of it. */
  scheduled(name: string): Promise<void>;
  /** SIGTERM, and its exit status. */
  stop(): Promise<number | null>;
  kill(): Promise<void>;
  readonly ended: Promise<number | null>;
}

export interface LocalOptions {
  readonly manifests: string;
  readonly state: string;
  readonly connectTo?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export function startLocal({ manifests, state, connectTo = {}, args = [], env = {} }: LocalOptions): Local {
  const redirects = Object.entries(connectTo).flatMap(([from, to]) => ['--connect-to', `${from}=${to}`]);
  const child = spawn(
    join(ROOT, 'bin', 'sluice'),
    ['local', '--manifests', manifests, '--state', state, '--format', 'json', ...redirects, ...args],
    { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } },
  );
  const events: LocalEvent[] = [];
  const errors: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => events.push(JSON.parse(line) as LocalEvent));
  createInterface({ input: child.stderr }).on('line', (line) => errors.push(line));
  const ended = new Promise<number | null>((resolve) => child.on('close', (code) => resolve(code)));
  const status = (name: string): ExportScriptStatus | undefined =>
    events.findLast((one) => one.event === 'status' && one.kind === 'ExportScript' && one.name === name)?.status;
  return {
    process: child,
    events,
    errors,
    status,
    async capturing() {
      const event = await until(`capturing (${errors.join(' | ')})`, () => {
        if (child.exitCode !== null) throw new Error(`sluice local ended: ${errors.join('\n')}`);
        return events.find((one) => one.event === 'capturing');
      });
      return new Date(event.since ?? 0);
    },
    async scheduled(name) {
      await until(
        `${name} is scheduled (${errors.join(' | ')})`,
        () => Date.parse(status(name)?.nextWindow?.start ?? '') <= Date.now(),
      );
    },
    async stop() {
      child.kill('SIGTERM');
      return ended;
    },
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
    ended,
  };
}

/** A plugin that sends to `endpoint` without TLS. */
export const pluginManifest = (endpoint: string, more = ''): string => `
apiVersion: sluice.dev/v1alpha1
kind: OtelPlugin
metadata: { name: collector, namespace: test }
spec:
  destination:
    type: OTLPGRPC
    endpoint: ${endpoint}
    tls: { mode: Plaintext }
    timeout: 2s
${more}`;

/** Counts requests by service and path, a delta sum per window. */
export const countManifest = (window: string, name = 'requests'): string => `
apiVersion: sluice.dev/v1alpha1
kind: ExportScript
metadata: { name: ${name}, namespace: test }
spec:
  pluginRef: { name: collector }
  window: ${window}
  script:
    inline: |
      import px
      df = px.DataFrame('http_events', start_time=px.plugin.start_time, end_time=px.plugin.end_time)
      df = df[df.trace_role == 2]
      df.service = df.ctx['service']
      df = df.groupby(['service', 'req_path', 'resp_status']).agg(n=('latency', px.count), time_=('time_', px.max))
      px.export(df, px.otel.Data(
          resource={'service.name': df.service},
          data=[px.otel.metric.Sum(name='requests', value=df.n, attributes={'path': df.req_path, 'status': df.resp_status})],
      ))
`;
