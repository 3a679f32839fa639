// Fixtures of the engine's tests: tables in memory, small plans, rows out.
import { batchFrom, rowsOf, selectColumns } from '../../src/columns/batch.ts';
import { fieldOf, type Batch } from '../../src/columns/column.ts';
import { sliceBatch } from '../../src/columns/select.ts';
import { DEFAULT_LIMITS, type ExecutionContext, type TableReader } from '../../src/engine/context.ts';
import { execute } from '../../src/engine/execute.ts';
import { UNKNOWN_PROCESS, type IdentityLookup } from '../../src/model/identity.ts';
import type { Cell, DataType, Schema } from '../../src/model/types.ts';
import type { AggregateExpression, Expression, LiteralValue } from '../../src/plan/expression.ts';
import type { AggregateOperator, MapOperator, Operator, SourceOperator } from '../../src/plan/plan.ts';
import { SIGNATURES } from '../../src/plan/signatures/index-of-functions.ts';

export const NO_IDENTITY: IdentityLookup = {
  process: () => undefined,
  podByIp: () => undefined,
  podByName: () => undefined,
  podById: () => undefined,
};

/** `{ a: 'INT64' }` as a schema. */
export const schema = (types: Readonly<Record<string, DataType>>): Schema =>
  Object.entries(types).map(([name, type]) => fieldOf(name, type));

/** A table from rows, handed out in batches of `batchRows`. */
export interface Table {
  readonly schema: Schema;
  readonly rows: readonly (readonly Cell[])[];
}

export const tablesOf = (tables: Readonly<Record<string, Table>>, batchRows = 65_536): TableReader => {
  const whole = new Map(Object.entries(tables).map(([name, table]) => [name, batchFrom(table.schema, table.rows)]));
  return readerOf(whole, batchRows);
};

export const readerOf = (whole: ReadonlyMap<string, Batch>, batchRows = 65_536): TableReader => ({
  *snapshot(name, { columns }) {
    const batch = whole.get(name);
    if (batch === undefined) throw new Error(`no table ${name}`);
    const selected = selectColumns(batch, columns);
    for (let start = 0; start < selected.length; start += batchRows) {
      yield sliceBatch(selected, start, Math.min(selected.length, start + batchRows));
    }
  },
});

export const contextOf = (overrides: Partial<ExecutionContext> = {}): ExecutionContext => ({
  tables: tablesOf({}),
  identity: NO_IDENTITY,
  asid: 7,
  scope: '*',
  node: 'node-a',
  signal: new AbortController().signal,
  clock: () => 0,
  limits: DEFAULT_LIMITS,
  stats: { rowsRead: 0, bytesRead: 0 },
  ...overrides,
});

export const source = (table: string, columns: Schema): SourceOperator => ({
  kind: 'source',
  table,
  columns: columns.map(({ name }) => name),
  schema: columns,
});

export const column = (name: string, type: DataType): Expression => ({
  kind: 'column',
  name,
  type,
  semanticType: 'ST_NONE',
});

export const literal = (value: LiteralValue, type: DataType): Expression => ({
  kind: 'literal',
  value,
  type,
  semanticType: 'ST_NONE',
});

/** A call; the result type is that of the matching overload. */
export function call(name: string, ...args: Expression[]): Expression {
  const overload = SIGNATURES.get(name)?.overloads.find(
    (candidate) => candidate.args.length === args.length && candidate.args.every((type, i) => type === args[i]?.type),
  );
  if (overload === undefined) throw new Error(`no overload ${name}(${args.map(({ type }) => type).join(', ')})`);
  return { kind: 'call', function: name, args, type: overload.result, semanticType: 'ST_NONE' };
}

export const map = (input: Operator, columns: Readonly<Record<string, Expression>>): MapOperator => ({
  kind: 'map',
  input,
  columns: Object.entries(columns).map(([name, expression]) => ({ name, expression })),
  schema: Object.entries(columns).map(([name, { type }]) => fieldOf(name, type)),
});

export function aggregateOf(
  name: string,
  fn: string,
  args: readonly Expression[],
  literals: LiteralValue[] = [],
): AggregateExpression {
  const overload = SIGNATURES.get(fn)?.overloads.find(({ args: [type] }) => type === args[0]?.type);
  if (overload === undefined) throw new Error(`no overload ${fn}(${args[0]?.type})`);
  return { name, function: fn, args, literals, type: overload.result, semanticType: 'ST_NONE' };
}

export const groupBy = (
  input: Operator,
  keys: readonly string[],
  aggregates: readonly AggregateExpression[],
): AggregateOperator => ({
  kind: 'aggregate',
  input,
  keys,
  aggregates,
  mode: 'full',
  schema: [
    ...keys.map((key) => input.schema.find(({ name }) => name === key) ?? fieldOf(key, 'STRING')),
    ...aggregates.map(({ name, type }) => fieldOf(name, type)),
  ],
});

export async function collect(operator: Operator, context: ExecutionContext): Promise<Batch[]> {
  const batches: Batch[] = [];
  for await (const batch of execute(operator, context)) batches.push(batch);
  return batches;
}

/** All rows of an operator. */
export const rowsFrom = async (operator: Operator, context: ExecutionContext): Promise<Cell[][]> =>
  (await collect(operator, context)).flatMap(rowsOf);

/** The value of an expression over one row of the given columns. */
export async function valueOf(
  expression: Expression,
  row: Readonly<Record<string, readonly [DataType, Cell]>> = {},
  overrides: Partial<ExecutionContext> = {},
): Promise<Cell> {
  const columns = schema({
    ...Object.fromEntries(Object.entries(row).map(([name, [type]]) => [name, type])),
    _: 'INT64',
  });
  const tables = tablesOf({ t: { schema: columns, rows: [[...Object.values(row).map(([, cell]) => cell), 0n]] } });
  const rows = await rowsFrom(map(source('t', columns), { value: expression }), contextOf({ tables, ...overrides }));
  const value = rows[0]?.[0];
  if (value === undefined) throw new Error('no value');
  return value;
}

export const identityOf = (names: Partial<typeof UNKNOWN_PROCESS>): typeof UNKNOWN_PROCESS => ({
  ...UNKNOWN_PROCESS,
  ...names,
});

/** Rows as a multiset that can be compared: sorted text, doubles to 12 digits. */
export const asSet = (rows: readonly (readonly Cell[])[]): string[] =>
  rows
    .map((row) =>
      JSON.stringify(row, (_, cell: unknown) => {
        if (typeof cell === 'bigint') return `${cell}n`;
        return typeof cell === 'number' ? `f${cell === 0 ? 0 : cell.toPrecision(12)}` : cell;
      }),
    )
    .sort();
