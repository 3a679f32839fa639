import { afterAll, afterEach, expect, test } from '@jest/globals';
import { EngineError } from '../../src/engine/context.ts';
import type { RunOutcome } from '../../src/model/outcome.ts';
import type { RunResult } from '../../src/model/run.ts';
import { createCompiler } from '../../src/runtime/compiler.ts';
import { CONSOLE, COUNT_BY_PATH, pointsOf, s, startHarness, type Harness } from './harness.ts';
import { tableNode } from './table-node.ts';

let harness: Harness;
const compiler = createCompiler();

afterAll(() => compiler.close());

afterEach(async () => {
  await harness.close();
  if (harness.faults.length > 0) throw new Error('faults of ours', { cause: harness.faults });
});

/** A harness with a destination, the script and rows at 10 to 20 s. */
async function ready(options: Parameters<typeof startHarness>[0] = {}): Promise<string> {
  harness = await startHarness({ ...options, runtime: { compiler } });
  await harness.runtime.putDestination('plugin', '1', CONSOLE);
  const [node] = harness.nodes;
  for (const [at, path] of [
    [9.999, '/early'],
    [10, '/a'],
    [15, '/a'],
    [19.999, '/b'],
    [20, '/late'],
  ] as const) {
    node?.http(s(at), { req_path: path, latency: 5 });
  }
  node?.advance(s(100));
  return harness.script(COUNT_BY_PATH);
}

const outcomeOf = (result: RunResult): RunOutcome => {
  if (result.status !== 'committed' && result.status !== 'failed') throw new Error(`no outcome: ${result.status}`);
  return result.outcome;
};

test('a run exports the rows of its half-open window, commits, delivers, and says what it saw', async () => {
  const scriptHash = await ready();
  const result = await harness.run({ scriptHash });
  expect(result).toMatchObject({
    status: 'committed',
    delivered: false,
    outcome: {
      uid: 'uid',
      start: s(10),
      end: s(20),
      outcome: 'Complete',
      rowsRead: 3,
      metricPoints: 2,
      spans: 0,
      nodes: { expected: 1, answered: 1, missing: [] },
    },
  });
  const [delivery] = await harness.deliveries(1);
  expect(delivery).toMatchObject({
    uid: 'uid',
    start: s(10),
    end: s(20),
    outcome: 'acknowledged',
    metricPoints: 2,
    windowDelivered: true,
  });
  expect(pointsOf(harness.sent)).toEqual(['http.requests 1 path=/b', 'http.requests 2 path=/a']);
  expect((await harness.runtime.ledger(['uid'])).get('uid')).toEqual([{ start: s(10), end: s(20), delivered: true }]);
});

test('a window that is committed is answered from the ledger and never queried or sent again, over a restart too', async () => {
  const scriptHash = await ready();
  const first = await harness.run({ scriptHash });
  await harness.deliveries(1);
  await harness.restart();
  const again = await harness.run({ scriptHash: 'whatever the text is now' });
  expect(again).toEqual({ ...first, delivered: true });
  expect(harness.nodes[0]?.queries).toBe(1);
  expect(harness.sent).toHaveLength(1);
});

test('a window that overlaps a committed one is refused with what is committed, before anything is asked', async () => {
  const scriptHash = await ready();
  await harness.run({ scriptHash });
  const result = await harness.run({ scriptHash, start: s(15), end: s(25) });
  expect(result).toMatchObject({ status: 'overlap', committed: [{ start: s(10), end: s(20) }] });
  expect(harness.nodes[0]?.queries).toBe(1);
});

test('a window without rows is committed and delivered at once, and nothing is sent', async () => {
  const scriptHash = await ready();
  const result = await harness.run({ scriptHash, start: s(30), end: s(40) });
  expect(result).toMatchObject({
    status: 'committed',
    delivered: true,
    outcome: { outcome: 'Complete', metricPoints: 0 },
  });
  expect(harness.sent).toEqual([]);
});

test('scripts and destinations that are not known are asked for', async () => {
  const scriptHash = await ready();
  expect(await harness.run({ scriptHash: 'x' })).toEqual({ status: 'unknown', what: 'script' });
  expect(await harness.run({ scriptHash, pluginUid: 'other' })).toEqual({ status: 'unknown', what: 'destination' });
  expect(await harness.run({ scriptHash, revision: '2' })).toEqual({ status: 'unknown', what: 'destination' });
  expect((await harness.runtime.ledger(['uid'])).get('uid')).toEqual([]);
});

test('a run waits for the watermark, so that a row which comes meanwhile is in it', async () => {
  const scriptHash = await ready();
  const node = tableNode('slow');
  harness.nodes.splice(0, 1, node);
  node.advance(s(12));
  const result = harness.run({ scriptHash });
  node.http(s(19), { req_path: '/slow' });
  node.advance(s(20));
  expect(outcomeOf(await result)).toMatchObject({ outcome: 'Complete', metricPoints: 1 });
});

test('nodes that are behind or broken are named, and the others’ rows are committed as Partial', async () => {
  const scriptHash = await ready();
  const [behind, broken] = [tableNode('behind'), tableNode('broken')];
  broken.advance(s(100));
  broken.fail(new Error('connection reset'));
  harness.nodes.push(behind, broken);
  const limits = { timeoutMs: 10_000, rowsMax: 1000, watermarkWaitMs: 20 };
  expect(outcomeOf(await harness.run({ scriptHash, limits }))).toMatchObject({
    outcome: 'Partial',
    reason: 'NodesMissing',
    metricPoints: 2,
    nodes: { expected: 3, answered: 1, missing: ['behind', 'broken'] },
  });
});

test('partial aggregates of several nodes are merged into one point a group', async () => {
  const scriptHash = await ready();
  const second = tableNode('node-2');
  second.http(s(11), { req_path: '/a' });
  second.advance(s(100));
  harness.nodes.push(second);
  expect(outcomeOf(await harness.run({ scriptHash }))).toMatchObject({ outcome: 'Complete', rowsRead: 4 });
  await harness.deliveries(1);
  expect(pointsOf(harness.sent)).toEqual(['http.requests 1 path=/b', 'http.requests 3 path=/a']);
});

test('a run that no node answers fails and may be tried again', async () => {
  const scriptHash = await ready();
  harness.nodes[0]?.fail(new Error('connection reset'));
  expect(await harness.run({ scriptHash })).toMatchObject({
    status: 'failed',
    outcome: { outcome: 'Failed', error: { stage: 'Query', code: 'NODES_MISSING', message: 'connection reset' } },
  });
  expect((await harness.run({ scriptHash })).status).toBe('committed');
});

test('a query that cannot go on fails with the engine’s code', async () => {
  const scriptHash = await ready();
  harness.nodes[0]?.fail(new EngineError('TOO_MANY_GROUPS', 'more than 5 groups'));
  expect(outcomeOf(await harness.run({ scriptHash })).error).toMatchObject({ stage: 'Query', code: 'TOO_MANY_GROUPS' });
});

test.each([
  ['SourcesBlind', 'Partial', { blind: [{ source: 'http', start: s(12), end: s(13), reason: 'ProbeNotRunning' }] }],
  ['DataExpired', 'Partial', { rowsExpired: 4 }],
  ['EventsLost', 'Partial', { eventsDropped: 1 }],
  ['RowsLate', 'Partial', { rowsLate: 3 }],
  [undefined, 'Complete', { bytesNotUnderstood: 3 }],
] as const)('loss is declared: %s', async (reason, outcome, loss) => {
  const scriptHash = await ready();
  harness.nodes[0]?.lose(loss);
  const got = outcomeOf(await harness.run({ scriptHash }));
  expect([got.outcome, got.reason]).toEqual([outcome, reason]);
  expect(got.loss).toMatchObject(loss);
});

test.each([
  ["start_time='-30s'", -10],
  ['start_time=px.plugin.start_time, end_time=px.plugin.end_time', 10],
  ["start_time='-2s'", 10],
])('a script that reads further back than its window declares what is lost there: %s', async (times, from) => {
  await ready();
  const scriptHash = await harness.script(COUNT_BY_PATH.replace(/start_time=.*end_time=px.plugin.end_time/, times));
  await harness.run({ scriptHash });
  expect(harness.nodes[0]?.lossAsked).toEqual([s(from), s(20)]);
});

test('points that are one point of one stream are sent once, and what they replaced is counted', async () => {
  await ready();
  // forgets the attribute that would tell two rows of one moment apart
  const scriptHash = await harness.script(
    COUNT_BY_PATH.replace(/df = df.groupby.*/, 'df.n = df.latency').replace(", attributes={'path': df.req_path}", ''),
  );
  const node = tableNode('n');
  for (const [at, path] of [
    [10, '/a'],
    [15, '/a'],
    [15, '/b'],
    [19, '/a'],
  ] as const)
    node.http(s(at), { req_path: path });
  node.advance(s(100));
  harness.nodes.splice(0, 1, node);
  expect(outcomeOf(await harness.run({ scriptHash }))).toMatchObject({
    outcome: 'Partial',
    reason: 'ItemsDropped',
    metricPoints: 3,
    itemsDropped: 1,
  });
});

test('rows beyond the limit are counted, and the window says that they are missing', async () => {
  const scriptHash = await ready();
  const limits = { timeoutMs: 10_000, rowsMax: 1, watermarkWaitMs: 1000 };
  expect(outcomeOf(await harness.run({ scriptHash, limits }))).toMatchObject({
    outcome: 'Partial',
    reason: 'RowsTruncated',
    rowsTruncated: 1,
    metricPoints: 1,
  });
});

test('a window before all collectors started is finished as expired, without a query', async () => {
  const scriptHash = await ready();
  const late = tableNode('late', s(50));
  harness.nodes.splice(0, 1, late);
  expect(await harness.run({ scriptHash })).toMatchObject({
    status: 'committed',
    delivered: true,
    outcome: { outcome: 'Skipped', reason: 'DataExpired' },
  });
  expect(late.queries).toBe(0);
});

test('a skipped stretch is in the ledger once, with its reason', async () => {
  await ready();
  const request = { epoch: 1, uid: 'uid', start: s(0), end: s(500), reason: 'Suspended' };
  const first = await harness.runtime.skip(request);
  expect(first).toMatchObject({
    status: 'committed',
    delivered: true,
    outcome: { outcome: 'Skipped', reason: 'Suspended' },
  });
  expect(await harness.runtime.skip(request)).toEqual(first);
  expect((await harness.runtime.skip({ ...request, end: s(600) })).status).toBe('overlap');
});

test('a run that takes too long fails at its deadline, and its window stays free', async () => {
  const scriptHash = await ready();
  harness.nodes[0]?.onQuery((signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve())));
  const limits = { timeoutMs: 30, rowsMax: 10, watermarkWaitMs: 10 };
  expect(outcomeOf(await harness.run({ scriptHash, limits })).error).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  expect((await harness.runtime.ledger(['uid'])).get('uid')).toEqual([]);
});

test('a bad script delays no other', async () => {
  const scriptHash = await ready();
  const stuck = new AbortController();
  const entered = Promise.withResolvers<void>();
  let first = true;
  harness.nodes[0]?.onQuery(async (signal) => {
    if (!first) return;
    first = false;
    entered.resolve();
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
  });
  const slow = harness.run({ scriptHash, uid: 'slow' }, stuck.signal);
  await entered.promise;
  expect((await harness.run({ scriptHash, uid: 'quick' })).status).toBe('committed');
  stuck.abort();
  expect(outcomeOf(await slow).error?.code).toBe('CANCELLED');
});

test('a higher epoch cancels a run that is not committed, takes its window, and shuts the lower one out', async () => {
  const scriptHash = await ready();
  const entered = Promise.withResolvers<void>();
  let first = true;
  harness.nodes[0]?.onQuery(async (signal) => {
    if (!first) return;
    first = false;
    entered.resolve();
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
  });
  const old = harness.run({ scriptHash });
  await entered.promise;
  const now = harness.run({ scriptHash, epoch: 2 });
  expect(outcomeOf(await old).error?.code).toBe('SUPERSEDED');
  expect((await now).status).toBe('committed');
  expect(outcomeOf(await harness.run({ scriptHash, start: s(20), end: s(30) })).error?.code).toBe('SUPERSEDED');
  expect(await harness.runtime.hello(1)).toMatchObject({ highestEpoch: 2 });
});

test('two runs of one window at the same time commit it once', async () => {
  const scriptHash = await ready();
  const [a, b] = await Promise.all([harness.run({ scriptHash }), harness.run({ scriptHash })]);
  expect([a.status, b.status]).toEqual(['committed', 'committed']);
  expect(harness.nodes[0]?.queries).toBe(1);
});

test('a full spool stops commits, says so, and takes the same window once there is room', async () => {
  const scriptHash = await ready({ limits: { spoolBytesMax: 2000 } });
  const refusal = { status: 'retry', code: 'UNAVAILABLE', message: 'down' } as const;
  harness.answers.push(...Array.from({ length: 50 }, () => refusal));
  expect((await harness.run({ scriptHash })).status).toBe('committed');
  const next = { scriptHash, start: s(5), end: s(10) };
  expect(await harness.run(next)).toMatchObject({
    status: 'failed',
    outcome: { error: { stage: 'Export', code: 'SPOOL_FULL' } },
  });
  harness.answers.length = 0;
  await harness.runtime.putDestination('plugin', '2', CONSOLE);
  await harness.deliveries(1);
  expect((await harness.run({ ...next, revision: '2' })).status).toBe('committed');
});

test('what a script names as its own endpoint goes there and nowhere else', async () => {
  const port = 1;
  await ready();
  const text = COUNT_BY_PATH.replace(
    'data=[',
    `endpoint=px.otel.Endpoint(url='127.0.0.1:${port}', insecure=True),\n  data=[`,
  );
  const scriptHash = await harness.script(text);
  expect((await harness.run({ scriptHash })).status).toBe('committed');
  const { spool } = await harness.runtime.state();
  expect(spool.destinations).toMatchObject([{ destination: expect.stringMatching(/^endpoint:/), batches: 1 }]);
  expect(harness.sent).toEqual([]);
});

test('stopping ends runs within the grace, and what was committed is sent after the restart', async () => {
  const scriptHash = await ready();
  harness.answers.push({ status: 'retry', code: 'UNAVAILABLE', message: 'down' });
  await harness.run({ scriptHash });
  harness.nodes[0]?.onQuery((signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve())));
  const waiting = harness.run({ scriptHash, uid: 'other' });
  await harness.restart();
  expect(outcomeOf(await waiting).error?.code).toBe('STOPPING');
  await harness.runtime.putDestination('plugin', '1', CONSOLE);
  await harness.deliveries(1);
  expect(pointsOf(harness.sent)).toHaveLength(2);
});
