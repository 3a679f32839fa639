// How the operator starts, where it cannot start, and how it ends.
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { clusterMissing } from '../cluster/binaries.ts';
import { freePort } from '../servers/free-port.ts';
import { waitFor } from '../cluster/instance.ts';
import { plugin, script } from './objects.ts';
import { OPERATOR_COMMAND } from './operator-process.ts';
import { startProcess, type Process } from './processes.ts';
import { gapsAndRepeats } from './received.ts';
import { gapsAndOverlaps } from './runtime-process.ts';
import { SETTINGS, startWorld, SYSTEM, type World } from './world.ts';

jest.setTimeout(120_000);
const describeCluster = clusterMissing === undefined ? describe : describe.skip;

describeCluster('the operator’s process', () => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ name: 'process' });
  }, 600_000);
  afterAll(() => world?.stop());
  const told = (steps: () => Promise<void>) => (): Promise<void> => world.told(steps);

  const written = (name: string, text: string): string => {
    const file = join(world.dir, name);
    writeFileSync(file, text);
    return file;
  };
  /** Starts it with these arguments alone; for what never gets to work. */
  const bare = (...args: string[]): Process => startProcess([...OPERATOR_COMMAND, ...args]);
  const holder = async (): Promise<string> =>
    world.kubectl(['get', 'lease', 'sluice-operator', '-n', SYSTEM, '-o', 'jsonpath={.spec.holderIdentity}']);

  /** Its status may be an earlier operator's; a window is by the one that leads. */
  async function runsAgain(): Promise<void> {
    const uid = (await world.script('s'))?.metadata.uid ?? '';
    const before = world.runtime.committed(uid).length;
    await waitFor('a window', () => world.runtime.committed(uid).length > before, 30_000);
  }

  /** Of a runtime that was halted just now: windows of a second have been due since, and the first is under way. */
  function runHangs(): Promise<void> {
    const from = Date.now();
    return waitFor('three windows to be due', () => Date.now() > from + 3000, 30_000);
  }

  const GOOD = (): string => written('good.yaml', SETTINGS);
  test.each<[string, () => string[], RegExp]>([
    ['no settings', () => [], /--settings FILE is missing/],
    ['settings that are not there', () => ['--settings', '/nowhere.yaml'], /--settings: .*\/nowhere\.yaml/],
    [
      'settings with mistakes, each with line and field',
      () => ['--settings', written('bad.yaml', 'runtime:\n  replicas: none\nleaderElection: {leaseDuration: 1}\n')],
      /bad\.yaml:3:33: leaderElection\.leaseDuration .*\n.*bad\.yaml:2:13: runtime\.replicas/,
    ],
    ['settings that are no YAML', () => ['--settings', written('no.yaml', 'a: [')], /no\.yaml:1:\d+: .*is no YAML/],
    ['a wrong address', () => ['--settings', GOOD(), '--health-address', 'x'], /--health-address/],
    ['--insecure without a runtime', () => ['--settings', GOOD(), '--insecure'], /--insecure goes with --runtime/],
    ['a wrong flag', () => ['--settings', GOOD(), '--colour'], /--colour/],
    [
      'a kubeconfig that is not there',
      () => ['--settings', GOOD(), '--kubeconfig', '/nowhere.conf'],
      /\/nowhere\.conf/,
    ],
    [
      'a kubeconfig that is none',
      () => ['--settings', GOOD(), '--kubeconfig', written('broken.conf', 'clusters: 7')],
      /broken\.conf/,
    ],
  ])('R32: %s: status 2, said once', async (_, args, message) => {
    const child = bare(...args());
    expect(await child.ended).toEqual({ code: 2, signal: null });
    expect(child.stderr()).toMatch(message);
    expect(child.stderr()).not.toMatch(/^\s+at /m);
  });

  test.each(['--health-address', '--metrics-address'])(
    'R32: %s of a port that is taken: status 1, said once',
    async (flag) => {
      const server = createServer();
      await once(server.listen(0, '127.0.0.1'), 'listening');
      const taken = server.address();
      const port = typeof taken === 'object' && taken !== null ? taken.port : 0;
      const other = flag === '--health-address' ? '--metrics-address' : '--health-address';
      const common = ['--settings', GOOD(), '--kubeconfig', await world.operatorKubeconfig(), '--namespace', SYSTEM];
      const free = `127.0.0.1:${await freePort()}`;
      const child = bare(...common, flag, `127.0.0.1:${port}`, other, free);
      try {
        expect(await child.ended).toEqual({ code: 1, signal: null });
        expect(child.stderr()).toMatch(new RegExp(`EADDRINUSE.*:${port}`));
      } finally {
        await child.kill();
        server.close();
      }
    },
  );

  test(
    'R24, R31: a namespace that is not there yet is waited for, and readiness says so',
    told(async () => {
      const operator = await world.operator({ name: 'early', namespace: 'not-yet' });
      await waitFor(
        'the word about the lease',
        async () => (await operator.health('/readyz')).body.includes('[-]election'),
        30_000,
      );
      expect(await operator.health('/livez')).toMatchObject({ status: 200 });
      expect(await operator.terminate()).toBe(0);
    }),
  );

  test(
    'R26, R33: SIGTERM writes what is done and releases the lease; the successor goes on where it ended',
    told(async () => {
      const first = await world.operator({ name: 'first' });
      await first.leads();
      const second = await world.operator({ name: 'second' });
      await second.ready();
      await world.apply(plugin('p', SYSTEM, world.receiver.endpoint), script('s', SYSTEM, 'p'));
      const { metadata } = await world.scriptIs('s', 'Delivered', 'True/Acknowledged');
      await waitFor('some windows', () => world.runtime.committed(metadata.uid).length > 4, 30_000);
      expect(await first.terminate()).toBe(0);
      // released: written by the one that ended, before the other took it
      const leases = world.plane
        .auditEvents()
        .filter(({ objectRef, verb }) => objectRef?.resource === 'leases' && verb === 'update');
      expect(leases.length).toBeGreaterThan(0);
      await second.leads();
      expect(second.log().filter(({ message }) => message === 'leads')).toHaveLength(1);
      expect(await holder()).toMatch(/^second_/);
      const before = (await first.leads())['epoch'];
      const after = (await second.leads())['epoch'];
      expect(Number(after)).toBeGreaterThan(Number(before));
      const count = world.runtime.committed(metadata.uid).length;
      await waitFor('more windows', () => world.runtime.committed(metadata.uid).length > count + 2, 30_000);
      expect(gapsAndRepeats(world.receiver.ticks('s', `/${SYSTEM}`))).toEqual({ missing: [], repeated: [] });
      expect(await second.terminate()).toBe(0);
      expect(await holder()).toBe('');
    }),
  );

  test(
    'R33: what was counted last is written before the end, and the end does not wait for anything else',
    told(async () => {
      const operator = await world.operator({ name: 'third' });
      await operator.leads();
      // its counters are due once in ten seconds only, and its conditions were written just now
      await world.apply(script('by-hand', SYSTEM, 'p', { window: '10s', suspend: true }));
      const { metadata } = await world.scriptIs('by-hand', 'Ready', 'True/Suspended');
      await world.kubectl(['annotate', 'exs', 'by-hand', '-n', SYSTEM, 'sluice.dev/run-now=x']);
      const answered = async (): Promise<boolean> =>
        (await world.script('by-hand'))?.status?.lastManualRun?.outcome === 'Complete';
      await waitFor('the answer', answered, 30_000);
      await waitFor('the delivery', () => world.receiver.ticks('by-hand').length === 300, 30_000);
      expect(world.runtime.committed(metadata.uid)).toHaveLength(1);
      const started = performance.now();
      expect(await operator.terminate()).toBe(0);
      process.stdout.write(
        `MEASURED: the operator ended ${Math.round(performance.now() - started)} ms after SIGTERM\n`,
      );
      const { status } = (await world.script('by-hand')) ?? {};
      expect(status?.totals.windows).toBe(1);
      expect(status?.totals.metrics).toBe(world.receiver.ticks('by-hand').length);
      expect(status?.lastWindow?.outcome).toBe('Complete');
    }),
  );

  test(
    'R33: a runtime that does not answer keeps it for 20 seconds at most, and the lease is released',
    told(async () => {
      const operator = await world.operator({ name: 'fourth' });
      await operator.leads();
      await runsAgain();
      world.runtime.process.signal('SIGSTOP');
      try {
        await runHangs();
        const started = performance.now();
        expect(await operator.terminate()).toBe(0);
        const seconds = (performance.now() - started) / 1000;
        process.stdout.write(
          `MEASURED: the operator ended ${seconds.toFixed(1)} s after SIGTERM with a halted runtime\n`,
        );
        expect(await holder()).toBe('');
      } finally {
        world.runtime.process.signal('SIGCONT');
      }
    }),
  );

  test(
    'R33: a second signal ends it at once',
    told(async () => {
      const operator = await world.operator({ name: 'fifth' });
      await operator.leads();
      await runsAgain();
      world.runtime.process.signal('SIGSTOP');
      try {
        await runHangs();
        operator.signal('SIGTERM');
        await operator.logged(({ message }) => message === 'stopping');
        operator.signal('SIGTERM');
        expect((await operator.ended).code).toBe(130);
      } finally {
        world.runtime.process.signal('SIGCONT');
      }
      // nothing was written at its end: the next leader finds it all out
      const next = await world.operator({ name: 'sixth' });
      await next.leads();
      const { metadata } = await world.scriptIs('s', 'Ready', 'True/Scheduled');
      const count = world.runtime.committed(metadata.uid).length;
      await waitFor('more windows', () => world.runtime.committed(metadata.uid).length > count + 2, 60_000);
      // what a halted runtime was just sending it sends again; nothing is missing, and nothing was committed twice
      expect(gapsAndRepeats(world.receiver.ticks('s', `/${SYSTEM}`)).missing).toEqual([]);
      expect(gapsAndOverlaps(world.runtime.committed(metadata.uid))).toEqual([]);
      expect(await next.terminate()).toBe(0);
    }),
  );

  test(
    'R31: an API server that is not there yet is waited for',
    told(async () => {
      await world.plane.kill('apiserver');
      const operator = await world.operator({ name: 'patient', kubeconfig: world.plane.kubeconfig });
      await waitFor(
        'the word about caches',
        async () => (await operator.health('/readyz')).body.includes('[-]caches'),
        30_000,
      );
      expect(await operator.health('/livez')).toMatchObject({ status: 200 });
      await world.plane.restart('apiserver');
      await operator.leads();
      await operator.ready();
      expect(await operator.terminate()).toBe(0);
    }),
  );
});
