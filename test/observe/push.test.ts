// Sluice's own metrics and traces, pushed by the stock exporters into a real OpenTelemetry Collector.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { timeNs } from '../../src/model/time.ts';
import { createMetrics } from '../../src/observe/metrics.ts';
import { startTraces } from '../../src/observe/traces.ts';
import { traced } from '../../src/runtime/run-span.ts';
import { otelCollectorMissing, startOtelCollector, type OtelCollector } from '../servers/otelcol.ts';

if (otelCollectorMissing !== undefined)
  process.stderr.write(`SKIPPED: pushing own telemetry: ${otelCollectorMissing}\n`);
const suite = otelCollectorMissing === undefined ? describe : describe.skip;

suite('own telemetry in a real Collector', () => {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-push-'));
  let collector: OtelCollector;
  beforeAll(async () => {
    collector = await startOtelCollector({ dir });
  }, 300_000);
  afterAll(async () => {
    await collector?.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  test('metrics and a span for a run arrive with who sent them', async () => {
    const resource = { 'service.name': 'sluice-test', 'service.instance.id': 'one' };
    const push = { endpoint: collector.endpoint, intervalMs: 500 };
    const metrics = createMetrics(resource, push);
    const stopTraces = startTraces(resource, push);
    metrics.counter('sluice_windows_total').add(3, { outcome: 'Complete' });
    const request = {
      runId: 'r',
      epoch: 1,
      scriptHash: 'h',
      uid: 'u',
      scriptName: 'shop/script',
      start: timeNs(0n),
      end: timeNs(10_000_000_000n),
      pluginUid: 'p',
      revision: '1',
      scope: 'shop',
      limits: { timeoutMs: 1, rowsMax: 1, watermarkWaitMs: 1 },
    };
    await traced(request, async () => ({ status: 'unknown', what: 'script' }));
    const text = (): string => JSON.stringify(collector.requests());
    await collector.received(() => /sluice_windows_total/.test(text()) && /"name":"run"/.test(text()));
    expect(text()).toContain('"key":"service.name","value":{"stringValue":"sluice-test"}');
    expect(text()).toContain('"key":"sluice.script.name","value":{"stringValue":"shop/script"}');
    expect(text()).toContain('"key":"sluice.run.status","value":{"stringValue":"unknown"}');
    await stopTraces();
    await metrics.stop();
  }, 60_000);
});
