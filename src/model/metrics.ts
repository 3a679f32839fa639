// How a part says what it counts, without knowing who reads it. `src/observe` implements it; a part that is given none
// counts into nothing.

export type Labels = Readonly<Record<string, string>>;

export interface Counter {
  /** `amount` ≥ 0, 1 where not given. */
  add(amount?: number, labels?: Labels): void;
}

export interface Gauge {
  set(value: number, labels?: Labels): void;
  /** A series that means nothing any more. */
  remove(labels: Labels): void;
}

export interface Histogram {
  record(value: number, labels?: Labels): void;
}

/** Names are Prometheus names with their unit (`_seconds`, `_bytes`, `_total`); each is in the catalogue of `src/observe`. */
export interface Metrics {
  counter(name: string): Counter;
  gauge(name: string): Gauge;
  histogram(name: string): Histogram;
}

const nothing = { add: () => undefined, set: () => undefined, remove: () => undefined, record: () => undefined };

export const NO_METRICS: Metrics = { counter: () => nothing, gauge: () => nothing, histogram: () => nothing };
