import { expect, test } from '@jest/globals';
import { rowsOf } from '../../src/columns/batch.ts';
import { encodeOtlp } from '../../src/exporters/otlp/encode.ts';
import { queryOnce, type QueryOnceRequest } from '../../src/runtime/query-once.ts';
import { COUNT_BY_PATH, pointsOf, s } from './harness.ts';
import { tableNode } from './table-node.ts';

const requestFor = (source: string, more: Partial<QueryOnceRequest> = {}): QueryOnceRequest => {
  const node = tableNode('host');
  for (let i = 0; i < 30; i += 1) node.http(s(i), { req_path: i % 3 === 0 ? '/a' : '/b', latency: i });
  return {
    source,
    compile: { now: s(30), window: { start: s(0), end: s(30) }, hasDefaultEndpoint: true },
    node,
    scope: '*',
    start: s(0),
    end: s(30),
    scriptName: 'count.pxl',
    version: '0.0.0',
    rowsMax: 100,
    signal: new AbortController().signal,
    ...more,
  };
};

test('tables that a script shows come back with their rows, exports with their points', async () => {
  const result = await queryOnce(requestFor(`${COUNT_BY_PATH}\npx.display(df[['req_path', 'n']], 'paths')`));
  expect(result.diagnostics).toEqual([]);
  const [table] = result.tables;
  expect(table?.name).toBe('paths');
  expect(table?.batches.flatMap(rowsOf).sort()).toEqual([
    ['/a', 10n],
    ['/b', 20n],
  ]);
  expect(result.stats.rowsRead).toBeGreaterThanOrEqual(30);
  const batches = result.exports.flatMap((one) => one.batches);
  expect(batches[0]?.scope).toMatchObject({ name: 'sluice/count.pxl' });
  expect(pointsOf(encodeOtlp(batches).requests)).toEqual(['http.requests 10 path=/a', 'http.requests 20 path=/b']);
});

test('rows beyond a table’s bound are cut and counted', async () => {
  const source = "import px\npx.display(px.DataFrame('http_events')[['req_path']])";
  const { tables } = await queryOnce(requestFor(`#px:set max_output_rows_per_table=7\n${source}`));
  expect(tables[0]?.rowsTruncated).toBe(23);
  expect(tables[0]?.batches.flatMap(rowsOf)).toHaveLength(7);
});

test('a script that does not compile is a result that says why', async () => {
  const result = await queryOnce(requestFor('import px\npx.display(nothing)'));
  expect(result.plan).toBeUndefined();
  expect(result.diagnostics).toMatchObject([{ code: 'UNKNOWN_NAME', line: 2 }]);
});

test('an aborted query ends with the reason', async () => {
  const abort = new AbortController();
  abort.abort(new Error('interrupted'));
  await expect(queryOnce(requestFor(COUNT_BY_PATH, { signal: abort.signal }))).rejects.toThrow('interrupted');
});
