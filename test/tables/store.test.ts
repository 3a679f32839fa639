import { describe, expect, test } from '@jest/globals';
import { rowsOf } from '../../src/columns/batch.ts';
import { CATALOGUE } from '../../src/model/catalogue.ts';
import { column, integer, text, time, type TableDefinition } from '../../src/model/catalogue/definition.ts';
import { timeNs } from '../../src/model/time.ts';
import type { Cell } from '../../src/model/types.ts';
import { shareBudget, SHARES_DEFAULT } from '../../src/tables/budget.ts';
import { createTableStore } from '../../src/tables/store.ts';
import type { Snapshot } from '../../src/tables/snapshot.ts';
import { FOREVER } from '../../src/tables/table.ts';

const EVENTS: TableDefinition = {
  name: 'events',
  description: '',
  kind: 'event',
  filled: true,
  columns: [time(''), integer('n', 'GENERAL', ''), text('s', '', { bytesMax: 8 }), column('u', 'UINT128', '')],
};
const UNFILLED: TableDefinition = { ...EVENTS, name: 'unfilled', filled: false };
const row = (n: number | bigint, s = ''): Cell[] => [0n, n, s, { high: 0n, low: 0n }];
const storeOf = (budgetBytes = 1 << 20) => createTableStore({ tables: [EVENTS, UNFILLED], budgetBytes });
const timesAndNumbers = (snapshot: Snapshot): [unknown, unknown][] =>
  [...snapshot].flatMap(rowsOf).map((cells) => [cells[0], cells[1]]);

describe('appending', () => {
  test('rows come out sorted by time, equal times in order of arrival', () => {
    const store = storeOf();
    [5n, 3n, 5n, 4n].forEach((at, i) => store.append('events', at, row(i)));
    expect(timesAndNumbers(store.snapshot('events'))).toEqual([
      [3n, 1n],
      [4n, 3n],
      [5n, 0n],
      [5n, 2n],
    ]);
    expect(timesAndNumbers(store.snapshot('events', { start: 4n, end: 5n }))).toEqual([[4n, 3n]]);
  });

  test('a row behind the watermark is stored at the watermark and counted late', () => {
    const store = storeOf();
    store.setWatermark('events', timeNs(100n));
    expect(store.append('events', 99n, row(1))).toBe('late');
    expect(store.append('events', 100n, row(2))).toBe('stored');
    expect(timesAndNumbers(store.snapshot('events'))).toEqual([
      [100n, 1n],
      [100n, 2n],
    ]);
    expect(store.stats('events')).toMatchObject({ rowsLate: 1, rows: 2, minTime: 100n });
  });

  test('a row behind a source that has ended keeps its time', () => {
    const store = storeOf();
    store.setWatermark('events', FOREVER);
    expect(store.append('events', 7n, row(1))).toBe('late');
    expect(timesAndNumbers(store.snapshot('events'))).toEqual([[7n, 1n]]);
  });

  test('a refused row leaves nothing behind', () => {
    const store = storeOf();
    store.append('events', 1n, row(1, 'a'));
    expect(() => store.append('events', 2n, [0n, 2, 'b', 'not a upid'])).toThrow('a cell of type UINT128 cannot be');
    expect(() => store.append('events', 2n, [0n, 2])).toThrow('2 cells for the 4 columns of events');
    expect(() => store.append('nothing', 2n, row(1))).toThrow('no table nothing; there are events, unfilled');
    store.append('events', 3n, row(3, 'c'));
    expect([...store.snapshot('events')].flatMap(rowsOf).map((cells) => cells[2])).toEqual(['a', 'c']);
    expect(store.stats('events').rowsAppended).toBe(2);
  });

  test('STRING cells are cut at the limit of their column, by bytes, and counted', () => {
    const store = storeOf();
    for (const s of ['12345678', '123456789', 'aaaaaaa€']) store.append('events', 1n, row(0, s));
    expect([...store.snapshot('events', { columns: ['s'] })].flatMap(rowsOf).flat()).toEqual([
      '12345678',
      '12345678... [TRUNCATED]',
      'aaaaaaa\uFFFD... [TRUNCATED]',
    ]);
    expect(store.stats('events').cellsTruncated).toBe(2);
  });

  test('a column without a limit of its own is cut at 1024 bytes, headers at 8192', () => {
    const store = createTableStore();
    const long = 'x'.repeat(10_000);
    const cells = CATALOGUE[0]!.columns.map(
      (c): Cell =>
        ({ STRING: long, BOOLEAN: false, UINT128: { high: 0n, low: 0n }, INT64: 0, TIME64NS: 0, FLOAT64: 0 })[c.type],
    );
    store.append('http_events', 1n, cells);
    const [lengths] = [...store.snapshot('http_events', { columns: ['req_path', 'req_headers', 'resp_body'] })]
      .flatMap(rowsOf)
      .map((r) => r.map((cell) => (typeof cell === 'string' ? cell.length : -1)));
    expect(lengths).toEqual([1024 + 15, 8192 + 15, 512 + 15]);
  });

  test('the time may be given as a number', () => {
    const store = storeOf();
    store.append('events', 12, row(1));
    expect(timesAndNumbers(store.snapshot('events'))).toEqual([[12n, 1n]]);
  });
});

describe('reading', () => {
  test('gives the named columns in the order asked for', () => {
    const store = storeOf();
    store.append('events', 1n, row(5, 'x'));
    expect(
      [...store.snapshot('events', { columns: ['s', 'n'] })].map((batch) => [
        batch.schema.map((f) => f.name),
        rowsOf(batch),
      ]),
    ).toEqual([[['s', 'n'], [['x', 5n]]]]);
    expect(() => store.snapshot('events', { columns: ['x'] })).toThrow(
      'table events has no column x; it has time_, n, s, u',
    );
  });

  test('a snapshot may be read twice and after everything it showed has expired', () => {
    const store = storeOf(200_000);
    for (let i = 0; i < 100; i++) store.append('events', BigInt(i), row(i, `${i}`));
    const snapshot = store.snapshot('events');
    const before = timesAndNumbers(snapshot);
    for (let i = 100; i < 20_000; i++) store.append('events', BigInt(i), row(i, `${i}`));
    expect(store.snapshot('events', { end: 100n }).rows).toBe(0);
    expect(timesAndNumbers(snapshot)).toEqual(before);
  });

  test('batches of a segment in order are slices of it, not copies', () => {
    const store = storeOf(64 << 20);
    for (let i = 0; i < 70_000; i++) store.append('events', BigInt(i), row(i));
    const [first] = [...store.snapshot('events')];
    const [again] = [...store.snapshot('events', { start: 10n })];
    expect(
      first?.columns[1]?.type === 'INT64' &&
        again?.columns[1]?.type === 'INT64' &&
        first.columns[1].values.buffer === again.columns[1].values.buffer,
    ).toBe(true);
    expect([...store.snapshot('events')].map((batch) => batch.length)).toEqual([65_536, 4_464]);
  });

  test('rows that keep coming out of order while readers look stay in few segments and in order', () => {
    const store = storeOf(64 << 20);
    for (let i = 0; i < 500; i++) {
      store.append('events', BigInt(i * 10 + 15), row(i));
      store.append('events', BigInt(i * 10), row(i));
      void store.snapshot('events').rows;
    }
    const times = timesAndNumbers(store.snapshot('events')).map(([at]) => at as bigint);
    expect(times).toHaveLength(1000);
    expect(times.every((at, i) => i === 0 || at >= times[i - 1]!)).toBe(true);
    expect(store.stats('events').segments).toBeLessThan(12);
  });
});

describe('retention', () => {
  test('keeps to the budget by dropping the oldest, and says how many rows of which time are gone', () => {
    const store = storeOf(300_000);
    for (let i = 0; i < 50_000; i++) store.append('events', BigInt(i), row(i, `${i}`));
    const stats = store.stats('events');
    expect(stats.bytes).toBeLessThanOrEqual(stats.budgetBytes);
    expect(stats.rows + stats.rowsExpired).toBe(50_000);
    expect(stats.minTime).toBe(BigInt(stats.rowsExpired));
    expect(stats.goneUntil).toBe(stats.minTime);
    expect(store.rowsExpired(['events'], timeNs(0n), timeNs(50_000n))).toBe(stats.rowsExpired);
    expect(store.rowsExpired(['events'], stats.minTime!, timeNs(50_000n))).toBe(0);
    expect(store.snapshot('events', { start: 0n, end: 10n })).toMatchObject({ rows: 0 });
    expect(store.snapshot('events', { start: 0n, end: 10n }).rowsExpired).toBeGreaterThanOrEqual(10);
  });

  test('the log of what expired stays small and never says less than is gone', () => {
    const store = storeOf(300_000);
    for (let i = 0; i < 400_000; i++) store.append('events', BigInt(i), row(i, `${i}`));
    const { rowsExpired } = store.stats('events');
    expect(store.rowsExpired(['events'], timeNs(0n), timeNs(400_000n))).toBe(rowsExpired);
    expect(store.rowsExpired(['events'], timeNs(1_000n), timeNs(2_000n))).toBeGreaterThanOrEqual(1_000);
  });

  test('the default budget is shared: 40 % http_events, little for status tables, the rest in equal parts', () => {
    const budgets = shareBudget(CATALOGUE, 1000_000, SHARES_DEFAULT);
    expect(budgets.get('http_events')).toBe(400_000);
    expect(budgets.get('stirling_error')).toBe(5_000);
    expect(budgets.get('proc_exit_events')).toBe(20_000);
    expect(budgets.get('conn_stats')).toBe(budgets.get('process_stats'));
    expect(budgets.get('conn_stats')).toBeGreaterThan(200_000);
    expect([...budgets.values()].reduce((a, b) => a + b, 0)).toBeLessThanOrEqual(1_000_000);
    expect(() => createTableStore({ shares: { http_events: 0.99 } })).toThrow('keep them below 1');
  });
});

describe('watermarks', () => {
  const { signal } = new AbortController();

  test('are the lowest of the tables asked for, never go back, and skip tables that nothing fills', () => {
    const store = createTableStore({ tables: [EVENTS, { ...EVENTS, name: 'more' }, UNFILLED] });
    expect(store.watermark(['events'])).toBe(0n);
    store.setWatermark('events', timeNs(10n));
    store.setWatermark('events', timeNs(5n));
    store.setWatermark('more', timeNs(7n));
    expect(store.watermark(['events', 'more', 'unfilled'])).toBe(7n);
    expect(store.watermark(['unfilled'])).toBe(FOREVER);
  });

  test('let those go on who wait for them', async () => {
    const store = storeOf();
    let isThrough = false;
    const waiting = store.waitForWatermark(['events'], timeNs(10n), signal).then(() => (isThrough = true));
    store.setWatermark('events', timeNs(9n));
    await Promise.resolve();
    expect(isThrough).toBe(false);
    store.setWatermark('events', timeNs(10n));
    await waiting;
    await store.waitForWatermark(['events'], timeNs(10n), signal);
  });

  test('waiting ends when it is aborted, before or later', async () => {
    const store = storeOf();
    const controller = new AbortController();
    const waiting = store.waitForWatermark(['events'], timeNs(10n), controller.signal);
    controller.abort(new Error('too late'));
    await expect(waiting).rejects.toThrow('too late');
    await expect(store.waitForWatermark(['events'], timeNs(10n), controller.signal)).rejects.toThrow('too late');
  });
});
