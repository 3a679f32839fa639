// Connections and their bytes: the real probe watches a process whose every system call the test knows.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { get } from 'node:http';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { buildWorkload, checkStream, isSame, startProbe, whyNot } from './harness.ts';
import type { Probe, Workload } from './harness.ts';

const suite = whyNot() === undefined ? describe : describe.skip;
const CLIENT = 1;
const SERVER = 2;
const FROM = { accept: 1, connect: 2, data: 3, snapshot: 4 };
const LOOPBACK_4 = `7f000001${'00'.repeat(12)}`;
const LOOPBACK_6 = `${'00'.repeat(15)}01`;

suite.each([
  ['with bpf_loop', {}],
  ['without bpf_loop', { SLUICE_PROBE_PLAIN: '1' }],
])('connections, %s', (_, env: Record<string, string>) => {
  const isPlain = 'SLUICE_PROBE_PLAIN' in env;
  let probe: Probe;
  let workload: Workload;

  beforeAll(async () => {
    workload = await buildWorkload()();
    probe = await startProbe(['--pid', String(workload.pid)], env);
  });
  afterAll(async () => {
    await workload.end();
    await probe.stop();
  });

  const pair = async (command = 'pair 5') => {
    const [client = -1, server = -1, clientPort = 0, serverPort = 0] = await workload.do(command);
    const clientOpen = await probe.frames.connection(workload.pid, client);
    const serverOpen = await probe.frames.connection(workload.pid, server);
    return { client, server, clientPort, serverPort, clientOpen, serverOpen };
  };

  test('connect and accept tell role, addresses and ports of both ends', async () => {
    const { clientPort, serverPort, clientOpen, serverOpen } = await pair();
    expect(clientOpen).toMatchObject({
      family: 2,
      role: CLIENT,
      origin: FROM.connect,
      protocol: 6,
      ports: [clientPort, serverPort],
      addresses: [LOOPBACK_4, LOOPBACK_4],
    });
    expect(serverOpen).toMatchObject({ role: SERVER, origin: FROM.accept, ports: [serverPort, clientPort] });
  });

  test('IPv6 addresses have all their bytes', async () => {
    const { clientOpen, serverOpen } = await pair('pair6 5');
    expect(clientOpen).toMatchObject({ family: 10, addresses: [LOOPBACK_6, LOOPBACK_6] });
    expect(serverOpen).toMatchObject({ family: 10, addresses: [LOOPBACK_6, LOOPBACK_6] });
  });

  test.each([
    ['write and read', 'write % 100', 'read % 100'],
    ['send and recv', 'send % 1000', 'recv % 1000'],
    ['writev and readv of few segments', 'writev % 5 30', 'readv % 3 50'],
    ['sendmsg and recvmsg of few segments', 'sendmsg % 8 100', 'recvmsg % 2 400'],
  ])('%s: the bytes of both directions arrive as they were', async (name, send, receive) => {
    const { client, server, clientOpen, serverOpen } = await pair();
    for (const [from, to] of [
      [client, server],
      [server, client],
    ]) {
      await workload.do(send.replace('%', String(from)));
      await workload.do(receive.replace('%', String(to)));
    }
    const bytes = Number(/\d+$/.exec(send)?.[0]) * (/% (\d+) \d+$/.test(send) ? Number(/% (\d+)/.exec(send)?.[1]) : 1);
    for (const open of [clientOpen, serverOpen]) {
      for (const sent of [true, false]) {
        const data = await probe.frames.data(open.id, sent);
        expect([name, data.map((frame) => frame.payload.length)]).toEqual([name, [bytes]]);
        expect(checkStream(data)).toBe(bytes);
      }
    }
  });

  test('a call of very many segments is one message', async () => {
    const { client, server, clientOpen, serverOpen } = await pair();
    await workload.do(`writev ${client} 1000 16`);
    await workload.do(`readv ${server} 80 200`);
    await workload.do(`sendmsg ${client} 300 3`);
    await workload.do(`recvmsg ${server} 9 100`);
    const sent = await probe.frames.data(clientOpen.id, true);
    const received = await probe.frames.data(serverOpen.id, false);
    expect(sent.map((frame) => frame.size)).toEqual([16_000, 900]);
    expect(received.map((frame) => frame.size)).toEqual([16_000, 900]);
    expect([...sent, ...received].map((frame) => frame.payload.length)).toEqual(
      isPlain ? [8 * 16, 8 * 3, 8 * 200, 8 * 100] : [16_000, 900, 16_000, 900],
    );
    expect(checkStream(sent)).toBe(16_900);
    expect(checkStream(received)).toBe(16_900);
  });

  test('each message of sendmmsg and recvmmsg is told', async () => {
    const { client, server, clientOpen, serverOpen } = await pair();
    await workload.do(`sendmmsg ${client} 4 333`);
    await workload.do(`recvmmsg ${server} 4 333`);
    for (const data of [await probe.frames.data(clientOpen.id, true), await probe.frames.data(serverOpen.id, false)]) {
      expect(data.map((frame) => frame.size)).toEqual([333, 333, 333, 333]);
      expect(checkStream(data)).toBe(4 * 333);
    }
  });

  test('a message longer than the limit is captured up to it and told in full size', async () => {
    const { client, server, clientOpen, serverOpen } = await pair();
    await workload.do(`write ${client} 100001`);
    await workload.do(`recv ${server} 100001`);
    await workload.do(`writev ${client} 7 9000`);
    await workload.do(`recv ${server} 63000`);
    for (const data of [await probe.frames.data(clientOpen.id, true), await probe.frames.data(serverOpen.id, false)]) {
      expect(data.map((frame) => [frame.size, frame.payload.length])).toEqual([
        [100_001, 16_384],
        [63_000, 16_384],
      ]);
      expect(checkStream(data)).toBe(163_001);
    }
  });

  test('what is only peeked at, or thrown away unread, is not told as bytes', async () => {
    const { client, server, serverOpen } = await pair();
    await workload.do(`write ${client} 50`);
    await workload.do(`peek ${server} 50`);
    await workload.do(`throwaway ${server} 20`);
    await workload.do(`recv ${server} 30`);
    const data = await probe.frames.data(serverOpen.id, false);
    expect(data.map((frame) => [frame.flags & 2, frame.position, frame.size, frame.payload.length])).toEqual([
      [2, 0, 20, 0],
      [0, 20, 30, 30],
    ]);
  });

  test('sendfile and splice tell sizes', async () => {
    const { client, server, clientOpen } = await pair();
    await workload.do(`write ${client} 10`);
    await workload.do(`sendfile ${client} 5000`);
    await workload.do(`splice ${client} 3000`);
    await workload.do(`recv ${server} 8010`);
    const data = await probe.frames.data(clientOpen.id, true);
    expect(data.map((frame) => [frame.flags & 2, frame.position, frame.size, frame.payload.length])).toEqual([
      [0, 0, 10, 10],
      [2, 10, 5000, 0],
      [2, 5010, 3000, 0],
    ]);
  });

  test('close tells the final positions, after all data', async () => {
    const { client, server, clientOpen, serverOpen } = await pair();
    await workload.do(`burst ${client} ${server} 20 700`);
    await workload.do(`write ${server} 33`);
    await workload.do(`read ${client} 33`);
    await workload.do(`close ${client}`);
    await workload.do(`close ${server}`);
    await probe.frames.settled();
    const closeOf = (id: typeof clientOpen.id) => probe.frames.of('close', (frame) => isSame(frame.id, id));
    expect(closeOf(clientOpen.id)).toMatchObject([{ sent: 14_000, received: 33 }]);
    expect(closeOf(serverOpen.id)).toMatchObject([{ sent: 33, received: 14_000 }]);
    const last = probe.frames.all.findLastIndex((frame) => frame.kind === 'data' && isSame(frame.id, clientOpen.id));
    expect(last).toBeLessThan(
      probe.frames.all.findIndex((frame) => frame.kind === 'close' && isSame(frame.id, clientOpen.id)),
    );
  });

  test('a descriptor that is used again is another connection each time', async () => {
    const seen = new Set<bigint>();
    for (let i = 0; i < 30; i++) {
      const [client = -1, server = -1] = await workload.do('pair 5');
      await workload.do(`write ${client} ${i + 1}`);
      await workload.do(`read ${server} ${i + 1}`);
      await workload.do(`close ${client}`);
      await workload.do(`close ${server}`);
      const open = await probe.frames.connection(workload.pid, client);
      expect(probe.frames.of('close', (frame) => isSame(frame.id, open.id))).toMatchObject([
        { sent: i + 1, received: 0 },
      ]);
      seen.add(open.id.tsid);
    }
    expect(seen.size).toBe(30);
  });

  test('dup2 over a socket and close_range close it', async () => {
    const { client, server, clientOpen, serverOpen } = await pair();
    const [nothing] = await workload.do('null');
    await workload.do(`write ${client} 5`);
    await workload.do(`dup2 ${nothing} ${client}`);
    await workload.do(`close_range ${server} ${server}`);
    await probe.frames.settled();
    expect(probe.frames.of('close', (frame) => isSame(frame.id, clientOpen.id))).toMatchObject([
      { sent: 5, received: 0 },
    ]);
    expect(probe.frames.of('close', (frame) => isSame(frame.id, serverOpen.id))).toHaveLength(1);
  });

  test.each([
    ['pair 5', SERVER],
    ['pair 0', CLIENT], // a listener without a queue leaves no trace on what it accepts
  ])('a child that uses an inherited connection has one of its own (%s)', async (command, role) => {
    const { client, server, clientPort, serverPort } = await pair(command);
    await workload.do(`write ${client} 64`);
    const [child = 0] = await workload.do(`fork ${server} 64`);
    await probe.frames.settled();
    // Only the workload itself is watched here.
    expect(probe.frames.of('open', ({ id }) => id.tgid === child)).toEqual([]);
    const all = await startProbe([], env);
    await workload.do(`write ${client} 64`);
    const [other = 0] = await workload.do(`fork ${server} 64`);
    const open = await all.frames.connection(other, server);
    expect(open).toMatchObject({ role, origin: FROM.data, ports: [serverPort, clientPort] });
    const parents = all.frames.of('open', ({ id }) => id.tgid === workload.pid && id.fd === server);
    expect(parents).toMatchObject([{ role, origin: FROM.snapshot }]);
    expect(all.frames.of('close', (frame) => isSame(frame.id, open.id))).toMatchObject([{ sent: 64, received: 64 }]);
    await all.stop();
  });

  test('events come in the order of their time', async () => {
    const { client, server } = await pair();
    await workload.do(`burst ${client} ${server} 500 10`);
    await probe.frames.settled();
    const end = probe.frames.all.findIndex((frame) => frame.kind === 'snapshotEnd');
    const times = probe.frames.all
      .slice(end)
      .flatMap((frame) => (['open', 'data', 'close', 'process', 'exit'].includes(frame.kind) ? [frame.ktime] : []));
    expect(times.length).toBeGreaterThan(16);
    expect(times).toEqual(times.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0)));
  });

  test('nothing was dropped', () => {
    expect(probe.frames.of('drops').filter((frame) => frame.drops.some((count) => count > 0))).toEqual([]);
  });
});

suite('a node http server', () => {
  test('requests and responses arrive as bytes on both ends', async () => {
    const server = spawn(process.execPath, [
      '-e',
      `require('node:http').createServer((q, r) => r.end('hello ' + q.url)).listen(0, '127.0.0.1', function () { console.log(this.address().port) })`,
    ]);
    const [port] = (await once(createInterface({ input: server.stdout }), 'line')) as [string];
    const probe = await startProbe(['--pid', String(server.pid), '--pid', String(process.pid)]);
    for (const path of ['/first', '/second']) {
      await new Promise((resolve) =>
        get({ port, path, agent: false }, (response) => response.resume().on('end', resolve)),
      );
    }
    await probe.frames.settled();
    for (const [tgid, role, wroteRequest] of [
      [server.pid, SERVER, false],
      [process.pid, CLIENT, true],
    ] as const) {
      const opens = probe.frames.of('open', ({ id, ports }) => id.tgid === tgid && ports.includes(Number(port)));
      expect(opens.map((open) => open.role)).toEqual([role, role]);
      const texts = await Promise.all(
        opens.map(async ({ id }) => [
          Buffer.concat((await probe.frames.data(id, wroteRequest)).map((frame) => frame.payload)).toString(),
          Buffer.concat((await probe.frames.data(id, !wroteRequest)).map((frame) => frame.payload)).toString(),
        ]),
      );
      expect(texts.map(([request = '']) => request.split('\r\n')[0])).toEqual([
        'GET /first HTTP/1.1',
        'GET /second HTTP/1.1',
      ]);
      expect(texts.map(([, response = '']) => response.split('\r\n\r\n')[1])).toEqual([
        'hello /first',
        'hello /second',
      ]);
    }
    server.kill();
    await probe.stop();
  });
});
