// From changes in a store to the keys that are to be reconciled (R14, R19, R21). A change only says that something is different;
// what, the reconcile reads from the store.
import type { Priority } from './queue.ts';
import { keyOf } from './store.ts';
import type { KubeObject, Store, StoreChange } from './types.ts';

export interface Source {
  readonly synced: Promise<void>;
  /** The keys of everything that is there. */
  keys(): Iterable<string>;
  onKey(enqueue: (key: string, priority: Priority) => void): void;
}

export interface StoreSourceOptions<T extends KubeObject> {
  /** Whose reconcile reads this object; of an object that changed, those of before and those of now. Default: its own key. */
  readonly keysOf?: (object: T) => Iterable<string>;
  /** Of changes of an object that was there and is there; default: all. See `hasChanged`. */
  readonly matters?: (before: T, after: T) => boolean;
}

/** `namespace/name`, as in the store. */
export const objectKey = ({ metadata }: KubeObject): string => keyOf(metadata.namespace, metadata.name);

/** What `objectKey` made. Cluster-scoped objects have no namespace. */
export function splitKey(key: string): { readonly namespace: string | undefined; readonly name: string } {
  const slash = key.indexOf('/');
  return { namespace: slash <= 0 ? undefined : key.slice(0, slash), name: key.slice(slash + 1) };
}

/** Objects of a first list are nobody's change: they wait behind those who do (R16). */
export function storeSource<T extends KubeObject>(store: Store<T>, options: StoreSourceOptions<T> = {}): Source {
  const keysOf = options.keysOf ?? ((object: T) => [objectKey(object)]);
  const matters = options.matters ?? (() => true);

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
      store.onChange((change) => {
        const { before, after, isInitial } = change;
        if (before !== undefined && after !== undefined && !matters(before, after)) return;
        const priority = isInitial ? 'background' : 'user';
        for (const key of affected(change)) enqueue(key, priority);
      });
    },
  };
}

export interface WatchedMetadata {
  /** Labels and annotations that the reconcile reads. */
  readonly labels?: readonly string[];
  readonly annotations?: readonly string[];
}

const differ = (
  keys: readonly string[],
  one: Readonly<Record<string, string>> = {},
  other: Readonly<Record<string, string>> = {},
): boolean => keys.some((key) => one[key] !== other[key]);

/**
 * Whether a user's change of an object of our own kinds matters (R19): a new generation (spec), uid (the name was reused),
 * deletionTimestamp, or one of the labels and annotations that are read. Statuses and managedFields do not. Not for built-in
 * kinds, whose generation means other things.
 */
export function hasChanged({ labels = [], annotations = [] }: WatchedMetadata = {}): (
  before: KubeObject,
  after: KubeObject,
) => boolean {
  return ({ metadata: before }, { metadata: after }) =>
    before.generation !== after.generation ||
    before.uid !== after.uid ||
    before.deletionTimestamp !== after.deletionTimestamp ||
    differ(labels, before.labels, after.labels) ||
    differ(annotations, before.annotations, after.annotations);
}
