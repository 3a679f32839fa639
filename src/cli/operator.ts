// sluice operator: leader-elected; follows the two kinds, plans, asks the runtimes, and deploys what the settings want.
import { hostname } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import { followObjects } from '../controllers/follow-object.ts';
import { durationMs, startSettings, watchedNamespaces } from '../controllers/workloads/settings.ts';
import { startWorkloadStores } from '../controllers/workloads/stores.ts';
import { openKubeClient, userAgent } from '../kube/client.ts';
import { ExternalError } from '../kube/controller.ts';
import { loadKubeAccess, type KubeAccess } from '../kube/config.ts';
import { createEvents } from '../kube/events.ts';
import { startLeader, type Leader, type LeaderNote } from '../kube/leader.ts';
import { SYSTEM_CLOCK } from '../kube/timers.ts';
import { now } from '../model/time.ts';
import { startHealthServer, startMetricsServer } from '../observe/health.ts';
import { openLog } from '../observe/log.ts';
import { createMetrics } from '../observe/metrics.ts';
import { observeProcess } from '../observe/process.ts';
import { startTraces } from '../observe/traces.ts';
import { tlsFromFolder } from '../rpc/tls.ts';
import { risingClock } from '../schedule/clock.ts';
import { UsageError, type Command, type CommandIo } from './command.ts';
import { failureText } from './failure.ts';
import { startChecks } from './operator/checks.ts';
import { EXPORT_SCRIPTS, OTEL_PLUGINS } from './operator/kinds.ts';
import { createLeadership, ownDeployment } from './operator/leadership.ts';
import { followSettings, parseOperatorOptions, type OperatorOptions } from './operator/options.ts';
import { startKindStores } from './operator/stores.ts';
import { createRuntimeClients } from './operator/runtime-clients.ts';
import { presetNames } from './presets.ts';
import { version } from './version.ts';

const HELP = `Usage: sluice operator --settings FILE [--kubeconfig FILE] [--namespace NAME]

The role that follows OtelPlugins and ExportScripts in a cluster: it plans windows, has the query runtimes run them, writes
statuses, and deploys and repairs the runtimes and the collectors. Of several replicas one leads.

  --settings FILE          what to deploy and how (config/manager/sluice.yaml)
  --kubeconfig FILE        the cluster; default: KUBECONFIG, else the pod's service account
  --namespace NAME         the operator's own (default: POD_NAMESPACE, else the pod's)
  --health-address ADDR    /livez and /readyz (default: all addresses, the settings' port)
  --metrics-address ADDR   /metrics (default: all addresses, the settings' port)
  --log-level LEVEL        error, warn, info or debug (default: the settings')
  --runtime HOST:PORT      a runtime that runs already, in the order of ordinals; may be repeated. Nothing is deployed then
  --tls DIR                tls.crt, tls.key and ca.crt for --runtime
  --insecure               without TLS, for --runtime on loopback
  --help                   this text

Each flag also as an environment variable SLUICE_…, such as SLUICE_SETTINGS, lists separated by commas.
Ends at SIGTERM or SIGINT within 20 seconds.
`;

/** Runs that are under way may take that long when the process ends; statuses and checkpoints are written after them. */
const DRAIN_MS = 15_000;

/**
 * By how many percent the heap grows before it is collected again. What is held of ten thousand scripts is held for weeks; V8 by
 * itself would let garbage of the same size gather beside it (bench/operator.ts; docs/scale.md).
 */
const HEAP_GROWING_PERCENT = 30;

/** What is followed and served goes on until all else has ended, however that ends. */
interface Lasting {
  readonly signal: AbortSignal;
  closeAtEnd(close: () => unknown): void;
}

async function serve(argv: readonly string[], io: CommandIo): Promise<number> {
  const options = parseOperatorOptions(argv, io.env);
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWING_PERCENT}`);
  const end = new AbortController();
  const closing: (() => unknown)[] = [];
  try {
    return await lead(options, io, { signal: end.signal, closeAtEnd: (close) => closing.push(close) });
  } finally {
    end.abort();
    await Promise.allSettled(closing.map(async (close) => close()));
  }
}

async function lead(options: OperatorOptions, io: CommandIo, lasting: Lasting): Promise<number> {
  const { identity } = options;
  let { settings } = options;
  const access = await openAccess(options.kubeconfig);
  const namespace = options.namespace ?? access.namespace ?? 'sluice-system';
  const log = openLog(io.stderr, options.logLevel, { role: 'operator' });
  const resource = {
    'service.name': 'sluice-operator',
    'service.namespace': namespace,
    'service.instance.id': identity,
    'service.version': version,
    'host.name': hostname(),
  };
  const endpoint = settings.telemetry.endpoint.replace(/^http:\/\//, '');
  const push = endpoint === '' ? undefined : { endpoint, intervalMs: 15_000 };
  const metrics = createMetrics(resource, push);
  lasting.closeAtEnd(() => metrics.stop());
  if (push !== undefined) lasting.closeAtEnd(startTraces(resource, push));
  lasting.closeAtEnd(observeProcess(metrics, Date.now()));
  // what lies outside is tried again, and shown where it belongs: in conditions
  const onFault = (what: string, error: unknown): void =>
    void log.log(error instanceof ExternalError ? 'warn' : 'error', 'failed', { what, error: failureText(error) });
  const onNote = (message: string, fields: Readonly<Record<string, unknown>> = {}): void =>
    void log.info(message, fields);

  const agent = userAgent('operator', version);
  const client = openKubeClient(access, { purpose: 'main', userAgent: agent, metrics });
  lasting.closeAtEnd(() => client.close());
  const watched = watchedNamespaces(settings, namespace);
  const namespaces: readonly (string | undefined)[] = watched.length === 0 ? [undefined] : watched;
  const onFollowError = (what: string, error: unknown): void =>
    void log.warn('following failed', { what, error: failureText(error) });
  const following = { client, metrics, signal: lasting.signal, onError: onFollowError };
  const kinds = startKindStores({ ...following, namespaces });
  const isDeploying = options.runtimes.length === 0;
  const workloadStores = isDeploying ? startWorkloadStores({ ...following, namespace }) : undefined;

  const certificates =
    options.tlsFolder === undefined
      ? undefined
      : await tlsFromFolder(options.tlsFolder, { onFault: (error) => onFault('reading certificates', error) });
  lasting.closeAtEnd(() => certificates?.close());
  const runtimes = createRuntimeClients(
    {
      namespace,
      port: () => settings.ports.run,
      fixed: options.runtimes,
      isInsecure: options.isInsecure,
      version,
    },
    certificates,
  );

  const events = createEvents({
    client,
    component: 'sluice-operator',
    instance: identity,
    metrics,
    clock: SYSTEM_CLOCK,
    onError: (error) => void log.debug('an event was not recorded', { error: failureText(error) }),
  });
  const clock = risingClock({ wall: now, monotonic: () => process.hrtime.bigint() });
  const leadership = createLeadership({
    client,
    identity,
    replicas: () => (isDeploying ? settings.runtime.replicas : options.runtimes.length),
    onNote,
    view: () => kinds.view(),
    leading: {
      namespace,
      labels: {
        'app.kubernetes.io/name': 'sluice',
        'app.kubernetes.io/instance': 'sluice',
        'app.kubernetes.io/component': 'operator',
        'app.kubernetes.io/part-of': 'sluice',
        'app.kubernetes.io/managed-by': 'sluice-operator',
      },
      connect: (ordinal, listener) => runtimes.connect(ordinal, listener),
      types: { script: EXPORT_SCRIPTS, plugin: OTEL_PLUGINS },
      texts: kinds.texts,
      follow: followObjects(following),
      presetNames: presetNames(),
      events,
      now: clock,
      clock: () => performance.now(),
      random: Math.random,
      metrics,
      onFault,
    },
    workloads:
      workloadStores === undefined
        ? undefined
        : {
            stores: workloadStores,
            namespace,
            version,
            settings: () => settings,
            onTls: (material) => runtimes.setTls(material),
            onEvent: (event) =>
              events.record({ regarding: ownDeployment(namespace, workloadStores.deployments), ...event }),
            onNote: (what) => onNote('workloads', { what }),
            now: Date.now,
            clock: SYSTEM_CLOCK,
          },
  });
  kinds.scripts.onChange((change) => leadership.leading?.scriptChanged(change));
  kinds.plugins.onChange((change) => leadership.leading?.pluginChanged(change));
  kinds.onGrown((namespace) => {
    onNote('a namespace can be read that could not be', { namespace });
    leadership.takeOverAgain();
  });

  const checks = startChecks({
    client,
    namespace,
    watchNamespaces: watched,
    signal: lasting.signal,
    onAnswer(what, answer) {
      if (answer === true) onNote(`${what} are as they should be`);
      else {
        log.error(`${what} are not as they should be`, { error: answer });
        if (what === 'crds' && workloadStores !== undefined)
          events.record({
            regarding: ownDeployment(namespace, workloadStores.deployments),
            type: 'Warning',
            reason: 'DefinitionsDiffer',
            action: 'Check',
            note: answer.slice(0, 1000),
          });
      }
    },
  });
  let isStopping = false;
  let leader: Leader | undefined;
  const health = await startHealthServer(options.health, {
    crds: checks.crds,
    rights: checks.rights,
    caches: () => kinds.state(),
    election: () => leader?.isTakingPart === true || 'the lease was not read yet',
    running: () => !isStopping || 'stopping',
  });
  lasting.closeAtEnd(() => health.close());
  const metricsServer = await startMetricsServer(options.metrics, metrics.scrape);
  lasting.closeAtEnd(() => metricsServer.close());

  let electionFault: string | undefined;
  /** An API server that is away fails each attempt in the same way: said once. */
  function noteElection(note: LeaderNote): void {
    const fault = note.kind === 'failed' ? note.message : undefined;
    if (note.kind === 'observed') onNote('the lease is held', { holder: note.holder });
    else if (fault !== electionFault) log.warn('the lease could not be asked for', { error: fault });
    electionFault = fault;
  }

  await raced(kinds.begun, io.signal);
  const { leaseDuration, renewDeadline, retryPeriod } = settings.leaderElection;
  let stuck: ((reason: string) => void) | undefined;
  const died = new Promise<string>((resolve) => (stuck = resolve));
  if (!io.signal.aborted)
    leader = startLeader({
      namespace,
      name: 'sluice-operator',
      identity,
      access: options.kubeconfig === undefined ? {} : { kubeconfig: options.kubeconfig },
      userAgent: userAgent('leader', version),
      leaseDurationMs: durationMs(leaseDuration),
      renewDeadlineMs: durationMs(renewDeadline),
      retryPeriodMs: durationMs(retryPeriod),
      metrics,
      onAcquired: (term) => leadership.begin(term),
      onLost: (reason) => leadership.end(reason),
      onStuck: (reason) => stuck?.(reason),
      onNote: (note) => noteElection(note),
    });
  const needsRestart = startSettings(settings);
  followSettings(
    options.settingsFile,
    lasting.signal,
    (next) => {
      settings = next;
      onNote('the settings have changed');
      if (startSettings(next) !== needsRestart)
        log.warn('some of the changed settings take effect when the operator is started again');
      leadership.settingsChanged();
    },
    (error) => onFault('reading the settings; those in force stay', error),
  );

  const reason = await Promise.race([raced(new Promise<never>(() => undefined), io.signal), died]);
  isStopping = true;
  if (typeof reason === 'string') log.error('ends: an old term did not end', { error: reason });
  else onNote('stopping');
  await leadership.drain(DRAIN_MS);
  await leader?.stop();
  await events.stop();
  return typeof reason === 'string' ? 1 : 0;
}

/** @throws UsageError where there is no way to a cluster: nothing but another start mends that (R32). */
async function openAccess(kubeconfig: string | undefined): Promise<KubeAccess> {
  try {
    return await loadKubeAccess(kubeconfig === undefined ? {} : { kubeconfig });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** Resolves with the promise, or with nothing when the signal aborts. */
const raced = <T>(promise: Promise<T>, signal: AbortSignal): Promise<T | undefined> =>
  Promise.race([
    promise,
    new Promise<undefined>((resolve) => {
      if (signal.aborted) resolve(undefined);
      signal.addEventListener('abort', () => resolve(undefined), { once: true });
    }),
  ]);

export const operator: Command = {
  name: 'operator',
  summary: 'the role that follows the two kinds in a cluster, plans and deploys',
  help: HELP,
  run: serve,
};
