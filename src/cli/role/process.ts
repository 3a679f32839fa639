// What every role of a cluster has beside its work: log, metrics, health, traces, certificates.
import { hostname } from 'node:os';
import { startHealthServer, startMetricsServer, type Check } from '../../observe/health.ts';
import { openLog } from '../../observe/log.ts';
import { createMetrics, type RoleMetrics } from '../../observe/metrics.ts';
import { observeProcess } from '../../observe/process.ts';
import { startTraces } from '../../observe/traces.ts';
import { tlsFromFolder, type TlsSource } from '../../rpc/tls.ts';
import type { CommandIo } from '../command.ts';
import { failureText } from '../failure.ts';
import { version } from '../version.ts';
import type { RoleOptions } from './options.ts';

export interface RoleProcess {
  readonly log: ReturnType<typeof openLog>;
  readonly metrics: RoleMetrics;
  /** Undefined: plain text. */
  readonly tls: TlsSource | undefined;
  readonly onFault: (what: string, error: unknown) => void;
  /** Begins to answer kubelet and Prometheus. */
  serve(checks: Readonly<Record<string, Check>>): Promise<void>;
  /** After the work has ended. */
  close(): Promise<void>;
}

const PUSH_EVERY_MS = 15_000;

export async function startRole(
  role: 'runtime' | 'collector',
  options: RoleOptions,
  io: CommandIo,
): Promise<RoleProcess> {
  const log = openLog(io.stderr, options.logLevel, { role });
  const onFault = (what: string, error: unknown): void => void log.error('failed', { what, error: failureText(error) });
  const resource = {
    'service.name': `sluice-${role}`,
    'service.namespace': options.namespace,
    'service.instance.id': options.instance,
    'service.version': version,
    'host.name': hostname(),
  };
  const push = options.telemetry === undefined ? undefined : { endpoint: options.telemetry, intervalMs: PUSH_EVERY_MS };
  const metrics = createMetrics(resource, push);
  const stopTraces = push === undefined ? undefined : startTraces(resource, push);
  const stopObserving = observeProcess(metrics, Date.now());
  const tls =
    options.tlsFolder === undefined
      ? undefined
      : await tlsFromFolder(options.tlsFolder, {
          onFault: (error) => onFault('reading certificates', error),
          onChange: () => void log.info('certificates have changed'),
        });
  const servers: { close(): Promise<void> }[] = [];
  return {
    log,
    metrics,
    tls,
    onFault,
    async serve(checks) {
      servers.push(await startHealthServer(options.health, checks));
      servers.push(await startMetricsServer(options.metrics, metrics.scrape));
    },
    async close() {
      tls?.close();
      stopObserving();
      await Promise.all([...servers.map((server) => server.close()), metrics.stop(), stopTraces?.()]);
    },
  };
}

/** Resolves when the signal aborts. */
export const told = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
