// Several stores of one kind, a namespace each, read as one: where a list over all namespaces is not allowed (R8).
import type { KubeObject, Store } from './types.ts';

/** A single store is given back as it is. Namespaces of the stores do not overlap. */
export function unionStore<T extends KubeObject>(stores: readonly Store<T>[]): Store<T> {
  const [only] = stores;
  if (only !== undefined && stores.length === 1) return only;
  return {
    get hasSynced() {
      return stores.every(({ hasSynced }) => hasSynced);
    },
    synced: Promise.all(stores.map(({ synced }) => synced)).then(() => undefined),
    get(namespace, name) {
      for (const store of stores) {
        const found = store.get(namespace, name);
        if (found !== undefined) return found;
      }
      return undefined;
    },
    *all() {
      for (const store of stores) yield* store.all();
    },
    get size() {
      return stores.reduce((sum, { size }) => sum + size, 0);
    },
    by: (index, value) => stores.flatMap((store) => store.by(index, value)),
    onChange(listener) {
      const ends = stores.map((store) => store.onChange(listener));
      return () => ends.forEach((end) => end());
    },
  };
}
