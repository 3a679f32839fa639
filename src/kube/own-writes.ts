// Reading one's own writes (R12): after a write the store is behind until the watch has brought it. Who decides on what the store
// still has makes a child twice, or takes back a status.
import type { Clock } from './timers.ts';
import type { KubeObject, Store } from './types.ts';
import { keyOf } from './store.ts';

export interface OwnWrites {
  /** What the API server answered to a create, an update or an apply. */
  wrote(object: KubeObject): void;
  /**
   * True once the store has what was written of this object, at once where nothing was. False after `waitMs`: then read live;
   * nothing is waited for a second time.
   */
  settled(namespace: string | undefined, name: string, signal?: AbortSignal): Promise<boolean>;
  /** Listens to the store no more; who waits goes on, to read live. */
  stop(): void;
}

interface Pending {
  readonly version: string;
  readonly uid: string | undefined;
  readonly waiting: Set<Waiting>;
}

interface Waiting {
  readonly come: () => void;
  readonly giveUp: () => void;
}

const WAIT_MS = 2000;

/** Versions are compared for equality only: another's write after ours brings ours first, since a watch leaves none out. */
export function trackOwnWrites<T extends KubeObject>(store: Store<T>, clock: Clock, waitMs = WAIT_MS): OwnWrites {
  /** Version that was written and the store has not had yet, with those who wait for it. */
  const pending = new Map<string, Pending>();

  const settle = (key: string): void => {
    const entry = pending.get(key);
    pending.delete(key);
    for (const { come } of entry?.waiting ?? []) come();
  };

  const unsubscribe = store.onChange(({ before, after }) => {
    const object = after ?? before;
    if (object === undefined) return;
    const key = keyOf(object.metadata.namespace, object.metadata.name);
    const entry = pending.get(key);
    if (entry === undefined) return;
    // the very object that was written is gone: that came after what was written
    const isGone = after === undefined && object.metadata.uid === entry.uid;
    if (isGone || after?.metadata.resourceVersion === entry.version) settle(key);
  });

  return {
    wrote: ({ metadata }) => {
      const { namespace, name, uid, resourceVersion } = metadata;
      const key = keyOf(namespace, name);
      // a write that changed nothing has the version that the store may have already
      if (resourceVersion === undefined || store.get(namespace, name)?.metadata.resourceVersion === resourceVersion) {
        settle(key);
        return;
      }
      const waiting = pending.get(key)?.waiting ?? new Set<Waiting>();
      pending.set(key, { version: resourceVersion, uid, waiting });
    },
    settled: async (namespace, name, signal) => {
      const key = keyOf(namespace, name);
      const entry = pending.get(key);
      if (entry === undefined) return true;
      const { promise, resolve } = Promise.withResolvers<boolean>();
      const giveUp = (): void => resolve(false);
      const waiting = { come: () => resolve(true), giveUp };
      entry.waiting.add(waiting);
      const cancel = clock.after(waitMs, () => {
        if (pending.get(key) === entry) pending.delete(key);
        giveUp();
      });
      signal?.addEventListener('abort', giveUp, { once: true });
      if (signal?.aborted === true) giveUp();
      try {
        return await promise;
      } finally {
        cancel();
        entry.waiting.delete(waiting);
        signal?.removeEventListener('abort', giveUp);
      }
    },
    stop: () => {
      unsubscribe();
      for (const { waiting } of pending.values()) for (const { giveUp } of waiting) giveUp();
      pending.clear();
    },
  };
}
