// sluice check: compiles scripts and validates manifests, runs nothing.
import { parseArgs } from 'node:util';
import { readManifests } from '../crds/manifest.ts';
import type { Diagnostic } from '../model/diagnostic.ts';
import type { ScriptOutput } from '../model/run.ts';
import { now, timeNs } from '../model/time.ts';
import { compile } from '../pxl/compile.ts';
import { choiceArg, pairsArg } from './args.ts';
import { UsageError, type Command } from './command.ts';
import { diagnosticLines, painter } from './diagnostics.ts';
import { presetNames, presetText } from './presets.ts';
import { readTextFile } from './text-file.ts';
import { readVis, type VisCalls } from './vis.ts';

const HELP = `Usage: sluice check FILE… [--format text|json] [--arg NAME=VALUE]…

Compiles scripts without running them: syntax, names, types, columns, exports. FILE is a PxL script, the name of a
preset (${presetNames().join(', ')}), or a manifest (.yaml, .yml, .json), whose objects and inline scripts are checked. '-' reads a
script from standard input. A vis.json beside a script names the functions that are called.

  --format FORMAT    text: each problem with its line, a caret and a suggestion (default); json
  --arg NAME=VALUE   a value for a name of the script; may be repeated
  --help             this text

Exit status: 0 all is well, 1 a file has errors, 2 wrong usage. Warnings do not fail.
`;

interface Checked {
  readonly file: string;
  readonly source: string;
  readonly ok: boolean;
  readonly diagnostics: readonly Diagnostic[];
  readonly outputs: readonly ScriptOutput[];
}

const WINDOW_NS = 10_000_000_000n;
const MANIFEST = /\.(ya?ml|json)$/;

const isOk = (diagnostics: readonly Diagnostic[]): boolean => diagnostics.every(({ severity }) => severity !== 'error');

/** Compiles as for a scheduled run, so that px.plugin is there. */
function checkScript(file: string, source: string, vis: VisCalls): Checked {
  const end = now();
  const { diagnostics, outputs } = compile(source, {
    now: end,
    window: { start: timeNs(end - WINDOW_NS), end },
    ...vis,
    hasDefaultEndpoint: true,
  });
  return { file, source, ok: isOk(diagnostics), diagnostics, outputs };
}

function checkManifest(file: string, source: string): Checked[] {
  const { problems, scripts } = readManifests([{ file, text: source }]);
  const diagnostics = problems.map(({ line, column, path, message }): Diagnostic => ({
    code: 'INVALID_MANIFEST',
    severity: 'error',
    message: path === '' ? message : `${path}: ${message}`,
    line,
    column,
  }));
  const inline = scripts.flatMap(({ namespace, name, object: { spec } }) => {
    const text = spec.script.inline;
    // positions are those of the script's own text
    return text === undefined
      ? []
      : checkScript(`${file} (${namespace}/${name})`, text, { calls: [], args: spec.args ?? {} });
  });
  return [{ file, source, ok: diagnostics.length === 0, diagnostics, outputs: [] }, ...inline];
}

function read(file: string): string {
  try {
    return readTextFile(file);
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const preset = presetText(file);
    if (preset !== undefined) return preset;
    throw new UsageError(error instanceof Error ? error.message : `cannot read ${file}`);
  }
}

export const check: Command = {
  name: 'check',
  summary: 'compile scripts: parse, types, columns, exports',
  help: HELP,
  async run(argv, io) {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        format: { type: 'string', default: 'text' },
        arg: { type: 'string', multiple: true, default: [] },
      },
    });
    if (positionals.length === 0) throw new UsageError('name at least one file');
    const format = choiceArg('format', values.format, ['text', 'json']);
    const args = pairsArg('arg', values.arg);
    const checked = positionals.flatMap((file) => {
      const source = read(file);
      return MANIFEST.test(file)
        ? checkManifest(file, source)
        : [checkScript(file, source, readVis(file, args, { onlyCheck: true }))];
    });
    if (format === 'json') {
      const files = checked.map(({ file, ok, diagnostics, outputs }) => ({ file, ok, diagnostics, outputs }));
      io.stdout.write(`${JSON.stringify({ files }, undefined, 2)}\n`);
    } else {
      // what was found is the answer to the question, so it goes to standard output
      const paint = painter(io.stdout, io.env);
      for (const { file, source, ok, diagnostics, outputs } of checked) {
        for (const one of diagnostics) io.stdout.write(`${diagnosticLines(file, source, one, paint).join('\n')}\n`);
        const made = outputs.map(({ kind, name }) => `${kind} ${name}`).join(', ');
        if (ok) io.stdout.write(`${file}: ok${made === '' ? '' : `: ${made}`}\n`);
      }
    }
    return checked.every(({ ok }) => ok) ? 0 : 1;
  },
};
