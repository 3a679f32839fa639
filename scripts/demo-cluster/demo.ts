// `make demo-cluster`: Sluice on two real Kubernetes nodes, installed as anybody would, with shops under load in pods and a real
// OpenTelemetry Collector; then for some windows what kubectl says, and the shops' own counts beside what the Collector received.
// On a terminal the cluster stays for trying out until it is interrupted; elsewhere it ends, with status 0 only if all is equal.
import { dirname } from 'node:path';
import { setImmediate as heard, setTimeout as sleep } from 'node:timers/promises';
import { isatty } from 'node:tty';
import { binary } from '../../test/cluster/binaries.ts';
import { nodesMissing } from '../../test/cluster/cluster.ts';
import { captureMissing } from '../../test/e2e/harness.ts';
import { startProduct, type Product } from '../../test/e2e-cluster/product.ts';
import { loadObjects, shopCounts } from '../../test/e2e-cluster/shops.ts';
import { otelCollectorMissing } from '../../test/servers/otelcol.ts';
import { compare, WINDOW_MS, type Comparison } from './comparison.ts';

const JUDGED_WINDOWS = 3;
const HTTP = 'sluice-system/collector-http-metrics';
/** Exit status, as the shell's of a program that SIGINT ended. */
const INTERRUPTED = 130;
const LIFE_MS = 4 * 3600_000;
/** From the first window to the last that is judged. */
const JUDGING_MS = 180_000;

const startedMs = Date.now();
const say = (line = ''): void => void process.stdout.write(`${line}\n`);
const step = (what: string): void => say(`${((Date.now() - startedMs) / 1000).toFixed(1).padStart(6)} s  ${what}`);

/** How it goes with the windows whose comparison is due, oldest first; waits for `JUDGED_WINDOWS` of them. */
async function judge({ cluster, statuses, items }: Product): Promise<Comparison[]> {
  const begun = (): number => Date.parse(statuses.of(HTTP)?.status?.nextWindow?.start ?? '');
  const end = Date.now() + JUDGING_MS;
  while (!(begun() <= Date.now()) && Date.now() < end) await sleep(200);
  // the load begins after the first window did
  let start = begun() + WINDOW_MS;
  const judged: Comparison[] = [];
  while (judged.length < JUDGED_WINDOWS && Date.now() < end) {
    const delivered = Date.parse(statuses.of(HTTP)?.status?.deliveredUntil ?? '');
    if (!(delivered >= start + WINDOW_MS)) {
      await sleep(300);
      continue;
    }
    // acknowledged is not yet in the Collector's file
    await sleep(500);
    const lost = statuses.of(HTTP)?.windows.get(new Date(start).toISOString())?.lost ?? 0;
    const comparison = compare(start, await shopCounts(cluster), items(), lost);
    start += WINDOW_MS;
    if (!comparison.isComparable) continue;
    judged.push(comparison);
    say(
      `\n$ kubectl get exportscripts,otelplugins -A\n${await cluster.kubectl(['get', 'exportscripts,otelplugins', '-A'])}`,
    );
    for (const line of comparison.lines) say(line);
  }
  return judged;
}

const isInteractive = process.stdout.isTTY && process.env['CI'] === undefined;

function invite({ cluster }: Product): void {
  const kubectl = binary('kubernetes', 'kubectl');
  say(`
The cluster stays until you press Ctrl-C. In another terminal:

  export KUBECONFIG=${cluster.kubeconfig}
  export PATH=${dirname(kubectl)}:$PATH
  kubectl get exportscripts,otelplugins -A --watch
  kubectl describe exportscript slow-requests -n sluice-system
  kubectl get pods -A -o wide
  kubectl logs -n sluice-system -l app.kubernetes.io/component=operator
  kubectl annotate exportscript slow-requests -n sluice-system sluice.dev/run-now=$(date +%s)
  kubectl apply -f config/samples        (change one of them before)
`);
}

/** Resolves with the exit status; never rejects once `signal` is aborted. */
async function main(signal: AbortSignal): Promise<number> {
  const interrupted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
  void interrupted.then(() => step('interrupted: the cluster is taken down'));
  // what Ctrl-C does to programs that are running for us is no error; its signal may be heard after what it did to them
  const unlessInterrupted = async <T>(error: unknown, otherwise: T): Promise<T> => {
    await heard();
    if (!signal.aborted) throw error;
    return otherwise;
  };
  const product = await startProduct({ name: 'demo', lifeMs: LIFE_MS, onProgress: step, signal }).catch(
    (error: unknown) => unlessInterrupted(error, undefined),
  );
  if (product === undefined) {
    step('nothing is left');
    return INTERRUPTED;
  }
  try {
    const { cluster, apply } = product;
    say(`\n$ kubectl get pods -A -o wide\n${await cluster.kubectl(['get', 'pods', '-A', '-o', 'wide'])}`);
    await apply(loadObjects(cluster.nodes, { name: 'load', requests: 1_000_000, pauseMs: 100 }));
    step('visitors on both nodes ask the shops on both nodes');
    const judged = await Promise.race([judge(product), interrupted.then((): Comparison[] => [])]);
    if (signal.aborted) return INTERRUPTED;
    const right = judged.filter(({ isRight }) => isRight).length;
    say(`\n${judged.length} windows compared, ${right} equal.`);
    if (isInteractive) {
      invite(product);
      await interrupted;
    }
    return judged.length === JUDGED_WINDOWS && right === JUDGED_WINDOWS ? 0 : 1;
  } catch (error) {
    return await unlessInterrupted(error, INTERRUPTED);
  } finally {
    if (!signal.aborted) step('the cluster is taken down');
    await product.stop();
    step('nothing is left');
  }
}

const missing = nodesMissing ?? otelCollectorMissing ?? captureMissing;
if (missing !== undefined) {
  process.stderr.write(
    `\n*** make demo-cluster cannot run here: ${missing} ***\n    make demo shows Sluice without Kubernetes.\n\n`,
  );
  process.exitCode = 1;
} else {
  const interruption = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => interruption.abort());
  // a terminal that has gone takes no text, and its SIGHUP may have been make's alone
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => interruption.abort());
  if (isInteractive) setInterval(() => isatty(1) || interruption.abort(), 1000);
  // not waited for: what kubectl was asked before an interruption
  process.exit(await main(interruption.signal));
}
