// Reads the text files of this folder: cases are separated by `=====` lines. A case is a title (`# …`), options
// (`## window`, `## arg name=value`, …), the script, and what is expected: `--- plan` with its text, `--- ok`, or one
// `--- error LINE:COLUMN CODE` (or warning) for each diagnostic.
import { readFileSync } from 'node:fs';
import { timeNs } from '../../src/model/time.ts';
import type { CompileOptions } from '../../src/pxl/compile.ts';

export interface Case {
  readonly title: string;
  readonly options: CompileOptions;
  readonly source: string;
  /** `error 2:8 UNKNOWN_COLUMN`, in the order of the text. */
  readonly diagnostics: readonly string[];
  readonly plan: string | undefined;
  /** All but the plan's text, for rewriting the file. */
  readonly head: string;
}

/** 2023-11-14T22:13:20Z: "now", and the start of the ten-second window of cases that have one. */
export const NOW = timeNs(1_700_000_000_000_000_000n);
export const WINDOW = { start: NOW, end: timeNs(NOW + 10_000_000_000n) };

export const SEPARATOR = '\n=====\n';

function optionsOf(lines: readonly string[]): CompileOptions {
  const args: Record<string, string> = {};
  const flags = new Set<string>();
  for (const line of lines) {
    const [, name, value] = /^arg (\w+)=(.*)$/.exec(line) ?? [];
    if (name !== undefined && value !== undefined) args[name] = value;
    else flags.add(line);
  }
  return {
    now: NOW,
    args,
    hasDefaultEndpoint: !flags.has('no endpoint'),
    forbidScriptEndpoint: flags.has('endpoint forbidden'),
    ...(flags.has('window') && { window: WINDOW }),
  };
}

export function readCases(file: string): readonly Case[] {
  return readFileSync(file, 'utf8').trimEnd().split(SEPARATOR).map(readCase);
}

function readCase(text: string): Case {
  const lines = text.split('\n');
  const expected = lines.findIndex((line) => line.startsWith('--- '));
  const body = lines.slice(0, expected);
  const options = body.filter((line) => line.startsWith('## ')).map((line) => line.slice(3));
  const planAt = lines.indexOf('--- plan');
  return {
    title: (lines[0] ?? '').replace(/^# /, ''),
    options: optionsOf(options),
    source: body.slice(1 + options.length).join('\n') + '\n',
    diagnostics: lines
      .slice(expected)
      .filter((line) => /^--- (?:error|warning) /.test(line))
      .map((line) => line.slice(4)),
    plan: planAt < 0 ? undefined : lines.slice(planAt + 1).join('\n') + '\n',
    head: lines.slice(0, planAt < 0 ? lines.length : planAt + 1).join('\n'),
  };
}
