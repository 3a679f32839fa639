// The API server breaks in every way between it and the operator while windows run: the same process goes on, and what was due
// is delivered once. SLUICE_SOAK=1: five minutes without an API server instead of twenty seconds.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { clusterMissing } from '../cluster/binaries.ts';
import { waitFor } from '../cluster/instance.ts';
import { startFaultProxy, type Fault, type FaultProxy, type RequestMatch } from '../kube/fault-proxy.ts';
import { plugin, script } from './objects.ts';
import type { Operator } from './operator-process.ts';
import { gapsAndRepeats } from './received.ts';
import { gapsAndOverlaps } from './runtime-process.ts';
import { startWorld, SYSTEM, type World } from './world.ts';

const IS_SOAK = process.env['SLUICE_SOAK'] === '1';
const AWAY_MS = IS_SOAK ? 300_000 : 20_000;
jest.setTimeout(120_000 + 2 * AWAY_MS);
const describeCluster = clusterMissing === undefined ? describe : describe.skip;
const SCRIPTS = ['a', 'b', 'c'];
const leases: RequestMatch = { resource: 'leases' };
const notLeases: RequestMatch = { where: ({ resource }) => resource !== 'leases' };

describeCluster('an API server that breaks', () => {
  let world: World;
  let proxy: FaultProxy;
  let operator: Operator;
  let pid: number;
  beforeAll(async () => {
    world = await startWorld({ name: 'faults', lifeMs: 40 * 60_000 });
    proxy = await startFaultProxy(world.plane.kubeconfig);
    const token = await world.kubectl(['create', 'token', 'sluice-operator', '-n', SYSTEM, '--duration', '2h']);
    const kubeconfig = proxy.kubeconfig(join(world.dir, 'proxy.conf'), token.trim());
    operator = await world.operator({ kubeconfig });
    ({ pid } = operator);
    await operator.leads();
    await world.apply(
      plugin('p', SYSTEM, world.receiver.endpoint),
      ...SCRIPTS.map((name) => script(name, SYSTEM, 'p')),
    );
    for (const name of SCRIPTS) await world.scriptIs(name, 'Delivered', 'True/Acknowledged');
  }, 600_000);
  afterAll(async () => {
    await world?.stop();
    await proxy?.stop();
  });
  const told = (steps: () => Promise<void>) => async (): Promise<void> => {
    try {
      await world.told(steps);
    } finally {
      proxy.heal();
      await proxy.accept();
    }
  };

  const uidOf = async (name: string): Promise<string> => (await world.script(name))?.metadata.uid ?? '';
  /** Resolves once `name` has `more` windows than now. */
  async function windowsGoOn(more = 2, name = 'a'): Promise<void> {
    const uid = await uidOf(name);
    const until = world.runtime.committed(uid).length + more;
    await waitFor(`${more} more windows of ${name}`, () => world.runtime.committed(uid).length >= until, 60_000);
  }
  /** A change that a user makes now is seen and answered. */
  let changes = 0;
  async function changesAreSeen(): Promise<void> {
    const timeout = `${30 + ++changes}s`;
    const patch = JSON.stringify({ spec: { timeout } });
    await world.kubectl(['patch', 'exs', 'b', '-n', SYSTEM, '--type=merge', '-p', patch]);
    await world.scriptIs('b', 'Ready', 'True/Scheduled');
  }
  const isWhole = async (): Promise<void> => {
    expect([operator.isRunning, operator.pid]).toEqual([true, pid]);
    for (const name of SCRIPTS) {
      expect([name, gapsAndRepeats(world.receiver.ticks(name, `/${SYSTEM}`))]).toEqual([
        name,
        { missing: [], repeated: [] },
      ]);
      expect([name, gapsAndOverlaps(world.runtime.committed(await uidOf(name)))]).toEqual([name, []]);
    }
  };

  const GONE = {
    kind: 'answer',
    status: 410,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'Expired', code: 410 }),
  } as const;

  test.each<[string, RequestMatch, Fault, number]>([
    ['R4: resets of half of all requests', notLeases, { kind: 'reset' }, 2],
    ['R3: every watch has expired', { verb: 'watch' }, GONE, 1],
    ['R4: 500 to two of three', notLeases, { kind: 'answer', status: 500 }, 2],
    [
      'R4: 503 to every list and watch',
      { where: ({ verb }) => verb === 'watch' || verb === 'list' },
      { kind: 'answer', status: 503 },
      1,
    ],
    ['R34: every other write is lost on the way back', { verb: 'patch' }, { kind: 'lose-answer' }, 2],
    ['R5: answers that never come', { verb: 'patch' }, { kind: 'half-open' }, 3],
    [
      'S10: checkpoints cannot be written',
      { resource: 'configmaps', verb: 'update' },
      { kind: 'answer', status: 500 },
      1,
    ],
  ])('%s: windows go on, and changes are seen afterwards', (_, match, fault, every) =>
    told(async () => {
      const injected = proxy.inject({ ...match, fault, every });
      if (match.verb === 'watch') proxy.resetNow({ verb: 'watch' });
      else if (match.verb === undefined) proxy.resetNow(notLeases);
      await windowsGoOn(3);
      await waitFor('a hit', () => injected.hits > 0, 60_000);
      proxy.heal();
      await changesAreSeen();
      await isWhole();
    })(),
  );

  test(
    'R6: watches that are cut in the middle of a line',
    told(async () => {
      expect(proxy.cutNext({ verb: 'watch' })).toBeGreaterThan(1);
      await changesAreSeen();
      await windowsGoOn(2);
      await isWhole();
    }),
  );

  test(
    'R34: Retry-After is obeyed',
    told(async () => {
      const throttled = proxy.inject({
        verb: 'patch',
        subresource: 'status',
        fault: { kind: 'answer', status: 429, headers: { 'retry-after': '3' } },
      });
      const status: RequestMatch = { verb: 'patch', subresource: 'status' };
      const before = proxy.count(status);
      await windowsGoOn(6);
      // three scripts and a plugin with windows of a second; each is tried once in three seconds, and slower
      const [tries, hits] = [proxy.count(status) - before, throttled.hits];
      expect(tries).toBeGreaterThan(0);
      expect(hits).toBe(tries);
      expect(tries).toBeLessThanOrEqual(4 * 4);
      proxy.heal();
      await changesAreSeen();
      await isWhole();
    }),
  );

  test(
    'R27, R28: a lease that cannot be renewed ends the term, and the same process leads again',
    told(async () => {
      const terms = (): number => operator.log().filter(({ message }) => message === 'leads').length;
      const before = terms();
      proxy.inject({ ...leases, fault: { kind: 'answer', status: 503 } });
      await operator.logged(({ message }) => message === 'leads no more');
      const uid = await uidOf('a');
      // each attempt to get it takes half a second and more: some windows' time in all
      const asked = (more: number): Promise<void> => proxy.arrived(leases, proxy.count(leases) + more);
      await asked(2);
      const stopped = world.runtime.committed(uid).length;
      await asked(6);
      expect(world.runtime.committed(uid)).toHaveLength(stopped);
      proxy.heal();
      await waitFor('the next term', () => terms() > before, 60_000);
      await waitFor('its windows', () => world.runtime.committed(uid).length > stopped + 2, 60_000);
      await changesAreSeen();
      await isWhole();
      const epochs = world.runtime.committed(uid).map(({ epoch }) => epoch);
      expect(epochs).toEqual(epochs.toSorted((a, b) => a - b));
    }),
  );

  test(
    'R23, R31, S7: the API server is away: nothing is restarted, and afterwards all is caught up',
    told(async () => {
      const uid = await uidOf('a');
      const before = world.runtime.committed(uid).length;
      await proxy.refuse();
      const away = Date.now();
      let wasAlive = true;
      await waitFor(
        'the end of the outage',
        async () => {
          wasAlive &&= (await operator.health('/livez')).status === 200;
          return Date.now() - away >= AWAY_MS;
        },
        AWAY_MS + 10_000,
      );
      expect(wasAlive).toBe(true);
      await proxy.accept();
      const back = Date.now();
      // every window that was due meanwhile, and the present one
      const due = before + Math.floor((back - away) / 1000);
      await waitFor('all windows', () => world.runtime.committed(uid).length >= due, 60_000);
      const recovered = (Date.now() - back) / 1000;
      process.stdout.write(
        `MEASURED: ${AWAY_MS / 1000} s without an API server, caught up ${recovered.toFixed(1)} s after it was back\n`,
      );
      await changesAreSeen();
      await isWhole();
      for (const name of SCRIPTS) expect((await world.script(name))?.status?.totals.missed).toBe(0);
    }),
  );

  test(
    'R13, S4: etcd and the API server are killed and started again',
    told(async () => {
      await world.plane.kill('apiserver');
      await world.plane.kill('etcd');
      // each waits for both; and a large process may hold its port a moment longer than it lives
      await world.plane.restart('etcd').catch(() => undefined);
      await waitFor(
        'the API server',
        () =>
          world.plane.restart('apiserver').then(
            () => true,
            () => false,
          ),
        60_000,
      );
      await windowsGoOn(2);
      await changesAreSeen();
      await isWhole();
    }),
  );

  test(
    'R4: a token that is not valid any more is said, and nothing is restarted',
    told(async () => {
      const injected = proxy.inject({ ...notLeases, fault: { kind: 'answer', status: 401 } });
      proxy.resetNow({ verb: 'watch' });
      await waitFor('a hit', () => injected.hits > 3, 60_000);
      await windowsGoOn(1);
      proxy.heal();
      await changesAreSeen();
      await isWhole();
    }),
  );
});
