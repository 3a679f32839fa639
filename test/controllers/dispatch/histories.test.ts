// T5, S4: the promise that no window is lost and none is committed twice, against arbitrary histories of leaders, runtimes,
// disks, networks, clocks and people. `make fuzz` runs many more.
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import { SECOND, World, type Person } from './world.ts';

const RUNS = Number(process.env['SLUICE_FUZZ_RUNS'] ?? 200);

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
      value: fc.constantFrom('fails' as const, 'dies before' as const, 'dies after' as const, 'answer lost' as const),
    }),
  ),
  weighted(3, at('run takes', 8_000)),
  weighted(2, only('API away or back')),
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

type Do = (world: World, value: number, id: number) => void;

const whole: Record<string, Do> = {
  'deliver some'(world, value) {
    const waiting = world.undelivered();
    const picked = waiting[value % Math.max(1, waiting.length)];
    picked?.pod.deliver(picked.window);
  },
  'deliver all'(world) {
    for (const { pod, window } of world.undelivered()) pod.deliver(window);
  },
  'new leader': (world) => world.elect(),
  'lease lost'(world) {
    const first = world.leaders.find(({ isOver }) => !isOver);
    if (first !== undefined) world.depose(first);
  },
  'kill pod': (world, value) => world.kill(value, false),
  'lose disk': (world, value) => world.kill(value, true),
  cut(world, value) {
    world.acting?.cuts.add(value);
    for (const connection of world.pods.get(value)?.connections ?? []) connection.cut.abort(new Error('cut'));
  },
  mend(world, value) {
    for (const { cuts } of world.leaders) cuts.delete(value);
  },
  resize: (world, value) => world.resize(value),
  clock(world, value) {
    world.skewNs += BigInt(value - 1000) * SECOND;
  },
  'run takes'(world, value) {
    world.faults.runMs = value;
  },
  'API away or back'(world) {
    world.faults.apiAway = !world.faults.apiAway;
  },
};

type DoScript = (world: World, script: Person, value: number, id: number) => void;

const perScript: Record<string, DoScript> = {
  'suspend or resume'(world, script) {
    script.suspend = !script.suspend;
    world.apply(script);
  },
  window(world, script, value, id) {
    script.windowNs = BigInt(value) * SECOND;
    script.hash = `h${id}`;
    world.apply(script);
  },
  policy(world, script, value) {
    script.policy = (['All', 'Coalesce', 'Skip'] as const)[value] ?? 'All';
    world.apply(script);
  },
  recreate(world, script, _, id) {
    script.isDeleted = true;
    world.apply(script);
    const again = { ...script, uid: `${script.uid}-${id}`, isDeleted: false };
    world.scripts.push(again);
    world.apply(again);
  },
  manual: (world, { uid }, _, id) => void world.acting?.dispatch?.runNow(uid, `token-${id}`),
  hold(world, script) {
    world.acting?.dispatch?.hold(script.uid);
    world.apply({ ...script });
    world.acting?.dispatch?.hold(script.uid);
  },
};

async function apply(world: World, one: Step, id: number): Promise<void> {
  if (one.kind === 'pass') return world.pass(one.value);
  if (one.kind === 'run') {
    world.faults.run = one.value;
    return undefined;
  }
  const value = 'value' in one ? one.value : 0;
  const script = world.scripts.filter(({ isDeleted }) => !isDeleted)[value % 3];
  whole[one.kind]?.(world, value, id);
  if (script !== undefined) perScript[one.kind]?.(world, script, value, id);
  return undefined;
}

/** Found once, and kept. */
const KNOWN: readonly (readonly [string, readonly Step[]])[] = [
  [
    'the window before the first, run by hand, whose answer a leader did not live to hear',
    [{ kind: 'run', value: 'answer lost' }, { kind: 'manual', value: 0 }, { kind: 'new leader' }],
  ],
  [
    'a leader that begins with another number of runtimes, and dies before it could note it',
    [
      { kind: 'resize', value: 2 },
      { kind: 'pass', value: 5000 },
      { kind: 'lease lost' },
      { kind: 'resize', value: 1 },
      { kind: 'new leader' },
      { kind: 'API away or back' },
      { kind: 'pass', value: 15_000 },
      { kind: 'lease lost' },
      { kind: 'resize', value: 3 },
      { kind: 'new leader' },
    ],
  ],
];

async function live(steps: readonly Step[]): Promise<void> {
  jest.clearAllTimers();
  const world = new World(['uid-a', 'uid-b', 'uid-c']);
  world.elect();
  await world.pass(1000);
  world.check();
  let id = 0;
  for (const one of steps) {
    await apply(world, one, id++);
    await world.pass(50);
    world.check();
  }
  await world.settle();
  await world.end();
  expect(jest.getTimerCount()).toBe(0);
}

describe('windows, whatever happens', () => {
  beforeEach(() => {
    jest.useFakeTimers({ now: 1_764_028_807_000, doNotFake: ['nextTick', 'queueMicrotask'] });
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  test.each(KNOWN)('S4: %s', (_, steps) => live(steps));

  test('S4: no hole, no overlap, no falling back, no skip without a reason', async () => {
    await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 60, size: 'max' }), live), {
      numRuns: RUNS,
      endOnFailure: true,
    });
  }, 600_000);
});
