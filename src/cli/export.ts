// `sluice run --export`: where a run's exports go, and sending them once, with the destination's own retries bounded.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { desiredOf } from '../controllers/desired.ts';
import { readManifests } from '../crds/manifest.ts';
import { nextBackOff, type BackOff } from '../exporters/delivery/back-off.ts';
import { encodeOtlp } from '../exporters/otlp/encode.ts';
import { parseGrpcEndpoint } from '../exporters/otlp/endpoint.ts';
import type { EncodedRequest, Sender } from '../exporters/sender.ts';
import type { Destination } from '../model/destination.ts';
import type { ScriptEndpoint } from '../plan/plan.ts';
import type { QueryOnceResult } from '../runtime/query-once.ts';
import { destinationOf } from '../runtime/run.ts';
import { openSender } from '../runtime/senders.ts';
import { UsageError, type CommandIo } from './command.ts';
import { presetNames } from './presets.ts';

export type ExportTarget =
  { readonly kind: 'where'; readonly where: string } | { readonly kind: 'plugin'; readonly destination: Destination };

/** The one OtelPlugin of a manifest file, its references served by the Secrets and ConfigMaps in it. */
export function pluginOf(file: string, io: CommandIo): ExportTarget {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`--plugin: ${error instanceof Error ? error.message : file}`);
  }
  const manifests = readManifests([{ file, text }]);
  for (const { line, column, path, message } of manifests.problems) {
    io.stderr.write(`${file}:${line}:${column}: ${path}: ${message}\n`);
  }
  const [plugin, more] = desiredOf(manifests, presetNames()).plugins;
  if (plugin === undefined || more !== undefined)
    throw new UsageError(`--plugin: ${file} does not have exactly one valid OtelPlugin`);
  if (!plugin.resolution.ok) throw new UsageError(`--plugin: ${plugin.resolution.fault.message}`);
  return { kind: 'plugin', destination: plugin.resolution.destination };
}

const ATTEMPTS_MAX = 5;

/** Where `--export` sends. Throws UsageError for what is neither a word of its own nor an address. */
export function whereOf(where: string): ExportTarget {
  if (!['none', 'script', 'console'].includes(where)) {
    const endpoint = parseGrpcEndpoint(urlDestination(where));
    if ('invalid' in endpoint) throw new UsageError(`--export is none, script, console or a URL: ${endpoint.invalid}`);
  }
  return { kind: 'where', where };
}

const urlDestination = (url: string): Destination => ({
  type: 'OTLPGRPC',
  endpoint: url,
  headers: [],
  // where the URL has no scheme, as Pixie's endpoints: encrypted
  tls: { mode: 'TLS', insecureSkipVerify: false },
  compression: 'gzip',
  timeoutMs: 10_000,
  resourceAttributes: {},
});

function destinationFor(target: ExportTarget, endpoint: ScriptEndpoint | undefined): Destination | undefined {
  if (target.kind === 'plugin') return endpoint === undefined ? target.destination : destinationOf(endpoint);
  switch (target.where) {
    case 'none':
      return undefined;
    case 'script':
      return endpoint === undefined ? undefined : destinationOf(endpoint);
    case 'console':
      return { ...urlDestination(''), type: 'Console' };
    default:
      return urlDestination(target.where);
  }
}

/** Sends one request; true once it was taken. */
async function send(sender: Sender, request: EncodedRequest, io: CommandIo): Promise<boolean> {
  let backOff: BackOff | undefined;
  for (let attempt = 1; ; attempt++) {
    const outcome = await sender.send(request, io.signal);
    if (outcome.status === 'sent') {
      if (outcome.rejected > 0)
        io.stderr.write(`sluice run: ${outcome.rejected} items rejected: ${outcome.message ?? ''}\n`);
      return outcome.rejected === 0;
    }
    if (outcome.status !== 'retry' || attempt === ATTEMPTS_MAX || io.signal.aborted) {
      io.stderr.write(`sluice run: export failed: ${outcome.code}: ${outcome.message}\n`);
      return false;
    }
    backOff = nextBackOff(backOff, outcome.afterMs, Math.random);
    await sleep(backOff.delayMs, undefined, { signal: io.signal }).catch(() => undefined);
  }
}

/** Sends every export where it belongs; true if all was taken (or nothing was to be sent). */
export async function exportResult(target: ExportTarget, result: QueryOnceResult, io: CommandIo): Promise<boolean> {
  let ok = true;
  for (const { name, endpoint, batches } of result.exports) {
    const destination = destinationFor(target, endpoint);
    if (destination === undefined) {
      if (target.kind === 'where' && target.where === 'script')
        io.stderr.write(`sluice run: ${name} has no Endpoint of its own; it was not sent\n`);
      continue;
    }
    const sender = openSender(destination, { console: io.stderr });
    try {
      for (const request of encodeOtlp(batches).requests) ok = (await send(sender, request, io)) && ok;
    } finally {
      sender.close();
    }
  }
  return ok;
}
