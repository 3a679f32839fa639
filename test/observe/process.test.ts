import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { LOOK_MS, lateSeconds } from '../../src/observe/process.ts';

test("the event loop's delay is what comes on top of the time between two looks", async () => {
  expect([0, 20.5, 45].map((ms) => lateSeconds(ms * 1e6))).toEqual([0, 0.0005, 0.025]);
  // as Node.js counts it: a loop with nothing to do shows the whole time between looks
  const histogram = monitorEventLoopDelay({ resolution: LOOK_MS });
  histogram.enable();
  while (histogram.count < 5) await sleep(LOOK_MS);
  histogram.disable();
  expect(histogram.percentile(50) / 1e6).toBeGreaterThan(LOOK_MS / 2);
});
