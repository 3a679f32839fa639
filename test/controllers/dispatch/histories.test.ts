// T5, S4: the promise that no window is lost and none is committed twice, against arbitrary histories of leaders, runtimes,
// disks, networks, clocks and people. `make fuzz` runs many more.
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import { SECOND, World } from './world.ts';

const RUNS = Number(process.env['SLUICE_FUZZ_RUNS'] ?? 60);

const weighted = <T>(weight: number, arbitrary: fc.Arbitrary<T>) => ({ weight, arbitrary });
const only = <K extends string>(kind: K) => fc.record({ kind: fc.constant(kind) });
const at = <K extends string>(kind: K, max: number) =>
  fc.record({ kind: fc.constant(kind), value: fc.integer({ min: 0, max }) });

const step = fc.oneof(
  weighted(20, at('pass', 15_000)),
  weighted(2, at('pass', 400_000)),
  weighted(10, at('deliver some', 20)),
  weighted(4, only('deliver all')),
  weighted(4, only('new leader')),
  weighted(3, only('lease lost')),
  weighted(3, at('kill pod', 3)),
  weighted(3, at('lose disk', 3)),
  weighted(3, at('cut', 3)),
  weighted(3, at('mend', 3)),
  weighted(3, fc.record({ kind: fc.constant('resize' as const), value: fc.integer({ min: 1, max: 4 }) })),
  weighted(3, at('clock', 4_000)),
  weighted(2, at('suspend or resume', 2)),
  weighted(2, fc.record({ kind: fc.constant('window' as const), value: fc.integer({ min: 1, max: 90 }) })),
  weighted(1, at('policy', 2)),
  weighted(1, at('recreate', 2)),
  weighted(2, at('manual', 2)),
  weighted(2, at('hold', 2)),
  weighted(
    6,
    fc.record({
      kind: fc.constant('run' as const),
      value: fc.constantFrom('fails', 'dies before', 'dies after', 'answer lost'),
    }),
  ),
  weighted(3, at('run takes', 8_000)),
  weighted(2, only('API away or back')),
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

function apply(world: World, one: Step, id: number): Promise<void> | void {
  const script = world.scripts.filter(({ isDeleted }) => !isDeleted)[Number('value' in one ? one.value : 0) % 3];
  switch (one.kind) {
    case 'pass':
      return world.pass(one.value);
    case 'deliver some': {
      const waiting = world.undelivered();
      const picked = waiting[one.value % Math.max(1, waiting.length)];
      picked?.pod.deliver(picked.window);
      return undefined;
    }
    case 'deliver all':
      for (const { pod, window } of world.undelivered()) pod.deliver(window);
      return undefined;
    case 'new leader':
      return world.elect();
    case 'lease lost': {
      const [first] = world.leaders.filter(({ isOver }) => !isOver);
      if (first !== undefined) world.depose(first);
      return undefined;
    }
    case 'kill pod':
      return world.kill(one.value, false);
    case 'lose disk':
      return world.kill(one.value, true);
    case 'cut': {
      world.acting?.cuts.add(one.value);
      for (const connection of world.pods.get(one.value)?.connections ?? []) connection.cut.abort(new Error('cut'));
      return undefined;
    }
    case 'mend':
      for (const { cuts } of world.leaders) cuts.delete(one.value);
      return undefined;
    case 'resize':
      return world.resize(one.value);
    case 'clock':
      world.skewNs += BigInt(one.value - 1000) * SECOND;
      return undefined;
    case 'run':
      world.faults.run = one.value as typeof world.faults.run;
      return undefined;
    case 'run takes':
      world.faults.runMs = one.value;
      return undefined;
    case 'API away or back':
      world.faults.apiAway = !world.faults.apiAway;
      return undefined;
    default:
  }
  if (script === undefined) return undefined;
  switch (one.kind) {
    case 'suspend or resume':
      script.suspend = !script.suspend;
      break;
    case 'window':
      script.windowNs = BigInt(one.value) * SECOND;
      script.hash = `h${id}`;
      break;
    case 'policy':
      script.policy = (['All', 'Coalesce', 'Skip'] as const)[one.value] ?? 'All';
      break;
    case 'recreate':
      script.isDeleted = true;
      world.apply(script);
      world.scripts.push({ ...script, uid: `${script.uid}-${id}`, isDeleted: false });
      world.apply(world.scripts.at(-1) ?? script);
      return undefined;
    case 'manual':
      void world.acting?.dispatch?.runNow(script.uid, `token-${id}`);
      return undefined;
    case 'hold':
      world.acting?.dispatch?.hold(script.uid);
      return undefined;
    default:
      one satisfies never;
  }
  world.apply(script);
  return undefined;
}

describe('windows, whatever happens', () => {
  beforeEach(() => {
    jest.useFakeTimers({ now: 1_764_028_807_000, doNotFake: ['nextTick', 'queueMicrotask'] });
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  test('S4: no hole, no overlap, no falling back, no skip without a reason', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 60, size: 'max' }), async (steps) => {
        jest.clearAllTimers();
        const world = new World(['uid-a', 'uid-b', 'uid-c']);
        world.elect();
        await world.pass(1000);
        let id = 0;
        for (const one of steps) {
          await apply(world, one, id++);
          await world.pass(50);
          world.check();
        }
        await world.settle();
        await world.end();
        expect(jest.getTimerCount()).toBe(0);
      }),
      { numRuns: RUNS, endOnFailure: true },
    );
  }, 600_000);
});
