// One run: compile for the window, ask the nodes, merge, encode. Ends with what is to be committed, or with the stage
// that failed. Touches neither ledger nor destinations.
import { createHash } from 'node:crypto';
import { batchBytes } from '../columns/batch.ts';
import type { Batch } from '../columns/column.ts';
import { sliceBatch } from '../columns/select.ts';
import type { EngineLimits } from '../engine/context.ts';
import { execute } from '../engine/execute.ts';
import { createExportSink } from '../engine/export-sink.ts';
import { droppedOf } from '../engine/export/run.ts';
import { encodeOtlp, type EncodedTelemetry } from '../exporters/otlp/encode.ts';
import { TooMuchTelemetry } from '../exporters/otlp/items.ts';
import type { NewBatch } from '../ledger/record.ts';
import type { Destination } from '../model/destination.ts';
import type { Diagnostic } from '../model/diagnostic.ts';
import { addLoss, NO_LOSS } from '../model/loss.ts';
import type { WindowOutcome } from '../model/outcome.ts';
import type { RunRequest } from '../model/run.ts';
import type { TimeNs } from '../model/time.ts';
import type { Node } from '../plan/node.ts';
import type { Plan, ScriptEndpoint, Sink } from '../plan/plan.ts';
import type { Scope, TelemetryBatch } from '../telemetry/batches.ts';
import type { Compiler } from './compiler.ts';
import type { Slots } from './lanes.ts';
import { RunFailure, verdictOf, type RunTally } from './outcome.ts';
import {
  failureOf,
  gather,
  type Gathered,
  mergeContext,
  nodesReady,
  reachOf,
  type ReadyNode,
  tablesOf,
} from './query.ts';
import type { Script } from './scripts.ts';
import { split } from './split.ts';

export interface RunParts {
  readonly compiler: Compiler;
  readonly nodes: () => readonly Node[];
  readonly slots: Slots;
  readonly limits: EngineLimits;
  /** Bytes that nodes' answers and export rows of one run may each hold. */
  readonly runBytesMax: number;
  /** Encoded bytes of one run: less than a destination may hold of the spool, or its window could never be committed. */
  readonly exportBytesMax: number;
  readonly forbidScriptEndpoint: boolean;
  /** Ours, the version of the exported scope. */
  readonly version: string;
  /** Monotonic milliseconds. */
  readonly clock: () => number;
}

export interface Produced {
  readonly batches: readonly NewBatch[];
  readonly verdict: { readonly outcome: WindowOutcome; readonly reason?: string };
  /** Endpoints that the script itself named, by the name that its batches carry. */
  readonly endpoints: ReadonlyMap<string, ScriptEndpoint>;
}

type OtelSink = Extract<Sink, { readonly kind: 'otel' }>;

/**
 * Runs the script over the request's window and counts in `tally` as far as it comes.
 * @throws RunFailure; or the signal's reason where it aborts.
 */
export async function produce(
  parts: RunParts,
  script: Script,
  request: RunRequest,
  destination: Destination,
  tally: RunTally,
  signal: AbortSignal,
): Promise<Produced> {
  const { end } = request;
  const plan = await compileForWindow(parts, script, request);
  signal.throwIfAborted();
  const sinks = plan.sinks.filter((sink) => sink.kind === 'otel');
  const nodes = parts.nodes();
  const { fragments, merge } = split({ sinks }, { oneNode: nodes.length === 1 });
  const tables = tablesOf(fragments);
  tally.expected = nodes.length;
  const { ready, behind } = await nodesReady(nodes, tables, end, request.limits.watermarkWaitMs, signal);
  tally.missing = behind;
  if (ready.length > 0 && behind.length === 0 && ready.every(({ state }) => state.startTime >= end)) {
    tally.answered = ready.length;
    const losses = ready.map(({ node }) => node.loss(tables, request.start, end, signal));
    tally.loss = (await Promise.all(losses)).reduce(addLoss, NO_LOSS);
    return { batches: [], verdict: { outcome: 'Skipped', reason: 'DataExpired' }, endpoints: new Map() };
  }
  const release = await parts.slots.take(signal);
  try {
    const gathered = await gather({ fragments, merge }, ready, {
      scope: request.scope,
      signal,
      bytesMax: parts.runBytesMax,
      reach: reachOf(fragments, request),
    });
    const { answered, missing } = gathered;
    tally.answered = answered.length;
    tally.missing = [...behind, ...missing.map(({ node }) => node)];
    tally.rowsRead = gathered.rowsRead;
    if (answered.length === 0) {
      const why =
        nodes.length === 0
          ? 'there are no nodes'
          : (missing[0]?.why ?? `no node has all rows of the window yet (${behind.slice(0, 3).join(', ')})`);
      throw new RunFailure('Query', 'NODES_MISSING', why);
    }
    tally.loss = gathered.loss;
    const exported = await mergeExports(parts, merge, gathered, { request, destination, signal }, tally);
    const batches = encode(exported, request.pluginUid, parts.exportBytesMax, tally);
    const endpoints = new Map(exported.flatMap(({ sink }) => endpointOf(sink)));
    return { batches, verdict: verdictOf(tally), endpoints };
  } finally {
    release();
  }
}

async function compileForWindow(parts: RunParts, script: Script, request: RunRequest): Promise<Plan> {
  const { plan, diagnostics } = await parts.compiler.compile(script.text, {
    now: request.end,
    window: { start: request.start, end: request.end },
    args: script.args,
    hasDefaultEndpoint: true,
    forbidScriptEndpoint: parts.forbidScriptEndpoint,
  });
  const error = diagnostics.find(({ severity }) => severity === 'error');
  if (error !== undefined) throw compileFailure(error);
  if (plan === undefined)
    throw new RunFailure('Compile', 'INTERNAL_ERROR', 'the compiler gave neither a plan nor an error');
  if (!plan.sinks.some(({ kind }) => kind === 'otel')) {
    throw new RunFailure(
      'Compile',
      'NO_EXPORT',
      'the script exports nothing; end it with px.export(df, px.otel.Data(...))',
    );
  }
  return plan;
}

const compileFailure = ({ code, message, line, column }: Diagnostic): RunFailure =>
  new RunFailure('Compile', code, message, { line, column });

interface Exported {
  readonly sink: OtelSink;
  readonly batches: readonly TelemetryBatch[];
}

async function mergeExports(
  parts: RunParts,
  merge: Plan,
  gathered: Gathered,
  run: { readonly request: RunRequest; readonly destination: Destination; readonly signal: AbortSignal },
  tally: RunTally,
): Promise<Exported[]> {
  const { request, destination, signal } = run;
  const { scope, limits } = request;
  const context = mergeContext(gathered.fragments, { scope, signal, clock: parts.clock, limits: parts.limits });
  const bounds = { rowsMax: limits.rowsMax, bytesMax: parts.runBytesMax };
  const exported: Exported[] = [];
  try {
    for (const sink of merge.sinks) {
      if (sink.kind !== 'otel') continue;
      const exporting = createExportSink(sink.export, {
        scriptUid: request.uid,
        start: request.start,
        end: request.end,
        collectorStart: firstStart(gathered.answered, request.end),
        scope: scopeOf(request.scriptName, parts.version),
        // Attributes of the plugin are about its backend; they do not follow a script to an endpoint of its own.
        resourceAttributes: sink.export.endpoint === undefined ? destination.resourceAttributes : {},
      });
      const batches: TelemetryBatch[] = [];
      tally.rowsTruncated += await takeRows(execute(sink.input, context), bounds, (rows) => {
        batches.push(...exporting.add(rows));
      });
      tally.itemsDropped += droppedOf(exporting.counters);
      exported.push({ sink, batches });
    }
  } catch (error) {
    throw failureOf(error);
  }
  return exported;
}

/** The producer of a script's telemetry; `scriptName` is `namespace/name`, or a name alone. */
export function scopeOf(scriptName: string, version: string): Scope {
  const slash = scriptName.indexOf('/');
  const namespace = slash < 0 ? [] : [{ key: 'script.namespace', value: scriptName.slice(0, slash) }];
  return { name: `sluice/${scriptName.slice(slash + 1)}`, version, attributes: namespace };
}

/** When the first of the nodes began to count. */
export const firstStart = (nodes: readonly ReadyNode[], otherwise: TimeNs): TimeNs =>
  nodes.reduce((first, { state: { startTime } }) => (startTime < first ? startTime : first), otherwise);

/**
 * Hands on the first `rowsMax` rows and returns how many more there were.
 * @throws RunFailure where those rows hold more than `bytesMax` bytes.
 */
export async function takeRows(
  rows: AsyncIterable<Batch>,
  bounds: { readonly rowsMax: number; readonly bytesMax: number },
  take: (rows: Batch) => void,
): Promise<number> {
  let taken = 0;
  let truncated = 0;
  let bytes = 0;
  for await (const batch of rows) {
    const room = bounds.rowsMax - taken;
    const kept = batch.length <= room ? batch : sliceBatch(batch, 0, room);
    taken += kept.length;
    truncated += batch.length - kept.length;
    if (kept.length === 0) continue;
    bytes += batchBytes(kept);
    if (bytes > bounds.bytesMax) {
      const mib = Math.round(bounds.bytesMax / 2 ** 20);
      const advice = 'aggregate in the script, or use a shorter window';
      throw new RunFailure('Query', 'QUERY_TOO_LARGE', `the rows of one sink hold more than ${mib} MiB; ${advice}`);
    }
    take(kept);
  }
  return truncated;
}

/** Requests for the plugin's destination, and for each endpoint that the script named itself. */
function encode(exported: readonly Exported[], plugin: string, bytesMax: number, tally: RunTally): NewBatch[] {
  const byDestination = Map.groupBy(exported, ({ sink }) => endpointNameOf(sink) ?? plugin);
  return [...byDestination].flatMap(([destination, own]) => {
    const { requests, oversize, duplicatePoints } = encodeOrFail(
      own.flatMap(({ batches }) => batches),
      bytesMax,
    );
    tally.itemsDropped += oversize.metricPoints + oversize.spans + oversize.logs + duplicatePoints;
    for (const request of requests) {
      tally.metricPoints += request.metricPoints;
      tally.spans += request.spans;
      tally.logs += request.logs;
      tally.bytes += request.bytes.length;
    }
    return requests.map((request) => ({ ...request, destination }));
  });
}

function encodeOrFail(batches: readonly TelemetryBatch[], totalBytesMax: number): EncodedTelemetry {
  try {
    return encodeOtlp(batches, { totalBytesMax });
  } catch (error) {
    const code = error instanceof TooMuchTelemetry ? 'EXPORT_TOO_LARGE' : 'INTERNAL_ERROR';
    throw new RunFailure('Encode', code, error instanceof Error ? error.message : String(error), { cause: error });
  }
}

function endpointNameOf({ export: { endpoint } }: OtelSink): string | undefined {
  if (endpoint === undefined) return undefined;
  return `endpoint:${createHash('sha256').update(JSON.stringify(endpoint)).digest('hex').slice(0, 32)}`;
}

function endpointOf(sink: OtelSink): [string, ScriptEndpoint][] {
  const { endpoint } = sink.export;
  const name = endpointNameOf(sink);
  return endpoint === undefined || name === undefined ? [] : [[name, endpoint]];
}

/** The destination that a script's own endpoint amounts to. */
export const destinationOf = (endpoint: ScriptEndpoint): Destination => ({
  type: 'OTLPGRPC',
  endpoint: endpoint.url,
  headers: endpoint.headers.map(({ name, value }) => ({ name: name.toLowerCase(), value })),
  tls: { mode: endpoint.insecure ? 'Plaintext' : 'TLS', insecureSkipVerify: false },
  compression: 'gzip',
  timeoutMs: endpoint.timeoutMs,
  resourceAttributes: {},
});
