import { expect, test } from '@jest/globals';
import type { KeyValuesFound } from '../../src/controllers/otelplugin/resolve.ts';
import { createReferences, type Follow } from '../../src/controllers/references.ts';

function bench() {
  const live = new Map<string, { values: KeyValuesFound; onChange: () => void }>();
  const follow: Follow = (kind, namespace, name, onChange) => {
    const key = `${kind}/${namespace}/${name}`;
    if (live.has(key)) throw new Error(`${key} is followed already`);
    const entry = { values: 'pending' as KeyValuesFound, onChange };
    live.set(key, entry);
    return { current: () => entry.values, stop: () => void live.delete(key) };
  };
  const told: string[] = [];
  const references = createReferences(follow, (user) => told.push(user));
  return { live, told, references };
}

const values = new Map([['token', new Uint8Array([1])]]);

test('X8 one watch an object, however many name it, and none once nobody does', () => {
  const { live, references } = bench();
  const a = references.use('a', 'shop', { secrets: ['x', 'y'], configMaps: ['x'] });
  references.use('b', 'shop', { secrets: ['x'], configMaps: [] });
  expect([...live.keys()].sort()).toEqual(['ConfigMap/shop/x', 'Secret/shop/x', 'Secret/shop/y']);
  expect(a('Secret', 'x')).toBe('pending');
  references.use('a', 'shop', { secrets: ['y'], configMaps: [] });
  expect([...live.keys()].sort()).toEqual(['Secret/shop/x', 'Secret/shop/y']);
  references.release('b');
  references.release('a');
  expect([live.size, references.size]).toEqual([0, 0]);
});

test('whoever names an object is told when its values change, and sees the new ones', () => {
  const { live, told, references } = bench();
  const lookup = references.use('a', 'shop', { secrets: ['x'], configMaps: [] });
  references.use('b', 'shop', { secrets: ['x'], configMaps: [] });
  const entry = live.get('Secret/shop/x');
  if (entry === undefined) throw new Error('x is not followed');
  entry.values = values;
  entry.onChange();
  expect(told).toEqual(['a', 'b']);
  expect(lookup('Secret', 'x')).toBe(values);
});

test('the same name in another namespace is another object, and what is not named is not seen', () => {
  const { live, references } = bench();
  references.use('a', 'one', { secrets: ['x'], configMaps: [] });
  const other = references.use('b', 'two', { secrets: [], configMaps: [] });
  expect(live.has('Secret/two/x')).toBe(false);
  expect(other('Secret', 'x')).toBe('absent');
});
