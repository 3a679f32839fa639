// What the agent says, what the probe gives up, what it counts, and how it ends.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readFileSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { follow, ignoreTgid, mute } from './frames.ts';
import { Frames, PROBE, buildWorkload, checkStream, folderOfSuite, isSame, startProbe, whyNot } from './harness.ts';
import type { Probe, Workload } from './harness.ts';

const suite = whyNot() === undefined ? describe : describe.skip;
const UNDECIDED_BYTES = 256 * 1024;

suite('the agent decides', () => {
  let probe: Probe;
  let workload: Workload;

  beforeAll(async () => {
    workload = await buildWorkload()();
    probe = await startProbe(['--pid', String(workload.pid)]);
  });
  afterAll(async () => {
    await workload.end();
    await probe.stop();
  });

  const pair = async () => {
    const [client = -1, server = -1] = await workload.do('pair 5');
    return { client, server, id: (await probe.frames.connection(workload.pid, client)).id };
  };
  const payloads = async (id: Parameters<Frames['data']>[0]) =>
    (await probe.frames.data(id, true)).map((frame) => [frame.position, frame.payload.length]);
  /** Control frames have no answer; the rounds after one are known to know it. */
  const say = async (frame: Buffer) => {
    probe.say(frame);
    for (let i = 0; i < 3; i++) await probe.frames.settled();
  };

  test('undecided, a connection tells its first messages, then only its counters', async () => {
    const { client, server, id } = await pair();
    await workload.do(`burst ${client} ${server} 60 10000`);
    const told = Math.ceil(UNDECIDED_BYTES / (56 + 10_000));
    expect(await payloads(id)).toEqual(Array.from({ length: told }, (_, i) => [i * 10_000, 10_000]));
    expect((await probe.frames.first('counts', (frame) => isSame(frame.id, id) && frame.sent > 0)).sent).toBe(600_000);
    await workload.do(`close ${client}`);
    expect((await probe.frames.first('close', (frame) => isSame(frame.id, id))).sent).toBe(600_000);
  });

  test('FOLLOW tells all that comes, up to its own limit; MUTE ends it; positions go on', async () => {
    const { client, server, id } = await pair();
    await workload.do(`burst ${client} ${server} 10 100`);
    await say(follow(id, 64));
    await workload.do(`burst ${client} ${server} 30 100`);
    await say(mute(id));
    await workload.do(`burst ${client} ${server} 5 100`);
    await say(follow(id, 99_999));
    await workload.do(`write ${client} 20000`);
    await workload.do(`recv ${server} 20000`);
    expect(await payloads(id)).toEqual([
      ...Array.from({ length: 10 }, (_, i) => [i * 100, 100]),
      ...Array.from({ length: 30 }, (_, i) => [1000 + i * 100, 64]),
      [4500, 16_384],
    ]);
  });

  test('a word on an earlier life of a descriptor does not concern the next', async () => {
    const { client, server, id } = await pair();
    await workload.do(`close ${client}`);
    await workload.do(`close ${server}`);
    await say(mute(id));
    const next = await pair();
    expect(next.client).toBe(client);
    await say(mute(id));
    await workload.do(`write ${next.client} 10`);
    expect(await payloads(next.id)).toEqual([[0, 10]]);
  });

  test('IGNORE_TGID makes a process invisible', async () => {
    const other = await buildWorkload()();
    const all = await startProbe();
    const [before = -1] = await other.do('pair 5');
    await all.frames.connection(other.pid, before);
    all.say(ignoreTgid(other.pid));
    for (let i = 0; i < 3; i++) await all.frames.settled();
    const seen = all.frames.all.length;
    const [client = -1, server = -1] = await other.do('pair 5');
    await other.do(`burst ${client} ${server} 5 10`);
    await all.frames.settled();
    const later = all.frames.all.slice(seen).filter(({ kind }) => ['open', 'data', 'close'].includes(kind));
    expect(later.filter((frame) => frame.id.tgid === other.pid)).toEqual([]);
    await other.end();
    await all.stop();
  });

  test('nonsense from the agent ends its session', async () => {
    const bad = await startProbe(['--pid', '1']);
    bad.say(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
    // On pipes it only stops listening; frames go on.
    await bad.frames.settled();
    await bad.stop();
  });
});

suite('loss', () => {
  test('what does not fit is counted: told and dropped is all that happened', async () => {
    const workload = await buildWorkload()();
    const probe = await startProbe(['--pid', String(workload.pid)]);
    const [client = -1, server = -1] = await workload.do('pair 5');
    const ids = [
      (await probe.frames.connection(workload.pid, client)).id,
      (await probe.frames.connection(workload.pid, server)).id,
    ];
    for (const id of ids) probe.say(follow(id, 16_384));
    for (let i = 0; i < 3; i++) await probe.frames.settled();

    probe.child.stdout.pause();
    const [count, bytes] = [3000, 8000];
    await workload.do(`burst ${client} ${server} ${count} ${bytes}`); // 48 MB of frames into a ring of 16
    probe.child.stdout.resume();
    await probe.frames.settled();

    const told = probe.frames.of('data').length;
    const [dataRingFull = 0, controlRingFull] = probe.frames.of('drops').at(-1)?.drops ?? [];
    expect(dataRingFull).toBeGreaterThan(0);
    expect(controlRingFull).toBe(0);
    expect(told + dataRingFull).toBe(2 * count);
    await workload.do(`close ${client}`);
    const close = await probe.frames.first('close', (frame) => isSame(frame.id, ids[0] ?? frame.id));
    expect(close.sent).toBe(count * bytes);
    // What came after the loss continues where the stream is, not where the frames were.
    const last = probe.frames.of('data', ({ id }) => isSame(id, ids[0] ?? id)).at(-1);
    expect((last?.position ?? 0) % bytes).toBe(0);
    await workload.end();
    await probe.stop();
  });
});

suite('life', () => {
  const attach = async (path: string): Promise<{ frames: Frames; socket: Socket }> => {
    for (;;) {
      const socket = connect(path);
      const frames = new Frames();
      socket.on('data', (chunk: Buffer) => frames.push(chunk));
      const isUp = await new Promise<boolean>((resolve) => {
        socket.once('connect', () => resolve(true));
        socket.once('error', () => resolve(false));
      });
      if (isUp) {
        await frames.first('snapshotEnd');
        return { frames, socket };
      }
    }
  };

  test('one agent after the other gets a whole picture, from a probe without rights', async () => {
    const workload = await buildWorkload()();
    const folder = folderOfSuite();
    chmodSync(folder, 0o755);
    const path = join(folder, 'socket');
    const probe = spawn(PROBE, ['--socket', path, '--socket-uid', '0', '--pid', String(workload.pid)], {
      stdio: 'inherit',
    });
    const [client = -1, server = -1] = await workload.do('pair 5');
    for (let round = 0; round < 2; round++) {
      const { frames, socket } = await attach(path);
      expect(frames.all[0]).toMatchObject({ kind: 'hello', version: 1, probeTgid: probe.pid });
      expect(
        frames
          .of('feature')
          .filter(({ error }) => error !== 0)
          .map(({ text }) => text),
      ).toEqual(['cgroup_filter\0not requested: the probe itself is in no pod']);
      await workload.do(`burst ${client} ${server} 5 50`);
      const open = await frames.connection(workload.pid, client);
      expect(open.origin).toBe(4);
      // A new agent starts counting anew; the workload's own stream does not.
      expect((await frames.data(open.id, true)).map(({ position }) => position)).toEqual([0, 50, 100, 150, 200]);
      if (round === 0) expect(checkStream(await frames.data(open.id, true))).toBe(250);
      socket.destroy();
      await once(socket, 'close');
    }
    const status = readFileSync(`/proc/${probe.pid}/status`, 'utf8');
    expect(/^CapPrm:\t(\w+)$/m.exec(status)?.[1]).toBe('0'.repeat(16));
    expect(/^CapEff:\t(\w+)$/m.exec(status)?.[1]).toBe('0'.repeat(16));
    expect(/^NoNewPrivs:\t(\d)$/m.exec(status)?.[1]).toBe('1');
    expect(/^Uid:\t(\d+)/m.exec(status)?.[1]).toBe('65534');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const closed = once(probe, 'close');
    probe.kill('SIGTERM');
    expect(await closed).toEqual([0, null]);
    await workload.end();
  });

  test('the user who owns the socket can connect and end it', async () => {
    const folder = folderOfSuite();
    chmodSync(folder, 0o755);
    const path = join(folder, 'socket');
    const probe = spawn(PROBE, ['--socket', path, '--socket-uid', '1234'], { stdio: 'inherit' });
    const closed = once(probe, 'close');
    const { socket } = await attach(path);
    expect(statSync(path).uid).toBe(1234);
    expect(readFileSync(`/proc/${probe.pid}/status`, 'utf8')).toMatch(/^CapPrm:\t0{16}$/m);
    const stopped = spawnSync('/bin/sh', ['-c', `kill -TERM ${probe.pid}`], { uid: 1234, gid: 1234 });
    expect(stopped.status).toBe(0);
    expect(await closed).toEqual([0, null]);
    socket.destroy();
  });

  test('a group of its own may connect, without any right but BPF and PERFMON', async () => {
    const folder = folderOfSuite();
    chmodSync(folder, 0o777);
    const path = join(folder, 'socket');
    // As in a pod: uid 0, all else dropped, the volume's group among ours.
    const caps = '-all,+bpf,+perfmon';
    const only = ['--inh-caps', caps, '--bounding-set', caps, '--groups', '4321', '--no-new-privs'];
    const probe = spawn('setpriv', [...only, PROBE, '--socket', path, '--socket-gid', '4321'], { stdio: 'inherit' });
    const closed = once(probe, 'close');
    const { socket } = await attach(path);
    const { gid, mode } = statSync(path);
    expect([gid, mode & 0o777]).toEqual([4321, 0o660]);
    const status = readFileSync(`/proc/${probe.pid}/status`, 'utf8');
    expect(/^Cap(?:Prm|Eff):\t(?!0{16})/m.exec(status)).toBeNull();
    socket.destroy();
    probe.kill('SIGTERM');
    expect(await closed).toEqual([0, null]);
  });

  test('with --once it ends with its agent', async () => {
    const path = join(folderOfSuite(), 'socket');
    const probe = spawn(PROBE, ['--socket', path, '--once'], { stdio: 'inherit' });
    const closed = once(probe, 'close');
    const { socket } = await attach(path);
    socket.destroy();
    expect(await closed).toEqual([0, null]);
  });

  test('with --die-with-parent it ends with its parent', async () => {
    const path = join(folderOfSuite(), 'socket');
    const parent = spawn('/bin/sh', ['-c', `"$0" --socket "$1" --die-with-parent & read line`, PROBE, path]);
    const { socket } = await attach(path);
    const closed = once(socket, 'close');
    parent.kill('SIGKILL');
    await closed;
  });

  test.each([
    [[], 2, /--help/],
    [['--nonsense'], 2, /unknown option/],
    [['--socket'], 2, /needs a value/],
    [['--stdout', '--check'], 2, /one of/],
    [['--stdout', '--pid', 'x'], 2, /--pid needs/],
    [['--stdout', '--capture-max', '99999'], 2, /--capture-max needs/],
    [['--socket', '/nowhere/at/all'], 1, /cannot listen on \/nowhere\/at\/all/],
  ])('%j is refused with one clear line', (args, status, message) => {
    const result = spawnSync(PROBE, args, { encoding: 'utf8' });
    expect(result.status).toBe(status);
    expect(result.stderr).toMatch(message);
    expect(result.stderr.trim().split('\n')).toHaveLength(1);
  });

  test('without rights it names those that are missing and the one line that helps', () => {
    const copy = join(folderOfSuite(), 'probe');
    execFileSync('cp', [PROBE, copy]);
    chmodSync(join(copy, '..'), 0o755);
    const result = spawnSync(copy, ['--check'], { encoding: 'utf8', uid: 65_534, gid: 65_534 });
    expect(result.status).toBe(3);
    expect(result.stderr).toBe(
      `sluice-probe: missing CAP_BPF and CAP_PERFMON; run as root, or once: sudo setcap cap_bpf,cap_perfmon+ep ${copy}\n`,
    );
  });
});
