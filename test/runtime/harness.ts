// A whole runtime on a real ledger file, with nodes in memory and a destination that keeps what it was sent.
import { Writable } from 'node:stream';
import { decodeOtlp, type OtlpJson } from '../../src/exporters/otlp/json.ts';
import type { EncodedRequest, Sender, SendOutcome } from '../../src/exporters/sender.ts';
import { openLedger, type Ledger } from '../../src/ledger/ledger.ts';
import type { LedgerLimits } from '../../src/ledger/store.ts';
import type { Destination } from '../../src/model/destination.ts';
import type { Delivery } from '../../src/model/outcome.ts';
import type { RunRequest, RunResult } from '../../src/model/run.ts';
import { timeNs, type TimeNs } from '../../src/model/time.ts';
import { createRuntime, type Runtime, type RuntimeOptions } from '../../src/runtime/runtime.ts';
import { openSender } from '../../src/runtime/senders.ts';
import { temporaryFolder } from '../ledger/samples.ts';
import { tableNode, type TableNode } from './table-node.ts';

/** Seconds after some midnight. */
export const s = (seconds: number): TimeNs =>
  timeNs(1_764_028_800_000_000_000n + BigInt(Math.round(seconds * 1000)) * 1_000_000n);

export const COUNT_BY_PATH = `
import px
df = px.DataFrame('http_events', start_time=px.plugin.start_time, end_time=px.plugin.end_time)
df = df.groupby(['req_path']).agg(n=('latency', px.count), time_=('time_', px.max))
px.export(df, px.otel.Data(
  resource={'service.name': 'shop'},
  data=[px.otel.metric.Gauge(name='http.requests', value=df.n, attributes={'path': df.req_path})]))
`;

export const CONSOLE: Destination = {
  type: 'Console',
  endpoint: '',
  headers: [],
  tls: { mode: 'Plaintext', insecureSkipVerify: false },
  compression: 'none',
  timeoutMs: 1000,
  resourceAttributes: {},
};

export interface Harness {
  runtime: Runtime;
  ledger: Ledger;
  readonly nodes: TableNode[];
  /** What the destination took, in order. */
  readonly sent: EncodedRequest[];
  readonly faults: unknown[];
  /** What the destination answers next; `sent` where there is nothing. */
  readonly answers: SendOutcome[];
  /** Compiles and returns the hash. */
  script(text: string, args?: Readonly<Record<string, string>>): Promise<string>;
  run(more: Partial<RunRequest>, signal?: AbortSignal): Promise<RunResult>;
  deliveries(count: number): Promise<Delivery[]>;
  /** As after a crash of ours: everything in memory is gone. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

export async function startHarness(
  options: { readonly limits?: Partial<LedgerLimits>; readonly runtime?: Partial<RuntimeOptions> } = {},
): Promise<Harness> {
  const folder = temporaryFolder();
  const sent: EncodedRequest[] = [];
  const answers: SendOutcome[] = [];
  const faults: unknown[] = [];
  const nodes = [tableNode('node-1')];
  const keep = (): Sender => ({
    send: async (request) => {
      const outcome = answers.shift() ?? { status: 'sent', rejected: 0 };
      if (outcome.status === 'sent') sent.push(request);
      return outcome;
    },
    close: () => undefined,
  });
  const console = new Writable({ write: (_chunk, _encoding, done) => done() });
  const start = (ledger: Ledger): Runtime =>
    createRuntime({
      ledger,
      nodes: () => nodes,
      openSender: (destination) => (destination.type === 'Console' ? keep() : openSender(destination, { console })),
      preset: async (name) => (name === 'count-by-path' ? COUNT_BY_PATH : undefined),
      now: () => s(1000),
      clock: () => performance.now(),
      random: () => 0,
      forbidScriptEndpoint: false,
      version: '0.0.0',
      onFault: (what, error) => faults.push(what, error),
      ...options.runtime,
    });
  const first = await openLedger(folder.path, options.limits);
  const harness: Harness = {
    ledger: first,
    runtime: start(first),
    nodes,
    sent,
    answers,
    faults,
    async script(text, args = {}) {
      const { scriptHash, diagnostics } = await harness.runtime.compile({ script: { kind: 'text', text }, args });
      if (scriptHash === '') throw new Error(JSON.stringify(diagnostics));
      return scriptHash;
    },
    run: (more, signal = new AbortController().signal) =>
      harness.runtime.run(
        {
          runId: 'run',
          epoch: 1,
          scriptHash: '',
          uid: 'uid',
          scriptName: 'shop/requests',
          start: s(10),
          end: s(20),
          pluginUid: 'plugin',
          revision: '1',
          scope: '*',
          limits: { timeoutMs: 10_000, rowsMax: 1000, watermarkWaitMs: 10_000 },
          ...more,
        },
        signal,
      ),
    async deliveries(count) {
      const got: Delivery[] = [];
      if (count === 0) return got;
      for await (const delivery of harness.runtime.deliveries(1, new AbortController().signal)) {
        got.push(delivery);
        if (got.length === count) break;
      }
      return got;
    },
    async restart() {
      await harness.runtime.stop(0);
      await harness.ledger.close();
      harness.ledger = await openLedger(folder.path, options.limits);
      harness.runtime = start(harness.ledger);
    },
    async close() {
      await harness.runtime.stop(0);
      await harness.ledger.close();
      folder.remove();
    },
  };
  return harness;
}

/** The points of metrics in what was sent: `name value {attributes}`, sorted. */
export const pointsOf = (sent: readonly EncodedRequest[]): string[] =>
  sent
    .filter(({ signal }) => signal === 'metrics')
    .flatMap(({ signal, bytes }) => metricLines(decodeOtlp(signal, bytes)))
    .sort();

function metricLines(json: OtlpJson): string[] {
  const lines: string[] = [];
  const walk = (value: unknown, name: string): void => {
    if (Array.isArray(value)) return value.forEach((item) => walk(item, name));
    if (typeof value !== 'object' || value === null) return undefined;
    const entry = value as Record<string, unknown>;
    if ('timeUnixNano' in entry) {
      const attributes = (entry['attributes'] as { key: string; value: Record<string, unknown> }[] | undefined) ?? [];
      const text = attributes.map((one) => `${one.key}=${Object.values(one.value).join()}`).join(' ');
      lines.push(`${name} ${String(entry['asInt'] ?? entry['asDouble'])} ${text}`);
      return undefined;
    }
    for (const child of Object.values(entry)) walk(child, typeof entry['name'] === 'string' ? entry['name'] : name);
    return undefined;
  };
  walk(json.resourceMetrics ?? [], '');
  return lines;
}
