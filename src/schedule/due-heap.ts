// A binary min-heap whose members know their place, so that one can be moved or taken out in O(log n). One heap with one
// timer stands for all scripts' due times (operator.md S11).

/** A place in a heap. Make it once per member and heap with `heapPlace`. */
export interface HeapPlace<T> {
  readonly item: T;
  /** What the heap orders by; the heap's while `at` is not negative. */
  key: number;
  /** Index in the heap; -1: not in it. */
  at: number;
}

export const heapPlace = <T>(item: T): HeapPlace<T> => ({ item, key: 0, at: -1 });

export interface DueHeap<T> {
  readonly size: number;
  /** The member with the smallest key. */
  first(): HeapPlace<T> | undefined;
  /** Puts in, or moves to another key. */
  put(place: HeapPlace<T>, key: number): void;
  /** No effect where it is not in. */
  remove(place: HeapPlace<T>): void;
}

export function createDueHeap<T>(): DueHeap<T> {
  const places: HeapPlace<T>[] = [];

  const set = (place: HeapPlace<T>, at: number): void => {
    places[at] = place;
    place.at = at;
  };

  function rise(place: HeapPlace<T>): void {
    let { at } = place;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = places[above];
      if (parent === undefined || parent.key <= place.key) break;
      set(parent, at);
      at = above;
    }
    set(place, at);
  }

  function sink(place: HeapPlace<T>): void {
    let { at } = place;
    for (;;) {
      const left = 2 * at + 1;
      const [a, b] = [places[left], places[left + 1]];
      if (a === undefined) break;
      const smaller = b !== undefined && b.key < a.key ? b : a;
      if (smaller.key >= place.key) break;
      const below = smaller.at;
      set(smaller, at);
      at = below;
    }
    set(place, at);
  }

  return {
    get size() {
      return places.length;
    },
    first: () => places[0],
    put(place, key) {
      place.key = key;
      if (place.at < 0) set(place, places.length);
      rise(place);
      sink(place);
    },
    remove(place) {
      const { at } = place;
      if (at < 0) return;
      place.at = -1;
      const last = places.pop();
      if (last === undefined || last === place) return;
      set(last, at);
      rise(last);
      sink(last);
    },
  };
}
