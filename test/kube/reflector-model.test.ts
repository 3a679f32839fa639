// Thousands of random changes at a real API server while the reflector's connection breaks at random: each store becomes what
// kubectl says, and what its listeners were told adds up to the same.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openKubeClient, userAgent, type OpenKubeClient } from '../../src/kube/client.ts';
import { loadKubeAccess } from '../../src/kube/config.ts';
import { startReflector, type ReflectedStore } from '../../src/kube/reflector.ts';
import { CONFIG_MAPS, type ConfigMap } from '../../src/kube/resources.ts';
import type { Clock } from '../../src/kube/timers.ts';
import { ApiError, type KubeObject, type ListOptions } from '../../src/kube/types.ts';
import { clusterMissing } from '../cluster/binaries.ts';
import { startControlPlane, type ControlPlane } from '../cluster/control-plane.ts';
import { startFaultProxy, type Fault, type FaultProxy } from './fault-proxy.ts';

const seed = Number(process.env['SLUICE_TEST_SEED'] ?? Date.now() % 1_000_000);
const OPERATIONS = Number(process.env['SLUICE_FUZZ_RUNS'] ?? 3000);
const ROUNDS = 6;
const WRITERS = 6;
const NAMES = 60;
const NS = 'model';
/** Backoffs and silences pass a hundred times as fast, so that a watch ends every second. */
const SPEED = 100;
const FAST: Clock = {
  now: () => performance.now() * SPEED,
  after: (ms, call) => {
    const timer = setTimeout(call, ms / SPEED);
    return () => clearTimeout(timer);
  },
};

function generator(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Observed {
  readonly what: string;
  readonly scope: ListOptions;
  readonly store: ReflectedStore<ConfigMap>;
  /** By the listeners alone. */
  readonly told: Map<string, ConfigMap>;
}

const describeCluster = clusterMissing === undefined ? describe : describe.skip;

describeCluster('a reflector on a bad connection', () => {
  let plane: ControlPlane;
  let proxy: FaultProxy;
  const clients: OpenKubeClient[] = [];
  const stop = new AbortController();

  beforeAll(async () => {
    plane = await startControlPlane({ name: 'model', controllerManager: false });
    proxy = await startFaultProxy(plane.kubeconfig);
    for (const kubeconfig of [plane.kubeconfig, proxy.kubeconfig(join(plane.dir, 'proxy.conf'))]) {
      const access = await loadKubeAccess({ kubeconfig });
      clients.push(openKubeClient(access, { purpose: 'main', userAgent: userAgent('model', '0') }));
    }
    await plane.kubectl(['create', 'namespace', NS]);
  }, 600_000);
  afterAll(async () => {
    stop.abort();
    for (const client of clients) await client.close();
    await proxy?.stop();
    await plane?.stop();
  });

  test(`converges after ${OPERATIONS} operations (seed ${seed})`, async () => {
    const [admin, shaky] = clients;
    if (admin === undefined || shaky === undefined) throw new Error('no client');
    const random = generator(seed);
    const wrong: unknown[] = [];

    const observe = (what: string, scope: ListOptions): Observed => {
      const told = new Map<string, ConfigMap>();
      const store = startReflector({
        client: shaky,
        type: CONFIG_MAPS,
        scope: { namespace: NS, ...scope },
        signal: stop.signal,
        clock: FAST,
        freeze: true,
        onError: (error, during) => {
          if (during === 'listener' || during === 'transform') wrong.push(error);
        },
      });
      store.onChange(({ before, after }) => {
        const name = (after ?? before)?.metadata.name ?? '';
        if (told.get(name) !== before) wrong.push(new Error(`${what}: ${name} was told as another one before`));
        if (after === undefined) told.delete(name);
        else told.set(name, after);
      });
      return { what, scope, store, told };
    };
    const all = [
      observe('everything', {}),
      observe('by label', { labelSelector: 'keep=yes' }),
      observe('metadata alone', { metadataOnly: true }),
      observe('one object', { fieldSelector: 'metadata.name=m-0' }),
    ];

    const operation = async (roll: number, name: string, value: string): Promise<void> => {
      const object = {
        metadata: { namespace: NS, name, labels: { keep: roll < 0.5 ? 'yes' : 'no' } },
        data: { value: value.repeat(roll < 0.02 ? 20_000 : 1) },
      };
      const ignore = (error: unknown): void => {
        if (!(error instanceof ApiError) || ![404, 409].includes(error.status)) throw error;
      };
      if (roll > 0.8) await admin.delete(CONFIG_MAPS, NS, name).catch(ignore);
      else if (roll > 0.7) {
        // the same name, another object
        await admin.delete(CONFIG_MAPS, NS, name).catch(ignore);
        await admin.create(CONFIG_MAPS, object, { fieldManager: 'model' }).catch(ignore);
      } else await admin.apply(CONFIG_MAPS, object, { fieldManager: 'model' });
    };

    const disturb = (roll: number): void => {
      const gone = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' };
      const faults: Fault[] = [
        { kind: 'reset' },
        { kind: 'lose-answer' },
        { kind: 'cut', afterBytes: Math.floor(random() * 3000) },
        { kind: 'half-open', afterBytes: Math.floor(random() * 3000) },
        { kind: 'half-open' },
        { kind: 'delay', ms: 20 },
        { kind: 'answer', status: 410, body: JSON.stringify(gone) },
        { kind: 'answer', status: 429, headers: { 'retry-after': '1' } },
        { kind: 'answer', status: 500, body: 'etcdserver: request timed out' },
        { kind: 'answer', status: 503, body: '<html>' },
        { kind: 'answer', status: 200, body: `${JSON.stringify({ type: 'ERROR', object: gone })}\n` },
        { kind: 'answer', status: 200, body: '{"type":"ADDED","object":{"metadata":{"na' },
      ];
      if (roll < 0.25) proxy.resetNow({ verb: 'watch' });
      else if (roll < 0.5) proxy.cutNext({ verb: 'watch' });
      else if (roll < 0.6) proxy.stallNow({ verb: 'watch' });
      else {
        const fault = faults[Math.floor(random() * faults.length)] ?? { kind: 'reset' };
        // a list that is silent ends by the client's own time limit, which is not sped up
        const onlyWatch = fault.kind === 'half-open' || (fault.kind === 'answer' && fault.status === 200);
        proxy.inject({
          fault,
          times: 1 + Math.floor(random() * 3),
          where: ({ verb }) => verb === 'watch' || (verb === 'list' && !onlyWatch),
        });
      }
    };

    const converged = async (round: number): Promise<void> => {
      proxy.heal();
      const marker = {
        metadata: { namespace: NS, name: 'm-0', labels: { keep: 'yes' } },
        data: { round: String(round) },
      };
      const { metadata } = await admin.apply(CONFIG_MAPS, marker, { fieldManager: 'marker' });
      await Promise.all(
        all.map(
          ({ store }) =>
            new Promise<void>((resolve) => {
              const look = (): void => {
                if (store.get(NS, 'm-0')?.metadata.resourceVersion === metadata.resourceVersion) resolve();
              };
              store.onChange(look);
              look();
            }),
        ),
      );
      for (const { what, scope, store, told } of all) {
        const selectors = [
          ...(scope.labelSelector === undefined ? [] : ['-l', scope.labelSelector]),
          ...(scope.fieldSelector === undefined ? [] : ['--field-selector', scope.fieldSelector]),
        ];
        const text = await plane.kubectl(['get', 'configmaps', '-n', NS, '-o', 'json', ...selectors]);
        const { items } = JSON.parse(text) as { items: ConfigMap[] };
        const expected = items.map((item) => (scope.metadataOnly === true ? bare(item) : item)).toSorted(byName);
        expect({ what, objects: [...store.all()].toSorted(byName) }).toEqual({ what, objects: expected });
        expect({ what, objects: [...told.values()].toSorted(byName) }).toEqual({ what, objects: expected });
      }
    };

    await Promise.all(all.map(({ store }) => store.synced));
    for (let round = 1; round <= ROUNDS; round++) {
      let left = Math.ceil(OPERATIONS / ROUNDS);
      const write = async (writer: number): Promise<void> => {
        while (left-- > 0) {
          if (random() < 0.03) disturb(random());
          // each name has one writer, so that its history is a line
          const name = `m-${Math.floor(random() * (NAMES / WRITERS)) * WRITERS + writer}`;
          await operation(random(), name, `${round}-${left}`);
        }
      };
      await Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)));
      await converged(round);
    }
    expect(wrong).toEqual([]);
    // the faults did something
    expect(proxy.count({ verb: 'watch' })).toBeGreaterThan(all.length * ROUNDS);
    expect(proxy.count({ verb: 'list' })).toBeGreaterThan(all.length);
  }, 300_000);
});

const bare = ({ apiVersion, kind, metadata }: ConfigMap): KubeObject => ({ apiVersion, kind, metadata }) as KubeObject;
const byName = (a: KubeObject, b: KubeObject): number => a.metadata.name.localeCompare(b.metadata.name);
