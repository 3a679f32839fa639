// A span for each run, for whoever traces Sluice itself; without a tracer provider it costs nothing.
import { SpanStatusCode, trace } from '@opentelemetry/api';
import { formatTime } from '../model/time.ts';
import type { RunRequest, RunResult } from '../model/run.ts';

/** Does `work` within a span `run` that has the window, what the run came to, and the stage that failed. */
export async function traced(request: RunRequest, work: () => Promise<RunResult>): Promise<RunResult> {
  const span = trace.getTracer('sluice.runtime').startSpan('run', {
    attributes: {
      'sluice.script.uid': request.uid,
      'sluice.script.name': request.scriptName,
      'sluice.run.id': request.runId,
      'sluice.run.epoch': request.epoch,
      'sluice.window.start': formatTime(request.start, 3),
      'sluice.window.end': formatTime(request.end, 3),
    },
  });
  try {
    const result = await work();
    span.setAttribute('sluice.run.status', result.status);
    if ('outcome' in result) {
      const { outcome, reason, rowsRead, metricPoints, spans, bytes, nodes, error } = result.outcome;
      span.setAttributes({
        'sluice.window.outcome': outcome,
        ...(reason === undefined ? {} : { 'sluice.window.reason': reason }),
        'sluice.run.rows': rowsRead,
        'sluice.run.metric_points': metricPoints,
        'sluice.run.spans': spans,
        'sluice.run.bytes': bytes,
        'sluice.nodes.expected': nodes.expected,
        'sluice.nodes.answered': nodes.answered,
      });
      if (error !== undefined) {
        span.setAttribute('error.type', error.code);
        span.setStatus({ code: SpanStatusCode.ERROR, message: `${error.stage}: ${error.message}` });
      }
    }
    return result;
  } finally {
    span.end();
  }
}
