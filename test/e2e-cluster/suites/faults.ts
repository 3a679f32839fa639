// Each part is killed and a node crashes, under load: no window is lost and none is sent twice, but for those that the status
// counts as repeated where a runtime's disk was lost; what nobody saw is named.
import { describe, expect } from '@jest/globals';
import type { Checks } from '../checks.ts';
import { NAMESPACE, until, type Product } from '../product.ts';
import { startTrial, type Trial, type Verdict } from '../trial.ts';

export function faultsSuite(getProduct: () => Product, { beforeAll, test }: Checks): void {
  describe('killed and come back, under load', () => {
    let trial: Trial;
    let verdict: Verdict;

    beforeAll(async () => {
      trial = await startTrial(getProduct());
    }, 200_000);

    test('the agent of a collector', () => trial.trouble('agent', () => trial.killPart('agent', 'n1')), 240_000);

    test('the probe of a collector', () => trial.trouble('probe', () => trial.killPart('probe', 'n2')), 240_000);

    test('the runtime: its disk stays, so that it repeats nothing', async () => {
      const before = trial.record().status?.totals.repeated;
      await trial.trouble('runtime', async () => trial.killPart('runtime', await trial.nodeOf('sluice-runtime-0')));
      expect(trial.record().status?.totals.repeated).toBe(before);
    }, 240_000);

    test(
      'the leading operator: the other one goes on',
      () => trial.trouble('leader', () => trial.killLeader()),
      240_000,
    );

    test(
      'the pod of the runtime, with its disk',
      () =>
        trial.trouble('runtime pod', async () => {
          const { kubectl } = getProduct().cluster;
          // to the node that stays up in what follows
          await kubectl(['cordon', 'n2']);
          await kubectl(['delete', 'pod', 'sluice-runtime-0', '-n', NAMESPACE, '--timeout=60s'], { timeoutMs: 70_000 });
          await until('a runtime on n1', async () => (await trial.nodeOf('sluice-runtime-0')) === 'n1', 60_000);
          await kubectl(['uncordon', 'n2']);
        }),
      240_000,
    );

    test(
      'a node, as if its power had gone',
      () =>
        trial.trouble('node', () =>
          trial.crash('n2', () =>
            until('the missing node is named', () => trial.record().incomplete.has('NodesMissing'), 60_000),
          ),
        ),
      300_000,
    );

    test('no window was left out, none overlaps another, neither in the statuses nor in the ledger', async () => {
      verdict = await trial.verdict();
      process.stderr.write(`killed and come back: ${JSON.stringify(verdict.seen)}\n`);
      expect(verdict.windows).toEqual([]);
      expect(verdict.seen.windows).toBeGreaterThan(20);
    }, 60_000);

    test('nothing was sent twice but what is counted as repeated', () => expect(verdict.twice).toEqual([]));

    test('what arrived is what happened wherever nothing was wrong, and never more', () => {
      expect(verdict.counts).toEqual([]);
      expect(verdict.seen.counted).toBeGreaterThan(300);
    });

    test('what nobody saw is in the history, with its reason', () => {
      expect(verdict.unnamed).toEqual([]);
      expect(verdict.seen.incomplete).toBeGreaterThan(0);
    });
  });
}
