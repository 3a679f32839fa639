// One window: what each shop counted beside what the Collector received of it.
import type { Item } from '../../test/e2e-cluster/received.ts';
import { SHOPS, type ShopCounts } from '../../test/e2e-cluster/shops.ts';

/** Of the samples. */
export const WINDOW_MS = 10_000;

export interface Comparison {
  /** For people: one line a shop. */
  readonly lines: readonly string[];
  readonly isRight: boolean;
  /** No answer lay across its borders: each is in this window or in another, and everybody agrees in which. */
  readonly isComparable: boolean;
}

const number = (value: number): string => value.toLocaleString('en-US');
const clock = (ms: number): string => new Date(ms).toISOString().slice(11, 19);

/** `start` in milliseconds; `lost`: what was declared lost of the window. */
export function compare(
  start: number,
  counts: readonly ShopCounts[],
  items: readonly Item[],
  lost: number,
): Comparison {
  const isIn = (ms: number): boolean => ms >= start && ms < start + WINDOW_MS;
  const results = SHOPS.map(({ namespace, name }) => {
    const pods = counts.filter((one) => one.namespace === namespace && one.service === name);
    const counted = pods
      .flatMap(({ windows }) => windows)
      .filter((window) => isIn(window.start))
      .flatMap((window) => Object.values(window.counts))
      .reduce((sum, value) => sum + value, 0);
    const received = items
      .filter((item) => item.name === 'http.server.request.count' && isIn(Number(item.time / 1_000_000n)))
      .filter((item) => item.resource.get('service.name') === `${namespace}/${name}`)
      .reduce((sum, { value }) => sum + value, 0);
    const isRight = lost === 0 ? received === counted : received <= counted && counted <= received + lost;
    const line =
      `${clock(start)}–${clock(start + WINDOW_MS)}  ${`${namespace}/${name}`.padEnd(14)} ` +
      `${pods.length} pods counted ${number(counted)} · Collector received ${number(received)} · ` +
      `declared lost ${number(lost)}  ${isRight ? '✓' : '✗ WRONG'}`;
    return { line, isRight: isRight && counted > 0 };
  });
  return {
    lines: results.map(({ line }) => line),
    isRight: results.every(({ isRight }) => isRight),
    isComparable: !counts.some(({ crossed }) => crossed.includes(start) || crossed.includes(start + WINDOW_MS)),
  };
}
