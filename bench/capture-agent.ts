// The agent of bench/capture.ts: probe, agent and tables in a process of their own, tracing one process. Prints its
// counters as a JSON line at start and whenever it is sent a line; ends when its standard input does.
import { createInterface } from 'node:readline';
import { now } from '../src/model/time.ts';
import { liveSource, startAgent } from '../src/cli/capture.ts';

const { source, close } = liveSource({
  io: { stdout: process.stdout, stderr: process.stderr, env: process.env, signal: new AbortController().signal },
  pid: Number(process.argv[2]),
  onLine: (line) => void process.stderr.write(`${line}\n`),
});
const { agent, store } = startAgent(source);
await source.connected;

const report = (): void => {
  const metrics = agent.metrics();
  const { exchangesLost, ...flat } = metrics;
  const lost = Object.values(exchangesLost).reduce((sum, n) => sum + n, 0) + metrics.dataRingFull;
  process.stdout.write(
    `${JSON.stringify({ ...flat, rows: store.stats('http_events').rowsAppended, lost, tableBytes: store.bytes() })}\n`,
  );
};
report();
const lines = createInterface({ input: process.stdin });
lines.on('line', () => {
  // everything of the load has come once the watermark has passed this moment
  void agent.node.waitForWatermark(['http_events'], now(), AbortSignal.timeout(5000)).then(report, report);
});
lines.on('close', () => {
  void agent.stop().then(() => {
    close();
    process.exit(0);
  });
});
