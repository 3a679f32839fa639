import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { startHealthServer, startMetricsServer, type HealthServer } from '../../src/observe/health.ts';
import { createMetrics } from '../../src/observe/metrics.ts';
import { observeProcess } from '../../src/observe/process.ts';

const open: HealthServer[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()));
});
const local = { host: '127.0.0.1', port: 0 };
const opened = async (server: Promise<HealthServer>): Promise<HealthServer> => {
  open.push(await server);
  return server;
};

test('a scrape shows counters, gauges and histograms under their own names', async () => {
  const metrics = createMetrics({ 'service.name': 'test' });
  const stop = observeProcess(metrics, 5000);
  metrics.counter('process_cpu_seconds_total').add(100);
  const { address } = await opened(startMetricsServer(local, metrics.scrape));
  const response = await fetch(`http://${address}/metrics`);
  const text = await response.text();
  stop();
  await metrics.stop();
  expect(response.headers.get('content-type')).toMatch(/^text\/plain/);
  expect(text).toMatch(/^# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes \d+$/m);
  expect(text).toMatch(/^# HELP process_cpu_seconds_total User and system CPU time\.$/m);
  expect(text).toMatch(/^process_cpu_seconds_total 100\.\d+$/m);
  expect(text).toMatch(/^process_start_time_seconds 5$/m);
  expect(text).not.toContain('otel_scope');
});

test('a gauge forgets a series that was removed', async () => {
  const metrics = createMetrics({});
  const gauge = metrics.gauge('process_open_fds');
  gauge.set(1, { a: 'x', b: 'y' });
  gauge.set(2, { a: 'z' });
  gauge.remove({ b: 'y', a: 'x' });
  const { address } = await opened(startMetricsServer(local, metrics.scrape));
  const text = await (await fetch(`http://${address}/metrics`)).text();
  expect(text).toContain('process_open_fds{a="z"} 2');
  expect(text).not.toContain('a="x"');
  await metrics.stop();
});

test('a name that the catalogue does not have is a mistake of ours', () => {
  const metrics = createMetrics({});
  expect(() => metrics.counter('sluice_nonsense_total')).toThrow('no counter sluice_nonsense_total');
  expect(() => metrics.gauge('process_cpu_seconds_total')).toThrow('no gauge process_cpu_seconds_total');
});

test('readiness names what is not ready; liveness does not care', async () => {
  const { address } = await opened(
    startHealthServer(local, { ledger: () => true, caches: () => 'pods: 403 Forbidden' }),
  );
  const ready = await fetch(`http://${address}/readyz?verbose`);
  expect([ready.status, await ready.text()]).toEqual([503, '[+]ledger ok\n[-]caches pods: 403 Forbidden\n']);
  expect((await fetch(`http://${address}/livez`)).status).toBe(200);
  expect((await fetch(`http://${address}/else`)).status).toBe(404);
  expect((await fetch(`http://${address}/livez`, { method: 'POST' })).status).toBe(405);
});

test('an address that is taken is an error, not an unhandled one', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const bound = taken.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
  await expect(startHealthServer({ host: '127.0.0.1', port }, {})).rejects.toThrow('EADDRINUSE');
  taken.close();
});
