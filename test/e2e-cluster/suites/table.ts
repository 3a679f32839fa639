// What `kubectl get` shows: the columns, and counts that are those of what arrived.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect } from '@jest/globals';
import type { Checks } from '../checks.ts';
import { until, type Product } from '../product.ts';
import { arrivedByWindow } from '../received.ts';

const GOLDEN = join(import.meta.dirname, '..', 'golden');

const TIMES: ReadonlySet<string> = new Set(['AGE', 'LAST-WINDOW', 'LAST-SUCCESS']);
const isCount = (cell: string): boolean => /^\d+$/.test(cell);

/** Ages and counts change from run to run, and blanks follow the widths of the cells. */
function mask(table: string): string {
  const [head = '', ...lines] = table.trimEnd().split('\n');
  const columns = [...head.matchAll(/\S+/g)].map(({ 0: name, index }) => ({ name, index }));
  const rows = lines.map((line) =>
    columns.map(({ name, index }, i) => {
      const cell = line.slice(index, columns[i + 1]?.index).trim();
      return TIMES.has(name) && /^(\d+[smhd])+$/.test(cell) ? '<age>' : isCount(cell) ? '<n>' : cell;
    }),
  );
  return [columns.map(({ name }) => name), ...rows].map((cells) => cells.join(' | ').trimEnd()).join('\n');
}

function expectGolden(name: string, text: string): void {
  const file = join(GOLDEN, `${name}.txt`);
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(file, `${text}\n`);
  expect(`${text}\n`).toBe(readFileSync(file, 'utf8'));
}

interface Row {
  readonly script: string;
  readonly metrics: number;
  readonly spans: number;
}

/** By the columns' places in the head. */
function rowsOf(table: string): Row[] {
  const [head = '', ...lines] = table.trimEnd().split('\n');
  const cell = (line: string, column: string): string => line.slice(head.indexOf(column)).split(' ')[0] ?? '';
  return lines.map((line) => ({
    script: `${cell(line, 'NAMESPACE')}/${cell(line, 'NAME ')}`,
    metrics: Number(cell(line, 'METRICS')),
    spans: Number(cell(line, 'SPANS')),
  }));
}

export function tableSuite(getProduct: () => Product, { test }: Checks): void {
  describe('kubectl get', () => {
    test('exportscripts: METRICS and SPANS are what arrived of the last window', async () => {
      const { cluster, statuses, items } = getProduct();
      const { kubectl } = cluster;
      const ends = (): Promise<string> =>
        kubectl(['get', 'exs', '-A', '-o', 'jsonpath={range .items[*]}{.status.lastWindow}{"\\n"}{end}']);
      // a table between two equal looks at the windows is of these windows
      const { table, windows } = await until(
        'a table whose windows are known',
        async () => {
          const before = await ends();
          const table = await kubectl(['get', 'exportscripts', '-A']);
          return before === (await ends()) && { table, windows: before.trim().split('\n') };
        },
        60_000,
      );
      expectGolden('exportscripts', mask(table));
      const rows = rowsOf(table);
      expect(rows).toHaveLength(5);
      for (const [i, row] of rows.entries()) {
        const { start, end } = JSON.parse(windows[i] ?? '{}') as { start: string; end: string };
        const windowMs = Date.parse(end) - Date.parse(start);
        const arrived = arrivedByWindow(items(), row.script, windowMs).get(Date.parse(start));
        expect({ ...row, start }).toEqual({ script: row.script, start, ...(arrived ?? { metrics: 0, spans: 0 }) });
        expect(statuses.of(row.script)?.contradictions).toEqual([]);
      }
    }, 90_000);

    for (const [name, args] of [
      ['otelplugins', ['get', 'otelplugins', '-A']],
      ['exportscripts-wide', ['get', 'exs', '-A', '-o', 'wide']],
    ] as const)
      test(name, async () => expectGolden(name, mask(await getProduct().cluster.kubectl(args))));
  });
}
