// The program: finds the subcommand and runs it. Each subcommand is loaded only when it is called, because import time
// and memory are a good part of a short run's cost.
import type { Command, CommandIo } from './cli/command.ts';
import { UsageError } from './cli/command.ts';

const COMMANDS: readonly { readonly name: string; readonly summary: string; readonly load: () => Promise<Command> }[] =
  [
    {
      name: 'check',
      summary: 'compile scripts: parse, types, columns, exports',
      load: async () => (await import('./cli/check.ts')).check,
    },
    {
      name: 'run',
      summary: 'run a script once and show its tables and exports',
      load: async () => (await import('./cli/run.ts')).run,
    },
    {
      name: 'tables',
      summary: 'the catalogue: tables, columns, types, what fills them',
      load: async () => (await import('./cli/tables.ts')).tables,
    },
    {
      name: 'record',
      summary: 'write what the probe sees to a file',
      load: async () => (await import('./cli/record.ts')).record,
    },
    {
      name: 'receive',
      summary: 'a small OTLP receiver that prints what arrives, for trying out',
      load: async () => (await import('./cli/receive.ts')).receive,
    },
    {
      name: 'local',
      summary: 'everything in one process on this host',
      load: async () => (await import('./cli/local.ts')).local,
    },
    {
      name: 'collector',
      summary: "the role that captures on a cluster's node and serves its tables",
      load: async () => (await import('./cli/collector.ts')).collector,
    },
    {
      name: 'runtime',
      summary: 'the role that runs scripts in a cluster and delivers',
      load: async () => (await import('./cli/runtime.ts')).runtime,
    },
    {
      name: 'operator',
      summary: 'the role that follows the two kinds in a cluster, plans and deploys',
      load: async () => (await import('./cli/operator.ts')).operator,
    },
    {
      name: 'dump',
      summary: 'a support bundle of an installation in a cluster',
      load: async () => (await import('./cli/dump.ts')).dump,
    },
  ];

/** Subcommands of later versions: who asks for one learns that it is not here yet. */
const NOT_YET = ['test'];

const overview = (): string =>
  [
    'Sluice exports telemetry that eBPF captures, by PxL scripts, as OpenTelemetry.',
    '',
    'Usage: sluice COMMAND [ARGUMENT]…',
    '',
    ...COMMANDS.map(({ name, summary }) => `  ${name.padEnd(10)} ${summary}`),
    '',
    "'sluice COMMAND --help' tells more; 'sluice --version' the version.",
    '',
  ].join('\n');

async function main(argv: readonly string[], io: CommandIo): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    (name === undefined ? io.stderr : io.stdout).write(overview());
    return name === undefined ? 2 : 0;
  }
  if (name === '--version' || name === '-V') {
    const { version } = await import('./cli/version.ts');
    io.stdout.write(`sluice ${version}\n`);
    return 0;
  }
  const entry = COMMANDS.find((command) => command.name === name);
  if (entry === undefined) {
    const why = NOT_YET.includes(name) ? `'${name}' is not in this version` : `there is no command '${name}'`;
    io.stderr.write(`sluice: ${why}\n\n${overview()}`);
    return 2;
  }
  const command = await entry.load();
  if (rest.includes('--help') || rest.includes('-h')) {
    io.stdout.write(command.help.endsWith('\n') ? command.help : `${command.help}\n`);
    return 0;
  }
  try {
    return await command.run(rest, io);
  } catch (error) {
    // parseArgs of node:util reports wrong options by these codes
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    const isUsage = error instanceof UsageError || code.startsWith('ERR_PARSE_ARGS');
    if (error instanceof Error && isUsage) {
      io.stderr.write(`sluice ${name}: ${error.message}\n'sluice ${name} --help' shows the usage\n`);
      return 2;
    }
    const { failureText } = await import('./cli/failure.ts');
    io.stderr.write(`sluice ${name}: ${failureText(error)}\n`);
    return 1;
  }
}

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // the second one does not wait any longer
    if (stop.signal.aborted) process.exit(130);
    stop.abort(new Error(signal));
  });
}
// a reader such as `head` that went away is no error of ours
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

process.exitCode = await main(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  signal: stop.signal,
});
// A connection that was being made when its client was closed (grpc-js) holds the process until the kernel gives it up, which
// takes minutes where the peer's address is gone.
if (stop.signal.aborted) setTimeout(() => process.exit(), 1000).unref();
