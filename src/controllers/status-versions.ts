// Which version of an object a status is made for. Statuses go by server-side apply, which asks for none; but a leader that is
// halted with a write under way and goes on when another leads would take back what that one wrote (R29, S10). With the version
// the API server refuses it, and whoever leads tries again with the newer one.
import { keyOf } from '../kube/store.ts';
import { isConflict, type KubeObject, type Store } from '../kube/types.ts';

export interface StatusVersions {
  /**
   * Calls `write` with the newest version that is known of the object: the store's, or that of our own last write while the watch has
   * not brought it. After a conflict it is called again as soon as the store has another version, a few times. Rejects with what
   * `write` rejects with. Undefined: the object is not there.
   */
  writing<R extends KubeObject>(
    namespace: string,
    name: string,
    write: (metadata: KubeObject['metadata']) => Promise<R>,
  ): Promise<R | undefined>;
  /** Listens to the store no more; who waits for another version gets the conflict. */
  stop(): void;
}

const TRIES_MAX = 5;
const WAIT_MS = 1000;

/** Versions are decimal numbers that rise (KEP-5504). What is none is taken for older. */
function isNewer(a: string, than: string): boolean {
  const [first, second] = [a, than].map((version) => (/^\d+$/.test(version) ? BigInt(version) : -1n));
  return (first ?? -1n) > (second ?? -1n);
}

export function trackStatusVersions(store: Pick<Store<KubeObject>, 'get' | 'onChange'>): StatusVersions {
  /** Of our own writes that the store does not have. */
  const written = new Map<string, string>();
  const waiting = new Map<string, Set<() => void>>();
  let isStopped = false;

  const unsubscribe = store.onChange(({ before, after }) => {
    const { namespace, name } = (after ?? before)?.metadata ?? { name: '' };
    const key = keyOf(namespace, name);
    const own = written.get(key);
    if (own !== undefined && (after === undefined || !isNewer(own, after.metadata.resourceVersion ?? ''))) {
      written.delete(key);
    }
    for (const come of waiting.get(key) ?? []) come();
  });

  /** Until the store has something newer than `version`, for a while. Whether it has. */
  async function newer(namespace: string, name: string, version: string): Promise<boolean> {
    const key = keyOf(namespace, name);
    const has = (): boolean => {
      const there = store.get(namespace, name);
      return there === undefined || isNewer(there.metadata.resourceVersion ?? '', version);
    };
    if (has() || isStopped) return has();
    const { promise, resolve } = Promise.withResolvers<void>();
    const come = (): void => {
      if (isStopped || has()) resolve();
    };
    const timer = setTimeout(resolve, WAIT_MS);
    const those = waiting.get(key) ?? new Set();
    waiting.set(key, those.add(come));
    await promise;
    clearTimeout(timer);
    those.delete(come);
    if (those.size === 0) waiting.delete(key);
    return has();
  }

  return {
    async writing(namespace, name, write) {
      const key = keyOf(namespace, name);
      for (let tries = 1; ; tries += 1) {
        const object = store.get(namespace, name);
        if (object === undefined) return undefined;
        const { uid, resourceVersion: stored = '' } = object.metadata;
        const own = written.get(key) ?? '';
        const version = isNewer(own, stored) ? own : stored;
        try {
          // with its uid, so that another object of that name is not written into
          const answer = await write({
            name,
            namespace,
            ...(uid === undefined ? {} : { uid }),
            ...(version === '' ? {} : { resourceVersion: version }),
          });
          const now = answer.metadata.resourceVersion ?? '';
          const there = store.get(namespace, name)?.metadata.resourceVersion ?? '';
          if (!isStopped && isNewer(now, there)) written.set(key, now);
          return answer;
        } catch (error) {
          if (!isConflict(error) || tries === TRIES_MAX || !(await newer(namespace, name, version))) throw error;
        }
      }
    },
    stop() {
      isStopped = true;
      unsubscribe();
      written.clear();
      for (const those of waiting.values()) for (const come of those) come();
    },
  };
}
