import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { LOOK_MS, observeProcess } from '../../src/observe/process.ts';
import { createCountingMetrics } from '../kube/counting-metrics.ts';

test.each([
  [0, 0],
  [20.5, 0.0005],
  [45, 0.025],
])('%d ms between two looks at the event loop are a delay of %d s', (betweenMs, delay) => {
  const metrics = createCountingMetrics();
  const stop = observeProcess(metrics, 0, {
    enable: () => true,
    disable: () => true,
    reset: () => undefined,
    percentile: () => betweenMs * 1e6,
  });
  expect(metrics.value('nodejs_eventloop_delay_p99_seconds')).toBeCloseTo(delay, 9);
  stop();
});

test('Node.js counts the whole time from one look to the next', async () => {
  const histogram = monitorEventLoopDelay({ resolution: LOOK_MS });
  histogram.enable();
  while (histogram.count < 5) await sleep(LOOK_MS);
  histogram.disable();
  expect(histogram.percentile(50) / 1e6).toBeGreaterThan(LOOK_MS / 2);
});
