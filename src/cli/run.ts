// sluice run: a script once, over a source, with its tables and exports shown.
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { encodeOtlp } from '../exporters/otlp/encode.ts';
import { requestsToJson } from '../exporters/otlp/json.ts';
import { formatTime, now, timeNs, type TimeNs } from '../model/time.ts';
import { compile, type Compilation } from '../pxl/compile.ts';
import { queryOnce, type QueryOnceResult } from '../runtime/query-once.ts';
import { choiceArg, durationMsArg, pairsArg, timeArg } from './args.ts';
import { UsageError, type Command, type CommandIo } from './command.ts';
import { diagnosticLines, painter } from './diagnostics.ts';
import { exportResult, pluginOf, whereOf, type ExportTarget } from './export.ts';
import { OUTPUT_FORMATS, writeResult, type OutputFormat } from './output.ts';
import { presetNames, presetText } from './presets.ts';
import { openSource, type Source } from './source.ts';
import { readTextFile } from './text-file.ts';
import { version } from './version.ts';
import { readVis, type VisCalls } from './vis.ts';

const HELP = `Usage: sluice run FILE|PRESET [--from SOURCE] [--start T] [--end T] [--duration D] [--arg NAME=VALUE]…
                  [--format table|json|ndjson|csv|arrow] [--export none|script|console|URL] [--plugin FILE] [--max-rows N]

Runs a PxL script once and shows its tables and exports. FILE is a script ('-': standard input) or one of the presets
${presetNames().join(', ')}. A vis.json beside FILE names functions, arguments and outputs.

  --from SOURCE      live (default): capture for --duration first; needs the rights for eBPF
                     DIR: a folder with <table>.arrow or <table>.ndjson, and identity.ndjson
                     FILE.slrec: a recording ('sluice record')
                     grpc://HOST:PORT: a running collector
  --tls DIR          tls.crt, tls.key and ca.crt for --from grpc://…; what may be read is what their identity may
  --start T, --end T the window, end exclusive: RFC 3339, nanoseconds since the epoch, or -10m (from now). They are
                     px.plugin.start_time and end_time; default: all that SOURCE holds. Relative times in the script
                     count from --end, else from now
  --duration D       how long a live source captures (10s)
  --arg NAME=VALUE   a value for a name of the script; may be repeated
  --format FORMAT    table (default), json, ndjson, csv, arrow (IPC stream, one table)
  --export WHERE     none (default): exports are built and shown, and sent nowhere; script: to the script's own Endpoint;
                     console: printed as lines to standard error; URL: host:port, or http(s)://host:port, OTLP/gRPC
  --plugin FILE      a manifest with an OtelPlugin: exports are sent as it says (instead of --export)
  --max-rows N       rows of each export (100000)
  --help             this text

Exit status: 0 done, 1 the script does not compile, the run failed or a delivery was refused, 2 wrong usage.
`;

interface RunOptions {
  readonly script: string;
  readonly from: string;
  readonly tls: string | undefined;
  readonly start: TimeNs | undefined;
  readonly end: TimeNs | undefined;
  readonly durationMs: number;
  readonly args: Readonly<Record<string, string>>;
  readonly format: OutputFormat;
  readonly target: ExportTarget;
  readonly rowsMax: number;
}

function parse(argv: readonly string[], io: CommandIo): RunOptions {
  const { values, positionals } = parseArgs({
    args: joinNegative(argv),
    allowPositionals: true,
    options: {
      from: { type: 'string', default: 'live' },
      tls: { type: 'string' },
      start: { type: 'string' },
      end: { type: 'string' },
      duration: { type: 'string', default: '10s' },
      arg: { type: 'string', multiple: true, default: [] },
      format: { type: 'string', default: 'table' },
      export: { type: 'string' },
      plugin: { type: 'string' },
      'max-rows': { type: 'string', default: '100000' },
    },
  });
  const [script] = positionals;
  if (script === undefined || positionals.length > 1) throw new UsageError('name one script or preset');
  const rowsMax = Number(values['max-rows']);
  if (!Number.isSafeInteger(rowsMax) || rowsMax < 1) throw new UsageError('--max-rows is a number of rows, at least 1');
  if (values.plugin !== undefined && values.export !== undefined)
    throw new UsageError('--plugin and --export both say where to send; give one of them');
  const start = values.start === undefined ? undefined : timeArg('start', values.start);
  const end = values.end === undefined ? undefined : timeArg('end', values.end);
  if (start !== undefined && end !== undefined && start >= end) throw new UsageError('--start is not before --end');
  return {
    script,
    from: values.from,
    tls: values.tls,
    start,
    end,
    durationMs: durationMsArg('duration', values.duration),
    args: pairsArg('arg', values.arg),
    format: choiceArg('format', values.format, OUTPUT_FORMATS),
    target: values.plugin === undefined ? whereOf(values.export ?? 'none') : pluginOf(values.plugin, io),
    rowsMax,
  };
}

/** `--start -10m` reads as two options to parseArgs; users write it all the same. */
function joinNegative(argv: readonly string[]): string[] {
  const joined: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const [arg = '', next = ''] = [argv[i], argv[i + 1]];
    if (/^--(start|end)$/.test(arg) && /^-\d/.test(next)) {
      joined.push(`${arg}=${next}`);
      i++;
    } else joined.push(arg);
  }
  return joined;
}

function readScript(script: string): string {
  const preset = presetText(script);
  if (preset !== undefined) return preset;
  try {
    return readTextFile(script);
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const why = error instanceof Error ? error.message : '';
    throw new UsageError(`'${script}' is neither a script nor a preset (${presetNames().join(', ')}): ${why}`);
  }
}

interface Script {
  readonly text: string;
  readonly vis: VisCalls;
}

/** `range` is that of the source's rows, where they are there already. */
function compileOptions(options: RunOptions, { vis }: Script, range: Source['range']) {
  const present = now();
  const end = options.end ?? range?.end ?? present;
  const start = options.start ?? (range !== undefined && range.start < end ? range.start : timeNs(end - 1n));
  const relativeTo = options.end ?? present;
  return { now: present, window: { start, end }, relativeTo, ...vis, hasDefaultEndpoint: true };
}

async function query(options: RunOptions, script: Script, source: Source, io: CommandIo): Promise<QueryOnceResult> {
  const compiling = compileOptions(options, script, source.range);
  const isWindow = options.start !== undefined || options.end !== undefined;
  const result = await queryOnce({
    source: script.text,
    compile: compiling,
    node: source.node,
    scope: source.scope,
    ...compiling.window,
    scriptName: basename(options.script).replace(/\.pxl$/, ''),
    version,
    resourceAttributes: options.target.kind === 'plugin' ? options.target.destination.resourceAttributes : {},
    rowsMax: options.rowsMax,
    signal: io.signal,
  });
  // without a window that somebody asked for, all that is retained is just what is meant
  const diagnostics = result.diagnostics.filter(({ code }) => isWindow || code !== 'SOURCE_UNBOUNDED');
  return { ...result, diagnostics };
}

/** Exports that go nowhere and are not shown, and an empty answer, look like a fault; says what there was. */
function explainSilence(
  { script, format, end, target }: RunOptions,
  result: QueryOnceResult,
  { range }: Source,
  io: CommandIo,
): void {
  const { tables, exports, stats } = result;
  const isUnseen = target.kind === 'where' && target.where === 'none' && !['table', 'json'].includes(format);
  if (exports.length > 0 && isUnseen)
    io.stderr.write(`sluice run: exports are not shown as ${format}; --format table and json have them\n`);
  const isEmpty =
    tables.every(({ batches }) => batches.every(({ length }) => length === 0)) &&
    exports.every(({ batches }) => batches.length === 0);
  if (!isEmpty) return;
  const covered =
    range === undefined
      ? 'the source has no rows'
      : `the source covers ${formatTime(range.start)} to ${formatTime(range.end)}`;
  const hint =
    end === undefined && range !== undefined ? '; relative times in the script count from now, or from --end' : '';
  io.stderr.write(`sluice run: ${script} made no rows of the ${stats.rowsRead} that it read; ${covered}${hint}\n`);
}

/** What went into no table and no export, and why. */
function reportLeftOut({ exports }: QueryOnceResult, duplicatePoints: number, io: CommandIo): void {
  for (const { name, rowsTruncated, itemsDropped } of exports) {
    if (rowsTruncated > 0)
      io.stderr.write(`sluice run: ${name}: ${rowsTruncated} rows beyond --max-rows are left out\n`);
    if (itemsDropped > 0)
      io.stderr.write(`sluice run: ${name}: ${itemsDropped} points or spans could not be made of their rows\n`);
  }
  if (duplicatePoints > 0) {
    const advice = 'give rows that are apart attributes that are';
    io.stderr.write(
      `sluice run: ${duplicatePoints} points had another of the same stream and time behind them; ${advice}\n`,
    );
  }
}

/** Shows what is wrong with the script; true where it has no plan. */
async function isRefused(options: RunOptions, { text }: Script, result: Compilation, io: CommandIo): Promise<boolean> {
  const paint = painter(io.stderr, io.env);
  for (const one of result.diagnostics)
    io.stderr.write(`${diagnosticLines(options.script, text, one, paint).join('\n')}\n`);
  if (result.plan !== undefined) return false;
  const { outputs, diagnostics } = result;
  const stats = { rowsRead: 0, compileMs: 0, queryMs: 0 };
  const nothing = { outputs, diagnostics, tables: [], exports: [], stats, loss: undefined };
  if (options.format === 'json') await writeResult(io, options.format, nothing, {});
  return true;
}

async function execute(options: RunOptions, io: CommandIo): Promise<number> {
  const script: Script = { text: readScript(options.script), vis: readVis(options.script, options.args) };
  // nobody waits for a capture to learn that the script is wrong
  const early = compile(script.text, compileOptions(options, script, undefined));
  if (early.plan === undefined) {
    await isRefused(options, script, early, io);
    return 1;
  }
  const tables = early.plan.sinks.filter(({ kind }) => kind === 'table').length;
  if (options.format === 'arrow' && tables !== 1)
    throw new UsageError(`--format arrow takes a script with one table; this one has ${tables}`);
  const { durationMs, tls } = options;
  const source = await openSource(options.from, io, { durationMs, ...(tls === undefined ? {} : { tls }) });
  try {
    for (const warning of source.warnings) io.stderr.write(`sluice run: ${warning}\n`);
    const result = await query(options, script, source, io);
    if (await isRefused(options, script, result, io)) return 1;
    const { requests, duplicatePoints } = encodeOtlp(result.exports.flatMap(({ batches }) => batches));
    await writeResult(io, options.format, result, requestsToJson(requests));
    explainSilence(options, result, source, io);
    reportLeftOut(result, duplicatePoints, io);
    return (await exportResult(options.target, result, io)) ? 0 : 1;
  } finally {
    await source.close();
  }
}

export const run: Command = {
  name: 'run',
  summary: 'run a script once and show its tables and exports',
  help: HELP,
  run: (argv, io) => execute(parse(argv, io), io),
};
