// Diagnostics for people: file:line:column, the line with a caret, a suggestion. Colours only on a terminal that wants
// them (https://no-color.org).
import type { Diagnostic } from '../model/diagnostic.ts';
import type { CommandIo } from './command.ts';

export type Paint = (style: 'red' | 'yellow' | 'bold' | 'dim', text: string) => string;

const CODES = { red: 31, yellow: 33, bold: 1, dim: 2 } as const;

/** Colours for a stream; none elsewhere, and none where NO_COLOR is set. */
export function painter(stream: { readonly isTTY?: boolean }, env: CommandIo['env']): Paint {
  const isPlain = stream.isTTY !== true || (env['NO_COLOR'] ?? '') !== '' || env['TERM'] === 'dumb';
  return (style, text) => (isPlain ? text : `\u001b[${CODES[style]}m${text}\u001b[0m`);
}

const LINE_CHARS_MAX = 160;

/** Text of a file as a terminal may show it: what would move its cursor or colour it is a U+FFFD. Tabs stay. */
// oxlint-disable-next-line no-control-regex
const visible = (text: string): string => text.replace(/[\u0000-\u0008\u000a-\u001f\u007f-\u009f]/g, '\uFFFD');

/** The lines that show one diagnostic. `source` is the file's text. */
export function diagnosticLines(file: string, source: string, diagnostic: Diagnostic, paint: Paint): string[] {
  const { severity, line, column, message, code, suggestion } = diagnostic;
  const place = line === 0 ? file : `${file}:${line}:${column}`;
  const kind = paint(severity === 'error' ? 'red' : 'yellow', severity);
  const head = `${paint('bold', place)}: ${kind}: ${visible(message)} ${paint('dim', `[${code}]`)}`;
  const text = source.split(/\r?\n/)[line - 1];
  const lines = [head];
  if (text !== undefined && text.trim() !== '') {
    // tabs are kept, so that the caret stands under its character whatever their width
    const before = text.slice(0, column - 1).replace(/[^\t]/g, ' ');
    const from = Math.max(0, column - LINE_CHARS_MAX);
    lines.push(`  ${visible(text.slice(from, from + LINE_CHARS_MAX))}`, `  ${before.slice(from)}${paint('red', '^')}`);
  }
  if (suggestion !== undefined) lines.push(`  ${visible(suggestion)}`);
  return lines;
}
