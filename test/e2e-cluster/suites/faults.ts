// Runtimes come and go, each part is killed and a node crashes, under load: no window is lost and none is sent twice, but for
// those that the status counts as repeated where a ledger was lost or left behind, and for the one request that a killed runtime
// had under way to each destination; what nobody saw is named.
import { describe, expect } from '@jest/globals';
import type { Checks } from '../checks.ts';
import { NAMESPACE, until, type Product } from '../product.ts';
import { startTrial, type Trial } from '../trial.ts';
import type { Verdict } from '../verdict.ts';

export interface FaultsSuites {
  /** No fault yet: nobody may notice. */
  readonly begin: () => void;
  readonly judge: () => void;
}

export function faultsSuites(getProduct: () => Product, { beforeAll, test }: Checks): FaultsSuites {
  let trial: Trial;
  let verdict: Verdict;
  const repeated = (): number => trial.records().reduce((sum, { status }) => sum + (status?.totals.repeated ?? 0), 0);

  return {
    begin: () =>
      describe('scaled, under load', () => {
        beforeAll(async () => {
          trial = await startTrial(getProduct());
        }, 200_000);

        test('two runtimes instead of one: no trouble for anybody', () => trial.scale(2), 200_000);
      }),
    judge: () =>
      describe('killed and come back, under load', () => {
        test(
          'the agent of a collector and the probe of another one',
          () =>
            trial.trouble('agent and probe', async () => {
              await Promise.all([trial.killPart('agent', 'n1'), trial.killPart('probe', 'n2')]);
            }),
          240_000,
        );

        test('a runtime, whose disk stays, so that it repeats nothing, and the leading operator: the other one goes on', async () => {
          const before = repeated();
          await trial.trouble('runtime and leader', async () => {
            const node = await trial.nodeOf('sluice-runtime-0');
            await Promise.all([trial.killPart('runtime', node), trial.killLeader()]);
          });
          expect(repeated()).toBe(before);
        }, 240_000);

        test('a node with a runtime on it, as if its power had gone', async () => {
          const nodes = await Promise.all(['sluice-runtime-0', 'sluice-runtime-1'].map(trial.nodeOf));
          expect(nodes.toSorted()).toEqual(['n1', 'n2']);
          await trial.trouble('node', () =>
            trial.crash('n2', () =>
              until(
                'the missing node is named',
                () => trial.records().some(({ incomplete }) => incomplete.has('NodesMissing')),
                60_000,
              ),
            ),
          );
        }, 300_000);

        test('one runtime instead of two: no trouble for anybody', () => trial.scale(1), 200_000);

        test(
          'the pod of the runtime, with its disk',
          () =>
            trial.trouble('runtime pod', async () => {
              const { kubectl } = getProduct().cluster;
              await kubectl(['delete', 'pod', 'sluice-runtime-0', '-n', NAMESPACE, '--timeout=60s'], {
                timeoutMs: 70_000,
              });
            }),
          240_000,
        );

        test('no window was left out, none overlaps another, neither in the statuses nor in the ledger', async () => {
          verdict = await trial.verdict();
          process.stderr.write(`killed and come back: ${JSON.stringify(verdict.seen)}\n`);
          expect(verdict.windows).toEqual([]);
          expect(verdict.seen.windows).toBeGreaterThan(100);
        }, 60_000);

        test('nothing was sent twice but what is counted as repeated or was under way when its runtime was killed', () =>
          expect(verdict.twice).toEqual([]));

        test('what arrived is what happened wherever nothing was wrong, and never more', () => {
          expect(verdict.counts).toEqual([]);
          expect(verdict.seen.counted).toBeGreaterThan(1000);
        });

        test('what nobody saw is in the history, with its reason', () => {
          expect(verdict.unnamed).toEqual([]);
          expect(verdict.seen.incomplete).toBeGreaterThan(0);
        });
      }),
  };
}
