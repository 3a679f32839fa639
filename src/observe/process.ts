// What every role says of its own process: memory, CPU, open files, and how late its event loop is.
import { readdirSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Metrics } from '../model/metrics.ts';

const EVERY_MS = 5000;
/** Between two looks at the event loop. */
export const LOOK_MS = 20;

/** Node.js records nanoseconds from one look to the next, not by how much the next one was late; 0 where it recorded nothing. */
const lateSeconds = (betweenNs: number): number => Math.max(0, betweenNs / 1e6 - LOOK_MS) / 1000;

/** Nanoseconds between two looks. */
type LoopHistogram = Pick<ReturnType<typeof monitorEventLoopDelay>, 'enable' | 'disable' | 'percentile' | 'reset'>;

/** Takes readings until the function that it returns is called. `startedAtMs`: wall clock of the process's start. */
export function observeProcess(
  metrics: Metrics,
  startedAtMs: number,
  histogram: LoopHistogram = monitorEventLoopDelay({ resolution: LOOK_MS }),
): () => void {
  const resident = metrics.gauge('process_resident_memory_bytes');
  const heap = metrics.gauge('nodejs_heap_used_bytes');
  const files = metrics.gauge('process_open_fds');
  const cpu = metrics.counter('process_cpu_seconds_total');
  const delay = metrics.gauge('nodejs_eventloop_delay_p99_seconds');
  metrics.gauge('process_start_time_seconds').set(startedAtMs / 1000);
  histogram.enable();
  let before = process.cpuUsage();
  const read = (): void => {
    const { rss, heapUsed } = process.memoryUsage();
    resident.set(rss);
    heap.set(heapUsed);
    files.set(openFiles());
    const used = process.cpuUsage(before);
    before = process.cpuUsage();
    cpu.add((used.user + used.system) / 1e6);
    delay.set(lateSeconds(histogram.percentile(99)));
    histogram.reset();
  };
  read();
  const timer = setInterval(read, EVERY_MS).unref();
  return () => {
    clearInterval(timer);
    histogram.disable();
  };
}

function openFiles(): number {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return 0;
  }
}
