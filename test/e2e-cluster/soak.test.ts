// `make soak`: faults in random order for as long as SLUICE_SOAK says (minutes), with an authority and certificates of minutes,
// both nodes crashing in turn, the runtime's and the receiver's too; SLUICE_FAULTS='probe,node' chooses among them. Left out without it: `product.test.ts` has the short form.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { nodesMissing } from '../cluster/cluster.ts';
import { otelCollectorMissing } from '../servers/otelcol.ts';
import { captureMissing, skipping } from '../e2e/harness.ts';
import { diagnose } from './diagnose.ts';
import { NAMESPACE, startProduct, until, type Product } from './product.ts';
import { startTrial } from './trial.ts';

const minutes = Number(process.env['SLUICE_SOAK'] ?? 0);
const missing = nodesMissing ?? otelCollectorMissing ?? captureMissing;
const suite = minutes === 0 || skipping('faults at random on real nodes', missing) ? describe.skip : describe;
const seed = Number(process.env['SLUICE_SEED'] ?? Date.now() % 2 ** 31);

/** Another authority every five minutes. */
const SHORT_LIVED = { caValidity: '8m', caOverlap: '1m', leafValidity: '2m', renewEvery: '30s' };

/** mulberry32 */
function randomFrom(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
}

suite(`faults at random for ${minutes} minutes, SLUICE_SEED=${seed}`, () => {
  let product: Product;
  beforeAll(async () => {
    product = await startProduct({ name: 'e2e-soak', lifeMs: (minutes + 20) * 60_000, settings: SHORT_LIVED });
  }, 600_000);
  afterAll(async () => product?.stop(), 120_000);

  test(
    'no window is lost, none doubled, what was missing is named',
    async () => {
      const random = randomFrom(seed);
      const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
      const trial = await startTrial(product);
      const { cluster } = product;
      let replicas = 1;
      const runtime = (): string => `sluice-runtime-${Math.floor(random() * replicas)}`;
      const faults: Readonly<Record<string, () => Promise<void>>> = {
        agent: () => trial.killPart('agent', pick(cluster.nodes)),
        probe: () => trial.killPart('probe', pick(cluster.nodes)),
        runtime: async () => trial.killPart('runtime', await trial.nodeOf(runtime())),
        leader: () => trial.killLeader(),
        'runtime and agent': async () => {
          await trial.killPart('agent', pick(cluster.nodes));
          await trial.killPart('runtime', await trial.nodeOf(runtime()));
        },
        'runtime pod': async () => {
          const args = ['delete', 'pod', runtime(), '-n', NAMESPACE, '--timeout=60s'];
          await cluster.kubectl(args, { timeoutMs: 70_000 });
        },
        'API server': async () => {
          await cluster.kill('apiserver');
          // the port is free a moment after its process has gone
          await cluster.restart('apiserver').catch(() => cluster.restart('apiserver'));
        },
        node: () =>
          trial.crash(pick(cluster.nodes), () => new Promise((resolve) => setTimeout(resolve, random() * 90_000))),
        'node until its runtime is elsewhere': async () => {
          const pod = runtime();
          const node = await trial.nodeOf(pod);
          // told to end after 30 s, by force after another 30 s
          const isMoved = async (): Promise<boolean> => !['', node].includes(await trial.nodeOf(pod).catch(() => ''));
          await trial.crash(node, () => until(`${pod} on another node`, isMoved, 180_000));
        },
      };
      /** These are no excuse for anything. */
      const changes: Readonly<Record<string, () => Promise<void>>> = {
        scale: async () => {
          await trial.scale(3 - replicas);
          replicas = 3 - replicas;
        },
      };
      const chosen = process.env['SLUICE_FAULTS']?.split(',') ?? Object.keys({ ...faults, ...changes });
      const end = Date.now() + minutes * 60_000;
      try {
        while (Date.now() < end) {
          const what = pick(chosen);
          process.stderr.write(`${new Date().toISOString()} ${what}\n`);
          const [fault, change] = [faults[what], changes[what]];
          if (fault !== undefined) await trial.trouble(what, fault);
          else if (change !== undefined) await change();
          else throw new Error(`there is no fault ${what}`);
          const complete = trial.records()[0]?.status?.conditions.find(({ type }) => type === 'Complete');
          process.stderr.write(`${new Date().toISOString()} … well again; ${complete?.reason}: ${complete?.message}\n`);
        }
        const { seen, ...wrong } = await trial.verdict();
        process.stderr.write(`${JSON.stringify(seen)}\n`);
        expect(wrong).toEqual({ windows: [], twice: [], counts: [], unnamed: [] });
      } catch (error) {
        process.stderr.write(await diagnose(cluster.kubectl));
        throw error;
      }
    },
    (minutes + 15) * 60_000,
  );
});
