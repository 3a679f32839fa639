// Where the texts of many scripts come from: pages, and never a request for each.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { clusterMissing } from '../cluster/binaries.ts';
import { waitFor } from '../cluster/instance.ts';
import { conditionOf, plugin, script } from './objects.ts';
import { startWorld, SYSTEM, type World } from './world.ts';

const describeCluster = clusterMissing === undefined ? describe : describe.skip;
/** Two pages. */
const SCRIPTS = 620;

describeCluster('the texts of many scripts', () => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ name: 'texts' });
    const names = Array.from({ length: SCRIPTS }, (_, i) => `many-${i}`);
    await world.apply(plugin('p', SYSTEM, world.receiver.endpoint));
    await world.createScripts(...names.map((name) => script(name, SYSTEM, 'p', { window: '1h' })));
  }, 120_000);
  afterAll(() => world.stop(), 60_000);

  const compiled = (): Promise<void> =>
    waitFor(
      'all to be compiled',
      async () => {
        const scripts = await world.scripts();
        const ready = scripts.filter((one) => conditionOf(one, 'Scheduled')?.status === 'True');
        return ready.length === SCRIPTS;
      },
      120_000,
    );
  /** `verb resource` of what operators asked for ExportScripts by name, and lists. */
  const asked = (): Record<string, number> => {
    const events = world.plane
      .auditEvents()
      .filter(
        ({ userAgent, objectRef }) =>
          userAgent?.startsWith('sluice-operator/') && objectRef?.resource === 'exportscripts',
      );
    return Object.fromEntries([...Map.groupBy(events, ({ verb }) => verb)].map(([verb, all]) => [verb, all.length]));
  };

  test(
    'R10: a leader reads them in pages, of which the first list is one and its own is the other',
    () =>
      world.told(async () => {
        const operator = await world.operator({ name: 'first' });
        await operator.leads();
        await compiled();
        expect(asked()).toMatchObject({ list: 4 });
        expect(asked()['get']).toBeUndefined();
        expect(await operator.terminate()).toBe(0);
      }),
    180_000,
  );

  test(
    'R10: a runtime that comes late has all compiled from pages, too',
    () =>
      world.told(async () => {
        const before = asked();
        await world.runtime.kill();
        const operator = await world.operator({ name: 'second' });
        await operator.leads();
        await world.scriptIs(`many-${SCRIPTS - 1}`, 'Scheduled', 'False/RuntimeUnavailable');
        await world.runtime.start();
        await compiled();
        expect(asked()['get']).toBeUndefined();
        // the store's, the leader's for what the first has written, and again for the texts
        expect((asked()['list'] ?? 0) - (before['list'] ?? 0)).toBe(6);
        expect(await operator.terminate()).toBe(0);
      }),
    180_000,
  );
});
