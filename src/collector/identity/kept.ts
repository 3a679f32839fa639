// Objects by id and by keys that several may share (a name that comes again, an address that moves on), living ones and
// those that are gone, which stay for a while.

export interface KeptOptions<T> {
  readonly keptMs: number;
  /** Gone ones beyond this number go for good, the longest gone first. */
  readonly goneMax: number;
  readonly keysOf: (value: T) => readonly string[];
  /** It is there, but has done what it was for: others with the same key come first. */
  readonly isOver: (value: T) => boolean;
  /** The later one of two equals wins. */
  readonly startedAt: (value: T) => number;
}

export interface Kept<T> {
  /** Adds or replaces; what was gone lives again. `nowMs` never falls. */
  put(id: string, value: T, nowMs: number): void;
  end(id: string, nowMs: number): void;
  get(id: string): T | undefined;
  /** Of those with this key: a living one before one that is over, before one that is gone; then the latest. */
  best(key: string): T | undefined;
  /** The only one with this key, gone or not; undefined where several have it. */
  unique(key: string): T | undefined;
  /** Neither gone nor over. */
  living(key: string): T[];
}

interface Entry<T> {
  readonly value: T;
  readonly goneAt: number | undefined;
}

export function createKept<T>({ keptMs, goneMax, keysOf, isOver, startedAt }: KeptOptions<T>): Kept<T> {
  const entries = new Map<string, Entry<T>>();
  const idsByKey = new Map<string, Set<string>>();
  /** In the order in which they went. */
  const gone = new Set<string>();

  const unlink = (id: string, value: T): void => {
    for (const key of keysOf(value)) {
      const ids = idsByKey.get(key);
      ids?.delete(id);
      if (ids?.size === 0) idsByKey.delete(key);
    }
  };
  const set = (id: string, entry: Entry<T>): void => {
    const before = entries.get(id);
    if (before !== undefined) unlink(id, before.value);
    entries.set(id, entry);
    for (const key of keysOf(entry.value)) {
      const ids = idsByKey.get(key);
      if (ids === undefined) idsByKey.set(key, new Set([id]));
      else ids.add(id);
    }
  };
  const expire = (nowMs: number): void => {
    for (const id of gone) {
      const entry = entries.get(id);
      const isYoung = nowMs - (entry?.goneAt ?? nowMs) <= keptMs;
      if (isYoung && gone.size <= goneMax) return;
      gone.delete(id);
      if (entry === undefined) continue;
      unlink(id, entry.value);
      entries.delete(id);
    }
  };
  const withKey = (key: string): Entry<T>[] => [...(idsByKey.get(key) ?? [])].flatMap((id) => entries.get(id) ?? []);
  const rank = ({ value, goneAt }: Entry<T>): number => (goneAt !== undefined ? 0 : isOver(value) ? 1 : 2);

  return {
    put(id, value, nowMs) {
      gone.delete(id);
      set(id, { value, goneAt: undefined });
      expire(nowMs);
    },
    end(id, nowMs) {
      const entry = entries.get(id);
      if (entry !== undefined && entry.goneAt === undefined) {
        set(id, { value: entry.value, goneAt: nowMs });
        gone.add(id);
      }
      expire(nowMs);
    },
    get: (id) => entries.get(id)?.value,
    best(key) {
      let best: Entry<T> | undefined;
      for (const entry of withKey(key)) {
        const difference = best === undefined ? 1 : rank(entry) - rank(best);
        if (
          best === undefined ||
          difference > 0 ||
          (difference === 0 && startedAt(entry.value) >= startedAt(best.value))
        )
          best = entry;
      }
      return best?.value;
    },
    unique(key) {
      const [first, ...others] = withKey(key);
      return others.length === 0 ? first?.value : undefined;
    },
    living: (key) => withKey(key).flatMap((entry) => (rank(entry) === 2 ? [entry.value] : [])),
  };
}
