// What `sluice run` writes: tables for people, or JSON, NDJSON, CSV, Arrow for programs. INT64 and TIME64NS are JSON
// numbers with all their digits, so the JSON is written by hand around them.
import { writeArrow } from '../columns/arrow-write.ts';
import { csvHeader, csvRows } from '../columns/csv.ts';
import { formatTable } from '../columns/format.ts';
import { jsonColumns, jsonObjects, jsonRows } from '../columns/json.ts';
import { otlpLines } from '../exporters/console/lines.ts';
import type { OtlpJson } from '../exporters/otlp/json.ts';
import type { QueryOnceResult, QueryTable } from '../runtime/query-once.ts';
import type { CommandIo } from './command.ts';
import { painter } from './diagnostics.ts';

export const OUTPUT_FORMATS = ['table', 'json', 'ndjson', 'csv', 'arrow'] as const;
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

const EXPORT_LINES_MAX = 200;

function* jsonText({ tables, stats, diagnostics, loss }: QueryOnceResult, exports: OtlpJson): Generator<string> {
  yield '{"tables":[';
  for (const [t, { name, schema, batches }] of tables.entries()) {
    yield `${t === 0 ? '' : ','}\n{"name":${JSON.stringify(name)},"columns":${jsonColumns(schema)},"rows":[`;
    let first = true;
    for (const batch of batches) {
      for (const row of jsonRows(batch)) {
        yield `${first ? '\n' : ',\n'}${row}`;
        first = false;
      }
    }
    yield ']}';
  }
  const all = { resourceMetrics: [], resourceSpans: [], resourceLogs: [], ...exports };
  const blind = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? String(value) : value);
  const rowsTruncated = tables.reduce((sum, table) => sum + table.rowsTruncated, 0);
  yield `],\n"exports":${JSON.stringify(all)},\n"stats":${JSON.stringify({ ...stats, rowsTruncated, ...(loss === undefined ? {} : { loss }) }, blind)},\n`;
  yield `"diagnostics":${JSON.stringify(diagnostics)}}\n`;
}

function* ndjsonText(tables: readonly QueryTable[]): Generator<string> {
  for (const { name, batches } of tables) {
    for (const batch of batches) {
      for (const row of jsonObjects(batch)) {
        // several tables in one stream: each row says whose it is
        yield tables.length === 1
          ? `${row}\n`
          : `{"_table":${JSON.stringify(name)}${row === '{}' ? '}' : `,${row.slice(1)}`}\n`;
      }
    }
  }
}

function* csvText(tables: readonly QueryTable[]): Generator<string> {
  for (const [i, { schema, batches }] of tables.entries()) {
    if (i > 0) yield '\r\n';
    yield csvHeader(schema);
    for (const batch of batches) yield* csvRows(batch);
  }
}

function* peopleText(result: QueryOnceResult, exports: OtlpJson, io: CommandIo): Generator<string> {
  const paint = painter(io.stdout, io.env);
  const styles = { good: 'bold', fair: 'yellow', bad: 'red' } as const;
  for (const { name, schema, batches, rowsTruncated } of result.tables) {
    yield `${paint('bold', name)}\n`;
    yield formatTable(schema, batches, { paint: (text, tone) => paint(styles[tone], text) });
    if (rowsTruncated > 0)
      yield `… and ${rowsTruncated} rows more; '#px:set max_output_rows_per_table=N' in the script shows more\n`;
    yield '\n';
  }
  let lines = 0;
  for (const line of otlpLines(exports)) {
    if (lines === 0) yield `${paint('bold', 'exports')}\n`;
    if (++lines <= EXPORT_LINES_MAX) yield `${line}\n`;
  }
  if (lines > EXPORT_LINES_MAX) yield `… and ${lines - EXPORT_LINES_MAX} more; --format json has all\n`;
}

/** Waits for the reader where it is slower than we are. */
async function writeAll(io: CommandIo, pieces: Iterable<string>): Promise<void> {
  let buffer = '';
  const flush = async (): Promise<void> => {
    const text = buffer;
    buffer = '';
    if (text !== '' && !io.stdout.write(text)) await new Promise((resolve) => io.stdout.once('drain', resolve));
  };
  for (const piece of pieces) {
    buffer += piece;
    if (buffer.length > 65_536) await flush();
  }
  await flush();
}

/** Writes a result. `arrow` takes one table only; the caller has checked that. */
export async function writeResult(
  io: CommandIo,
  format: OutputFormat,
  result: QueryOnceResult,
  exports: OtlpJson,
): Promise<void> {
  const [table] = result.tables;
  switch (format) {
    case 'json':
      return writeAll(io, jsonText(result, exports));
    case 'ndjson':
      return writeAll(io, ndjsonText(result.tables));
    case 'csv':
      return writeAll(io, csvText(result.tables));
    case 'table':
      return writeAll(io, peopleText(result, exports, io));
    case 'arrow':
      if (table !== undefined) io.stdout.write(await writeArrow(table.schema, table.batches, 'stream'));
      return undefined;
    default:
      return format satisfies never;
  }
}
