// Who may run when: runs of one script one after the other, and only so many runs at once in all.

/** At most `size` at once; others wait in the order they came. */
export interface Slots {
  /** Resolves with the function that gives the place back; rejects when `signal` aborts first. */
  take(signal: AbortSignal): Promise<() => void>;
  readonly waiting: number;
}

export function createSlots(size: number): Slots {
  let free = size;
  const queue: (() => void)[] = [];
  const release = (): void => {
    const next = queue.shift();
    if (next === undefined) free += 1;
    else next();
  };
  const once = (): (() => void) => {
    let held = true;
    return () => {
      if (held) release();
      held = false;
    };
  };
  return {
    get waiting() {
      return queue.length;
    },
    take(signal) {
      signal.throwIfAborted();
      if (free > 0) {
        free -= 1;
        return Promise.resolve(once());
      }
      return new Promise((resolve, reject) => {
        const enter = (): void => {
          signal.removeEventListener('abort', leave);
          resolve(once());
        };
        const leave = (): void => {
          const at = queue.indexOf(enter);
          if (at >= 0) queue.splice(at, 1);
          reject(signal.reason instanceof Error ? signal.reason : new Error('cancelled'));
        };
        queue.push(enter);
        signal.addEventListener('abort', leave, { once: true });
      });
    },
  };
}

/** Runs `work` after all earlier work of the same key. */
export type Lanes = <T>(key: string, work: () => Promise<T>) => Promise<T>;

export function createLanes(): Lanes {
  const tails = new Map<string, Promise<unknown>>();
  return (key, work) => {
    const before = tails.get(key) ?? Promise.resolve();
    const result = before.then(work);
    const settled = async (): Promise<void> => {
      await Promise.allSettled([result]);
      if (tails.get(key) === tail) tails.delete(key);
    };
    const tail: Promise<void> = settled();
    tails.set(key, tail);
    return result;
  };
}
