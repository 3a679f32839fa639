// A plugin that is taken away: what was committed for it is tried for the grace and no longer, what is given up is
// counted, and other manifests' mistakes take nothing away.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { OtelPluginStatus } from '../../src/crds/status.ts';
import { startReceiver, type Receiver } from '../../src/exporters/otlp/receiver.ts';
import { faultProxy, type FaultProxy } from './fault-proxy.ts';
import { countManifest, pluginManifest, scratch, startLocal, until, type Local } from './harness.ts';
import { traffic } from './traffic.ts';
import { conditionOf, sumsOf, windowsOf } from './windows.ts';

/** What `sluice local` promises a plugin that was taken away. */
const GRACE_MS = 30_000;
const place = scratch();
const folder = join(place.dir, 'manifests');
const requests: object[] = [];
let receiver: Receiver;
let proxy: FaultProxy;
let local: Local;

const manifest = (name: string): string =>
  pluginManifest(`${name}.example:4317`).replace('name: collector', `name: ${name}`);
const script = (name: string): string => countManifest('1s', `${name}s`).replace('name: collector', `name: ${name}`);

beforeAll(async () => {
  receiver = await startReceiver({ grpc: '127.0.0.1:0' });
  receiver.onRequest(({ json }) => void requests.push(json));
  proxy = await faultProxy(receiver.ports.grpc ?? 0, 'refuse');
  const gone = await faultProxy(receiver.ports.grpc ?? 0, 'refuse');
  for (const name of ['rescued', 'doomed']) {
    place.write(`manifests/${name}.yaml`, manifest(name));
    place.write(`manifests/${name}s.yaml`, script(name));
  }
  writeFileSync(join(place.dir, 'traffic.slrec'), traffic({ seconds: 60 }).bytes);
  local = startLocal({
    manifests: folder,
    state: join(place.dir, 'state'),
    connectTo: { 'rescued.example:4317': proxy.address, 'doomed.example:4317': gone.address },
    args: ['--from', join(place.dir, 'traffic.slrec')],
  });
  await local.capturing();
});
afterAll(async () => {
  await local?.stop();
  await proxy.close();
  await receiver.close();
  place.remove();
});

test('its spool is tried for the grace, then dropped, counted, and by nothing else', async () => {
  const queued = (name: string): number => {
    const status: unknown = local.events.findLast((one) => one.kind === 'OtelPlugin' && one.name === name)?.status;
    return (status as OtelPluginStatus | undefined)?.queue.batches ?? 0;
  };
  await until('windows wait', () => queued('rescued') >= 3 && queued('doomed') >= 3);

  // a mistake anywhere: now nobody can say that the plugin is gone on purpose
  place.write('manifests/broken.yaml', 'kind: [\n');
  await until('the mistake is seen', () => local.events.some(({ event }) => event === 'problems'));
  rmSync(join(folder, 'rescued.yaml'));
  await until(
    'the plugin is gone',
    () => conditionOf(local.status('rescueds'), 'Resolved')?.reason === 'PluginNotFound',
  );
  rmSync(join(folder, 'doomed.yaml'));
  await until(
    'the plugin is gone',
    () => conditionOf(local.status('doomeds'), 'Resolved')?.reason === 'PluginNotFound',
  );
  const totalsOf = (name: string) => local.status(name)?.totals;
  const windows = totalsOf('doomeds')?.windows ?? 0;

  const removed = Date.now();
  rmSync(join(folder, 'broken.yaml'));
  await proxy.set('pass');
  await until('what waited arrives all the same', () => (totalsOf('rescueds')?.metrics ?? 0) >= 6, GRACE_MS);
  const sums = sumsOf(windowsOf(requests));
  expect(sums.size).toBeGreaterThanOrEqual(3);
  for (const sum of sums.values()) expect(sum).toBe(20);
  expect(totalsOf('doomeds')?.refused).toBe(0);

  const status = await until('the other is given up', () => {
    const now = local.status('doomeds');
    return (now?.totals.refused ?? 0) > 0 ? now : undefined;
  });
  expect(Date.now() - removed).toBeGreaterThanOrEqual(GRACE_MS);
  const settled = await until('all of it', () => {
    const now = local.status('doomeds');
    return now?.history.length === Math.min(10, now?.totals.windows ?? 0) ? now : undefined;
  });
  // each window has the rows of a second, twenty, and two points of them; one before the first row has neither
  const { rows } = settled.totals;
  expect(settled.totals).toMatchObject({ metrics: 0, windows, refused: (rows / 20) * 2 });
  expect(status.lastError).toMatchObject({ stage: 'Export', message: expect.stringMatching(/plugin was deleted/) });
  expect(await local.stop()).toBe(0);
}, 150_000);
