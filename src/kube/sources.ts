// From changes in a store to the keys that are to be reconciled (R14, R21). A change only says that something is different;
// what, the reconcile reads from the store.
import type { Priority } from './queue.ts';
import { keyOf } from './store.ts';
import type { KubeObject, Store, StoreChange } from './types.ts';

export interface Source {
  readonly synced: Promise<void>;
  /** The keys of everything that is there. */
  keys(): Iterable<string>;
  /** Until what is answered is called. */
  onKey(enqueue: (key: string, priority: Priority) => void): () => void;
}

export interface StoreSourceOptions<T extends KubeObject> {
  /** Whose reconcile reads this object; of an object that changed, those of before and those of now. Default: its own key. */
  readonly keysOf?: (object: T) => Iterable<string>;
}

/** `namespace/name`, as in the store. */
export const objectKey = ({ metadata }: KubeObject): string => keyOf(metadata.namespace, metadata.name);

/** Objects of a first list are nobody's change: they wait behind those who do (R16). */
export function storeSource<T extends KubeObject>(store: Store<T>, options: StoreSourceOptions<T> = {}): Source {
  const keysOf = options.keysOf ?? ((object: T) => [objectKey(object)]);

  function* affected({ before, after }: StoreChange<T>): Iterable<string> {
    if (before !== undefined) yield* keysOf(before);
    if (after !== undefined) yield* keysOf(after);
  }

  return {
    synced: store.synced,
    *keys() {
      for (const object of store.all()) yield* keysOf(object);
    },
    onKey(enqueue) {
      return store.onChange((change) => {
        const priority = change.isInitial ? 'background' : 'user';
        for (const key of affected(change)) enqueue(key, priority);
      });
    },
  };
}
