// What a status is written over; a leader that was halted with writes under way: test/operator/leaders.test.ts.
import { expect, test } from '@jest/globals';
import { trackStatusVersions } from '../../src/controllers/status-versions.ts';
import { createStore } from '../../src/kube/store.ts';
import { ApiError, type KubeObject } from '../../src/kube/types.ts';

const object = (resourceVersion: string, uid = 'u'): KubeObject => ({
  apiVersion: 'v1',
  kind: 'K',
  metadata: { name: 'a', namespace: 'n', uid, resourceVersion },
});

/** An API server with one object, which the store has in version 5. */
function world() {
  const store = createStore<KubeObject>();
  store.set(object('5'));
  const versions = trackStatusVersions(store);
  let current = 5;
  const asked: (string | undefined)[] = [];
  return {
    store,
    asked,
    /** Somebody else writes. */
    change: () => (current += 1),
    write: () =>
      versions.writing('n', 'a', async ({ resourceVersion }) => {
        asked.push(resourceVersion);
        if (resourceVersion !== String(current)) throw new ApiError(409, 'Conflict', 'the object has been modified');
        current += 1;
        return object(String(current));
      }),
    versions,
  };
}

test('a status is for the version that the store has, or for that of our own write which the watch has not brought', async () => {
  const { store, asked, write, change } = world();
  await write();
  await write();
  expect(asked).toEqual(['5', '6']);
  store.set(object('6'));
  await write();
  store.set(object('8'));
  change();
  store.set(object('9'));
  await write();
  expect(asked).toEqual(['5', '6', '7', '9']);
});

test('what another wrote meanwhile is not written over: it waits for the watch and tries again', async () => {
  const { store, asked, write, change } = world();
  change();
  const writing = write();
  await new Promise(setImmediate);
  expect(asked).toEqual(['5']);
  store.set(object('6'));
  expect(await writing).toMatchObject({ metadata: { resourceVersion: '7' } });
  expect(asked).toEqual(['5', '6']);
});

test('a conflict that no newer version explains is an error, at once where nobody listens any more', async () => {
  const { asked, write, change, versions } = world();
  change();
  versions.stop();
  await expect(write()).rejects.toMatchObject({ status: 409 });
  expect(asked).toEqual(['5']);
});

test('who waits for a newer version goes on when the end comes', async () => {
  const { write, change, versions } = world();
  change();
  const writing = write();
  await new Promise(setImmediate);
  versions.stop();
  await expect(writing).rejects.toMatchObject({ status: 409 });
});

test('an object that is gone is not written; any other failure is passed on', async () => {
  const { store, versions, write, asked } = world();
  await expect(versions.writing('n', 'a', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  store.remove(object('5'));
  expect(await write()).toBeUndefined();
  expect(asked).toEqual([]);
});
