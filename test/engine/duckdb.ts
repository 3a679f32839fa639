// DuckDB as an oracle that shares no code with the engine: the same rows in, SQL beside the plan, rows out.
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import type { Cell, DataType } from '../../src/model/types.ts';
import type { Table } from './support.ts';

const SQL_TYPES: Readonly<Record<DataType, string>> = {
  BOOLEAN: 'BOOLEAN',
  INT64: 'BIGINT',
  UINT128: 'UHUGEINT',
  FLOAT64: 'DOUBLE',
  STRING: 'VARCHAR',
  TIME64NS: 'BIGINT',
};

export interface Oracle {
  load(name: string, table: Table): Promise<void>;
  query(sql: string): Promise<unknown[][]>;
  close(): void;
}

export async function openOracle(): Promise<Oracle> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  const connection = await instance.connect();
  return {
    load: (name, table) => load(connection, name, table),
    query: async (sql) => (await connection.runAndReadAll(sql)).getRows(),
    close() {
      connection.closeSync();
      instance.closeSync();
    },
  };
}

async function load(connection: DuckDBConnection, name: string, { schema, rows }: Table): Promise<void> {
  const columns = schema.map((field) => `"${field.name}" ${SQL_TYPES[field.type]}`).join(', ');
  await connection.run(`CREATE OR REPLACE TABLE ${name} (${columns})`);
  const appender = await connection.createAppender(name);
  for (const row of rows) {
    for (const [i, { type }] of schema.entries()) {
      const cell = row[i];
      if (type === 'BOOLEAN') appender.appendBoolean(cell as boolean);
      else if (type === 'FLOAT64') appender.appendDouble(cell as number);
      else if (type === 'STRING') appender.appendVarchar(cell as string);
      else if (type === 'UINT128') appender.appendUHugeInt(wide(cell as { high: bigint; low: bigint }));
      else appender.appendBigInt(cell as bigint);
    }
    appender.endRow();
  }
  appender.closeSync();
}

const wide = ({ high, low }: { readonly high: bigint; readonly low: bigint }): bigint => (high << 64n) | low;

/** Our cells in DuckDB's form. */
export const flat = (rows: readonly (readonly Cell[])[]): unknown[][] =>
  rows.map((row) => row.map((cell) => (typeof cell === 'object' && 'high' in cell ? wide(cell) : cell)));

/** Rows as text, doubles to 12 digits, so that they can be compared in any order. */
export const asText = (rows: readonly (readonly unknown[])[]): string[] =>
  rows.map((row) =>
    row
      .map((cell) => {
        if (typeof cell === 'bigint') return `${cell}n`;
        return typeof cell === 'number' ? `f${cell === 0 ? 0 : cell.toPrecision(12)}` : JSON.stringify(cell);
      })
      .join('|'),
  );
