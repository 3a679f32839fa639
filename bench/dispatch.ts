// What does dispatching ten thousand scripts cost, and how late do they start? The runtime is a stub that answers at once,
// so that only the dispatcher is measured: planning, slots, records, checkpoints' text. No rival: others run their jobs.
//   node bench/dispatch.ts [scripts=10000] [window seconds=60] [seconds measured=120]
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { ScheduledScript } from '../src/controllers/dispatch/contract.ts';
import { readCheckpoints } from '../src/controllers/dispatch/checkpoints.ts';
import { createDispatcher, type Dispatcher } from '../src/controllers/dispatcher.ts';
import { NEW_RECORD, onCommitted, onDelivery, type ScriptRecord } from '../src/controllers/exportscript/track.ts';
import type { KubeClient, KubeObject, ResourceType } from '../src/kube/types.ts';
import { ApiError } from '../src/kube/types.ts';
import { NO_LOSS } from '../src/model/loss.ts';
import { NO_METRICS, type Metrics } from '../src/model/metrics.ts';
import type { RunOutcome } from '../src/model/outcome.ts';
import { now } from '../src/model/time.ts';
import { risingClock } from '../src/schedule/clock.ts';

const [scripts = 10_000, windowSeconds = 60, seconds = 120] = process.argv.slice(2).map(Number);
const windowNs = BigInt(windowSeconds) * 1_000_000_000n;
const clock = risingClock({ wall: now, monotonic: () => process.hrtime.bigint() });

const delays: number[] = [];
let lagMost = 0;
let measuring = false;
const metrics: Metrics = {
  ...NO_METRICS,
  gauge: (name) => ({
    set: (value) => void (name === 'sluice_windows_lag_seconds' && (lagMost = Math.max(lagMost, value))),
    remove: () => undefined,
  }),
  histogram: () => ({ record: (value) => void (measuring && delays.push(value * 1000)) }),
};

/** Takes and counts checkpoints as the API server would be sent them. */
let [writes, bytes] = [0, 0];
const put = async <T extends KubeObject>(_: ResourceType<T>, object: T): Promise<T> => {
  writes += 1;
  bytes += JSON.stringify(object).length;
  return object;
};
const kube = {
  get: async () => {
    throw new ApiError(404, 'NotFound', 'not found');
  },
  create: put,
  update: put,
} as unknown as KubeClient;

const records = new Map<string, ScriptRecord>();
const record = (uid: string): ScriptRecord => records.get(uid) ?? NEW_RECORD;
const nowMs = (): number => Number(clock() / 1_000_000n);
let ran = 0;

const heapMb = (): number => {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed / 2 ** 20;
};
const before = heapMb();

const checkpoints = await readCheckpoints({
  kube,
  namespace: 'sluice-system',
  labels: {},
  now: clock,
  monotonicMs: () => performance.now(),
  writer: 'bench',
  mayWrite: () => true,
  signal: new AbortController().signal,
  metrics: NO_METRICS,
  onSuperseded: () => undefined,
  onFault: (what, error) => console.error(what, error),
});
await checkpoints.begin(1);

const dispatcher: Dispatcher = createDispatcher({
  runtime: {
    run: async ({ uid, start, end }) => {
      ran += 1;
      const outcome: RunOutcome = {
        uid,
        start,
        end,
        outcome: 'Complete',
        rowsRead: 1000,
        rowsTruncated: 0,
        metricPoints: 10,
        spans: 0,
        logs: 0,
        bytes: 1000,
        durationMs: 1,
        nodes: { expected: 3, answered: 3, missing: [] },
        loss: NO_LOSS,
      };
      setImmediate(() =>
        dispatcher.delivered({
          uid,
          start,
          end,
          batch: 0,
          outcome: 'acknowledged',
          metricPoints: 10,
          spans: 0,
          logs: 0,
          rejected: 0,
          bytes: 1000,
          attempts: 1,
          windowDelivered: true,
          windowRepeated: false,
        }),
      );
      return { status: 'committed', outcome, delivered: false };
    },
    skip: () => Promise.reject(new Error('nothing is skipped')),
    ledger: async (uids) => new Map(uids.map((uid) => [uid, []])),
  },
  epoch: 1,
  now: clock,
  runsMax: 16,
  metrics,
  checkpoint: checkpoints,
  listener: {
    committed: (uid, outcome, delivered, notes) =>
      records.set(uid, onCommitted(record(uid), outcome, delivered, nowMs(), notes)),
    delivered: (delivery) => records.set(delivery.uid, onDelivery(record(delivery.uid), delivery)),
    failed: () => undefined,
    broke: (_, error) => console.error(error),
    unknown: () => undefined,
  },
});

const scriptOf = (i: number): ScheduledScript => {
  const uid = `${i.toString(16).padStart(8, '0')}-aaaa-4bbb-8ccc-ddddeeeeffff`;
  return {
    schedule: { uid, windowNs, catchUp: { policy: 'All', maxAgeNs: 900_000_000_000n }, suspend: false },
    run: {
      scriptHash: `hash-${i}`,
      scriptName: `namespace-${i % 100}/script-${i}`,
      pluginUid: 'plugin',
      revision: '1',
      scope: `namespace-${i % 100}`,
      limits: { timeoutMs: 30_000, rowsMax: 100_000, watermarkWaitMs: 5000 },
    },
  };
};
const started = performance.now();
for (let i = 0; i < scripts; i++) dispatcher.set(scriptOf(i));
const setMs = performance.now() - started;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const loop = monitorEventLoopDelay({ resolution: 5 });
await sleep(Math.min(windowSeconds, 10) * 1000);
loop.enable();
measuring = true;
[writes, bytes] = [0, 0];
const ranBefore = ran;
const cpu = process.cpuUsage();
const from = performance.now();
await sleep(seconds * 1000);
const tookSeconds = (performance.now() - from) / 1000;
const used = process.cpuUsage(cpu);
loop.disable();

delays.sort((a, b) => a - b);
const at = (share: number): string => (delays[Math.floor(share * (delays.length - 1))] ?? 0).toFixed(1);
const ms = (nanos: number): string => Math.max(0, nanos / 1e6 - 5).toFixed(1);
const cores = (used.user + used.system) / 1e6 / tookSeconds;
const windows = ran - ranBefore;
console.log(`${scripts} scripts, window ${windowSeconds} s, measured for ${tookSeconds.toFixed(0)} s`);
console.table({
  'runs per second': (windows / tookSeconds).toFixed(1),
  'start delay p50 / p99 / max, ms': `${at(0.5)} / ${at(0.99)} / ${at(1)}`,
  'loop delay beyond its 5 ms p50 / p99 / max, ms': `${ms(loop.percentile(50))} / ${ms(loop.percentile(99))} / ${ms(loop.max)}`,
  'lag at most, s': lagMost.toFixed(1),
  'CPU, cores': cores.toFixed(3),
  'CPU per run, µs': ((cores * 1e6 * tookSeconds) / windows).toFixed(0),
  'set of all, ms': setMs.toFixed(0),
  'RSS, MiB': (process.memoryUsage().rss / 2 ** 20).toFixed(0),
  'heap of scripts, records, checkpoints, MiB': (heapMb() - before).toFixed(1),
  'checkpoint writes per second': (writes / tookSeconds).toFixed(2),
  'checkpoint KiB per second': (bytes / 1024 / tookSeconds).toFixed(0),
});
await dispatcher.stop(1000);
checkpoints.close();
