// First in, first out, each key once, and any key can leave from the middle.

export interface Fifo {
  /** At the end, unless it is there. */
  add(key: string): void;
  delete(key: string): boolean;
  take(): string | undefined;
  clear(): void;
  readonly size: number;
}

/**
 * A Set keeps the order of insertion. Its iterator is kept over calls: a new one for each `take` would step over
 * everything that was taken before and is not yet swept, which makes emptying a long queue quadratic.
 */
export function createFifo(): Fifo {
  const keys = new Set<string>();
  let cursor = keys.values();
  return {
    add(key) {
      keys.add(key);
    },
    delete: (key) => keys.delete(key),
    take() {
      let next = cursor.next();
      if (next.done === true && keys.size > 0) {
        // an iterator that has once come to its end stays there
        cursor = keys.values();
        next = cursor.next();
      }
      if (next.done === true) return undefined;
      keys.delete(next.value);
      return next.value;
    },
    clear() {
      keys.clear();
    },
    get size() {
      return keys.size;
    },
  };
}
