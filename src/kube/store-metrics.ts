// How many objects of a kind are held, over all stores of it: there is one store per referenced Secret.
import type { Metrics } from '../model/metrics.ts';

const totals = new WeakMap<Metrics, Map<string, number>>();

/** Tells how many objects this store has now; its share of `sluice_kube_store_objects{resource}`. */
export function countObjects(metrics: Metrics, resource: string): (size: number) => void {
  const gauge = metrics.gauge('sluice_kube_store_objects');
  const of = totals.get(metrics) ?? new Map<string, number>();
  totals.set(metrics, of);
  let mine = 0;
  return (size) => {
    if (size === mine) return;
    const total = (of.get(resource) ?? 0) + size - mine;
    mine = size;
    of.set(resource, total);
    gauge.set(total, { resource });
  };
}
