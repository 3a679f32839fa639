// Rows as an aligned table of text for people: each cell by the meaning of its column. A cell can never break out of its
// line: control characters are shown, not sent to the terminal.
import { formatTime, timeNs } from '../model/time.ts';
import type { Field, Schema, SemanticType } from '../model/types.ts';
import { formatUpid } from '../model/upid.ts';
import { cellAt } from './batch.ts';
import type { Batch, Column } from './column.ts';
import { formatByteRate, formatBytes, formatDuration, formatFloat, formatPercent, formatRate } from './units.ts';

/** How a cell is to be coloured. */
export type Tone = 'good' | 'fair' | 'bad';

const NUMBER_FORMATS: Partial<Record<SemanticType, (value: number) => string>> = {
  ST_BYTES: formatBytes,
  ST_DURATION_NS: formatDuration,
  ST_THROUGHPUT_PER_NS: formatRate,
  ST_THROUGHPUT_BYTES_PER_NS: formatByteRate,
  ST_PERCENT: formatPercent,
};

const TEXT_FORMATS: Partial<Record<SemanticType, (text: string) => string>> = {
  ST_QUANTILES: (text) => formatQuantiles(text, formatFloat),
  ST_DURATION_NS_QUANTILES: (text) => formatQuantiles(text, formatDuration),
  ST_SCRIPT_REFERENCE: (text) => {
    const label = parseObject(text)?.['label'];
    return typeof label === 'string' ? label : text;
  },
};

/** Row `i` as text, by semantic type first and data type second. */
export function formatCell(field: Field, column: Column, i: number): string {
  const cell = cellAt(column, i);
  if (typeof cell === 'string') return TEXT_FORMATS[field.semanticType]?.(cell) ?? cell;
  if (typeof cell === 'number') return NUMBER_FORMATS[field.semanticType]?.(cell) ?? formatFloat(cell);
  if (typeof cell === 'boolean') {
    if (isAlert(field)) return cell ? 'ALERT' : '';
    return `${cell}`;
  }
  if (typeof cell === 'object') {
    return field.semanticType === 'ST_UPID' ? formatUpid(cell) : formatUuid(cell.high, cell.low);
  }
  if (field.type === 'TIME64NS') return formatTime(timeNs(cell));
  return NUMBER_FORMATS[field.semanticType]?.(Number(cell)) ?? `${cell}`;
}

/** `{"p50":1.0,"p01":0.5}` as `p01: 0.5, p50: 1`; the text itself where it is no object of numbers. */
function formatQuantiles(text: string, format: (value: number) => string): string {
  const entries = Object.entries(parseObject(text) ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  const shown = entries.flatMap(([name, value]) => (typeof value === 'number' ? [`${name}: ${format(value)}`] : []));
  return shown.length === 0 || shown.length < entries.length ? text : shown.join(', ');
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

/** The usual 8-4-4-4-12 grouping of 128 bits, most significant first. */
export function formatUuid(high: bigint, low: bigint): string {
  const hex = high.toString(16).padStart(16, '0') + low.toString(16).padStart(16, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

const isAlert = ({ name }: Field): boolean => name === 'alert' || name.startsWith('alert_');

/** The colour that a cell deserves: truth, status codes, and latencies above 200 and 400 ms. */
export function toneOf(field: Field, column: Column, i: number): Tone | undefined {
  const cell = cellAt(column, i);
  if (typeof cell === 'boolean') {
    if (isAlert(field)) return cell ? 'bad' : undefined;
    return cell ? 'good' : 'bad';
  }
  if (typeof cell !== 'bigint' && typeof cell !== 'number') return undefined;
  const value = Number(cell);
  if (field.semanticType === 'ST_HTTP_RESP_STATUS') {
    if (value >= 200 && value < 300) return 'good';
    return value >= 400 ? 'bad' : undefined;
  }
  if (field.semanticType === 'ST_DURATION_NS' && /^latency/i.test(field.name)) {
    if (value <= 200e6) return 'good';
    return value <= 400e6 ? 'fair' : 'bad';
  }
  return undefined;
}

export interface TableTextOptions {
  /** Wraps the text of a cell in what the terminal shows as that tone; plain text where absent. */
  readonly paint?: (text: string, tone: Tone) => string;
  /** Longest cell in characters before it is cut with `…`; 100 where absent. */
  readonly cellWidthMax?: number;
}

interface Shown {
  readonly text: string;
  readonly width: number;
  readonly tone: Tone | undefined;
}

/** A header line, a rule, and a line per row; numbers right-aligned, columns two spaces apart. Ends with a line break. */
export function formatTable(
  schema: Schema,
  batches: Iterable<Batch>,
  { paint, cellWidthMax = 100 }: TableTextOptions = {},
): string {
  const show = (text: string, tone?: Tone): Shown => {
    const cut = fit(printable(text), cellWidthMax);
    return { text: cut, width: widthOf(cut), tone };
  };
  const header = schema.map(({ name }) => show(name));
  const rows: Shown[][] = [];
  for (const { columns, length } of batches) {
    for (let i = 0; i < length; i++) {
      rows.push(
        schema.map((field, at) => {
          const column = columns[at];
          return column === undefined ? show('') : show(formatCell(field, column, i), toneOf(field, column, i));
        }),
      );
    }
  }
  const widths = header.map(({ width }, at) =>
    rows.reduce((widest, row) => Math.max(widest, row[at]?.width ?? 0), width),
  );
  const line = (cells: readonly Shown[]): string =>
    cells
      .map(({ text, width, tone }, at) => {
        const painted = tone === undefined || paint === undefined ? text : paint(text, tone);
        const padding = ' '.repeat(Math.max(0, (widths[at] ?? 0) - width));
        const type = schema[at]?.type;
        return type === 'INT64' || type === 'FLOAT64' ? padding + painted : painted + padding;
      })
      .join('  ')
      .trimEnd();
  const rule = widths.map((width) => '─'.repeat(width)).join('  ');
  return [line(header), rule, ...rows.map(line)].map((text) => `${text}\n`).join('');
}

// Control characters, line and paragraph separators, and what turns the direction of text.
// eslint-disable-next-line no-control-regex -- exactly these are to be found
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

const printable = (text: string): string =>
  text.replace(UNPRINTABLE, (character) => {
    const code = character.charCodeAt(0);
    return ESCAPES[character] ?? (code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`);
  });

// eslint-disable-next-line no-control-regex -- ASCII is exactly this range
const ASCII_ONLY = /^[\x00-\x7f]*$/;
const WIDE = /\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Script=Hangul}|\p{Emoji_Presentation}/u;
const NO_WIDTH = /\p{Mark}|\p{Default_Ignorable_Code_Point}/u;

const characterWidth = (character: string): number => (NO_WIDTH.test(character) ? 0 : WIDE.test(character) ? 2 : 1);

/** Terminal columns, about: wide scripts take two, marks none. */
function widthOf(text: string): number {
  if (ASCII_ONLY.test(text)) return text.length;
  let width = 0;
  for (const character of text) width += characterWidth(character);
  return width;
}

function fit(text: string, widthMax: number): string {
  if (text.length <= widthMax / 2 || widthOf(text) <= widthMax) return text;
  let width = 0;
  let kept = '';
  for (const character of text) {
    width += characterWidth(character);
    if (width > widthMax - 1) break;
    kept += character;
  }
  return `${kept}…`;
}
