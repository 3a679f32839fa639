// `sluice operator` as a process outside of the cluster, with a service account's rights and runtimes that run already.
import { freePort } from '../servers/free-port.ts';
import { GiveUp, waitFor } from '../cluster/instance.ts';
import { jsonLineReader, startProcess, type Process } from './processes.ts';

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly what?: string;
  readonly error?: string;
  readonly [field: string]: unknown;
}

export interface Operator extends Process {
  readonly name: string;
  /** Lines of its log. */
  log(): readonly LogLine[];
  /** Resolves with the first line, of those after the `from`-th, that `isWanted`. */
  logged(isWanted: (line: LogLine) => boolean, from?: number): Promise<LogLine>;
  /** Status and body of a path of its health port; status 0 where nobody answers. */
  health(path: '/livez' | '/readyz'): Promise<{ readonly status: number; readonly body: string }>;
  ready(): Promise<void>;
  /** Resolves once it has written that it leads. */
  leads(): Promise<LogLine>;
  metrics(): Promise<string>;
  /** Sum of a metric over its labels; `labels` must be in the line. */
  metric(name: string, labels?: string): Promise<number>;
  /** SIGTERM; resolves with its exit status when it is gone. */
  terminate(): Promise<number | null>;
}

export interface OperatorOptions {
  readonly name: string;
  readonly kubeconfig: string;
  readonly namespace: string;
  readonly settingsFile: string;
  /** `host:port` by ordinal. */
  readonly runtimes: readonly string[];
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

const WAIT_MS = 60_000;

export const OPERATOR_COMMAND = [process.execPath, 'src/main.ts', 'operator'];

export async function startOperator(options: OperatorOptions): Promise<Operator> {
  const { name } = options;
  const [healthPort, metricsPort] = [await freePort(), await freePort()];
  const command = [
    ...OPERATOR_COMMAND,
    '--settings',
    options.settingsFile,
    '--kubeconfig',
    options.kubeconfig,
    '--namespace',
    options.namespace,
    '--health-address',
    `127.0.0.1:${healthPort}`,
    '--metrics-address',
    `127.0.0.1:${metricsPort}`,
    '--log-level',
    'debug',
    ...options.runtimes.flatMap((address) => ['--runtime', address]),
    ...(options.runtimes.length > 0 ? ['--insecure'] : []),
    ...(options.args ?? []),
  ];
  const child = startProcess(command, { POD_NAME: name, ...options.env });
  const ask = async (port: number, path: string): Promise<{ status: number; body: string }> => {
    try {
      const answer = await fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(5000) });
      return { status: answer.status, body: await answer.text() };
    } catch {
      return { status: 0, body: '' };
    }
  };
  const metrics = async (): Promise<string> => (await ask(metricsPort, '/metrics')).body;
  const log = jsonLineReader(() => child.stderr()) as () => readonly LogLine[];
  const stillThere = (): void => {
    if (!child.isRunning) throw new GiveUp(`${name} has ended:\n${child.stderr().slice(-3000)}`);
  };
  async function logged(isWanted: (line: LogLine) => boolean, from = 0): Promise<LogLine> {
    let found: LogLine | undefined;
    const look = (): boolean => {
      found = log().find((line, i) => i >= from && isWanted(line));
      if (found === undefined) stillThere();
      return found !== undefined;
    };
    await waitFor(`a line in the log of ${name}`, look, WAIT_MS);
    if (found === undefined) throw new Error('unreachable');
    return found;
  }
  return {
    ...child,
    name,
    get isRunning() {
      return child.isRunning;
    },
    log,
    logged,
    health: (path) => ask(healthPort, path),
    ready: () =>
      waitFor(
        `readiness of ${name}`,
        async () => {
          stillThere();
          return (await ask(healthPort, '/readyz')).status === 200;
        },
        WAIT_MS,
      ),
    leads: () => logged(({ message }) => message === 'leads'),
    metrics,
    async metric(metric, labels = '') {
      const lines = (await metrics()).split('\n').filter((line) => line.includes(labels));
      const own = lines.filter((line) => line.startsWith(`${metric} `) || line.startsWith(`${metric}{`));
      return own.reduce((sum, line) => sum + Number(/ ([-+\d.eE]+)(?: \d+)?$/.exec(line)?.[1] ?? 0), 0);
    },
    async terminate() {
      child.signal('SIGTERM');
      return (await child.ended).code;
    },
  };
}
