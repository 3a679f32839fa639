// The API server goes away, whole or in part, while windows run: the same process goes on, and what was due is delivered once.
// `make faults`: five minutes without an API server instead of twenty seconds.
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { clusterMissing } from '../cluster/binaries.ts';
import { waitFor } from '../cluster/instance.ts';
import type { RequestMatch } from '../kube/fault-proxy.ts';
import { SCRIPTS, startFaultyWorld, type FaultyWorld } from './faulty-world.ts';
import { IS_LONG_FORM } from './long-form.ts';

const AWAY_MS = IS_LONG_FORM ? 300_000 : 20_000;
jest.setTimeout(120_000 + 2 * AWAY_MS);
const describeCluster = clusterMissing === undefined ? describe : describe.skip;
/** Shorter than what is away is away. */
const LEASE = 'leaderElection: {leaseDuration: 6s, renewDeadline: 4s, retryPeriod: 500ms}';
const leases: RequestMatch = { resource: 'leases' };

describeCluster('an API server that goes away', () => {
  let faulty: FaultyWorld;
  beforeAll(async () => {
    faulty = await startFaultyWorld('outages', LEASE);
  }, 600_000);
  afterAll(() => faulty?.stop());
  const told = (steps: () => Promise<void>) => (): Promise<void> => faulty.told(steps)();

  test(
    'R27, R28: a lease that cannot be renewed ends the term, and the same process leads again',
    told(async () => {
      const terms = (): number => faulty.operator.log().filter(({ message }) => message === 'leads').length;
      const before = terms();
      faulty.proxy.inject({ ...leases, fault: { kind: 'answer', status: 503 } });
      await faulty.operator.logged(({ message }) => message === 'leads no more');
      const uid = await faulty.uidOf('a');
      // each attempt to get it takes half a second and more: some windows' time in all
      const asked = (more: number): Promise<void> => faulty.proxy.arrived(leases, faulty.proxy.count(leases) + more);
      await asked(2);
      const stopped = faulty.world.runtime.committed(uid).length;
      await asked(6);
      expect(faulty.world.runtime.committed(uid)).toHaveLength(stopped);
      faulty.proxy.heal();
      await waitFor('the next term', () => terms() > before, 60_000);
      await waitFor('its windows', () => faulty.world.runtime.committed(uid).length > stopped + 2, 60_000);
      await faulty.changesAreSeen();
      await faulty.isWhole();
      const epochs = faulty.world.runtime.committed(uid).map(({ epoch }) => epoch);
      expect(epochs).toEqual(epochs.toSorted((a, b) => a - b));
    }),
  );

  test(
    'R23, R31, S7: the API server is away: nothing is restarted, and afterwards all is caught up',
    told(async () => {
      const uid = await faulty.uidOf('a');
      const before = faulty.world.runtime.committed(uid).length;
      await faulty.proxy.refuse();
      const away = Date.now();
      let wasAlive = true;
      await waitFor(
        'the end of the outage',
        async () => {
          wasAlive &&= (await faulty.operator.health('/livez')).status === 200;
          return Date.now() - away >= AWAY_MS;
        },
        AWAY_MS + 10_000,
      );
      expect(wasAlive).toBe(true);
      await faulty.proxy.accept();
      const back = Date.now();
      // every window that was due meanwhile, and the present one
      const due = before + Math.floor((back - away) / 1000);
      await waitFor('all windows', () => faulty.world.runtime.committed(uid).length >= due, 60_000 + AWAY_MS);
      const recovered = (Date.now() - back) / 1000;
      process.stdout.write(
        `MEASURED: ${AWAY_MS / 1000} s without an API server, caught up ${recovered.toFixed(1)} s after it was back\n`,
      );
      await faulty.changesAreSeen();
      await faulty.isWhole();
      for (const name of SCRIPTS) expect((await faulty.world.script(name))?.status?.totals.missed).toBe(0);
    }),
  );

  test(
    'R13, S4: etcd and the API server are killed and started again',
    told(async () => {
      await faulty.anew();
      await faulty.world.plane.kill('apiserver');
      await faulty.world.plane.kill('etcd');
      // each waits for both; and a large process may hold its port a moment longer than it lives
      await faulty.world.plane.restart('etcd').catch(() => undefined);
      await waitFor(
        'the API server',
        () =>
          faulty.world.plane.restart('apiserver').then(
            () => true,
            () => false,
          ),
        60_000,
      );
      await faulty.windowsGoOn(2);
      await faulty.changesAreSeen();
      await faulty.isWhole();
    }),
  );
});
