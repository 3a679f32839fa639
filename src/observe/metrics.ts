// The metrics of a role: instruments of OpenTelemetry's SDK behind the small interface that the parts know, read by a
// Prometheus scrape and, where an endpoint is given, pushed as OTLP by the stock exporter. One catalogue names them all.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { credentials } from '@grpc/grpc-js';
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-grpc';
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import type { Counter, Gauge, Histogram, Labels, Metrics } from '../model/metrics.ts';
import { CATALOGUE, type MetricDefinition } from './catalogue.ts';

/** Where a role's own metrics and traces are pushed to; nothing is pushed without. */
export interface OwnTelemetry {
  /** `host:port` of an OTLP/gRPC receiver, plaintext inside of the cluster. */
  readonly endpoint: string;
  readonly intervalMs: number;
}

export interface RoleMetrics extends Metrics {
  /** Answers a scrape in the Prometheus text format. */
  readonly scrape: (request: IncomingMessage, response: ServerResponse) => void;
  stop(): Promise<void>;
}

/** Seconds; from a fast call to a slow run. */
const SECONDS_BOUNDS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

const definitionOf = (name: string, kind: MetricDefinition['kind']): MetricDefinition => {
  const found = CATALOGUE.find((one) => one.name === name);
  if (found?.kind !== kind) throw new Error(`the catalogue of metrics has no ${kind} ${name}`);
  return found;
};

/** A label set's identity, whatever the order in which it was written. */
const keyOf = (labels: Labels): string => JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));

/**
 * @param resource attributes of who measures: `service.name`, `service.instance.id`, …
 * @throws by `counter`, `gauge`, `histogram`, for a name that the catalogue does not have: a mistake of ours.
 */
export function createMetrics(resource: Labels, push?: OwnTelemetry): RoleMetrics {
  const prometheus = new PrometheusExporter({
    preventServerStart: true,
    withoutScopeInfo: true,
    withoutTargetInfo: true,
  });
  const readers = push === undefined ? [] : [pushing(push)];
  const provider = new MeterProvider({
    resource: resourceFromAttributes(resource),
    readers: [prometheus, ...readers],
  });
  const meter = provider.getMeter('sluice');
  const counters = remembering((name): Counter => {
    const counter = meter.createCounter(name, { description: definitionOf(name, 'counter').help });
    return { add: (amount = 1, labels = {}) => counter.add(amount, labels) };
  });
  const gauges = remembering((name): Gauge => {
    const series = new Map<string, { readonly labels: Labels; readonly value: number }>();
    meter.createObservableGauge(name, { description: definitionOf(name, 'gauge').help }).addCallback((result) => {
      for (const { labels, value } of series.values()) result.observe(value, labels);
    });
    return {
      set: (value, labels = {}) => void series.set(keyOf(labels), { labels, value }),
      remove: (labels) => void series.delete(keyOf(labels)),
    };
  });
  const histograms = remembering((name): Histogram => {
    const { help: description } = definitionOf(name, 'histogram');
    const histogram = meter.createHistogram(name, {
      description,
      advice: { explicitBucketBoundaries: SECONDS_BOUNDS },
    });
    return { record: (value, labels = {}) => histogram.record(value, labels) };
  });
  return {
    counter: counters,
    gauge: gauges,
    histogram: histograms,
    scrape: (request, response) => prometheus.getMetricsRequestHandler(request, response),
    stop: () => provider.shutdown({ timeoutMillis: 2000 }),
  };
}

/** `make`, once a name. */
function remembering<T>(make: (name: string) => T): (name: string) => T {
  const made = new Map<string, T>();
  return (name) => {
    const known = made.get(name);
    if (known !== undefined) return known;
    const fresh = make(name);
    made.set(name, fresh);
    return fresh;
  };
}

function pushing({ endpoint, intervalMs }: OwnTelemetry): PeriodicExportingMetricReader {
  const exporter = new OTLPMetricExporter({ url: `http://${endpoint}`, credentials: credentials.createInsecure() });
  return new PeriodicExportingMetricReader({
    exporter,
    exportIntervalMillis: intervalMs,
    exportTimeoutMillis: Math.min(intervalMs, 10_000),
  });
}
