// sluice dump: a support bundle of an installation, with the rights of whoever calls.
import { parseArgs } from 'node:util';
import { loadKubeAccess } from '../kube/config.ts';
import { userAgent } from '../kube/client.ts';
import { SYSTEM_CLOCK } from '../kube/timers.ts';
import { openTransport } from '../kube/transport.ts';
import { REQUEST_RETRY } from '../kube/transport-retry.ts';
import { NO_METRICS } from '../model/metrics.ts';
import { UsageError, type Command } from './command.ts';
import { openBundle } from './dump/bundle.ts';
import { collect } from './dump/collect.ts';
import { version } from './version.ts';

const HELP = `Usage: sluice dump [TARGET] [--namespace NAME] [--kubeconfig FILE] [--context NAME] [--tail LINES]
                   [--pods N]

Gathers what a report about an installation needs: OtelPlugins, ExportScripts, what the operator made, pods, the ends of their
logs, events, metrics, nodes. It uses your own rights; what you may not read is named in dump.yaml and left out.

TARGET is a folder, or a file that ends in .tar (sluice-dump-TIME.tar).

Values of Secrets are never read. Header values and arguments of scripts are masked, credentials in logs too as far as they can
be told; texts of scripts, names and addresses are in it. Look through it before you give it to somebody.

  --namespace NAME    where the operator runs (sluice-system)
  --kubeconfig FILE   the cluster (KUBECONFIG, else ~/.kube/config)
  --context NAME      of the kubeconfig (its current one)
  --tail LINES        of each container's log (2000)
  --pods N            pods whose logs and metrics are read, those that are not ready first (50)
  --help              this text
`;

const REQUEST_MS = 30_000;
const BODY_BYTES_MAX = 256 * 1024 * 1024;

export const dump: Command = {
  name: 'dump',
  summary: 'a support bundle of an installation in a cluster',
  help: HELP,
  async run(argv, io) {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        namespace: { type: 'string', default: 'sluice-system' },
        kubeconfig: { type: 'string' },
        context: { type: 'string' },
        tail: { type: 'string', default: '2000' },
        pods: { type: 'string', default: '50' },
      },
    });
    if (positionals.length > 1) throw new UsageError('name one folder or one file that ends in .tar');
    const tailLines = Number(values.tail);
    if (!Number.isSafeInteger(tailLines) || tailLines < 1) throw new UsageError('--tail is a number of lines');
    const podsMax = Number(values.pods);
    if (!Number.isSafeInteger(podsMax) || podsMax < 0) throw new UsageError('--pods is a number of pods');
    const { namespace, kubeconfig, context } = values;
    if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(namespace))
      throw new UsageError('--namespace is a name of a namespace');
    const nowMs = Date.now();
    const top = `sluice-dump-${new Date(nowMs).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`;
    const target = positionals[0] ?? `${top}.tar`;
    const access = await loadKubeAccess({
      env: io.env,
      ...(kubeconfig === undefined ? {} : { kubeconfig }),
      ...(context === undefined ? {} : { context }),
    });
    const transport = openTransport({
      access,
      userAgent: userAgent('dump', version),
      metrics: NO_METRICS,
      clock: SYSTEM_CLOCK,
      random: Math.random,
      timeoutMs: REQUEST_MS,
      retry: REQUEST_RETRY,
      bodyBytesMax: BODY_BYTES_MAX,
    });
    try {
      // before anything is written: where nobody answers there is no bundle
      await transport.request({ method: 'GET', path: '/version', idempotent: true, signal: io.signal });
      const bundle = openBundle(target, top, nowMs);
      const { files, problems } = await collect({
        get: async (path, { accept = 'application/json', timeoutMs } = {}) => {
          io.signal.throwIfAborted();
          const response = await transport.request({
            method: 'GET',
            path,
            headers: { accept },
            // what does not answer at once is left out
            idempotent: timeoutMs === undefined,
            signal: io.signal,
            ...(timeoutMs === undefined ? {} : { timeoutMs }),
          });
          return response.body;
        },
        bundle,
        namespace,
        tailLines,
        podsMax,
        version,
        nowMs,
        onProgress: (what) => void (io.stderr.isTTY === true && io.stderr.write(`\u001b[2K\r${what}`)),
      });
      if (io.stderr.isTTY === true) io.stderr.write('\u001b[2K\r');
      if (io.signal.aborted) bundle.discard();
      io.signal.throwIfAborted();
      bundle.finish();
      const left = problems.length === 0 ? '' : `; ${String(problems.length)} could not be read, see dump.yaml`;
      io.stderr.write(`${target}: ${String(files)} files${left}\n`);
      return 0;
    } finally {
      await transport.close();
    }
  },
};
