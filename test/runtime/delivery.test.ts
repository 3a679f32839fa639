// What is in the ledger reaches the destination, whoever is killed meanwhile: a real gRPC receiver in a process of its own.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { encodeOtlp } from '../../src/exporters/otlp/encode.ts';
import { LedgerError } from '../../src/ledger/error.ts';
import { openLedger, type Ledger } from '../../src/ledger/ledger.ts';
import type { NewBatch } from '../../src/ledger/record.ts';
import type { Destination } from '../../src/model/destination.ts';
import { createDeliveryFeed, type DeliveryFeed } from '../../src/runtime/delivery-feed.ts';
import { createDestinations, type Destinations } from '../../src/runtime/destinations.ts';
import { openSender } from '../../src/runtime/senders.ts';
import { temporaryFolder, window } from '../ledger/samples.ts';

let folder: ReturnType<typeof temporaryFolder>;
let ledger: Ledger;
let feed: DeliveryFeed;
let destinations: Destinations;
const children = new Set<ChildProcess>();
let printed = '';
const console = new Writable({
  write(chunk: Buffer, _encoding, done) {
    printed += chunk.toString();
    done();
  },
});

const start = async (): Promise<void> => {
  ledger = await openLedger(folder.path);
  feed = createDeliveryFeed(ledger);
  destinations = createDestinations({
    ledger,
    open: (destination) => openSender(destination, { console }),
    nowMs: () => performance.now(),
    random: () => 0,
    onDeliveries: () => feed.wake(),
    onFault: (what, error) => {
      throw new Error(what, { cause: error });
    },
  });
};

const stop = async (graceMs = 0): Promise<void> => {
  await destinations.stop(graceMs);
  feed.close();
  await ledger.close();
};

beforeEach(async () => {
  folder = temporaryFolder();
  printed = '';
  await start();
});

afterEach(async () => {
  await stop();
  for (const child of children) child.kill('SIGKILL');
  children.clear();
  folder.remove();
});

const destinationAt = (port: number, more: Partial<Destination> = {}): Destination => ({
  type: 'OTLPGRPC',
  endpoint: `127.0.0.1:${port}`,
  headers: [],
  tls: { mode: 'Plaintext', insecureSkipVerify: false },
  compression: 'gzip',
  timeoutMs: 2000,
  resourceAttributes: {},
  ...more,
});

function batchNamed(name: string, destination = 'plugin'): NewBatch {
  const { requests } = encodeOtlp([
    {
      signal: 'metrics',
      length: 1,
      resource: [{ key: 'service.name', value: { kind: 'literal', value: 'shop' } }],
      scope: { name: 'test', version: '1', attributes: [] },
      name,
      description: '',
      unit: '',
      data: { kind: 'gauge', value: { type: 'INT64', length: 1, values: BigInt64Array.of(1n) } },
      attributes: [],
      time: BigInt64Array.of(1_764_000_000_000_000_000n),
      startTime: undefined,
    },
  ]);
  const [request] = requests;
  if (request === undefined) throw new Error('nothing encoded');
  return { ...request, destination };
}

/** A receiver process on `port`; `seen` grows with each accepted batch. */
async function receiverOn(
  port: number,
  seen: string[],
): Promise<{ readonly port: number; readonly child: ChildProcess }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'receiver-child.ts'), String(port)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {},
  });
  children.add(child);
  const lines = createInterface(child.stdout);
  const bound = Promise.withResolvers<number>();
  lines.on('line', (line) => {
    const [kind, ...rest] = line.split(' ');
    if (kind === 'port') bound.resolve(Number(rest[0]));
    else seen.push(...rest);
  });
  return { port: await bound.promise, child };
}

const kill = async (child: ChildProcess): Promise<void> => {
  const gone = once(child, 'close');
  child.kill('SIGKILL');
  await gone;
  children.delete(child);
};

/** Reads deliveries until `count` batches are final. */
async function finalBatches(count: number): Promise<string[]> {
  const stopReading = new AbortController();
  const outcomes: string[] = [];
  for await (const delivery of feed.read(stopReading.signal)) {
    outcomes.push(delivery.outcome);
    if (outcomes.length === count) break;
  }
  return outcomes;
}

test('a receiver that is killed again and again gets every batch, in order, twice only where an answer was lost', async () => {
  const seen: string[] = [];
  let receiver = await receiverOn(0, seen);
  destinations.put('plugin', '1', destinationAt(receiver.port));
  const total = 120;
  const kills = 3;
  const delivered = finalBatches(total);
  for (let i = 0; i < total; i += 1) {
    await ledger.commit(window('a', i, i + 1, [batchNamed(`batch-${i}`)]));
    destinations.wake('plugin');
    if (i > 0 && i % (total / (kills + 1)) === 0) {
      await kill(receiver.child);
      receiver = await receiverOn(receiver.port, seen);
    }
  }
  expect(new Set(await delivered)).toEqual(new Set(['acknowledged']));
  const want = Array.from({ length: total }, (_, i) => `batch-${i}`);
  expect([...new Set(seen)]).toEqual(want);
  expect(seen.length - total).toBeLessThanOrEqual(kills);
  expect((await ledger.spool()).bytes).toBe(0);
});

test('a restart of ours sends nothing until the credentials are there again, then all that waits', async () => {
  for (let i = 0; i < 5; i += 1) await ledger.commit(window('a', i, i + 1, [batchNamed(`batch-${i}`)]));
  await stop();
  await start();
  const seen: string[] = [];
  const receiver = await receiverOn(0, seen);
  expect(seen).toEqual([]);
  destinations.put('plugin', '1', destinationAt(receiver.port));
  await finalBatches(5);
  expect(seen).toEqual(['batch-0', 'batch-1', 'batch-2', 'batch-3', 'batch-4']);
});

test('a verdict that the disk has no room for is kept, and its batch not sent again', async () => {
  const seen: string[] = [];
  const receiver = await receiverOn(0, seen);
  let full = 2;
  const faults: unknown[] = [];
  const fullDisk = createDestinations({
    ledger: {
      ...ledger,
      finish: (verdicts) =>
        full-- > 0 ? Promise.reject(new LedgerError('StateFull', 'full')) : ledger.finish(verdicts),
    },
    open: (destination) => openSender(destination, { console }),
    nowMs: () => performance.now(),
    random: () => 0,
    onDeliveries: () => feed.wake(),
    onFault: (_what, error) => faults.push(error),
  });
  await ledger.commit(window('a', 0, 1, [batchNamed('batch-0'), batchNamed('batch-1')]));
  fullDisk.put('plugin', '1', destinationAt(receiver.port));
  expect(await finalBatches(2)).toEqual(['acknowledged', 'acknowledged']);
  expect(seen).toEqual(['batch-0', 'batch-1']);
  expect(faults).toMatchObject([{ code: 'StateFull' }, { code: 'StateFull' }]);
  await fullDisk.stop(0);
});

test('a destination that does not answer delays no other', async () => {
  const seen: string[] = [];
  const receiver = await receiverOn(0, seen);
  destinations.put('dead', '1', destinationAt(1));
  destinations.put('plugin', '1', destinationAt(receiver.port));
  await ledger.commit(window('a', 0, 1, [batchNamed('batch-0', 'dead'), batchNamed('batch-1')]));
  destinations.wake('dead');
  destinations.wake('plugin');
  await finalBatches(1);
  expect(seen).toEqual(['batch-1']);
  expect((await ledger.spool()).destinations).toMatchObject([{ destination: 'dead', batches: 1 }]);
});

test('a removed plugin’s batches are tried for the grace, then dropped on record', async () => {
  destinations.put('plugin', '1', destinationAt(1));
  await ledger.commit(window('a', 0, 1, [batchNamed('batch-0'), batchNamed('batch-1')]));
  destinations.wake('plugin');
  const removed = destinations.remove('plugin', 50);
  expect(destinations.find('plugin', '1')).toBeUndefined();
  await removed;
  expect(await finalBatches(2)).toEqual(['dropped', 'dropped']);
});

test('a plugin that comes back during the grace keeps its batches', async () => {
  destinations.put('plugin', '1', destinationAt(1));
  await ledger.commit(window('a', 0, 1, [batchNamed('batch-0')]));
  const removed = destinations.remove('plugin', 100);
  const seen: string[] = [];
  destinations.put('plugin', '1', destinationAt(1));
  await removed;
  expect((await ledger.spool()).destinations).toMatchObject([{ destination: 'plugin', batches: 1 }]);
  const receiver = await receiverOn(0, seen);
  destinations.put('plugin', '2', destinationAt(receiver.port));
  expect(await finalBatches(1)).toEqual(['acknowledged']);
});

test('a Console destination prints its points', async () => {
  destinations.put('plugin', '1', destinationAt(0, { type: 'Console', endpoint: '' }));
  await ledger.commit(window('a', 0, 1, [batchNamed('batch-0')]));
  destinations.wake('plugin');
  expect(await finalBatches(1)).toEqual(['acknowledged']);
  expect(printed).toContain('batch-0');
});

test('only the newest reader of deliveries goes on, and what it read is not handed out again', async () => {
  const older = feed.read(new AbortController().signal)[Symbol.asyncIterator]();
  const waiting = older.next();
  destinations.put('plugin', '1', destinationAt(0, { type: 'Console', endpoint: '' }));
  const newer = finalBatches(2);
  expect(await waiting).toEqual({ done: true, value: undefined });
  await ledger.commit(window('a', 0, 1, [batchNamed('batch-0'), batchNamed('batch-1')]));
  destinations.wake('plugin');
  await newer;
  const abort = new AbortController();
  const again = feed.read(abort.signal)[Symbol.asyncIterator]();
  const first = await again.next();
  // The last one that a reader saw may come again: it had not asked for the next.
  expect(first.value).toMatchObject({ batch: 1 });
  abort.abort();
  await again.return?.(undefined);
});
