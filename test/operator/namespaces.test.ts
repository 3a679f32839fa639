// R8, R11, R23: one of the watched namespaces is closed to the operator. The others are served, what is missing is named, nothing
// is inferred from what it cannot see, and when the right comes the namespace goes on where it was.
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { clusterMissing } from '../cluster/binaries.ts';
import { waitFor } from '../cluster/instance.ts';
import { conditionOf, plugin, script } from './objects.ts';
import { SETTINGS, startWorld, SYSTEM, type World } from './world.ts';

jest.setTimeout(180_000);
const describeCluster = clusterMissing === undefined ? describe : describe.skip;
const WATCHED = `${SETTINGS}watchNamespaces: [${SYSTEM}, tenant]\n`;

describeCluster('a namespace without rights', () => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ name: 'closed' });
    await world.kubectl(['apply', '-k', 'config/default']);
  }, 600_000);
  afterAll(() => world?.stop());
  const told = (steps: () => Promise<void>) => (): Promise<void> => world.told(steps);

  const open = (namespace: string): Promise<string> =>
    world.kubectl([
      'create',
      'rolebinding',
      'sluice-operator-watched',
      '-n',
      namespace,
      '--clusterrole=sluice-operator-watched',
      `--serviceaccount=${SYSTEM}:sluice-operator`,
    ]);
  const uidOf = async (name: string, namespace: string): Promise<string> =>
    (await world.script(name, namespace))?.metadata.uid ?? '';

  test(
    'costs the others nothing, and goes on when the right is there',
    told(async () => {
      const { endpoint } = world.receiver;
      await world.apply(
        plugin('out', SYSTEM, endpoint),
        plugin('out', 'tenant', endpoint, {}, { allowedNamespaces: 'All' }),
        script('own', SYSTEM, 'out'),
        script('tick', 'tenant', 'out'),
        script('crossing', SYSTEM, 'out', { pluginRef: { name: 'out', namespace: 'tenant' } }),
      );
      const first = await world.operator({ name: 'first', settings: WATCHED });
      await world.scriptIs('tick', 'Delivered', 'True/Acknowledged', 'tenant');
      await world.scriptIs('crossing', 'Delivered', 'True/Acknowledged');
      expect(await first.terminate()).toBe(0);

      await world.kubectl(['delete', 'clusterrolebinding', 'sluice-operator-watched']);
      await open(SYSTEM);
      const [own, tick] = [await uidOf('own', SYSTEM), await uidOf('tick', 'tenant')];
      const [before, ticked] = [world.runtime.committed(own).length, world.runtime.committed(tick).length];
      const second = await world.operator({ name: 'second', settings: WATCHED });
      await second.leads();
      await waitFor('more windows', () => world.runtime.committed(own).length >= before + 3, 60_000);
      const missing = await second.logged(({ message }) => message === 'rights are not as they should be');
      expect(missing.error).toMatch(/list otelplugins\.sluice\.dev in namespace tenant/);
      const readiness = await second.health('/readyz');
      expect([readiness.status, readiness.body]).toEqual([503, expect.stringContaining('namespace tenant: Forbidden')]);
      expect(second.log().filter(({ message }) => message === 'following failed')).toHaveLength(2);
      // its plugin may be there: nothing is said of it, and nothing is taken back
      expect(conditionOf(await world.script('crossing'), 'Resolved')).toMatchObject({ status: 'True' });
      expect(world.runtime.committed(tick)).toHaveLength(ticked);

      await open('tenant');
      await second.logged(({ message }) => message === 'a namespace can be read that could not be');
      await waitFor('windows of the tenant', () => world.runtime.committed(tick).length >= ticked + 3, 60_000);
      const windows = world.runtime.committed(tick);
      const gaps = windows.slice(1).filter(({ start }, i) => start !== windows[i]?.end);
      expect(gaps).toEqual([]);
      await world.scriptIs('tick', 'Delivered', 'True/Acknowledged', 'tenant');
      await world.scriptIs('crossing', 'Delivered', 'True/Acknowledged');
      await second.ready();
      expect(await second.terminate()).toBe(0);
    }),
  );
});
