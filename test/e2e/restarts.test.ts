// Receiver and program are killed and come back while requests go on: every window is finished once, none is sent twice
// but where an acknowledgement was lost, and what is missing of the count is declared.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { localUid } from '../../src/crds/manifest.ts';
import { load } from '../servers/load.ts';
import { nginxMissing, startNginx, type Nginx } from '../servers/nginx.ts';
import { otelCollectorMissing, startOtelCollector, type OtelCollector } from '../servers/otelcol.ts';
import {
  captureMissing,
  countManifest,
  pluginManifest,
  scratch,
  skipping,
  startLocal,
  until,
  type Local,
} from './harness.ts';
import { pointsOf } from './received.ts';

const missing = captureMissing ?? nginxMissing ?? otelCollectorMissing;
const suite = skipping('restarts end to end', missing) ? describe.skip : describe;

suite('killed and come back', () => {
  const place = scratch();
  const state = join(place.dir, 'state');
  let nginx: Nginx;
  let collector: OtelCollector;
  let local: Local | undefined;
  const start = (): Local =>
    startLocal({
      manifests: join(place.dir, 'manifests'),
      state,
      connectTo: { 'backend.example:4317': collector.endpoint },
    });
  const deliveredBeyond = (ms: number) =>
    until('windows are delivered', () => Date.parse(local?.status('requests')?.deliveredUntil ?? '') > ms);

  /** Requests that the Collector got, by window start; the same window twice is in the list twice. */
  const windows = (): { start: bigint; value: number }[] =>
    pointsOf(collector.requests())
      .filter(({ metric, resource }) => metric === 'requests' && resource.get('service.name') === 'host/nginx')
      .filter(({ attributes }) => attributes.get('path') === '/hello')
      .map(({ point, value }) => ({ start: BigInt(point.startTimeUnixNano ?? 0), value }));

  beforeAll(async () => {
    nginx = await startNginx(join(place.dir, 'nginx'));
    collector = await startOtelCollector({ dir: join(place.dir, 'otelcol') });
    place.write('manifests/plugin.yaml', pluginManifest('backend.example:4317'));
    place.write('manifests/count.yaml', countManifest('1s'));
    local = start();
    await local.capturing();
    await local.scheduled('requests');
  }, 300_000);

  afterAll(async () => {
    await local?.stop();
    await collector?.stop();
    await nginx?.stop();
    place.remove();
  });

  test('a receiver that was killed gets every window when it is back', async () => {
    await load(nginx.port, '/hello', 400);
    await deliveredBeyond(Date.now());
    // acknowledged is not yet in the Collector's file
    await until('the file has it', () => windows().reduce((sum, { value }) => sum + value, 0) === 400);
    const port = Number(collector.endpoint.split(':').at(-1));
    await collector.kill();
    await load(nginx.port, '/hello', 300);
    await until('the outage shows', () =>
      local?.status('requests')?.conditions.some(({ type, status }) => type === 'Delivered' && status === 'False'),
    );
    await load(nginx.port, '/hello', 300);
    collector = await startOtelCollector({ dir: join(place.dir, 'otelcol'), grpcPort: port });
    await deliveredBeyond(Date.now());
    await until('the file has it all', () => windows().reduce((sum, { value }) => sum + value, 0) >= 1000);
    expect(windows().reduce((sum, { value }) => sum + value, 0)).toBe(1000);
    const starts = windows().map((window) => window.start);
    expect(new Set(starts).size).toBe(starts.length);
  }, 120_000);

  test('the program, killed, leaves no window out and sends none twice', async () => {
    await load(nginx.port, '/hello', 200);
    await local?.kill();
    await load(nginx.port, '/hello', 50);
    local = start();
    await local.capturing();
    await local.scheduled('requests');
    await load(nginx.port, '/hello', 200);
    await deliveredBeyond(Date.now());
    await local.stop();
    // the ledger itself, read by SQLite: contiguous, disjoint
    const ledger = new DatabaseSync(join(state, 'ledger.db'), { readOnly: true });
    const query = ledger.prepare(
      'SELECT start, "end" FROM windows WHERE uid = $uid UNION ALL SELECT start, "end" FROM intervals WHERE uid = $uid ORDER BY 1',
    );
    query.setReadBigInts(true);
    const intervals = query.all({ $uid: localUid('ExportScript', 'test', 'requests') });
    expect(intervals.length).toBeGreaterThan(0);
    intervals.forEach((interval, i) => {
      if (i > 0) expect(interval['start']).toBe(intervals[i - 1]?.['end']);
    });
    ledger.close();
    const starts = windows().map((window) => window.start);
    expect(new Set(starts).size).toBe(starts.length);
    // what passed while nobody looked is not in the sum, and the window says that it was blind
    const total = windows().reduce((sum, { value }) => sum + value, 0);
    expect(total).toBeLessThanOrEqual(1450);
    expect(total).toBeGreaterThanOrEqual(1200);
    const partial = local.status('requests')?.conditions.find(({ type }) => type === 'Complete');
    expect(partial).toMatchObject({ status: 'False' });
  }, 120_000);
});
