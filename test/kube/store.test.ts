// R10, R11, R13: the store against a model of it; own writes (R12).
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { trackOwnWrites } from '../../src/kube/own-writes.ts';
import { createStore } from '../../src/kube/store.ts';
import type { KubeObject, StoreChange } from '../../src/kube/types.ts';
import { createVirtualClock } from './virtual-clock.ts';

const numRuns = Number(process.env['SLUICE_FUZZ_RUNS'] ?? 300);

interface Thing extends KubeObject {
  readonly tags: readonly string[];
}
const thing = (name: string, uid: string, version: string, tags: readonly string[] = []): Thing => ({
  metadata: { namespace: 'n', name, uid, resourceVersion: version },
  tags,
});
const indexes = { tag: (object: Thing) => object.tags };

type Step =
  | { readonly do: 'set'; readonly object: Thing }
  | { readonly do: 'remove'; readonly object: Thing }
  | { readonly do: 'replace'; readonly objects: readonly Thing[] };
const someThing = fc
  .record({
    name: fc.constantFrom('a', 'b', 'c', 'd'),
    uid: fc.constantFrom('1', '2'),
    version: fc.nat(5).map(String),
    tags: fc.uniqueArray(fc.constantFrom('x', 'y', 'z')),
  })
  .map(({ name, uid, version, tags }) => thing(name, uid, version, tags));
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('set' as const), object: someThing }),
  fc.record({ do: fc.constant('remove' as const), object: someThing }),
  fc.record({
    do: fc.constant('replace' as const),
    objects: fc.uniqueArray(someThing, { selector: ({ metadata }) => metadata.name, maxLength: 4 }),
  }),
);

test('R10, R13: contents, indexes and changes agree with a plain map, and the changes alone rebuild it', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const store = createStore<Thing>({ indexes, freeze: true });
      const model = new Map<string, Thing>();
      const rebuilt = new Map<string, Thing>();
      store.onChange(({ before, after }) => {
        // a change of uid is never told as a change of one object
        if (before !== undefined && after !== undefined) expect(after.metadata.uid).toBe(before.metadata.uid);
        const name = (after ?? before)?.metadata.name ?? '';
        expect(rebuilt.get(name)).toEqual(before);
        if (after === undefined) rebuilt.delete(name);
        else rebuilt.set(name, after);
      });
      for (const action of steps) {
        if (action.do === 'set') {
          store.set(action.object);
          model.set(action.object.metadata.name, action.object);
        } else if (action.do === 'remove') {
          store.remove(action.object);
          const known = model.get(action.object.metadata.name);
          if (known?.metadata.uid === action.object.metadata.uid) model.delete(action.object.metadata.name);
        } else {
          const next = store.replace();
          for (const object of action.objects) next.add(object);
          next.commit();
          for (const name of model.keys()) {
            if (!action.objects.some(({ metadata }) => metadata.name === name)) model.delete(name);
          }
          for (const object of action.objects) {
            const known = model.get(object.metadata.name)?.metadata;
            // one version of one object has one content
            const same =
              known?.uid === object.metadata.uid && known?.resourceVersion === object.metadata.resourceVersion;
            if (!same) model.set(object.metadata.name, object);
          }
        }
        const byName = (things: Iterable<Thing>): Thing[] =>
          [...things].sort((a, b) => a.metadata.name.localeCompare(b.metadata.name));
        expect(byName(store.all())).toEqual(byName(model.values()));
        expect(byName(rebuilt.values())).toEqual(byName(model.values()));
        expect(store.size).toBe(model.size);
        for (const tag of ['x', 'y', 'z']) {
          expect(byName(store.by('tag', tag))).toEqual(
            byName([...model.values()].filter(({ tags }) => tags.includes(tag))),
          );
        }
      }
    }),
    { numRuns },
  );
});

describe('a store', () => {
  test('R11: has synced with the first whole list, also an empty one, and not before', async () => {
    const store = createStore<Thing>();
    let resolved = false;
    const waited = store.synced.then(() => (resolved = true));
    const next = store.replace();
    next.add(thing('a', '1', '1'));
    await Promise.resolve();
    expect([store.hasSynced, resolved, store.size]).toEqual([false, false, 0]);
    createStore<Thing>().replace().commit();
    next.commit();
    await waited;
    expect([store.hasSynced, store.size]).toEqual([true, 1]);
  });

  test('R13: a name that comes back with another uid is a deletion and an addition', () => {
    const store = createStore<Thing>();
    const told: StoreChange<Thing>[] = [];
    store.onChange((change) => told.push(change));
    const [first, second, third] = [thing('a', '1', '1'), thing('a', '2', '2'), thing('a', '3', '3')];
    store.set(first);
    store.set(second);
    const list = store.replace();
    list.add(third);
    list.commit();
    expect(told).toEqual([
      { before: undefined, after: first, isInitial: false },
      { before: first, after: undefined, isInitial: false },
      { before: undefined, after: second, isInitial: false },
      { before: second, after: undefined, isInitial: true },
      { before: undefined, after: third, isInitial: true },
    ]);
  });

  test('a list with the versions that are known tells nothing and keeps the objects', () => {
    const store = createStore<Thing>();
    const first = thing('a', '1', '1');
    store.set(first);
    let told = 0;
    store.onChange(() => told++);
    const list = store.replace();
    list.add(thing('a', '1', '1'));
    list.commit();
    expect([told, store.get('n', 'a') === first]).toEqual([0, true]);
  });

  test('every change is told after the store has it, all of a list included', () => {
    const store = createStore<Thing>();
    const sizes: number[] = [];
    store.onChange(() => sizes.push(store.size));
    const list = store.replace();
    for (const name of ['a', 'b', 'c']) list.add(thing(name, '1', '1'));
    list.commit();
    expect(sizes).toEqual([3, 3, 3]);
  });

  test('frozen objects refuse a write, and an index that is not there is an error', () => {
    const store = createStore<Thing>({ indexes, freeze: true });
    const object = thing('a', '1', '1', ['x']);
    store.set(object);
    expect(() => (object.tags as string[]).push('y')).toThrow(TypeError);
    expect(() => store.by('tags', 'x')).toThrow('no index "tags"');
  });
});

test('R14: who listens is told until he ends it, and twice where he listens twice', () => {
  const store = createStore<Thing>();
  const told: string[] = [];
  const listener = ({ after }: { readonly after: Thing | undefined }): void =>
    void told.push(after?.metadata.name ?? '');
  const [first, second] = [store.onChange(listener), store.onChange(listener)];
  store.set(thing('a', '1', '1'));
  first();
  first();
  store.set(thing('b', '1', '1'));
  second();
  store.set(thing('c', '1', '1'));
  expect(told).toEqual(['a', 'a', 'b']);
});

describe('own writes', () => {
  const made = () => {
    const clock = createVirtualClock();
    const store = createStore<Thing>();
    store.set(thing('a', '1', '1'));
    return { clock, store, writes: trackOwnWrites(store, clock) };
  };

  test('R12: what was written is waited for until the watch brings it, others are not', async () => {
    const { clock, store, writes } = made();
    writes.wrote(thing('a', '1', '5'));
    const settled = writes.settled('n', 'a');
    expect(await writes.settled('n', 'other')).toBe(true);
    store.set(thing('a', '1', '3'));
    await clock.settle(1999);
    store.set(thing('a', '1', '5'));
    expect(await settled).toBe(true);
    expect(await writes.settled('n', 'a')).toBe(true);
    expect(clock.timers).toBe(0);
  });

  test('R12: after 2 s it says so, once', async () => {
    const { clock, writes } = made();
    writes.wrote(thing('a', '1', '5'));
    const settled = writes.settled('n', 'a');
    await clock.settle(2000);
    expect(await settled).toBe(false);
    expect(await writes.settled('n', 'a')).toBe(true);
  });

  test('R12: the store may be there first, and a write that changed nothing is not waited for', async () => {
    const { store, writes } = made();
    store.set(thing('a', '1', '5'));
    writes.wrote(thing('a', '1', '5'));
    expect(await writes.settled('n', 'a')).toBe(true);
  });

  test('R12: the object that was written is gone: nothing to wait for; another of its name going says nothing', async () => {
    const { clock, store, writes } = made();
    writes.wrote(thing('a', '2', '5'));
    let isSettled = false;
    const settled = writes.settled('n', 'a').finally(() => (isSettled = true));
    store.remove(thing('a', '1', '2'));
    await clock.settle(1000);
    expect(isSettled).toBe(false);
    store.set(thing('a', '2', '5'));
    expect(await settled).toBe(true);
    writes.wrote(thing('a', '2', '9'));
    const second = writes.settled('n', 'a');
    store.remove(thing('a', '2', '10'));
    expect(await second).toBe(true);
  });

  test('R12: after the end nothing of the store comes, and who waits reads live', async () => {
    const { clock, store, writes } = made();
    writes.wrote(thing('a', '1', '5'));
    const settled = writes.settled('n', 'a');
    writes.stop();
    expect(await settled).toBe(false);
    writes.wrote(thing('a', '1', '6'));
    store.set(thing('a', '1', '6'));
    const deaf = writes.settled('n', 'a');
    await clock.settle(2000);
    expect([await deaf, clock.timers]).toEqual([false, 0]);
  });

  test('R12: who stops waiting gets false', async () => {
    const { clock, writes } = made();
    writes.wrote(thing('a', '1', '5'));
    const stop = new AbortController();
    const settled = writes.settled('n', 'a', stop.signal);
    stop.abort();
    expect(await settled).toBe(false);
    expect(clock.timers).toBe(0);
  });
});
