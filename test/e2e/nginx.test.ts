// nginx under a known number of requests, through `sluice local`, to a real OpenTelemetry Collector.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { join } from 'node:path';
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
import { countsOf, pointsOf } from './received.ts';

const missing = captureMissing ?? nginxMissing ?? otelCollectorMissing;
const suite = skipping('nginx end to end', missing) ? describe.skip : describe;

suite('nginx under a known number of requests', () => {
  const place = scratch();
  let nginx: Nginx;
  let collector: OtelCollector;
  let local: Local;

  beforeAll(async () => {
    nginx = await startNginx(join(place.dir, 'nginx'));
    collector = await startOtelCollector({ dir: join(place.dir, 'otelcol') });
    place.write(
      'manifests/plugin.yaml',
      pluginManifest('backend.example:4317', '  resourceAttributes: { k8s.cluster.name: here }\n'),
    );
    place.write('manifests/count.yaml', countManifest('2s'));
    place.write(
      'manifests/presets.yaml',
      pluginManifest('backend.example:4317').replace('collector', 'presets') +
        '  presets: { include: [http-metrics, network-connections] }\n',
    );
    local = startLocal({
      manifests: join(place.dir, 'manifests'),
      state: join(place.dir, 'state'),
      connectTo: { 'backend.example:4317': collector.endpoint },
    });
    await local.capturing();
    await local.scheduled('requests');
    await local.scheduled('presets-http-metrics');
  }, 300_000);

  afterAll(async () => {
    await local?.stop();
    await collector?.stop();
    await nginx?.stop();
    place.remove();
  });

  test('is counted exactly: rows, metrics and their attributes', async () => {
    await load(nginx.port, '/hello?n=1', 3000);
    await load(nginx.port, '/file', 500);
    await load(nginx.port, '/missing', 250);
    const counted = await nginx.requests();
    expect(counted).toBe(3750);
    const end = Date.now();
    await until('the windows are delivered', () => Date.parse(local.status('requests')?.deliveredUntil ?? '') > end);
    // acknowledged is not yet in the Collector's file
    const inFile = () => countsOf(collector.requests(), 'requests', 'host/nginx');
    await until('the file has it all', () => [...inFile().values()].reduce((sum, n) => sum + n, 0) >= counted);
    const counts = inFile();
    expect(counts.get('/hello?n=1 200')).toBe(3000);
    expect(counts.get('/file 200')).toBe(500);
    expect(counts.get('/missing 404')).toBe(250);
    expect(local.status('requests')?.totals.lost).toBe(0);
  });

  test('is in the presets with semantic conventions, units and the plugin’s resource attributes', async () => {
    const end = Date.now();
    for (const name of ['presets-http-metrics', 'presets-network-connections']) {
      await until(`${name} is delivered`, () => Date.parse(local.status(name)?.deliveredUntil ?? '') > end);
    }
    await until('the file has it', () =>
      pointsOf(collector.requests()).some(({ metric }) => metric === 'network.connection.bytes_sent'),
    );
    const points = pointsOf(collector.requests()).filter(
      ({ resource }) => resource.get('service.name') === 'host/nginx',
    );
    const durations = points.filter(({ metric }) => metric === 'http.server.request.duration');
    expect(
      durations.every(({ unit, kind, temporality }) => unit === 's' && kind === 'histogram' && temporality === 1),
    ).toBe(true);
    expect(
      [...new Set(durations.map(({ attributes }) => attributes.get('http.route') ?? ''))].sort((a, b) =>
        a < b ? -1 : 1,
      ),
    ).toEqual(['/file', '/hello', '/missing', '/status']);
    for (const { point } of durations) {
      expect(point.explicitBounds).toHaveLength(14);
      expect(point.bucketCounts).toHaveLength(15);
      expect(point.bucketCounts?.reduce((sum, n) => sum + Number(n), 0)).toBe(Number(point.count));
    }
    const sent = points.filter(
      ({ metric, monotonic, temporality }) =>
        metric === 'network.connection.bytes_sent' && monotonic && temporality === 2,
    );
    expect(Math.max(...sent.map(({ value }) => value))).toBeGreaterThan(500 * 65_536);
    expect(
      points
        .filter(({ metric }) => metric === 'requests')
        .every(({ resource }) => resource.get('k8s.cluster.name') === 'here'),
    ).toBe(true);
  });
});
