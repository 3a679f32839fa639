// What a work queue counts, under the names that controller-runtime's dashboards know (R36).
import type { Metrics } from '../model/metrics.ts';
import type { Clock } from './timers.ts';

export interface QueueMetrics {
  depth(keys: number): void;
  added(): void;
  retried(): void;
  taken(waitedMs: number): void;
  worked(workedMs: number): void;
  stop(): void;
}

/** How often the longest running key is looked at while there is one. A key that hangs shows, though nothing happens. */
const LOOK_MS = 5000;

/** `oldestStart`: when the key that is longest in process was taken. */
export function createQueueMetrics(
  metrics: Metrics,
  name: string,
  clock: Clock,
  oldestStart: () => number | undefined,
): QueueMetrics {
  const labels = { name };
  const depth = metrics.gauge('workqueue_depth');
  const adds = metrics.counter('workqueue_adds_total');
  const retries = metrics.counter('workqueue_retries_total');
  const queued = metrics.histogram('workqueue_queue_duration_seconds');
  const work = metrics.histogram('workqueue_work_duration_seconds');
  const longest = metrics.gauge('workqueue_longest_running_processor_seconds');
  let cancel: (() => void) | undefined;
  let stopped = false;

  function look(): void {
    cancel = undefined;
    const since = oldestStart();
    longest.set(since === undefined ? 0 : (clock.now() - since) / 1000, labels);
    // armed only while something runs: an idle queue wakes nobody
    if (since !== undefined && !stopped) cancel = clock.after(LOOK_MS, look);
  }

  depth.set(0, labels);
  longest.set(0, labels);

  return {
    depth: (keys) => depth.set(keys, labels),
    added: () => adds.add(1, labels),
    retried: () => retries.add(1, labels),
    taken(waitedMs) {
      queued.record(waitedMs / 1000, labels);
      if (cancel === undefined && !stopped) cancel = clock.after(LOOK_MS, look);
    },
    worked: (workedMs) => work.record(workedMs / 1000, labels),
    stop() {
      stopped = true;
      cancel?.();
      cancel = undefined;
      longest.set(0, labels);
    },
  };
}
