// Who waits for a slot, by namespace: each namespace that has somebody waiting gets its turn, so that one with a thousand
// scripts does not hold up one with two. First come, first served within a namespace (operator.md S11).

export interface FairQueue<T> {
  readonly size: number;
  put(group: string, item: T): void;
  /** The next in turn. */
  take(): T | undefined;
  remove(group: string, item: T): void;
}

export function createFairQueue<T>(): FairQueue<T> {
  // A Map is also the order of turns: the group that was served goes to its end. A Set is a queue that one can leave.
  const groups = new Map<string, Set<T>>();
  let size = 0;
  return {
    get size() {
      return size;
    },
    put(group, item) {
      let waiting = groups.get(group);
      if (waiting === undefined) groups.set(group, (waiting = new Set()));
      size += waiting.has(item) ? 0 : 1;
      waiting.add(item);
    },
    take() {
      for (const [group, waiting] of groups) {
        groups.delete(group);
        for (const item of waiting) {
          waiting.delete(item);
          size -= 1;
          if (waiting.size > 0) groups.set(group, waiting);
          return item;
        }
      }
      return undefined;
    },
    remove(group, item) {
      const waiting = groups.get(group);
      if (waiting?.delete(item) !== true) return;
      size -= 1;
      if (waiting.size === 0) groups.delete(group);
    },
  };
}
