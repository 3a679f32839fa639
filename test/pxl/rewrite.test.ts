// The rewrites against the engine: a rewritten plan gives the rows of the plan as written.
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from '@jest/globals';
import { CATALOGUE, schemaOf } from '../../src/model/catalogue.ts';
import type { Cell, DataType } from '../../src/model/types.ts';
import { packUpid } from '../../src/model/upid.ts';
import { compile } from '../../src/pxl/compile.ts';
import { asSet, contextOf, rowsFrom, tablesOf, type Table } from '../engine/support.ts';
import { NOW, readCases } from './case-file.ts';

const CELLS: Readonly<Record<DataType, fc.Arbitrary<Cell>>> = {
  BOOLEAN: fc.boolean(),
  INT64: fc.bigInt({ min: -3n, max: 12n }),
  UINT128: fc.integer({ min: 1, max: 3 }).map((pid) => packUpid(7, pid, 5n)),
  FLOAT64: fc.double({ min: -2, max: 2, noNaN: true }),
  STRING: fc.constantFrom('', '/', '/a', 'GET', 'POST', '{"host":"x"}'),
  TIME64NS: fc.integer({ min: -600, max: 0 }).map((seconds) => NOW + BigInt(seconds) * 1_000_000_000n),
};

const tableOf = (name: string): fc.Arbitrary<Table> => {
  const table = CATALOGUE.find((each) => each.name === name);
  if (table === undefined) throw new Error(`no table ${name}`);
  const schema = schemaOf(table);
  const time = schema.findIndex((field) => field.name === 'time_');
  const row = fc.tuple(...schema.map(({ type }) => CELLS[type]));
  const byTime = (rows: readonly Cell[][]): readonly Cell[][] =>
    [...rows].sort((a, b) => Number((a[time] as bigint) - (b[time] as bigint)));
  return fc.array(row, { maxLength: 12 }).map((rows) => ({ schema, rows: byTime(rows) }));
};

const tables = fc.record({ http_events: tableOf('http_events'), conn_stats: tableOf('conn_stats') });

async function sameRows(
  source: string,
  options: Parameters<typeof compile>[1],
  data: Readonly<Record<string, Table>>,
): Promise<void> {
  const plain = compile(source, { ...options, optimise: false }).plan?.sinks ?? [];
  const rewritten = compile(source, options).plan?.sinks ?? [];
  expect(rewritten.length).toBe(plain.length);
  for (const [i, sink] of plain.entries()) {
    const other = rewritten[i];
    if (sink.kind !== 'table' || other === undefined) continue;
    expect(other.input.schema).toEqual(sink.input.schema);
    const context = contextOf({ tables: tablesOf(data) });
    expect(asSet(await rowsFrom(other.input, context))).toEqual(asSet(await rowsFrom(sink.input, context)));
  }
}

const cases = ['accepted.txt', 'rewrite.txt'].flatMap((file) => readCases(join(import.meta.dirname, file)));

test.each(cases.map((each) => [each.title, each] as const))(
  'rows stay the same: %s',
  async (_, { source, options }) => {
    await fc.assert(
      fc.asyncProperty(tables, (data) => sameRows(source, options, data)),
      { numRuns: 8 },
    );
  },
);

const STEPS = [
  'df.a = df.latency * 2',
  'df.b = df.req_path',
  "df['latency'] = df.latency + 1",
  "df.c = px.select(df.encrypted, 'x', df.b0)",
  'df = df[df.latency > 3]',
  "df = df[df.b0 == '/a' or df.encrypted]",
  'df = df[df.resp_status < 5 and df.latency >= 0]',
  "df = df[px.contains(df.b0, '')]",
  'df = df.append(df)',
  'df = df.append(other)',
  'df = df.head(4)',
  "df = df.merge(other, how='inner', left_on='latency', right_on='latency', suffixes=['', '_r'])[['time_', 'latency', 'resp_status', 'b0', 'encrypted', 'req_path']]",
  "df = df.merge(g, how='left', left_on='b0', right_on='b0', suffixes=['', '_r'])[['time_', 'latency', 'resp_status', 'b0', 'encrypted', 'req_path']]",
  "df = df.groupby(['b0', 'encrypted', 'req_path']).agg(time_=('time_', px.max), latency=('latency', px.sum), resp_status=('resp_status', px.max))",
];

test('rows stay the same: any order of steps', async () => {
  const head = "import px\ndf = px.DataFrame('http_events', start_time='-5m')\ndf.b0 = df.req_path\n";
  const shape = "df = df[['time_', 'latency', 'resp_status', 'b0', 'encrypted', 'req_path']]\n";
  const others = "other = df\ng = df.groupby('b0').agg(n=('latency', px.count))\n";
  const script = fc.array(fc.constantFrom(...STEPS), { maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(script, tables, async (steps, data) => {
      // Only steps that fit what came before are kept.
      let source = head + shape + others;
      for (const step of steps) {
        const longer = `${source}${step}\n`;
        if (compile(`${longer}px.display(df)`, { now: NOW, hasDefaultEndpoint: true }).plan !== undefined)
          source = longer;
      }
      await sameRows(
        `${source}px.display(df)\npx.display(df[['latency']], 'narrow')`,
        { now: NOW, hasDefaultEndpoint: true },
        data,
      );
    }),
    { numRuns: 150 },
  );
});
