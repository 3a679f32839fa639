// Rows as comma-separated values (RFC 4180): a header line, lines that end in CR LF, quotes only where they are needed.
// Values are for machines: times are nanoseconds since 1970.
import { formatUpid } from '../model/upid.ts';
import type { Schema } from '../model/types.ts';
import { codeAt, type Batch, type Column } from './column.ts';

const quote = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

export const csvHeader = (schema: Schema): string => `${schema.map(({ name }) => quote(name)).join(',')}\r\n`;

/** Each row with its line end. */
export function* csvRows({ columns, length }: Batch): Generator<string> {
  for (let i = 0; i < length; i++) yield `${columns.map((column) => csvCell(column, i)).join(',')}\r\n`;
}

function csvCell(column: Column, i: number): string {
  switch (column.type) {
    case 'BOOLEAN':
      return column.values[i] === 1 ? 'true' : 'false';
    case 'INT64':
    case 'TIME64NS':
      return `${column.values[i] ?? 0n}`;
    case 'FLOAT64':
      return `${column.values[i] ?? 0}`;
    case 'UINT128':
      return formatUpid({ high: column.values[i * 2] ?? 0n, low: column.values[i * 2 + 1] ?? 0n });
    case 'STRING':
      return quote(column.dictionary.text(codeAt(column, i)));
  }
}
