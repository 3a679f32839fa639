// R15, R16: the work queue against a model, and what a model does not say: cost, timers, metrics.
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createWorkQueue, type FailureKind, type Priority } from '../../src/kube/queue.ts';
import { createCountingMetrics } from './counting-metrics.ts';
import { QueueModel } from './queue-model.ts';
import { createVirtualClock } from './virtual-clock.ts';

const KEYS = ['a/1', 'a/2', 'b/1', 'b/2', 'c/1'];
const key = fc.constantFrom(...KEYS);
const priority = fc.constantFrom<Priority>('user', 'background');
const delay = fc.oneof(
  fc.integer({ min: -5, max: 50 }),
  fc.integer({ min: 51, max: 100_000 }),
  fc.constantFrom(2 ** 31 - 1, 2 ** 31, 2 ** 32 + 7, 5 * 2 ** 31),
);

const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('add' as const), key, priority }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('add later' as const), key, priority, ms: delay }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('fail' as const),
      key,
      priority,
      failure: fc.constantFrom<FailureKind>('internal', 'external'),
      atLeastMs: fc.constantFrom(0, 0, 0, 70),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('forget' as const), key }) },
  { weight: 10, arbitrary: fc.constant({ kind: 'take' as const }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('done' as const), key }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('advance' as const),
      ms: fc.oneof(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 1000, max: 400_000 }), fc.constant(2 ** 33)),
    }),
  },
);

function must(holds: boolean, invariant: string): void {
  if (!holds) throw new Error(`broken: ${invariant}`);
}

const STEPS = 200;
const RUNS = Number(process.env['SLUICE_FUZZ_RUNS'] ?? 1000);

test('R15 R16: every history of operations leaves the queue as the model has it', () => {
  const seed = Date.now();
  process.stderr.write(`queue model: seed ${seed}\n`);
  let operations = 0;
  fc.assert(
    fc.property(
      fc.array(step, { minLength: STEPS / 2, maxLength: STEPS, size: 'max' }),
      fc.option(fc.nat(STEPS), { freq: 5 }),
      (steps, closeAt) => {
        const clock = createVirtualClock(0);
        const model = new QueueModel();
        let told = false;
        let depthThen = 0;
        const queue = createWorkQueue({ name: 'm', clock, random: () => 0, onReady: () => (told = true) });
        steps.forEach((one, at) => {
          operations++;
          if (at === closeAt) {
            queue.shutDown();
            model.shutDown();
          }
          switch (one.kind) {
            case 'add':
              queue.add(one.key, one.priority);
              model.add(one.key, one.priority);
              break;
            case 'add later':
              queue.addAfter(one.key, one.ms, one.priority);
              model.addAfter(one.key, one.ms, one.priority);
              break;
            case 'fail': {
              if (model.closed) break;
              const expected = Math.max(one.atLeastMs, model.fail(one.key, one.failure));
              must(queue.addFailed(one.key, one.failure, one) === expected, 'the back-off');
              model.addAfter(one.key, expected, one.priority);
              break;
            }
            case 'forget':
              queue.forget(one.key);
              model.failed.delete(one.key);
              break;
            case 'take':
              must(queue.take() === model.take(), 'what is handed out');
              break;
            case 'done':
              queue.done(one.key);
              model.done(one.key);
              break;
            case 'advance': {
              // while something is in process it is looked at every five seconds: months would take a while
              const ms = model.working.size > 0 ? Math.min(one.ms, 60_000) : one.ms;
              clock.advance(ms);
              model.advance(ms);
              break;
            }
            default:
              one satisfies never;
          }
          must(queue.depth === model.waiting.length, 'what waits');
          must(queue.processing === model.working.size, 'what is in process');
          for (const name of KEYS) {
            const counts = model.failed.get(name);
            must(queue.failures(name) === (counts?.internal ?? 0) + (counts?.external ?? 0), 'failures');
          }
          // one for the delays, one that looks at what runs long
          must(clock.timers <= 2, 'few timers');
          must(told || queue.depth <= depthThen, 'says when a key becomes available');
          depthThen = queue.depth;
          told = false;
        });
      },
    ),
    { numRuns: RUNS, seed },
  );
  process.stderr.write(`queue model: ${operations} operations\n`);
  expect(operations).toBeGreaterThan(RUNS * 100);
});

function makeQueue(random = (): number => 0) {
  const clock = createVirtualClock();
  const metrics = createCountingMetrics();
  let told = 0;
  const queue = createWorkQueue({ name: 'q', clock, random, metrics, onReady: () => told++ });
  return { clock, metrics, queue, told: () => told };
}

test('a key that is in process is held and released by done, never handed out twice', () => {
  const { queue } = makeQueue();
  queue.add('x');
  expect(queue.take()).toBe('x');
  queue.add('x', 'background');
  queue.add('x', 'user');
  expect(queue.depth).toBe(0);
  expect(queue.take()).toBeUndefined();
  queue.done('x');
  expect(queue.take()).toBe('x');
  expect(queue.priorityOf('x')).toBe('user');
});

test('says that something is there whenever a key becomes available', () => {
  const { queue, clock, told } = makeQueue();
  queue.add('x');
  expect(told()).toBe(1);
  queue.take();
  queue.add('x');
  expect(told()).toBe(1);
  queue.done('x');
  expect(told()).toBe(2);
  queue.addAfter('y', 10);
  expect(told()).toBe(2);
  clock.advance(10);
  expect(told()).toBe(3);
});

test('R16: a change by a user passes ten thousand keys of an initial list', () => {
  const { queue } = makeQueue();
  for (let i = 0; i < 10_000; i++) queue.add(`ns/${i}`, 'background');
  queue.add('ns/5000', 'user');
  queue.add('ns/new', 'user');
  expect([queue.take(), queue.take(), queue.take()]).toEqual(['ns/5000', 'ns/new', 'ns/0']);
});

test.each([
  ['internal' as const, [5, 10, 20, 40], 1_000_000],
  ['external' as const, [1000, 2000, 4000, 8000], 300_000],
])('R15: %s failures wait %p and so on, at most %d ms, and forget starts anew', (kind, first, maxMs) => {
  const { queue } = makeQueue();
  expect(first.map(() => queue.addFailed('x', kind))).toEqual(first);
  for (let i = 0; i < 2000; i++) queue.addFailed('x', kind);
  expect(queue.addFailed('x', kind)).toBe(maxMs);
  queue.forget('x');
  expect(queue.addFailed('x', kind)).toBe(first[0]);
});

test('a back-off is shortened at random, by at most a tenth', () => {
  const { queue } = makeQueue(() => 0.999);
  const delayMs = queue.addFailed('x', 'external');
  expect(delayMs).toBeGreaterThan(899);
  expect(delayMs).toBeLessThan(1000);
});

test('R15: a delay beyond what one timer can hold is armed again until it is over', () => {
  const { queue, clock } = makeQueue();
  const ms = 3 * 2 ** 31 + 5;
  queue.addAfter('x', ms);
  clock.advance(ms - 1);
  expect(queue.take()).toBeUndefined();
  clock.advance(1);
  expect(queue.take()).toBe('x');
});

test('ten thousand delays are one timer and come in the order in which they are due', () => {
  const { queue, clock } = makeQueue();
  const due = new Map<string, number>();
  for (let i = 0; i < 10_000; i++) {
    const ms = 1 + ((i * 7919) % 10_007);
    due.set(`k${i}`, ms);
    queue.addAfter(`k${i}`, ms);
  }
  expect(clock.timers).toBe(1);
  clock.advance(20_000);
  const order = Array.from({ length: 10_000 }, () => due.get(queue.take() ?? '') ?? NaN);
  expect(order).toEqual(order.toSorted((a, b) => a - b));
});

test('a key that is moved forward again and again does not fill the heap', () => {
  const { queue, clock } = makeQueue();
  for (let ms = 200_000; ms > 0; ms--) queue.addAfter('x', ms);
  clock.advance(1);
  expect(queue.take()).toBe('x');
  queue.done('x');
  clock.advance(300_000);
  expect(queue.take()).toBeUndefined();
});

test('drain drops what waits and waits for what runs', async () => {
  const { queue, clock } = makeQueue();
  for (const name of ['x', 'y', 'z']) queue.add(name);
  queue.addAfter('later', 5);
  queue.take();
  queue.take();
  let drained = false;
  const end = queue.drain().then(() => (drained = true));
  queue.add('x');
  queue.done('x');
  await clock.settle(10);
  expect(drained).toBe(false);
  queue.done('y');
  await end;
  expect(queue.take()).toBeUndefined();
  expect(queue.depth).toBe(0);
  expect(clock.timers).toBe(0);
});

test('counts what dashboards for controller-runtime show', () => {
  const { queue, clock, metrics } = makeQueue();
  const labels = { name: 'q' };
  queue.add('x');
  queue.add('x');
  queue.add('y');
  expect(metrics.value('workqueue_depth', labels)).toBe(2);
  expect(metrics.value('workqueue_adds_total', labels)).toBe(2);
  queue.take();
  expect(metrics.value('workqueue_queue_duration_seconds', labels)).toBe(1);
  clock.advance(12_000);
  expect(metrics.value('workqueue_longest_running_processor_seconds', labels)).toBe(10);
  queue.done('x');
  expect(metrics.value('workqueue_work_duration_seconds', labels)).toBe(1);
  queue.addFailed('x', 'internal');
  expect(metrics.value('workqueue_retries_total', labels)).toBe(1);
  clock.advance(5000);
  expect(metrics.value('workqueue_longest_running_processor_seconds', labels)).toBe(0);
});
