import { expect, test } from '@jest/globals';
import { createStore } from '../../src/kube/store.ts';
import type { KubeObject } from '../../src/kube/types.ts';
import { unionStore } from '../../src/kube/union-store.ts';

const object = (namespace: string, name: string): KubeObject => ({
  metadata: { namespace, name, uid: `${namespace}/${name}`, resourceVersion: '1' },
});
const open = () => createStore<KubeObject>({ indexes: { name: ({ metadata }) => [metadata.name] } });

test('R8 stores of several namespaces read as one', async () => {
  const [a, b] = [open(), open()];
  const union = unionStore<KubeObject>([a, b]);
  const seen: (string | undefined)[] = [];
  const end = union.onChange(({ after }) => seen.push(after?.metadata.namespace));
  a.replace().commit();
  expect(union.hasSynced).toBe(false);
  b.replace().commit();
  await union.synced;
  expect(union.hasSynced).toBe(true);
  a.set(object('a', 'x'));
  b.set(object('b', 'x'));
  expect(union.get('b', 'x')?.metadata.uid).toBe('b/x');
  expect(union.get('c', 'x')).toBeUndefined();
  expect([union.size, [...union.all()].length, union.by('name', 'x').length]).toEqual([2, 2, 2]);
  end();
  a.set(object('a', 'y'));
  expect(seen).toEqual(['a', 'b']);
});

test('one store is itself', () => {
  const one = open();
  expect(unionStore<KubeObject>([one])).toBe(one);
});
