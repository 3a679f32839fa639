// A runtime that answers every run at once and delivers it: for bench/operator.ts only. Prints a line a second with how late
// runs were started: {"runs":n,"lateMs":[…]}.
import { createHash } from 'node:crypto';
import type { Delivery, RunOutcome } from '../src/model/outcome.ts';
import { NO_LOSS } from '../src/model/loss.ts';
import type { CommittedInterval, RunRequest } from '../src/model/run.ts';
import { createRunServer } from '../src/rpc/run-server.ts';
import type { RunBackend } from '../src/rpc/run-contract.ts';
import { spreadNs } from '../src/schedule/window.ts';

const port = Number(process.argv[2]);
const windowNs = BigInt(process.argv[3] ?? 60) * 1_000_000_000n;

let epochMax = 0;
const committed = new Map<string, CommittedInterval>();
let waiting: Delivery[] = [];
let news = Promise.withResolvers<void>();
let late: number[] = [];

function outcomeOf({ uid, start, end }: Pick<RunRequest, 'uid' | 'start' | 'end'>): RunOutcome {
  const nodes = { expected: 2, answered: 2, missing: [] };
  const counts = { rowsRead: 100, rowsTruncated: 0, metricPoints: 10, spans: 5, logs: 0, bytes: 2000, durationMs: 1 };
  return { uid, start, end, outcome: 'Complete', ...counts, nodes, loss: NO_LOSS };
}

const backend: RunBackend = {
  incarnation: 'stub',
  hello: async (epoch) => {
    epochMax = Math.max(epochMax, epoch);
    return { incarnation: 'stub', highestEpoch: epochMax };
  },
  compile: async ({ script, args }) => ({
    scriptHash: createHash('sha256')
      .update(JSON.stringify([script, args]))
      .digest('hex'),
    outputs: [],
    diagnostics: [],
  }),
  putDestination: async () => undefined,
  removeDestination: async () => undefined,
  ledger: async (uids) =>
    new Map(
      uids.flatMap((uid) => {
        const one = committed.get(uid);
        return one === undefined ? [] : [[uid, [one]] as const];
      }),
    ),
  run: async (request) => {
    const { uid, start, end } = request;
    if (end - start === windowNs) late.push(Date.now() - Number((end + spreadNs(uid, windowNs)) / 1_000_000n));
    committed.set(uid, { start: committed.get(uid)?.start ?? start, end, delivered: true });
    const done = {
      metricPoints: 10,
      spans: 5,
      logs: 0,
      rejected: 0,
      bytes: 2000,
      attempts: 1,
      windowDelivered: true,
      windowRepeated: false,
    };
    waiting.push({ uid, start, end, batch: 0, outcome: 'acknowledged', ...done });
    news.resolve();
    return { status: 'committed', outcome: outcomeOf(request), delivered: false };
  },
  skip: async (request) => ({
    status: 'committed',
    outcome: { ...outcomeOf(request), outcome: 'Skipped', reason: request.reason },
    delivered: true,
  }),
  async *deliveries() {
    yield* [];
  },
  async *deliveryPages(_, signal) {
    while (!signal.aborted) {
      if (waiting.length === 0) {
        await Promise.race([
          news.promise,
          new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true })),
        ]);
        news = Promise.withResolvers<void>();
      }
      const page = waiting.splice(0, 256);
      if (page.length > 0) yield page;
    }
  },
  status: async () => ({
    incarnation: 'stub',
    version: 'stub',
    activeRuns: 0,
    waitingRuns: 0,
    spoolBytes: 0,
    spoolBytesMax: 1,
    destinations: [],
    nodes: [],
    presets: [],
  }),
};

const server = await createRunServer(backend, {
  listen: `127.0.0.1:${port}`,
  tls: undefined,
  version: 'stub',
  isAllowed: () => true,
  onFault: (error: unknown) => process.stderr.write(`${String(error)}\n`),
  onRefused: () => undefined,
});
process.stdout.write('ready\n');
setInterval(() => {
  process.stdout.write(`${JSON.stringify({ runs: late.length, lateMs: late })}\n`);
  late = [];
}, 1000);
process.on('SIGTERM', () => void server.close(100).then(() => process.exit(0)));
