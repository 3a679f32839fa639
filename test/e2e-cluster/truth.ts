// Holds what arrived against what the shops counted, window by window. Borders that an answer lay across do not count as
// borders: what is on both sides of one is compared as a whole.
import type { ShopCounts } from './shops.ts';

/** What was exported for the shops: `value` answers of `pod` with `key`, in the window that begins at `start` (milliseconds). */
export interface Exported {
  readonly pod: string;
  readonly start: number;
  /** `METHOD path status`, in whatever form `keyOf` brings the shop's keys to. */
  readonly key: string;
  readonly value: number;
}

export interface Stretch {
  readonly pod: string;
  readonly start: number;
  readonly end: number;
  readonly counted: number;
  readonly exported: number;
  /** `key: counted/exported` where they differ. */
  readonly differences: readonly string[];
}

export interface TruthOptions {
  readonly windowMs: number;
  /** Windows that begin at or after this … */
  readonly fromMs: number;
  /** … and end at or before this. */
  readonly toMs: number;
  /** What the shop's key is called in what was exported. */
  readonly keyOf?: (key: string) => string;
}

/** One entry for each pod and stretch of windows in which something was counted or exported. */
export function stretchesOf(
  counts: readonly ShopCounts[],
  exported: readonly Exported[],
  { windowMs, fromMs, toMs, keyOf = (key) => key }: TruthOptions,
): Stretch[] {
  const first = Math.ceil(fromMs / windowMs) * windowMs;
  const last = Math.floor(toMs / windowMs) * windowMs;
  return counts.flatMap(({ namespace, pod: name, windows, crossed, settledMs }) => {
    const pod = `${namespace}/${name}`;
    const stretches: Stretch[] = [];
    let start = first;
    for (let end = first + windowMs; end <= Math.min(last, settledMs); end += windowMs) {
      if (crossed.includes(end)) continue;
      const isIn = (one: { readonly start: number }): boolean => one.start >= start && one.start < end;
      const truth = new Map<string, number>();
      for (const window of windows.filter(isIn))
        for (const [key, value] of Object.entries(window.counts)) add(truth, keyOf(key), value);
      const arrived = new Map<string, number>();
      for (const one of exported) if (one.pod === pod && isIn(one)) add(arrived, one.key, one.value);
      const keys = [...new Set([...truth.keys(), ...arrived.keys()])].sort();
      const differences = keys
        .filter((key) => truth.get(key) !== arrived.get(key))
        .map((key) => `${key}: ${truth.get(key) ?? 0}/${arrived.get(key) ?? 0}`);
      if (keys.length > 0)
        stretches.push({ pod, start, end, counted: sum(truth), exported: sum(arrived), differences });
      start = end;
    }
    return stretches;
  });
}

const add = (map: Map<string, number>, key: string, value: number): void =>
  void map.set(key, (map.get(key) ?? 0) + value);
const sum = (map: ReadonlyMap<string, number>): number => [...map.values()].reduce((total, value) => total + value, 0);

const ROUTES: Readonly<Record<string, string>> = {
  '/products/1?ref=home': '/products/{id}',
  '/products/42': '/products/{id}',
  '/search?q=tea': '/search',
};

/** `GET /products/42 200` as the presets name it: by route. */
export function routeKey(key: string): string {
  const [method = '', path = '', status = ''] = key.split(' ');
  return `${method} ${ROUTES[path] ?? path} ${status}`;
}
