// sluice receive: prints the OTLP that arrives. For trying out scripts and destinations; it stores nothing.
import type { Writable } from 'node:stream';
import { parseArgs } from 'node:util';
import { otlpLines } from '../exporters/console/lines.ts';
import { startReceiver, type ReceivedRequest } from '../exporters/otlp/receiver.ts';
import { addressArg, choiceArg } from './args.ts';
import { UsageError, type Command, type CommandIo } from './command.ts';

const HELP = `Usage: sluice receive [--grpc HOST:PORT] [--http HOST:PORT] [--format text|json|ndjson]

A small OTLP receiver that prints what arrives: metrics, traces and logs, over gRPC and over HTTP (protobuf or JSON),
gzip or not. For trying out, not for production: it keeps nothing and has no credentials.

  --grpc HOST:PORT   where to listen for OTLP/gRPC (127.0.0.1:4317); "none" for not at all
  --http HOST:PORT   where to listen for OTLP/HTTP (127.0.0.1:4318); "none" for not at all
  --format FORMAT    text: one line per data point, span and log record (default)
                     json: each request as indented OTLP/JSON; ndjson: each request as one line of OTLP/JSON
  --help             this text

Port 0 takes any free port; the addresses are printed to standard error. Ends at SIGINT or SIGTERM.
`;

const FORMATS = ['text', 'json', 'ndjson'] as const;
type Format = (typeof FORMATS)[number];

/** What is not printed yet may wait up to here; what arrives beyond is counted, not kept. */
const WAITING_BYTES_MAX = 64 * 2 ** 20;

function parse(argv: readonly string[]) {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      grpc: { type: 'string', default: '127.0.0.1:4317' },
      http: { type: 'string', default: '127.0.0.1:4318' },
      format: { type: 'string', default: 'text' },
      help: { type: 'boolean', default: false },
    },
  });
  const { grpc, http, help } = values;
  const format: Format = choiceArg('format', values.format, FORMATS);
  if (grpc === 'none' && http === 'none')
    throw new UsageError('--grpc none and --http none leave nothing to listen on');
  return { grpc: address('grpc', grpc), http: address('http', http), format, help };
}

function address(option: string, text: string): string | undefined {
  if (text === 'none') return undefined;
  addressArg(option, text);
  return text;
}

function render({ json }: ReceivedRequest, format: Format): string {
  if (format === 'json') return `${JSON.stringify(json, undefined, 2)}\n`;
  if (format === 'ndjson') return `${JSON.stringify(json)}\n`;
  return [...otlpLines(json)].map((line) => `${line}\n`).join('');
}

/** Writes requests to `stdout`; a reader that does not keep up costs requests, never memory. */
function printer(stdout: Writable, format: Format) {
  let notPrinted = 0;
  return {
    print: (request: ReceivedRequest): void => {
      if (stdout.writableLength > WAITING_BYTES_MAX) notPrinted++;
      else stdout.write(render(request, format));
    },
    notPrinted: () => notPrinted,
  };
}

async function run(argv: readonly string[], io: CommandIo): Promise<number> {
  const options = parse(argv);
  if (options.help) {
    io.stdout.write(HELP);
    return 0;
  }
  const { grpc, http } = options;
  const receiver = await startReceiver({
    ...(grpc === undefined ? {} : { grpc }),
    ...(http === undefined ? {} : { http }),
  }).catch((error: unknown) => {
    io.stderr.write(`sluice receive: ${error instanceof Error ? error.message : String(error)}\n`);
  });
  if (receiver === undefined) return 1;

  const output = printer(io.stdout, options.format);
  receiver.onRequest((request) => output.print(request));
  const hostOf = (text: string): string => text.slice(0, text.lastIndexOf(':'));
  if (grpc !== undefined) io.stderr.write(`listening on ${hostOf(grpc)}:${receiver.ports.grpc} for OTLP/gRPC\n`);
  if (http !== undefined) io.stderr.write(`listening on http://${hostOf(http)}:${receiver.ports.http} for OTLP/HTTP\n`);

  await new Promise<void>((resolve) => {
    if (io.signal.aborted) resolve();
    io.signal.addEventListener('abort', () => resolve(), { once: true });
    // The reader of a pipe that goes away ends the work, as with any filter.
    io.stdout.once('error', () => resolve());
  });
  await receiver.close();
  if (output.notPrinted() > 0)
    io.stderr.write(`${output.notPrinted()} requests arrived faster than they could be printed\n`);
  return 0;
}

export const receive: Command = {
  name: 'receive',
  summary: 'a small OTLP receiver that prints what arrives',
  help: HELP,
  run,
};
