// Metrics that a test reads: the sum of each counter, the last value of each gauge, the number of records.
import type { Labels, Metrics } from '../../src/model/metrics.ts';

export interface CountingMetrics extends Metrics {
  /** `value('workqueue_depth', {name: 'x'})`; undefined where nothing was ever said. Without labels: of all series. */
  value(name: string, labels?: Labels): number | undefined;
}

export function createCountingMetrics(): CountingMetrics {
  const series = new Map<string, Map<string, number>>();
  const keyOf = (labels: Labels = {}): string =>
    JSON.stringify(Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  const change = (name: string, labels: Labels | undefined, next: (before: number) => number): void => {
    const all = series.get(name) ?? new Map<string, number>();
    series.set(name, all);
    all.set(keyOf(labels), next(all.get(keyOf(labels)) ?? 0));
  };
  return {
    counter: (name) => ({ add: (amount = 1, labels?: Labels) => change(name, labels, (value) => value + amount) }),
    gauge: (name) => ({
      set: (value, labels) => change(name, labels, () => value),
      remove: (labels) => void series.get(name)?.delete(keyOf(labels)),
    }),
    histogram: (name) => ({ record: (_value, labels) => change(name, labels, (count) => count + 1) }),
    value(name, labels) {
      const all = series.get(name);
      if (labels !== undefined) return all?.get(keyOf(labels));
      return all === undefined ? undefined : [...all.values()].reduce((sum, value) => sum + value, 0);
    },
  };
}
