// Keys that come back later: one heap and one timer for all of them, whatever their number and however far away they are.
import { TIMER_MAX_MS, type Clock } from './timers.ts';

export interface Delays<Tag> {
  /** At `dueAt` (the clock's milliseconds). Of several for one key the earliest counts, with its tag. */
  set(key: string, dueAt: number, tag: Tag): void;
  readonly size: number;
  clear(): void;
}

interface Entry<Tag> {
  readonly key: string;
  readonly dueAt: number;
  readonly tag: Tag;
  /** Among equals the first that was set is the first released. */
  readonly order: number;
}

const isBefore = (one: Entry<unknown>, other: Entry<unknown>): boolean =>
  one.dueAt < other.dueAt || (one.dueAt === other.dueAt && one.order < other.order);

function siftUp<Tag>(heap: Entry<Tag>[], entry: Entry<Tag>): void {
  let at = heap.length;
  heap.push(entry);
  while (at > 0) {
    const parent = (at - 1) >> 1;
    const above = heap[parent];
    if (above === undefined || !isBefore(entry, above)) break;
    heap[at] = above;
    at = parent;
  }
  heap[at] = entry;
}

function removeFirst<Tag>(heap: Entry<Tag>[]): void {
  const entry = heap.pop();
  if (entry === undefined || heap.length === 0) return;
  let at = 0;
  for (;;) {
    const right = heap[2 * at + 2];
    let child = 2 * at + 1;
    let below = heap[child];
    if (below === undefined) break;
    if (right !== undefined && isBefore(right, below)) {
      child++;
      below = right;
    }
    if (!isBefore(below, entry)) break;
    heap[at] = below;
    at = child;
  }
  heap[at] = entry;
}

/** `release` is called when a key is due; it may set delays again. */
export function createDelays<Tag>(clock: Clock, release: (key: string, tag: Tag) => void): Delays<Tag> {
  let heap: Entry<Tag>[] = [];
  /** The entry that counts; others of the same key in the heap are stale and passed over. */
  const current = new Map<string, Entry<Tag>>();
  let order = 0;
  let cancel: (() => void) | undefined;
  let armedFor = Infinity;

  function disarm(): void {
    cancel?.();
    cancel = undefined;
    armedFor = Infinity;
  }

  /** The first entry that counts. */
  function first(): Entry<Tag> | undefined {
    for (;;) {
      const entry = heap[0];
      if (entry === undefined || current.get(entry.key) === entry) return entry;
      removeFirst(heap);
    }
  }

  function arm(): void {
    const next = first();
    if (next === undefined) disarm();
    else if (next.dueAt !== armedFor) {
      disarm();
      armedFor = next.dueAt;
      cancel = clock.after(Math.min(TIMER_MAX_MS, Math.max(0, next.dueAt - clock.now())), onTimer);
    }
  }

  function onTimer(): void {
    // fired: armed for nothing now, so that what is still far away is armed again
    cancel = undefined;
    armedFor = Infinity;
    const now = clock.now();
    for (let entry = first(); entry !== undefined && entry.dueAt <= now; entry = first()) {
      removeFirst(heap);
      current.delete(entry.key);
      release(entry.key, entry.tag);
    }
    arm();
  }

  return {
    set(key, dueAt, tag) {
      const known = current.get(key);
      if (known !== undefined && known.dueAt <= dueAt) return;
      const entry = { key, dueAt, tag, order: order++ };
      current.set(key, entry);
      // a key that is moved forward again and again must not leave its past behind for ever
      if (heap.length > 64 + 2 * current.size) rebuild();
      else siftUp(heap, entry);
      arm();
    },
    get size() {
      return current.size;
    },
    clear() {
      heap = [];
      current.clear();
      disarm();
    },
  };

  function rebuild(): void {
    heap = [];
    for (const entry of current.values()) siftUp(heap, entry);
  }
}
