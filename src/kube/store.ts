// A copy of all objects of a kind, with indexes (R10, R11, R13). The reflector writes, everybody else reads.
import type { KubeObject, Store, StoreChange } from './types.ts';

/** The values under which an object is found. */
export type Index<T> = (object: T) => readonly string[];

export interface StoreOptions<T> {
  readonly indexes?: Readonly<Record<string, Index<T>>>;
  /** What a listener or an index threw; the store goes on. */
  readonly onError?: (error: unknown) => void;
  /** Freezes what comes in, so that a test fails where someone writes to a shared object. */
  readonly freeze?: boolean;
}

/** What was listed so far; nobody sees it before `commit`. */
export interface Replacement<T> {
  add(object: T): void;
  /** This object was listed, but what is stored of it stays as it is. */
  keep(object: KubeObject): void;
  /** All at once: objects that were not listed are gone. Resolves `synced`. */
  commit(): void;
}

export interface WritableStore<T extends KubeObject> extends Store<T> {
  replace(): Replacement<T>;
  set(object: T): void;
  remove(object: KubeObject): void;
}

export const keyOf = (namespace: string | undefined, name: string): string => `${namespace ?? ''}/${name}`;

export function createStore<T extends KubeObject>(options: StoreOptions<T> = {}): WritableStore<T> {
  const indexes = Object.entries(options.indexes ?? {});
  const listeners = new Set<{ readonly call: (change: StoreChange<T>) => void }>();
  const found = new Map<string, Map<string, Map<string, T>>>(indexes.map(([name]) => [name, new Map()]));
  let objects = new Map<string, T>();
  let hasSynced = false;
  const { promise: synced, resolve } = Promise.withResolvers<void>();

  const keyOfObject = ({ metadata }: KubeObject): string => keyOf(metadata.namespace, metadata.name);

  const valuesOf = (index: Index<T>, object: T): readonly string[] => {
    try {
      return index(object);
    } catch (error) {
      options.onError?.(error);
      return [];
    }
  };
  const take = (object: T): T => (options.freeze === true ? deepFreeze(object) : object);

  const file = (key: string, before: T | undefined, after: T | undefined): void => {
    for (const [name, index] of indexes) {
      const values = found.get(name);
      if (before !== undefined) {
        for (const value of valuesOf(index, before)) {
          const under = values?.get(value);
          under?.delete(key);
          if (under?.size === 0) values?.delete(value);
        }
      }
      if (after === undefined) continue;
      for (const value of valuesOf(index, after)) {
        const under = values?.get(value);
        if (under === undefined) values?.set(value, new Map([[key, after]]));
        else under.set(key, after);
      }
    }
  };

  const tell = (before: T | undefined, after: T | undefined, isInitial: boolean): void => {
    for (const listener of listeners) {
      try {
        listener.call({ before, after, isInitial });
      } catch (error) {
        options.onError?.(error);
      }
    }
  };

  /** A name that came back with another uid is another object (R13). */
  const tellReplaced = (before: T | undefined, after: T, isInitial: boolean): void => {
    if (before !== undefined && before.metadata.uid !== after.metadata.uid) {
      tell(before, undefined, isInitial);
      tell(undefined, after, isInitial);
    } else tell(before, after, isInitial);
  };

  return {
    get hasSynced() {
      return hasSynced;
    },
    synced,
    get: (namespace, name) => objects.get(keyOf(namespace, name)),
    all: () => objects.values(),
    get size() {
      return objects.size;
    },
    by: (index, value) => {
      const values = found.get(index);
      if (values === undefined) throw new Error(`the store has no index ${JSON.stringify(index)}`);
      return [...(values.get(value)?.values() ?? [])];
    },
    onChange: (call) => {
      // a thing of its own, so that who listens twice is told twice
      const listener = { call };
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },

    set: (incoming) => {
      const object = take(incoming);
      const key = keyOfObject(object);
      const before = objects.get(key);
      objects.set(key, object);
      file(key, before, object);
      tellReplaced(before, object, false);
    },
    remove: (object) => {
      const key = keyOfObject(object);
      const before = objects.get(key);
      if (before === undefined || before.metadata.uid !== object.metadata.uid) return;
      objects.delete(key);
      file(key, before, undefined);
      tell(before, undefined, false);
    },
    replace: () => {
      const next = new Map<string, T>();
      return {
        add: (object) => {
          const key = keyOfObject(object);
          const known = objects.get(key);
          // the same version is the same object: nothing to tell, and no second copy
          const same =
            known !== undefined &&
            known.metadata.uid === object.metadata.uid &&
            known.metadata.resourceVersion === object.metadata.resourceVersion;
          next.set(key, same ? known : take(object));
        },
        keep: (object) => {
          const key = keyOfObject(object);
          const known = objects.get(key);
          if (known !== undefined) next.set(key, known);
        },
        commit: () => {
          const previous = objects;
          objects = next;
          const changes: [T | undefined, T | undefined][] = [];
          for (const [key, before] of previous) {
            if (next.has(key)) continue;
            file(key, before, undefined);
            changes.push([before, undefined]);
          }
          for (const [key, after] of next) {
            const before = previous.get(key);
            if (before === after) continue;
            file(key, before, after);
            changes.push([before, after]);
          }
          hasSynced = true;
          resolve();
          for (const [before, after] of changes) {
            if (after === undefined) tell(before, undefined, true);
            else tellReplaced(before, after, true);
          }
        },
      };
    },
  };
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const inner of Object.values(value)) deepFreeze(inner);
  return Object.freeze(value);
}
