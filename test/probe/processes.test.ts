// Processes: who they are, when they come and go, and what they use, against what /proc and we ourselves know.
import { spawnSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { buildWorkload, startProbe, whyNot } from './harness.ts';
import type { Probe, Workload } from './harness.ts';

const suite = whyNot() === undefined ? describe : describe.skip;
const EXEC = 1;
const FORK = 2;
const TICK_NS = 10_000_000;

/** Fields of /proc/PID/stat by their number in proc(5), from 3 on. */
const stat = (pid: number): number[] => {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return [
    0,
    0,
    0,
    ...text
      .slice(text.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number),
  ];
};
const startTicks = (pid: number): bigint => BigInt(stat(pid)[22] ?? 0);
const cmdline = (pid: number): string => readFileSync(`/proc/${pid}/cmdline`, 'utf8').replace(/\0$/, '');

/** The rule that wire.h states, on the text of /proc/PID/cgroup. */
const cgroup = (pid: number): string => {
  const lines = readFileSync(`/proc/${pid}/cgroup`, 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.split(':'));
  const path = (wanted: string) =>
    lines.find(([, controllers = '']) => controllers.split(',').includes(wanted))?.[2] ?? '/';
  return [path(''), path('memory'), path('cpu'), path('pids')].find((found) => found !== '/') ?? '/';
};

suite('processes', () => {
  let probe: Probe;
  let workload: Workload;

  beforeAll(async () => {
    workload = await buildWorkload()();
    probe = await startProbe();
  });
  afterAll(async () => {
    await workload.end();
    await probe.stop();
  });

  test('the snapshot tells every living process as /proc does', async () => {
    const facts = await probe.frames.first('process', ({ id }) => id.tgid === workload.pid);
    expect(facts).toMatchObject({ flags: 0, parent: process.pid, uid: 0 });
    expect(facts.texts).toEqual([
      'sluice-workload',
      readlinkSync(`/proc/${workload.pid}/exe`),
      cgroup(workload.pid),
      cmdline(workload.pid),
    ]);
    expect(facts.id.startTicks).toBe(startTicks(workload.pid));
    const own = await probe.frames.first('process', ({ id }) => id.tgid === process.pid);
    expect(own.id.startTicks).toBe(startTicks(process.pid));
    expect(own.texts[1]).toBe(readlinkSync('/proc/self/exe'));
    expect(probe.frames.of('process', ({ id }) => id.tgid === 2)).toEqual([]); // kthreadd
  });

  test('exec tells the new program, exit its status', async () => {
    const args = ['-c', 'exit 42', 'the name', ''];
    const { pid } = spawnSync('/bin/sh', args);
    await probe.frames.settled();
    const facts = await probe.frames.first('process', ({ id, flags }) => id.tgid === pid && flags === EXEC);
    expect(facts.parent).toBe(process.pid);
    expect(facts.texts[0]).toBe('sh');
    expect(facts.texts[1]).toBe(readlinkSync('/bin/sh').replace(/^(?!\/)/, '/usr/bin/'));
    // The empty last argument cannot be told from the end of the line.
    expect(facts.texts[3]).toBe(['/bin/sh', ...args.slice(0, -1)].join('\0'));
    const exit = await probe.frames.first('exit', ({ id }) => id.tgid === pid);
    expect(exit).toMatchObject({ code: 42 << 8, comm: 'sh', id: { startTicks: facts.id.startTicks } });
  });

  test('a process killed by a signal exits with it', async () => {
    const { pid } = spawnSync('/bin/sh', ['-c', 'kill -TERM $$']);
    expect((await probe.frames.first('exit', ({ id }) => id.tgid === pid)).code).toBe(15);
  });

  test('a very long command line is cut', async () => {
    const { pid } = spawnSync('/bin/true', ['x'.repeat(10_000)]);
    const facts = await probe.frames.first('process', ({ id, flags }) => id.tgid === pid && flags === EXEC);
    expect(facts.texts[3]).toBe(`/bin/true\0${'x'.repeat(4096 - 10)}`);
  });

  test('fork without exec tells the child as a copy of its parent', async () => {
    const [client = -1, server = -1] = await workload.do('pair 5');
    await workload.do(`write ${client} 10`);
    const [child = 0] = await workload.do(`fork ${server} 10`);
    const facts = await probe.frames.first('process', ({ id }) => id.tgid === child);
    const parent = await probe.frames.first('process', ({ id }) => id.tgid === workload.pid);
    expect(facts).toMatchObject({ flags: FORK, parent: workload.pid, texts: parent.texts });
    expect((await probe.frames.first('exit', ({ id }) => id.tgid === child)).code).toBe(7 << 8);
    await probe.frames.settled();
    const closed = probe.frames.of('close', ({ id }) => id.tgid === child);
    expect(closed).toMatchObject([{ sent: 10, received: 10 }]);
    const opened = probe.frames.of('open', ({ id }) => id.tgid === child);
    expect(opened[0]?.id).toEqual(closed[0]?.id);
  });

  test('samples agree with /proc, over threads that live and threads that have ended', async () => {
    await workload.do('threads 3');
    await workload.do('burn 150'); // in a thread that ends, then in the first one
    const before = stat(workload.pid);
    const now = process.hrtime.bigint();
    const sample = await probe.frames.first('sample', ({ id, ktime }) => id.tgid === workload.pid && ktime > now);
    const after = stat(workload.pid);
    const page = 4096;
    const { values } = sample;
    expect(sample.id.startTicks).toBe(BigInt(after[22] ?? 0));
    expect(sample.threads).toBe(4);
    expect(before).toEqual(after); // it did nothing in between, so nothing may differ
    expect(Math.floor(values.utime / TICK_NS)).toBe(after[14]);
    expect(Math.floor(values.stime / TICK_NS)).toBe(after[15]);
    expect(values.utime + values.stime).toBeGreaterThanOrEqual(300 * 1e6);
    expect([values.minorFaults, values.majorFaults]).toEqual([after[10], after[12]]);
    expect([values.vsize, values.rss]).toEqual([after[23], (after[24] ?? 0) * page]);
    const io = Object.fromEntries(
      readFileSync(`/proc/${workload.pid}/io`, 'utf8')
        .trim()
        .split('\n')
        .map((line) => line.split(': ')),
    ) as Record<string, string>;
    expect(sample.flags & 1).toBe(1);
    expect([values.rchar, values.wchar, values.readBytes, values.writeBytes]).toEqual(
      ['rchar', 'wchar', 'read_bytes', 'write_bytes'].map((name) => Number(io[name])),
    );
  });

  test('times never fall, and every round is closed', async () => {
    const rounds = async (count: number) => {
      while (probe.frames.of('sampleEnd').length < count) await probe.frames.settled();
    };
    await rounds(3);
    const samples = probe.frames.of('sample');
    for (const { id } of samples.slice(0, 200)) {
      const own = samples.filter((sample) => sample.id.tgid === id.tgid && sample.id.startTicks === id.startTicks);
      for (const part of ['utime', 'stime'] as const) {
        const times = own.map((sample) => sample.values[part]);
        expect(times).toEqual(times.toSorted((a, b) => a - b));
      }
    }
    const ends = new Set(probe.frames.of('sampleEnd').map((end) => end.ktime));
    const last = probe.frames.all.findLastIndex((frame) => frame.kind === 'sampleEnd');
    for (const frame of probe.frames.all.slice(0, last))
      if (frame.kind === 'sample') expect(ends).toContain(frame.ktime);
  });

  test('clocks are those of this machine', () => {
    for (const clock of probe.frames.of('clock')) {
      const behind = process.hrtime.bigint() - clock.ktime;
      const difference = Number(BigInt(Date.now()) * 1_000_000n - behind - clock.realtime);
      expect(Math.abs(difference)).toBeLessThan(20e6); // a millisecond clock and the way here
    }
  });
});
