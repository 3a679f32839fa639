// Flags and environment of `sluice operator`, read once.
import { readFileSync, realpathSync, statSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { parseSettings, problemText } from '../../controllers/workloads/settings.ts';
import type { Settings } from '../../controllers/workloads/settings-schema.ts';
import type { Address } from '../../observe/health.ts';
import { LOG_LEVELS, type LogLevel } from '../../observe/log.ts';
import { addressArg, choiceArg } from '../args.ts';
import { UsageError, type CommandIo } from '../command.ts';
import { readFlags, type FlagNames } from '../role/options.ts';

export interface OperatorOptions {
  readonly settingsFile: string;
  readonly settings: Settings;
  readonly kubeconfig: string | undefined;
  /** The operator's own. */
  readonly namespace: string | undefined;
  /** Of this process alone: a pod's name, and something that is new at each start of its container. */
  readonly identity: string;
  readonly health: Address;
  readonly metrics: Address;
  readonly logLevel: LogLevel;
  /** Fixed addresses of runtimes by ordinal; the workloads are then not deployed. */
  readonly runtimes: readonly string[];
  readonly tlsFolder: string | undefined;
  readonly isInsecure: boolean;
}

/** @throws UsageError with every problem of the settings file, one a line. */
export function loadSettings(file: string): Settings {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`--settings: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
  const result = parseSettings(text, file);
  if (result.ok) return result.settings;
  throw new UsageError(`the settings cannot be used\n${result.problems.map(problemText).join('\n')}`);
}

const FLAGS: FlagNames = {
  texts: ['settings', 'kubeconfig', 'namespace', 'health-address', 'metrics-address', 'log-level', 'tls'],
  lists: ['runtime'],
  flags: ['insecure'],
};

export function parseOperatorOptions(argv: readonly string[], env: CommandIo['env']): OperatorOptions {
  const flags = readFlags(argv, env, FLAGS);
  const settingsFile = flags.text('settings');
  if (settingsFile === undefined) throw new UsageError('--settings FILE is missing');
  const settings = loadSettings(settingsFile);
  const [runtime, isInsecure, tlsFolder] = [flags.list('runtime'), flags.flag('insecure'), flags.text('tls')];
  for (const address of runtime) addressArg('runtime', address);
  if (isInsecure && runtime.length === 0) throw new UsageError('--insecure goes with --runtime HOST:PORT');
  if (runtime.length > 0 && !isInsecure && tlsFolder === undefined)
    throw new UsageError('--runtime needs --tls DIR, or --insecure for a try on loopback');
  const { ports } = settings;
  return {
    settingsFile,
    settings,
    kubeconfig: flags.text('kubeconfig'),
    namespace: flags.text('namespace') ?? env['POD_NAMESPACE'],
    identity: `${env['POD_NAME'] ?? hostname()}_${randomUUID().slice(0, 8)}`,
    health: addressArg('health-address', flags.text('health-address') ?? `[::]:${ports.health}`),
    metrics: addressArg('metrics-address', flags.text('metrics-address') ?? `[::]:${ports.metrics}`),
    logLevel: choiceArg('log-level', flags.text('log-level') ?? settings.log.level, LOG_LEVELS),
    runtimes: runtime,
    tlsFolder,
    isInsecure,
  };
}

const LOOK_EVERY_MS = 5000;

/**
 * Follows the settings file: a mounted ConfigMap is another folder behind a link whenever it changes, so the path behind
 * the link and the time of change are looked at. What cannot be used is told, and the settings in force stay.
 */
export function followSettings(
  file: string,
  signal: AbortSignal,
  onChange: (settings: Settings) => void,
  onProblem: (error: unknown) => void,
): void {
  const stamp = (): string => {
    try {
      const path = realpathSync(file);
      return `${path} ${statSync(path).mtimeMs}`;
    } catch {
      return '';
    }
  };
  let before = stamp();
  const timer = setInterval(() => {
    const now = stamp();
    if (now === before || now === '') return;
    before = now;
    try {
      onChange(loadSettings(file));
    } catch (error) {
      onProblem(error);
    }
  }, LOOK_EVERY_MS).unref();
  signal.addEventListener('abort', () => clearInterval(timer), { once: true });
}
