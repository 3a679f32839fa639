// sluice runtime: the query runtime of a cluster. Runs what the operator plans, over what the collectors have, and delivers.
import { hostname } from 'node:os';
import { openKubeClient, userAgent } from '../kube/client.ts';
import { loadKubeAccess } from '../kube/config.ts';
import { openLedger } from '../ledger/ledger.ts';
import { now } from '../model/time.ts';
import { createRunServer, onlyOperatorOf } from '../rpc/run-server.ts';
import { createEndpointGuard, parseAddressRange, type AddressRange } from '../runtime/endpoint-guard.ts';
import { createRuntime } from '../runtime/runtime.ts';
import { openSender } from '../runtime/senders.ts';
import { addressArg, pairsArg } from './args.ts';
import { UsageError, type Command, type CommandIo } from './command.ts';
import { failureText } from './failure.ts';
import { presetNames, presetText } from './presets.ts';
import { clusterNodes, fixedNodes, type Nodes, type NodesOptions } from './role/nodes.ts';
import { readFlags, ROLE_FLAGS, ROLE_HELP, roleOptions, type Flags } from './role/options.ts';
import { startRole, told, type RoleProcess } from './role/process.ts';
import { version } from './version.ts';

const STOP_GRACE_MS = 15_000;
const SPOOL_BYTES = 256 * 2 ** 20;
const RUNS_MAX = 4;

const HELP = `Usage: sluice runtime --state DIR --tls DIR

The query runtime of a cluster: compiles and runs the scripts that the operator sends, asks the collectors for their rows,
commits each window with its encoded batches, and delivers them. Stateless but for its ledger and spool.

  --state DIR              ledger and spool; made where it is not there
  --run-address ADDR       what the operator connects to (default: [::]:7443)
  --collectors SERVICE     the Service of the collectors in the role's namespace (default: sluice-collector)
  --collector NAME=HOST:PORT
                           a collector that runs already, instead of a cluster's; may be repeated
  --allow-endpoints CIDR   addresses that destinations may have although they are refused otherwise (loopback, link-local,
                           metadata services, the API server); may be repeated
  --spool-bytes BYTES      encoded batches that may wait for destinations (${SPOOL_BYTES})
  --runs-max N             queries at once (${RUNS_MAX})
${ROLE_HELP}`;

function countOf(flags: Flags, name: string, otherwise: number): number {
  const text = flags.text(name);
  const count = text === undefined ? otherwise : Number(text);
  if (!Number.isSafeInteger(count) || count < 1)
    throw new UsageError(`--${name} is a whole number of at least 1, not '${text}'`);
  return count;
}

function ranges(texts: readonly string[]): AddressRange[] {
  return texts.map((text) => {
    const range = parseAddressRange(text);
    if (range === undefined) throw new UsageError(`--allow-endpoints is a range such as 10.0.0.0/8, not '${text}'`);
    return range;
  });
}

interface RuntimeOptions {
  readonly kubeconfig: string | undefined;
  readonly service: string;
  readonly fixed: ReadonlyMap<string, string>;
}

async function openNodes(
  { kubeconfig, service, fixed }: RuntimeOptions,
  given: NodesOptions,
  { metrics, log }: RoleProcess,
  signal: AbortSignal,
): Promise<Nodes> {
  if (fixed.size > 0) return fixedNodes(fixed, given);
  const access = await loadKubeAccess(kubeconfig === undefined ? {} : { kubeconfig });
  const client = openKubeClient(access, { purpose: 'main', userAgent: userAgent('runtime', version), metrics });
  signal.addEventListener('abort', () => void client.close(), { once: true });
  return clusterNodes({
    ...given,
    client,
    service,
    metrics,
    signal,
    onError: (what, error) => void log.warn('following failed', { what, error: failureText(error) }),
  });
}

async function serve(argv: readonly string[], io: CommandIo): Promise<number> {
  const flags = readFlags(argv, io.env, {
    texts: [...ROLE_FLAGS.texts, 'state', 'run-address', 'collectors', 'spool-bytes', 'runs-max'],
    lists: [...ROLE_FLAGS.lists, 'collector', 'allow-endpoints'],
    flags: ROLE_FLAGS.flags,
  });
  const runAddress = flags.text('run-address') ?? '[::]:7443';
  const options = roleOptions(flags, io.env, hostname(), runAddress);
  const state = flags.text('state');
  if (state === undefined) throw new UsageError('--state DIR is missing');
  const fixed = new Map(Object.entries(pairsArg('collector', flags.list('collector'))));
  for (const address of fixed.values()) addressArg('collector', address);
  const allowed = ranges(flags.list('allow-endpoints'));
  const spoolBytesMax = countOf(flags, 'spool-bytes', SPOOL_BYTES);
  const runsMax = countOf(flags, 'runs-max', RUNS_MAX);

  const role = await startRole('runtime', options, io);
  const { log, onFault } = role;
  const end = new AbortController();
  const nodes = await openNodes(
    { kubeconfig: options.kubeconfig, service: flags.text('collectors') ?? 'sluice-collector', fixed },
    { namespace: options.namespace, tls: role.tls },
    role,
    end.signal,
  );
  const ledger = await openLedger(state, { spoolBytesMax });
  const apiServer = io.env['KUBERNETES_SERVICE_HOST'];
  const lookup = createEndpointGuard({ allowed, apiServer: () => (apiServer === undefined ? [] : [apiServer]) });
  const runtime = createRuntime({
    ledger,
    nodes: () => nodes.nodes(),
    openSender: (destination) => openSender(destination, { lookup, console: io.stdout, version }),
    preset: (name) => Promise.resolve(presetText(name)),
    presetNames: presetNames(),
    now,
    clock: () => performance.now(),
    random: Math.random,
    forbidScriptEndpoint: true,
    version,
    onFault,
    runsMax,
  });
  const refused = role.metrics.counter('sluice_rpc_refused_total');
  const server = await createRunServer(runtime, {
    listen: runAddress,
    tls: role.tls,
    version,
    isAllowed: onlyOperatorOf(options.namespace),
    onRefused(reason, detail) {
      refused.add(1, { reason });
      log.warn('a caller was refused', { reason, detail });
    },
    onFault,
  });
  let isStopping = false;
  await role.serve({ nodes: () => nodes.state(), running: () => !isStopping || 'stopping' });
  const observing = setInterval(() => void observe(), OBSERVE_MS);
  const observe = createObserver(runtime, role);
  log.info('serving', { port: server.port });

  await told(io.signal);
  isStopping = true;
  log.info('stopping');
  clearInterval(observing);
  await runtime.stop(STOP_GRACE_MS);
  await server.close(1000);
  nodes.close();
  end.abort();
  await ledger.close();
  await role.close();
  return 0;
}

const OBSERVE_MS = 5000;

/** What a scrape shows of the runtime's own state. */
function createObserver(
  runtime: ReturnType<typeof createRuntime>,
  { metrics, onFault }: RoleProcess,
): () => Promise<void> {
  const [bytes, batches] = [metrics.gauge('sluice_spool_bytes'), metrics.gauge('sluice_spool_batches')];
  const [active, waiting] = [metrics.gauge('sluice_runs_active'), metrics.gauge('sluice_runs_waiting')];
  const failures = metrics.gauge('sluice_destination_consecutive_failures');
  let shown = new Set<string>();
  return async () => {
    try {
      const state = await runtime.state();
      bytes.set(state.spool.bytes);
      batches.set(state.spool.destinations.reduce((sum, one) => sum + one.batches, 0));
      active.set(state.activeRuns);
      waiting.set(state.waitingRuns);
      for (const { name, delivery } of state.destinations)
        failures.set(delivery.consecutiveFailures, { destination: name });
      const names = new Set(state.destinations.map(({ name }) => name));
      for (const name of shown) if (!names.has(name)) failures.remove({ destination: name });
      shown = names;
    } catch (error) {
      onFault('looking at the ledger', error);
    }
  };
}

export const runtime: Command = {
  name: 'runtime',
  summary: 'the role that runs scripts in a cluster and delivers',
  help: HELP,
  run: serve,
};
