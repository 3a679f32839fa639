// Flags that the roles of a cluster share, each also as environment variable SLUICE_…: the flag wins.
import { parseArgs, type ParseArgsConfig } from 'node:util';
import type { Address } from '../../observe/health.ts';
import { LOG_LEVELS, type LogLevel } from '../../observe/log.ts';
import { isLoopback, parseListen } from '../../rpc/server.ts';
import { addressArg, choiceArg } from '../args.ts';
import { UsageError, type CommandIo } from '../command.ts';

export interface Flags {
  /** Undefined where neither flag nor variable is there. */
  text(name: string): string | undefined;
  /** Each time that it was given; a variable's parts are separated by commas. */
  list(name: string): readonly string[];
  /** A variable is `true` or `false`. */
  flag(name: string): boolean;
}

export interface FlagNames {
  readonly texts: readonly string[];
  readonly lists: readonly string[];
  readonly flags: readonly string[];
}

/** @throws UsageError; wrong flags are reported by parseArgs itself. */
export function readFlags(argv: readonly string[], env: CommandIo['env'], names: FlagNames): Flags {
  const options: ParseArgsConfig['options'] = Object.fromEntries([
    ...names.texts.map((name) => [name, { type: 'string' }] as const),
    ...names.lists.map((name) => [name, { type: 'string', multiple: true }] as const),
    ...names.flags.map((name) => [name, { type: 'boolean' }] as const),
  ]);
  const values: Readonly<Record<string, unknown>> = parseArgs({ args: [...argv], options }).values;
  const variable = (name: string): string | undefined => {
    const text = env[`SLUICE_${name.toUpperCase().replaceAll('-', '_')}`];
    return text === '' ? undefined : text;
  };
  return {
    text(name) {
      const given = values[name];
      return typeof given === 'string' ? given : variable(name);
    },
    list(name) {
      const given = values[name];
      if (Array.isArray(given)) return given.map(String);
      return (variable(name) ?? '').split(',').flatMap((part) => part.trim() || []);
    },
    flag(name) {
      const given = values[name];
      if (typeof given === 'boolean') return given;
      const text = variable(name) ?? 'false';
      return choiceArg(name, text, ['true', 'false']) === 'true';
    },
  };
}

export interface RoleOptions {
  /** The role's own namespace. */
  readonly namespace: string;
  /** Of this pod or host. */
  readonly instance: string;
  readonly health: Address;
  readonly metrics: Address;
  readonly logLevel: LogLevel;
  /** `host:port` that own metrics and traces go to. */
  readonly telemetry: string | undefined;
  /** With the certificate, key and trust bundle; undefined: plain text. */
  readonly tlsFolder: string | undefined;
  readonly kubeconfig: string | undefined;
}

export const ROLE_FLAGS: FlagNames = {
  texts: ['namespace', 'tls', 'health-address', 'metrics-address', 'log-level', 'telemetry', 'kubeconfig'],
  lists: [],
  flags: ['insecure'],
};

export const ROLE_HELP = `  --tls DIR                tls.crt, tls.key and ca.crt; followed, so that certificates change without a restart
  --insecure               without TLS: whoever reaches the port may do everything. For tries on loopback
  --namespace NAME         the role's own (default: POD_NAMESPACE, else sluice-system)
  --health-address ADDR    /livez and /readyz (default: [::]:8081)
  --metrics-address ADDR   /metrics (default: [::]:9090)
  --telemetry HOST:PORT    an OTLP/gRPC receiver for the role's own metrics and traces
  --kubeconfig FILE        the cluster; default: the pod's service account
  --log-level LEVEL        ${LOG_LEVELS.join(', ')} (info); JSON lines on standard error
  --help                   this text

Each flag also as an environment variable SLUICE_…, lists separated by commas. Ends at SIGTERM or SIGINT within 20 seconds.
`;

function listenArg(text: string): ReturnType<typeof parseListen> {
  try {
    return parseListen(text);
  } catch (error) {
    throw new UsageError(`an address to listen on is HOST:PORT, not '${text}'`, { cause: error });
  }
}

/** `listen`: where the role is served; without TLS that is loopback, or everybody could ask everything. */
export function roleOptions(flags: Flags, env: CommandIo['env'], hostname: string, listen: string): RoleOptions {
  const tlsFolder = flags.text('tls');
  const isInsecure = flags.flag('insecure');
  if (tlsFolder === undefined && !isInsecure)
    throw new UsageError('--tls DIR is missing (--insecure for a try on loopback)');
  if (isInsecure && !isLoopback(listenArg(listen).host))
    throw new UsageError(`--insecure goes with a loopback address such as 127.0.0.1:0, not '${listen}'`);
  return {
    namespace: flags.text('namespace') ?? env['POD_NAMESPACE'] ?? 'sluice-system',
    instance: env['POD_NAME'] ?? hostname,
    health: addressArg('health-address', flags.text('health-address') ?? '[::]:8081'),
    metrics: addressArg('metrics-address', flags.text('metrics-address') ?? '[::]:9090'),
    logLevel: choiceArg('log-level', flags.text('log-level') ?? 'info', LOG_LEVELS),
    telemetry: flags.text('telemetry')?.replace(/^http:\/\//, ''),
    tlsFolder: isInsecure ? undefined : tlsFolder,
    kubeconfig: flags.text('kubeconfig'),
  };
}
