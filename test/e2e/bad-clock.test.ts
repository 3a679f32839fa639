// The host's clock is set forwards, back by an hour, and a little forwards again while requests go on: windows stay
// contiguous, every request is in the window that its monotonic time says, and the plugin says that times are not UTC's.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startReceiver, type Receiver } from '../../src/exporters/otlp/receiver.ts';
import { countManifest, pluginManifest, scratch, startLocal, until, type Local } from './harness.ts';
import { bySecond, traffic } from './traffic.ts';
import { conditionOf, gapsOf, ledgerOf, sumsOf, windowsOf } from './windows.ts';

const place = scratch();
const state = join(place.dir, 'state');
const requests: object[] = [];
let receiver: Receiver;
let local: Local | undefined;

beforeAll(async () => {
  receiver = await startReceiver({ grpc: '127.0.0.1:0' });
  receiver.onRequest(({ json }) => void requests.push(json));
  place.write('manifests/plugin.yaml', pluginManifest('backend.example:4317'));
  place.write('manifests/count.yaml', countManifest('1s'));
});
afterAll(async () => {
  await local?.stop();
  await receiver.close();
  place.remove();
});

test('a clock that is set leaves no hole, no overlap and no request out', async () => {
  const { bytes, times } = traffic({
    seconds: 10,
    clockSteps: [
      { at: 3, byMs: 2300 },
      { at: 6, byMs: -3_600_000 },
      { at: 8, byMs: 1500 },
    ],
  });
  writeFileSync(join(place.dir, 'steps.slrec'), bytes);
  local = startLocal({
    manifests: join(place.dir, 'manifests'),
    state,
    connectTo: { 'backend.example:4317': `127.0.0.1:${receiver.ports.grpc ?? 0}` },
    args: ['--from', join(place.dir, 'steps.slrec')],
  });
  const collectorReady = () =>
    conditionOf(local?.events.findLast(({ kind }) => kind === 'OtelPlugin')?.status, 'CollectorReady');
  await until('a window is delivered', () => requests.length > 0);
  expect(collectorReady()).toMatchObject({ status: 'True' });
  const said = await until('the step back is told', () =>
    collectorReady()?.status === 'False' ? collectorReady() : undefined,
  );
  expect(said).toMatchObject({ reason: 'ClockSetBack', message: expect.stringMatching(/UTC was set back/) });
  const last = times.at(-1) ?? 0n;
  await until(
    'the last request is delivered',
    () => BigInt(Date.parse(local?.status('requests')?.deliveredUntil ?? '') || 0) * 1_000_000n > last,
  );
  const status = local.status('requests');
  expect(status?.totals).toMatchObject({ lost: 0, missed: 0, failures: 0 });
  expect(conditionOf(status, 'Ready')).toMatchObject({ status: 'True' });
  expect(await local.stop()).toBe(0);
  const intervals = ledgerOf(state, 'requests');
  expect(gapsOf(intervals)).toEqual([]);
  const first = intervals[0]?.start ?? 0n;
  expect(sumsOf(windowsOf(requests))).toEqual(new Map([...bySecond(times)].filter(([start]) => start >= first)));
});
