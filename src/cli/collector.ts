// sluice collector: one node's agent in a cluster. Reads the probe's frames into tables and serves them over Arrow Flight.
import { hostname } from 'node:os';
import { createAgent } from '../collector/agent.ts';
import { flightBackend } from '../collector/flight.ts';
import { asidOf } from '../collector/identity/asid.ts';
import { PROTOCOLS } from '../collector/protocols/registry.ts';
import { createLiveSource } from '../collector/sources/live.ts';
import { DEFAULT_LIMITS } from '../engine/context.ts';
import { openKubeClient, userAgent } from '../kube/client.ts';
import { loadKubeAccess } from '../kube/config.ts';
import { timeNs } from '../model/time.ts';
import { createFlightServer } from '../rpc/flight-server.ts';
import { createTableStore } from '../tables/store.ts';
import { UsageError, type Command, type CommandIo } from './command.ts';
import { failureText } from './failure.ts';
import { observeCollector } from './role/collector-metrics.ts';
import { readFlags, ROLE_FLAGS, ROLE_HELP, roleOptions } from './role/options.ts';
import { followMetadata } from './role/pod-metadata.ts';
import { startRole, told, type RoleProcess } from './role/process.ts';
import { version } from './version.ts';

const HELP = `Usage: sluice collector --socket PATH --tls DIR

One node's agent in a cluster: reads what the probe sees into tables in memory and answers the query runtime's questions
about them over Arrow Flight.

  --socket PATH            the probe's socket; it may appear later
  --flight-address ADDR    what runtimes connect to (default: [::]:7444)
  --node-name NAME         of the Kubernetes node (default: NODE_NAME); names of its pods and of services are followed.
                           Without one it is a host of its own
  --table-budget BYTES     memory of the tables (default: 268435456)
  --inside-ranges CIDR     addresses inside: of a call to a peer in them only the server's side makes a row; may be repeated
  --both-sides             also rows of the client's side where the server is inside
${ROLE_HELP}`;

const NAMES = {
  texts: [...ROLE_FLAGS.texts, 'socket', 'flight-address', 'node-name', 'table-budget'],
  lists: [...ROLE_FLAGS.lists, 'inside-ranges'],
  flags: [...ROLE_FLAGS.flags, 'both-sides'],
};

/** Before every row: reached as soon as the probe's rings were drained for the first time. */
const BEGINNING = timeNs(1n);

const BUDGET_BYTES = 256 * 2 ** 20;
const BUDGET_BYTES_MIN = 2 ** 20;

function budgetOf(text: string | undefined): number {
  if (text === undefined) return BUDGET_BYTES;
  const bytes = Number(text);
  if (!Number.isSafeInteger(bytes) || bytes < BUDGET_BYTES_MIN)
    throw new UsageError(`--table-budget is a number of bytes of at least ${BUDGET_BYTES_MIN}, not '${text}'`);
  return bytes;
}

async function metadataOf(node: string, kubeconfig: string | undefined, role: RoleProcess, signal: AbortSignal) {
  const access = await loadKubeAccess(kubeconfig === undefined ? {} : { kubeconfig });
  const { metrics, log } = role;
  const client = openKubeClient(access, { purpose: 'main', userAgent: userAgent('collector', version), metrics });
  signal.addEventListener('abort', () => void client.close(), { once: true });
  return followMetadata({
    client,
    node,
    metrics,
    signal,
    onError: (what, error) => void log.warn('following failed', { what, error: failureText(error) }),
  });
}

async function serve(argv: readonly string[], io: CommandIo): Promise<number> {
  const flags = readFlags(argv, io.env, NAMES);
  const flightAddress = flags.text('flight-address') ?? '[::]:7444';
  const options = roleOptions(flags, io.env, hostname(), flightAddress);
  const socketPath = flags.text('socket');
  if (socketPath === undefined) throw new UsageError('--socket PATH is missing');
  const node = flags.text('node-name') ?? io.env['NODE_NAME'];
  const budgetBytes = budgetOf(flags.text('table-budget'));

  const role = await startRole('collector', options, io);
  const { log, metrics, onFault } = role;
  const end = new AbortController();
  const metadata = node === undefined ? undefined : await metadataOf(node, options.kubeconfig, role, end.signal);
  // the probe is another container's; it tells the agent whom not to look at, and the host's addresses are not this pod's
  const source = createLiveSource({
    socketPath,
    ownTgids: [],
    localNetworks: [],
    onLine: (line) => void log.info('probe', { line }),
  });
  const tables = createTableStore({ budgetBytes });
  const agent = createAgent({
    name: node ?? hostname(),
    ...(node === undefined ? {} : { asid: asidOf(node) }),
    ...(metadata === undefined ? {} : { pods: metadata.pods }),
    source,
    tables,
    protocols: PROTOCOLS,
    engineLimits: DEFAULT_LIMITS,
    insideRanges: flags.list('inside-ranges'),
    bothSides: flags.flag('both-sides'),
  });
  agent.ended.catch((error: unknown) => onFault('reading the probe', error));
  let hasDrained = false;
  const drainedOnce = async (): Promise<void> => {
    await agent.node.waitForWatermark(['http_events'], BEGINNING, end.signal);
    hasDrained = true;
    log.info('capturing');
  };
  drainedOnce().catch(() => undefined);
  const refused = metrics.counter('sluice_rpc_refused_total');
  const server = await createFlightServer(flightBackend({ node: agent.node, tables }), {
    listen: flightAddress,
    tls: role.tls,
    namespace: options.namespace,
    onRefused(reason, detail) {
      refused.add(1, { reason });
      log.warn('a caller was refused', { reason, detail });
    },
    onFault,
  });
  const stopObserving = observeCollector(metrics, {
    counters: () => agent.metrics(),
    tables,
    blind: () => agent.state().blind.map(({ source: name }) => name),
  });
  let isStopping = false;
  await role.serve({
    probe() {
      const [trouble] = source.blind();
      if (trouble !== undefined) return `${trouble.reason}: ${trouble.message}`;
      return hasDrained || 'nothing of the probe is complete yet';
    },
    metadata: () => metadata?.state() ?? true,
    running: () => !isStopping || 'stopping',
  });
  log.info('serving', { port: server.port, node: node ?? hostname() });

  await told(io.signal);
  isStopping = true;
  log.info('stopping');
  await server.close(STOP_GRACE_MS);
  await agent.stop();
  stopObserving();
  end.abort();
  await role.close();
  return 0;
}

/** Queries under way may take that long. */
const STOP_GRACE_MS = 10_000;

export const collector: Command = {
  name: 'collector',
  summary: "the role that captures on a cluster's node and serves its tables",
  help: HELP,
  run: serve,
};
