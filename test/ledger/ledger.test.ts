import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { openLedger, type Ledger } from '../../src/ledger/ledger.ts';
import type { Verdict } from '../../src/ledger/record.ts';
import { at, batch, outcome, temporaryFolder, window } from './samples.ts';

const acknowledged: Verdict = { outcome: 'acknowledged', rejected: 0, attempts: 1 };

let folder: ReturnType<typeof temporaryFolder>;
let ledger: Ledger;

beforeEach(async () => {
  folder = temporaryFolder();
  ledger = await openLedger(folder.path);
});

afterEach(async () => {
  await ledger.close();
  folder.remove();
});

const reopen = async (limits = {}): Promise<void> => {
  await ledger.close();
  ledger = await openLedger(folder.path, limits);
};

const finishAll = async (plugin = 'plugin'): Promise<void> => {
  const batches = await ledger.pending(plugin, 0, 10_000, 1e9);
  await ledger.finish(batches.map(({ id }) => ({ id, verdict: acknowledged })));
};

test('a committed window and its batches are there after the file was closed and opened', async () => {
  const bytes = Uint8Array.of(0, 255, 1);
  expect(await ledger.commit(window('a', 0, 10, [batch(bytes), batch(4, { signal: 'traces', spans: 9 })]))).toEqual({
    status: 'committed',
    delivered: false,
  });
  await reopen();
  const found = await ledger.findWindow('a', at(0), at(10));
  expect(found).toEqual({ outcome: outcome('a', 0, 10), delivered: false });
  const [first, second] = await ledger.pending('plugin', 0, 10, 1e6);
  expect(first).toMatchObject({ uid: 'a', start: at(0), end: at(10), seq: 0, signal: 'metrics', committedAt: at(10) });
  expect([...(first?.bytes ?? [])]).toEqual([0, 255, 1]);
  expect(second).toMatchObject({ seq: 1, signal: 'traces', spans: 9 });
});

test('committing does not take the caller’s buffer away, and stores a view’s own bytes only', async () => {
  const large = new Uint8Array(100).fill(1);
  const view = large.subarray(10, 13);
  await ledger.commit(window('a', 0, 10, [batch(view)]));
  expect(large.length).toBe(100);
  expect((await ledger.pending('plugin', 0, 1, 1e6))[0]?.bytes).toHaveLength(3);
});

test.each([
  ['the same window', 10, 20],
  ['one inside', 12, 13],
  ['one around', 0, 40],
  ['one that ends inside', 5, 11],
  ['one that starts inside', 19, 30],
])('%s is refused with what is committed, whoever asks', async (_what, start, end) => {
  await ledger.commit(window('a', 10, 20));
  expect(await ledger.commit(window('a', start, end, [], { pluginUid: 'other' }))).toEqual({
    status: 'overlap',
    committed: [{ start: at(10), end: at(20), delivered: false }],
  });
  expect(await ledger.pending('other', 0, 10, 1e6)).toEqual([]);
});

test('windows that touch, and other scripts, are no overlap', async () => {
  for (const [uid, start, end] of [
    ['a', 10, 20],
    ['a', 0, 10],
    ['a', 20, 30],
    ['b', 10, 20],
  ] as const) {
    expect((await ledger.commit(window(uid, start, end))).status).toBe('committed');
  }
});

test('a window is delivered when its last batch is final, in whatever order and way', async () => {
  await ledger.commit(window('a', 0, 10, [batch(), batch(), batch()]));
  const ids = (await ledger.pending('plugin', 0, 10, 1e6)).map(({ id }) => id);
  const verdicts: Verdict[] = [
    acknowledged,
    { outcome: 'refused', rejected: 3, attempts: 2, code: '400', message: 'INVALID_ARGUMENT' },
    { outcome: 'dropped', rejected: 0, attempts: 0, message: 'gone' },
  ];
  const order = [2, 0, 1];
  for (const i of order) await ledger.finish([{ id: ids[i] ?? 0, verdict: verdicts[i] ?? acknowledged }]);
  const deliveries = (await ledger.deliveries(0, 10)).map(({ delivery }) => delivery);
  expect(deliveries.map(({ batch, outcome, windowDelivered }) => [batch, outcome, windowDelivered])).toEqual([
    [2, 'dropped', false],
    [0, 'acknowledged', false],
    [1, 'refused', true],
  ]);
  expect(deliveries[2]).toMatchObject({
    uid: 'a',
    start: at(0),
    end: at(10),
    rejected: 3,
    attempts: 2,
    code: '400',
    message: 'INVALID_ARGUMENT',
  });
  expect(await ledger.findWindow('a', at(0), at(10))).toMatchObject({ delivered: true });
});

test('a verdict that comes twice changes nothing', async () => {
  await ledger.commit(window('a', 0, 10, [batch(), batch()]));
  const [first] = await ledger.pending('plugin', 0, 10, 1e6);
  const verdicts = [{ id: first?.id ?? 0, verdict: acknowledged }];
  expect(await ledger.finish(verdicts)).toBe(1);
  expect(await ledger.finish(verdicts)).toBe(0);
  expect(await ledger.deliveries(0, 10)).toHaveLength(1);
  expect((await ledger.findWindow('a', at(0), at(10)))?.delivered).toBe(false);
});

test('a window without batches is delivered at once and leaves no delivery', async () => {
  expect(await ledger.commit(window('a', 0, 10, []))).toEqual({ status: 'committed', delivered: true });
  expect(await ledger.deliveries(0, 10)).toEqual([]);
});

test('deliveries stay until somebody took note of them, also over a restart', async () => {
  await ledger.commit(window('a', 0, 10, [batch(), batch(), batch()]));
  await finishAll();
  const [first] = await ledger.deliveries(0, 1);
  await ledger.takeDeliveries(first?.seq ?? 0);
  await reopen();
  const left = await ledger.deliveries(0, 10);
  expect(left.map(({ delivery }) => delivery.batch)).toEqual([1, 2]);
});

test('deliveries that nobody takes are bounded, and the dropped ones counted', async () => {
  await reopen({ deliveriesMax: 2 });
  await ledger.commit(window('a', 0, 10, [batch(), batch(), batch(), batch(), batch()]));
  await finishAll();
  expect((await ledger.deliveries(0, 10)).map(({ delivery }) => delivery.batch)).toEqual([3, 4]);
  expect((await ledger.spool()).deliveriesDropped).toBe(3);
});

test('delivered windows beyond the newest become one interval, and it refuses overlap too', async () => {
  await reopen({ windowsKept: 2 });
  for (let i = 0; i < 50; i += 1) {
    await ledger.commit(window('a', i * 10, i * 10 + 10));
    await finishAll();
  }
  expect((await ledger.committed(['a', 'b'])).get('a')).toEqual([{ start: at(0), end: at(500), delivered: true }]);
  expect((await ledger.committed(['b'])).get('b')).toEqual([]);
  expect(await ledger.findWindow('a', at(0), at(10))).toBeUndefined();
  expect(await ledger.findWindow('a', at(490), at(500))).toBeDefined();
  expect((await ledger.commit(window('a', 5, 6))).status).toBe('overlap');
});

test('a destination’s batches come in commit order, by pages that hold at least one', async () => {
  for (let i = 0; i < 5; i += 1) await ledger.commit(window('a', i, i + 1, [batch(100)]));
  await ledger.commit(window('b', 0, 1, [batch(100, { destination: 'other' })]));
  const first = await ledger.pending('plugin', 0, 10, 250);
  expect(first.map(({ start }) => start)).toEqual([at(0), at(1)]);
  const rest = await ledger.pending('plugin', first.at(-1)?.id ?? 0, 10, 1);
  expect(rest.map(({ start }) => start)).toEqual([at(2)]);
});

test('attempts are remembered over a restart and reported at least as high as they were', async () => {
  await ledger.commit(window('a', 0, 1));
  const [stored] = await ledger.pending('plugin', 0, 1, 1e6);
  const id = stored?.id ?? 0;
  await ledger.attempted(id, 1, false);
  await ledger.attempted(id, 2, true);
  await reopen();
  expect((await ledger.pending('plugin', 0, 1, 1e6))[0]).toMatchObject({ attempts: 2, isUnanswered: true });
  await ledger.attempted(id, 3, false);
  await reopen();
  expect((await ledger.pending('plugin', 0, 1, 1e6))[0]).toMatchObject({ attempts: 3, isUnanswered: false });
  await finishAll();
  expect((await ledger.deliveries(0, 1))[0]?.delivery).toMatchObject({ attempts: 3, windowRepeated: false });
  // they go with their batch, and come no more
  await ledger.attempted(id, 4, true);
  await ledger.close();
  const file = new DatabaseSync(join(folder.path, 'ledger.db'));
  expect(file.prepare('SELECT count(*) AS left FROM attempts').get()).toMatchObject({ left: 0 });
  file.close();
});

test('a window is repeated once, however many of its batches are, also when a restart lies in between', async () => {
  await ledger.commit(window('a', 0, 1, [batch(), batch(), batch(), batch()]));
  const ids = (await ledger.pending('plugin', 0, 10, 1e6)).map((one) => one.id);
  const taken = { outcome: 'acknowledged', rejected: 0, attempts: 1 } as const;
  await ledger.finish(
    ids.slice(0, 2).map((id, i) => ({ id, verdict: i === 0 ? taken : { ...taken, isRepeated: true } })),
  );
  await reopen();
  await ledger.finish(ids.slice(2).map((id) => ({ id, verdict: { ...taken, isRepeated: true } })));
  const said = (await ledger.deliveries(0, 10)).map(({ delivery }) => [
    delivery.windowRepeated,
    delivery.windowDelivered,
  ]);
  expect(said).toEqual([
    [false, false],
    [true, false],
    [false, false],
    [false, true],
  ]);
});

test('a file of the schema before keeps its windows, batches and deliveries', async () => {
  await ledger.commit(window('a', 0, 1, [batch(), batch()]));
  const [first] = await ledger.pending('plugin', 0, 1, 1e6);
  await ledger.finish([{ id: first?.id ?? 0, verdict: { outcome: 'acknowledged', rejected: 0, attempts: 1 } }]);
  await ledger.close();
  const file = new DatabaseSync(join(folder.path, 'ledger.db'));
  file.exec(`ALTER TABLE batches ADD COLUMN attempts INTEGER NOT NULL DEFAULT 3; DROP TABLE attempts;
    ALTER TABLE windows DROP COLUMN repeated;
    UPDATE deliveries SET delivery = json_remove(delivery, '$.windowRepeated'); PRAGMA user_version = 1`);
  file.close();
  ledger = await openLedger(folder.path);
  expect(await ledger.pending('plugin', 0, 9, 1e6)).toMatchObject([{ seq: 1, attempts: 3, isUnanswered: false }]);
  await finishAll();
  expect((await ledger.deliveries(0, 9)).map(({ delivery }) => [delivery.batch, delivery.windowRepeated])).toEqual([
    [0, false],
    [1, false],
  ]);
});

test('a full spool refuses the window whole, keeps room for other destinations, and takes it once there is space', async () => {
  await reopen({ spoolBytesMax: 100_000 });
  const big = (i: number) => window('a', i, i + 1, [batch(9000)]);
  let i = 0;
  while ((await ledger.commit(big(i))).status === 'committed') i += 1;
  expect(i).toBeGreaterThan(5);
  expect(await ledger.commit(big(i))).toMatchObject({ status: 'spool-full', destination: 'plugin' });
  expect(await ledger.findWindow('a', at(i), at(i + 1))).toBeUndefined();
  expect((await ledger.spool()).refusedCommits).toBe(2);
  while ((await ledger.commit(window('a', ++i, i + 1, [batch(1)]))).status === 'committed');
  expect([await ledger.hasRoom('plugin'), await ledger.hasRoom('living')]).toEqual([false, true]);
  expect((await ledger.commit(window('b', 0, 1, [batch(9000, { destination: 'living' })]))).status).toBe('committed');
  expect((await ledger.commit(window('a', 1000, 1001, []))).status).toBe('committed');
  await finishAll();
  expect((await ledger.commit(big(i))).status).toBe('committed');
  await reopen({ spoolBytesMax: 100_000 });
  expect((await ledger.spool()).destinations.map(({ destination, batches }) => [destination, batches])).toEqual([
    ['living', 1],
    ['plugin', 1],
  ]);
});

test('a plugin that is given up drops its batches, and says so for each', async () => {
  await ledger.commit(window('a', 0, 1, [batch(), batch()]));
  await ledger.commit(window('b', 0, 1, [batch(10, { destination: 'other' })]));
  expect(await ledger.dropDestination('plugin', 'plugin deleted')).toBe(2);
  const deliveries = await ledger.deliveries(0, 10);
  expect(deliveries.map(({ delivery }) => [delivery.outcome, delivery.message])).toEqual([
    ['dropped', 'plugin deleted'],
    ['dropped', 'plugin deleted'],
  ]);
  expect((await ledger.spool()).destinations).toMatchObject([{ destination: 'other', batches: 1 }]);
});

test('a lower epoch is refused once a higher one was seen, also after a restart', async () => {
  expect(await ledger.hello(3)).toBe(3);
  expect(await ledger.hello(2)).toBe(3);
  await reopen();
  expect(await ledger.commit(window('a', 0, 1))).toEqual({ status: 'stale', highestEpoch: 3 });
  expect((await ledger.commit(window('a', 0, 1, [], { epoch: 3 }))).status).toBe('committed');
});

test('the incarnation names the file and counts its openings', async () => {
  const [id, opened] = ledger.incarnation.split('.');
  await reopen();
  expect(ledger.incarnation).toBe(`${id}.${Number(opened) + 1}`);
});

test('what is asked of a closed ledger is refused, not left hanging', async () => {
  await ledger.close();
  await expect(ledger.commit(window('a', 0, 1))).rejects.toMatchObject({ code: 'StateClosed' });
  await ledger.close();
});
