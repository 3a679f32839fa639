// What a real OpenTelemetry Collector makes of our requests, and how delivery survives its death.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startDelivery } from '../../../src/exporters/delivery/deliver.ts';
import { encodeOtlp } from '../../../src/exporters/otlp/encode.ts';
import { grpcSender } from '../../../src/exporters/otlp/grpc-send.ts';
import type { OtlpJson } from '../../../src/exporters/otlp/json.ts';
import { sleep } from '../../../src/runtime/destinations.ts';
import {
  otelCollectorBinary,
  otelCollectorMissing,
  startOtelCollector,
  type OtelCollector,
} from '../../servers/otelcol.ts';
import { memorySpool } from '../delivery/memory-spool.ts';
import { metric } from '../telemetry.ts';
import { destination } from './destination.ts';
import { EVERY_KIND, EVERY_KIND_LOGS, EVERY_KIND_METRICS, EVERY_KIND_SPANS } from './every-kind.ts';

if (otelCollectorMissing !== undefined) {
  process.stderr.write(`\nSKIPPED: tests against the OpenTelemetry Collector: ${otelCollectorMissing}\n`);
}
const describeWithCollector = otelCollectorMissing === undefined ? describe : describe.skip;

const never = new AbortController().signal;

/** The Collector leaves out what is at its default, adds `flags` and empty strings, and normalises nothing else. */
const normal = (json: unknown): unknown =>
  JSON.parse(JSON.stringify(json), (key, value: unknown) => {
    if (value === '' && (key === 'parentSpanId' || key === 'traceId' || key === 'spanId')) return undefined;
    if (key === 'status' && JSON.stringify(value) === '{}') return undefined;
    return value;
  });

const rootsOf = (requests: readonly OtlpJson[], root: keyof OtlpJson) =>
  requests.flatMap((request) => request[root] ?? []);

const pointCount = (requests: readonly OtlpJson[]): number =>
  [...JSON.stringify(requests).matchAll(/"asDouble"/g)].length;

describeWithCollector('a real OpenTelemetry Collector', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-otelcol-'));
  let collector: OtelCollector;
  beforeAll(async () => {
    otelCollectorBinary();
    collector = await startOtelCollector({ dir: join(folder, 'one') });
  }, 600_000);
  afterAll(async () => {
    await collector.stop();
    rmSync(folder, { recursive: true });
  });

  test.each(['gzip', 'none'] as const)(
    'receives every kind of item with all its values (compression %s)',
    async (compression) => {
      const before = collector.requests().length;
      const sender = grpcSender(destination({ endpoint: collector.endpoint, compression }));
      for (const request of encodeOtlp(EVERY_KIND).requests) {
        expect(await sender.send(request, never)).toEqual({ status: 'sent', rejected: 0 });
      }
      sender.close();
      const received = (await collector.received((requests) => requests.length >= before + 3)).slice(before);
      expect(normal(rootsOf(received, 'resourceMetrics'))).toEqual(EVERY_KIND_METRICS);
      expect(normal(rootsOf(received, 'resourceSpans'))).toEqual(EVERY_KIND_SPANS);
      expect(normal(rootsOf(received, 'resourceLogs'))).toEqual(EVERY_KIND_LOGS);
    },
  );

  test('takes 25 000 points in requests that it does not find too large', async () => {
    const before = collector.requests();
    const sender = grpcSender(destination({ endpoint: collector.endpoint }));
    for (const request of encodeOtlp([metric(25_000)]).requests)
      expect(await sender.send(request, never)).toMatchObject({ status: 'sent' });
    sender.close();
    await collector.received((requests) => pointCount(requests) - pointCount(before) === 25_000);
  });

  test('killed and started again, it gets what was committed meanwhile, each batch once', async () => {
    const dir = join(folder, 'two');
    const first = await startOtelCollector({ dir });
    const grpcPort = Number(first.endpoint.split(':')[1]);
    const spool = memorySpool();
    const failure = Promise.withResolvers<void>();
    const loop = startDelivery('d', {
      spool,
      open: (one) => {
        const sender = grpcSender(one);
        return {
          ...sender,
          send: async (request, signal) => {
            const outcome = await sender.send(request, signal);
            if (outcome.status === 'retry') failure.resolve();
            return outcome;
          },
        };
      },
      nowMs: Date.now,
      sleep,
      random: () => 0,
    });
    const commit = (value: string): void => {
      for (const request of encodeOtlp([metric(1, { name: value })]).requests) spool.commit('d', request);
      loop.wake();
    };
    const has = (name: string) => (requests: OtlpJson[]) => JSON.stringify(requests).includes(`"${name}"`);
    loop.put(destination({ endpoint: first.endpoint, timeoutMs: 2000 }));
    commit('before');
    await first.received(has('before'));
    await spool.empty('d');

    await first.kill();
    commit('while.down.1');
    commit('while.down.2');
    await failure.promise;
    const second = await startOtelCollector({ dir, grpcPort });
    const received = await second.received(has('while.down.2'));
    await spool.empty('d');
    await loop.stop();
    await second.stop();
    const names = [...JSON.stringify(received).matchAll(/"name":"(before|while[^"]*)"/g)].map((match) => match[1]);
    expect(names).toEqual(['before', 'while.down.1', 'while.down.2']);
    expect(spool.verdicts.map(({ outcome }) => outcome)).toEqual(['acknowledged', 'acknowledged', 'acknowledged']);
  });
});
