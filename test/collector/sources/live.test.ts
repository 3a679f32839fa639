import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join as pathOf } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createLiveSource } from '../../../src/collector/sources/live.ts';
import type { LiveSourceOptions } from '../../../src/collector/sources/live.ts';
import { timeNs } from '../../../src/model/time.ts';
import { SECOND, START, clock, createBench, drained, hello, join, opening, snapshotEnd, wall } from '../stream.ts';

let folder = '';
let server: Server;
let stop = new AbortController();
let running: Promise<unknown> = Promise.resolve();
const socketPath = (): string => pathOf(folder, 'probe.sock');

const listen = async (): Promise<void> => {
  server = createServer();
  server.listen(socketPath());
  await once(server, 'listening');
};
/** The next connection of the source, as the probe sees it. */
const accepted = async (): Promise<Socket> => {
  const [socket] = (await once(server, 'connection')) as [Socket];
  return socket;
};

beforeEach(async () => {
  folder = await mkdtemp(pathOf(tmpdir(), 'live-'));
  stop = new AbortController();
  await listen();
});
afterEach(async () => {
  stop.abort();
  await running;
  if (server.listening) server.close();
  await rm(folder, { recursive: true });
});

/** A bench that reads a live source; `until` resolves at the first frames after which `isDone` holds. */
const start = (options: Partial<LiveSourceOptions> = {}) => {
  const bench = createBench();
  const source = createLiveSource({ socketPath: socketPath(), ownTgids: [], localNetworks: [], ...options });
  const waiters: { isDone: () => boolean; resolve: () => void }[] = [];
  running = source
    .run((run, offset) => {
      bench.intake.take(run, offset);
      for (const waiter of waiters) if (waiter.isDone()) waiter.resolve();
    }, stop.signal)
    .catch((error: unknown) => error);
  const until = (isDone: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      if (isDone()) resolve();
      else waiters.push({ isDone, resolve });
    });
  return { bench, source, until };
};

describe('a live source', () => {
  test('hands over what the probe sends, in any pieces', async () => {
    const { bench, source, until } = start();
    expect(source.blind()).toEqual([{ source: 'probe', reason: 'ProbeNotRunning', message: 'not connected yet' }]);
    const probe = await accepted();
    const bytes = join(opening(), ...Array.from({ length: 40_000 }, (_, i) => drained(START + i)));
    for (let at = 0; at < bytes.length; at += 77_777) probe.write(bytes.subarray(at, at + 77_777));
    await until(() => bench.intake.metrics.frames === 40_004);
    await source.connected;
    expect(source.blind()).toEqual([]);
  });

  test('tells probe and agent which processes are ours, and the agent the host’s addresses', async () => {
    const { bench, until } = start({
      ownTgids: [123],
      localNetworks: [{ family: 2, prefixBits: 32, address: new Uint8Array(16) }],
    });
    const probe = await accepted();
    const heard = once(probe, 'data');
    probe.write(opening());
    const [bytes] = (await heard) as [Buffer];
    expect([bytes.length, bytes.readUInt16LE(4), bytes.readUInt32LE(16)]).toEqual([24, 66, 123]);
    await until(() => bench.intake.metrics.frames >= 6);
    expect(bench.intake.metrics.framesUnknown).toBe(0);
  });

  test('comes back after the probe has gone, and declares the time between as blind', async () => {
    const { bench, source, until } = start();
    const first = await accepted();
    first.write(join(opening(), drained(START + SECOND)));
    await until(() => bench.intake.metrics.frames === 5);
    const next = accepted();
    first.destroy();
    const second = await next;
    expect(source.blind()).toMatchObject([{ source: 'probe', reason: 'ProbeNotRunning' }]);
    const again = START + 9 * SECOND;
    second.write(join(hello(again), clock(again), snapshotEnd(again), drained(again + 1)));
    await until(() => bench.intake.metrics.frames === 10);
    const { blind } = bench.intake.loss.window([], timeNs(0n), timeNs(wall(again)));
    expect(blind).toEqual([
      { source: 'probe', start: wall(START + SECOND), end: wall(again), reason: 'ProbeNotRunning' },
    ]);
    expect(bench.intake.metrics).toMatchObject({ probeConnects: 2, blindIntervals: 1 });
    expect(source.blind()).toEqual([]);
  });

  test('leaves a probe that talks nonsense, says why, and tries again', async () => {
    const lines: string[] = [];
    const { source } = start({ onLine: (line) => lines.push(line) });
    const first = await accepted();
    const next = accepted();
    first.write(join(opening(), new Uint8Array(32)));
    await next;
    expect(source.blind()[0]?.message).toContain('frame length 0 is not a multiple of 8');
    expect(lines).toEqual([expect.stringContaining('lost the probe: frame length 0')]);
  });

  test('that hears no HELLO first does not believe the rest', async () => {
    const { bench, source } = start();
    const first = await accepted();
    const next = accepted();
    first.write(drained(1));
    await next;
    expect(source.blind()[0]?.message).toContain('the stream does not begin with HELLO');
    expect(bench.intake.metrics.frames).toBe(0);
  });
});

describe('a probe of our own', () => {
  const script = async (text: string): Promise<string> => {
    const path = pathOf(folder, 'probe');
    await writeFile(path, `#!/bin/sh\n${text}\n`);
    await chmod(path, 0o755);
    return path;
  };

  test('that cannot start ends the source with its last words', async () => {
    server.close();
    const path = await script('echo "needs CAP_BPF: setcap cap_bpf,cap_perfmon+ep $0" >&2; exit 3');
    const { source } = start({ probe: { path } });
    await expect(source.connected).rejects.toThrow('needs CAP_BPF');
    await expect(running).resolves.toMatchObject({
      name: 'ProbeError',
      message: expect.stringContaining('ended with status 3: needs CAP_BPF'),
    });
  });

  test('that is not there ends the source too', async () => {
    server.close();
    const { source } = start({ probe: { path: pathOf(folder, 'nothing') } });
    await expect(source.connected).rejects.toThrow('could not be started');
  });

  test('gets the socket’s path, and ends with the source', async () => {
    const args = Promise.withResolvers<string>();
    const path = await script('echo "$$ $@"; exec sleep 1000');
    start({ probe: { path, args: ['--die'] }, onLine: args.resolve });
    const [pid, ...rest] = (await args.promise).split(' ');
    expect(rest).toEqual(['--die', '--socket', socketPath()]);
    expect(process.kill(Number(pid), 0)).toBe(true);
    stop.abort();
    await running;
    expect(() => process.kill(Number(pid), 0)).toThrow('ESRCH');
  });
});
