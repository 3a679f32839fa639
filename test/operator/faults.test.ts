// The way to the API server breaks in every way while windows run: the same process goes on, and what was due is delivered once.
// `make faults`: one process bears all of it.
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { clusterMissing } from '../cluster/binaries.ts';
import { waitFor } from '../cluster/instance.ts';
import type { Fault, RequestMatch } from '../kube/fault-proxy.ts';
import { startFaultyWorld, type FaultyWorld } from './faulty-world.ts';

jest.setTimeout(120_000);
const describeCluster = clusterMissing === undefined ? describe : describe.skip;
const notLeases: RequestMatch = { where: ({ resource }) => resource !== 'leases' };

describeCluster('a way to the API server that breaks', () => {
  let faulty: FaultyWorld;
  beforeAll(async () => {
    faulty = await startFaultyWorld('faults');
  }, 600_000);
  afterAll(() => faulty?.stop());
  const told = (steps: () => Promise<void>) => (): Promise<void> => faulty.told(steps)();

  test(
    'R6: watches that are cut in the middle of a line',
    told(async () => {
      expect(faulty.proxy.cutNext({ verb: 'watch' })).toBeGreaterThan(1);
      await faulty.changesAreSeen();
      await faulty.windowsGoOn(2);
      await faulty.isWhole();
    }),
  );

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
      const breaksWatches = match.resource === undefined && match.verb !== 'patch';
      if (breaksWatches) await faulty.anew();
      const injected = faulty.proxy.inject({ ...match, fault, every });
      if (match.verb === 'watch') faulty.proxy.resetNow({ verb: 'watch' });
      else if (match.verb === undefined) faulty.proxy.resetNow(notLeases);
      await faulty.windowsGoOn(3);
      await waitFor('a hit', () => injected.hits > 0, 60_000);
      faulty.proxy.heal();
      await faulty.changesAreSeen();
      await faulty.isWhole();
    })(),
  );

  test(
    'R34: Retry-After is obeyed',
    told(async () => {
      const throttled = faulty.proxy.inject({
        verb: 'patch',
        subresource: 'status',
        fault: { kind: 'answer', status: 429, headers: { 'retry-after': '3' } },
      });
      const status: RequestMatch = { verb: 'patch', subresource: 'status' };
      const before = faulty.proxy.count(status);
      await faulty.windowsGoOn(6);
      // three scripts and a plugin with windows of a second; each is tried once in three seconds, and slower
      const [tries, hits] = [faulty.proxy.count(status) - before, throttled.hits];
      expect(tries).toBeGreaterThan(0);
      expect(hits).toBe(tries);
      expect(tries).toBeLessThanOrEqual(4 * 4);
      faulty.proxy.heal();
      await faulty.changesAreSeen();
      await faulty.isWhole();
    }),
  );

  test(
    'R4: a token that is not valid any more is said, and nothing is restarted',
    told(async () => {
      await faulty.anew();
      const injected = faulty.proxy.inject({ ...notLeases, fault: { kind: 'answer', status: 401 } });
      faulty.proxy.resetNow({ verb: 'watch' });
      await waitFor('a hit', () => injected.hits > 3, 60_000);
      await faulty.windowsGoOn(1);
      faulty.proxy.heal();
      await faulty.changesAreSeen();
      await faulty.isWhole();
    }),
  );
});
