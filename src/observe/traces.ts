// Traces of ourselves, by OpenTelemetry's SDK and the stock OTLP exporter. Parts ask `@opentelemetry/api` for a tracer and
// know nothing of this; without an endpoint their spans cost nothing.
import { credentials } from '@grpc/grpc-js';
import { trace } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-grpc';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import type { Labels } from '../model/metrics.ts';
import type { OwnTelemetry } from './metrics.ts';

/** Starts exporting spans; the function stops it and sends what is left, for at most two seconds. */
export function startTraces(resource: Labels, push: OwnTelemetry, ratio = 1): () => Promise<void> {
  const exporter = new OTLPTraceExporter({ url: `http://${push.endpoint}`, credentials: credentials.createInsecure() });
  const provider = new TracerProvider({
    resource: resourceFromAttributes(resource),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio) }),
    spanProcessors: [
      new BatchSpanProcessor({ exporter, scheduledDelayMillis: push.intervalMs, exportTimeoutMillis: 2000 }),
    ],
  });
  trace.setGlobalTracerProvider(provider);
  return async () => {
    trace.disable();
    await provider.shutdown();
  };
}
