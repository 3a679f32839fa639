// The operator is killed at one of its waits after the other: at each request to the API server, before the server sees it and
// after it did it, and at each step of a run. Whatever was done by then, the next operator goes on from there. `make faults`:
// at every request, until there is none left at which to kill it.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { EXPORT_SCRIPTS, OTEL_PLUGINS } from '../../src/cli/operator/kinds.ts';
import { clusterMissing } from '../cluster/binaries.ts';
import { waitFor } from '../cluster/instance.ts';
import { startFaultProxy, type FaultProxy, type SeenRequest } from '../kube/fault-proxy.ts';
import { IS_LONG_FORM } from './long-form.ts';
import { plugin, script } from './objects.ts';
import type { Operator } from './operator-process.ts';
import { gapsAndRepeats } from './received.ts';
import { gapsAndOverlaps } from './runtime-process.ts';
import type { RuntimeLine } from './runtime-child.ts';
import { SHORT_LEASE, startWorld, SYSTEM, type World } from './world.ts';

jest.setTimeout(IS_LONG_FORM ? 40 * 60_000 : 180_000);
const describeCluster = clusterMissing === undefined ? describe : describe.skip;
/** In the short form: in the middle of taking over, of reconciling, and of writing what was delivered. */
const SOME = [
  ['update configmaps', 'after'],
  ['patch exportscripts/status', 'before'],
  ['patch exportscripts/status', 'after'],
  ['patch otelplugins/status', 'before'],
] as const;
/** So many of the scripts that were new stay. */
const KEPT = 6;
/** More requests than a start and a reconcile of everything take. */
const MOST = 400;

describeCluster('an operator that is killed at any of its waits', () => {
  let world: World;
  let proxy: FaultProxy;
  let kubeconfig: string;
  beforeAll(async () => {
    world = await startWorld({ name: 'crash', lifeMs: 60 * 60_000 });
    proxy = await startFaultProxy(world.plane.kubeconfig);
    const token = await world.kubectl(['create', 'token', 'sluice-operator', '-n', SYSTEM, '--duration', '2h']);
    kubeconfig = proxy.kubeconfig(join(world.dir, 'proxy.conf'), token.trim());
    await world.apply(plugin('p', SYSTEM, world.receiver.endpoint), script('s', SYSTEM, 'p'));
    // from here on there is something to go on from
    const first = await start();
    await world.scriptIs('s', 'Delivered', 'True/Acknowledged');
    await first.kill();
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
    }
  };
  const start = (): Promise<Operator> => world.operator({ kubeconfig, settings: SHORT_LEASE });

  let changes = 0;
  /** Something of everything to do for who comes next: a plugin and a script that changed, a new script, one that is gone. */
  async function change(): Promise<void> {
    const own = { fieldManager: 'test' };
    const seconds = `${10 + (++changes % 50)}s`;
    const timeout = [{ op: 'add', path: '/spec/timeout', value: seconds }];
    const destination = [{ op: 'add', path: '/spec/destination/timeout', value: seconds }];
    await Promise.all([
      world.client.patchJson(EXPORT_SCRIPTS, SYSTEM, 's', timeout, own),
      world.client.patchJson(OTEL_PLUGINS, SYSTEM, 'p', destination, own),
      world.createScripts(script(`new-${changes}`, SYSTEM, 'p', { window: '2s' })),
      changes > KEPT ? world.client.delete(EXPORT_SCRIPTS, SYSTEM, `new-${changes - KEPT}`) : undefined,
    ]);
  }
  /** Everything is answered. */
  const isSettled = async (): Promise<boolean> =>
    (await world.scripts()).every(({ metadata, status }) => {
      const ready = status?.conditions?.find(({ type }) => type === 'Delivered');
      return ready?.status === 'True' && status?.observedGeneration === metadata.generation;
    });
  /** Of each script: no window lost, none run twice, and no row sent twice. */
  async function isWhole(): Promise<void> {
    await waitFor('all to be settled', isSettled, 60_000);
    await world.goesOn();
    for (const { metadata } of await world.scripts()) {
      const { name, namespace = '', uid } = metadata;
      expect([name, gapsAndOverlaps(world.runtime.committed(uid))]).toEqual([name, []]);
      const ticks = gapsAndRepeats(world.receiver.ticks(name, `/${namespace}`));
      expect([name, ticks]).toEqual([name, { missing: [], repeated: [] }]);
    }
  }

  const whatOf = ({ verb, resource, subresource }: SeenRequest): string =>
    `${verb} ${resource}${subresource === '' ? '' : `/${subresource}`}`;
  // questions about rights change nothing, and there are many
  const isWork = ({ headers, resource }: SeenRequest): boolean =>
    headers['user-agent']?.startsWith('sluice-operator/') === true && resource !== 'selfsubjectaccessreviews';
  /**
   * Kills a new operator at its `which`-th request, or at the first that is `which`. Says what that was; undefined where it had
   * nothing to do any more before there were so many.
   */
  async function killAt(which: number | string, when: 'before' | 'after'): Promise<string | undefined> {
    await change();
    const operator = await start();
    let asked = 0;
    let hit: SeenRequest | undefined;
    let answered = 0;
    const answers = (request: SeenRequest): number =>
      world.plane
        .auditEvents()
        .filter(
          ({ requestURI, userAgent, verb }) =>
            requestURI === request.path && verb === request.verb && userAgent === request.headers['user-agent'],
        ).length;
    proxy.inject({
      where(request) {
        if (hit !== undefined || !isWork(request)) return false;
        asked++;
        if (typeof which === 'number' ? asked !== which : whatOf(request) !== which) return false;
        answered = answers(request);
        hit = request;
        if (when === 'before') operator.signal('SIGKILL');
        return true;
      },
      fault: when === 'before' ? { kind: 'half-open' } : { kind: 'half-open', afterBytes: 0 },
    });
    await waitFor(
      `request ${which}, or the end of all work`,
      async () => hit !== undefined || (typeof which === 'number' && (await isSettled())),
      60_000,
    );
    const request = hit;
    if (request !== undefined && when === 'after')
      await waitFor('the answer to it', () => answers(request) > answered, 30_000);
    await operator.kill();
    proxy.heal();
    return request && whatOf(request);
  }

  test(
    'R29, S4, S10: at each request to the API server',
    told(async () => {
      const killed = new Map<string, number>();
      for (let i = 0; IS_LONG_FORM ? i < MOST : i < SOME.length; i++) {
        const [which = '', when = 'before'] = IS_LONG_FORM
          ? ([Math.floor(i / 2) + 1, i % 2 === 0 ? 'before' : 'after'] as const)
          : (SOME[i] ?? []);
        const what = await killAt(which, when);
        if (what === undefined) break;
        killed.set(what, (killed.get(what) ?? 0) + 1);
      }
      const total = [...killed.values()].reduce((sum, one) => sum + one, 0);
      process.stdout.write(`MEASURED: killed at ${total} requests: ${JSON.stringify(Object.fromEntries(killed))}\n`);
      expect(total).toBeGreaterThanOrEqual(SOME.length);
      const last = await start();
      await last.leads();
      await isWhole();
      expect(await last.terminate()).toBe(0);
    }),
  );

  const next = async (kind: RuntimeLine['kind']): Promise<void> => {
    const count = (): number => world.runtime.lines().filter((line) => line.kind === kind).length;
    const before = count();
    await waitFor(`that a runtime has ${kind}`, () => count() > before, 60_000);
  };
  const delivery = (): Promise<void> =>
    new Promise((resolve) => {
      world.receiver.answer(() => {
        resolve();
        return { kind: 'ok' };
      });
    });
  const STEPS: readonly (readonly [string, () => Promise<void>])[] = [
    ['a destination was put', () => next('put')],
    ['a script was compiled', () => next('compiled')],
    ['a window was committed', () => next('committed')],
    ['a batch is being acknowledged', delivery],
  ];

  test(
    'S4, S10: at each step of a run',
    told(async () => {
      for (let round = 0; round < (IS_LONG_FORM ? 10 : 1); round++) {
        for (const [, step] of STEPS) {
          await change();
          const operator = await start();
          await step();
          await operator.kill();
        }
      }
      const last = await start();
      await last.leads();
      await isWhole();
    }),
  );
});
