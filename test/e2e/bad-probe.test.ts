// The probe is killed, and the socket to it is cut, while requests go on: it comes back by itself, the windows in which
// nobody looked say so, all others have every request.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { Agent, createServer, request, type Server } from 'node:http';
import { join } from 'node:path';
import type { Condition } from '../../src/crds/status.ts';
import { startReceiver, type Receiver } from '../../src/exporters/otlp/receiver.ts';
import {
  captureMissing,
  countManifest,
  pluginManifest,
  ROOT,
  scratch,
  skipping,
  startLocal,
  until,
  type Local,
} from './harness.ts';
import { conditionOf, gapsOf, ledgerOf, sumsOf, windowsOf } from './windows.ts';

const suite = skipping('a probe that is lost', captureMissing) ? describe.skip : describe;
const PATH = `/bad-probe-${process.pid}`;

/** A server and a client of it that asks in the middle of each second, so that a second's number is a window's. */
async function steadyRequests() {
  const server: Server = createServer((_, response) => response.end('ok'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const bound = server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const over = new AbortController();
  const counts = new Map<bigint, number>();
  const ask = (): Promise<void> =>
    new Promise((resolve, reject) => {
      request({ agent, host: '127.0.0.1', port, path: PATH }, (response) => {
        response.resume().on('end', resolve).on('error', reject);
      })
        .on('error', reject)
        .end();
    });
  const done = (async () => {
    while (!over.signal.aborted) {
      const now = Date.now();
      if (now % 1000 > 250 && now % 1000 < 750) {
        await ask();
        const second = BigInt(Math.floor(now / 1000)) * 1_000_000_000n;
        counts.set(second, (counts.get(second) ?? 0) + 1);
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  })();
  return {
    counts,
    async stop() {
      over.abort();
      await done;
      agent.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const childOf = (pid: number | undefined): number => {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return Number(text.split(' ')[0] ?? 0);
};

const startedMs = (local: Local): number => Date.parse(local.events.find(({ since }) => since)?.since ?? '');

suite('a probe that is lost while requests go on', () => {
  const place = scratch();
  let requests: Awaited<ReturnType<typeof steadyRequests>> | undefined;
  const received: { readonly killed: object[]; readonly cut: object[] } = { killed: [], cut: [] };
  const locals: { killed?: Local; cut?: Local } = {};
  const receivers: Receiver[] = [];

  const start = async (name: 'killed' | 'cut', env: Readonly<Record<string, string>>): Promise<Local> => {
    const receiver = await startReceiver({ grpc: '127.0.0.1:0' });
    receivers.push(receiver);
    receiver.onRequest(({ json }) => void received[name].push(json));
    const local = startLocal({
      manifests: join(place.dir, 'manifests'),
      state: join(place.dir, name),
      connectTo: { 'backend.example:4317': `127.0.0.1:${receiver.ports.grpc ?? 0}` },
      args: ['--log-level', 'info'],
      env,
    });
    locals[name] = local;
    await local.capturing();
    return local;
  };
  /** Windows that are delivered from a moment on. */
  const delivers = (local: Local, ms: number) =>
    until(`windows after ${ms}: ${local.errors.slice(-3).join('\n')}`, () =>
      Date.parse(local.status('requests')?.deliveredUntil ?? '') >= ms ? true : undefined,
    );

  beforeAll(async () => {
    place.write('manifests/plugin.yaml', pluginManifest('backend.example:4317'));
    place.write('manifests/count.yaml', countManifest('1s'));
    requests = await steadyRequests();
    await Promise.all([
      start('killed', {}),
      start('cut', {
        SLUICE_PROBE: join(import.meta.dirname, 'probe-relay.js'),
        SLUICE_REAL_PROBE: join(ROOT, 'build', 'sluice-probe'),
      }),
    ]);
  });
  afterAll(async () => {
    await requests?.stop();
    await Promise.all([locals.killed?.stop(), locals.cut?.stop()]);
    await Promise.all(receivers.map((one) => one.close()));
    place.remove();
  });

  test.each([
    ['killed' as const, (pid: number): boolean => process.kill(pid, 'SIGKILL')],
    ['cut' as const, (pid: number): boolean => process.kill(pid, 'SIGUSR1')],
  ])('costs the windows in which it was away, by name, and no other: %s', async (name, lose) => {
    const local = locals[name];
    if (local === undefined) throw new Error('it did not start');
    await delivers(local, Date.now() + 1000);
    const isBlind = ({ outcome }: { readonly outcome: string }): boolean => outcome !== 'Complete';
    const before = local.status('requests')?.history.filter(({ start }) => Date.parse(start) > startedMs(local)) ?? [];
    expect(before.filter(isBlind)).toEqual([]);

    const probe = childOf(local.process.pid);
    const lostMs = Date.now();
    lose(probe);
    const complete = await until('the loss is told', (): Condition | undefined => {
      const condition = conditionOf(local.status('requests'), 'Complete');
      return condition?.status === 'False' && condition.message.startsWith('probe') ? condition : undefined;
    });
    expect(complete).toMatchObject({ reason: 'SourcesBlind', message: expect.stringMatching(/ProbeNotRunning/) });
    const backMs = Date.now();
    await delivers(local, backMs + 3000);
    expect(childOf(local.process.pid) === probe).toBe(name === 'cut');

    const status = local.status('requests');
    expect(conditionOf(status, 'Ready')).toMatchObject({ status: 'True' });
    const history = (status?.history ?? []).filter(({ start }) => Date.parse(start) > startedMs(local));
    const blind = history.filter(isBlind);
    expect(blind.length).toBeGreaterThanOrEqual(1);
    for (const { end } of blind) expect(Date.parse(end)).toBeGreaterThan(lostMs);
    // the newest windows are whole again, and the plugin says that the collector is well
    expect(isBlind(history[0] ?? { outcome: 'none' })).toBe(false);
    const plugin = local.events.findLast(({ kind }) => kind === 'OtelPlugin')?.status;
    expect(conditionOf(plugin, 'CollectorReady')).toMatchObject({ status: 'True' });

    expect(await local.stop()).toBe(0);
    const sums = sumsOf(windowsOf(received[name]).filter(({ path }) => path === PATH));
    for (const { start, outcome } of history) {
      const second = BigInt(Date.parse(start)) * 1_000_000n;
      const [seen, made] = [sums.get(second) ?? 0, requests?.counts.get(second) ?? 0];
      expect(seen).toBeLessThanOrEqual(made);
      if (outcome === 'Complete') expect({ start, seen }).toEqual({ start, seen: made });
    }
    expect(gapsOf(ledgerOf(join(place.dir, name), 'requests'))).toEqual([]);
  });
});
