// A script run once against one node, for people: `sluice run`. No ledger, no destination; what it shows and what it
// would export come back.
import type { Batch } from '../columns/column.ts';
import { DEFAULT_LIMITS, type EngineLimits } from '../engine/context.ts';
import { execute } from '../engine/execute.ts';
import { createExportSink } from '../engine/export-sink.ts';
import { droppedOf } from '../engine/export/run.ts';
import type { Diagnostic } from '../model/diagnostic.ts';
import type { WindowLoss } from '../model/loss.ts';
import type { ScriptOutput } from '../model/run.ts';
import { timeNs, type TimeNs } from '../model/time.ts';
import type { Schema } from '../model/types.ts';
import type { Node } from '../plan/node.ts';
import type { Plan, ScriptEndpoint, Sink } from '../plan/plan.ts';
import { compile, type CompileOptions } from '../pxl/compile.ts';
import type { TelemetryBatch } from '../telemetry/batches.ts';
import { failureOf, gather, mergeContext, reachOf, type Gathered } from './query.ts';
import { firstStart, scopeOf, takeRows } from './run.ts';
import { split } from './split.ts';

export interface QueryOnceRequest {
  readonly source: string;
  /** What the compiler is told: window, now, arguments, functions to run. */
  readonly compile: CompileOptions;
  readonly node: Node;
  readonly scope: string;
  /** The window of the run; bounds for delta points' start times and losses. */
  readonly start: TimeNs;
  readonly end: TimeNs;
  /** For the exported scope: the script's name and our version. */
  readonly scriptName: string;
  readonly version: string;
  /** Of the plugin that the run is for; they win over the script's own. */
  readonly resourceAttributes?: Readonly<Record<string, string>>;
  /** Rows of each export; a table's bound is in its sink. */
  readonly rowsMax: number;
  readonly bytesMax?: number;
  readonly engineLimits?: EngineLimits;
  readonly signal: AbortSignal;
}

export interface QueryTable {
  readonly name: string;
  readonly schema: Schema;
  readonly batches: readonly Batch[];
  /** Rows beyond the bound, not in `batches`. */
  readonly rowsTruncated: number;
}

export interface QueryExport {
  readonly name: string;
  /** Where the script itself wants it sent; absent: to the plugin's destination. */
  readonly endpoint?: ScriptEndpoint;
  readonly batches: readonly TelemetryBatch[];
  readonly rowsTruncated: number;
  /** Points and spans that could not be made of their rows. */
  readonly itemsDropped: number;
}

export interface QueryOnceResult {
  /** Absent where the script does not compile: the diagnostics say why. */
  readonly plan?: Plan;
  readonly outputs: readonly ScriptOutput[];
  readonly diagnostics: readonly Diagnostic[];
  readonly tables: readonly QueryTable[];
  readonly exports: readonly QueryExport[];
  readonly stats: { readonly rowsRead: number; readonly compileMs: number; readonly queryMs: number };
  readonly loss: WindowLoss | undefined;
}

const BYTES_MAX = 1024 * 2 ** 20;

/**
 * Compiles and runs. A script that does not compile is a result with errors among its diagnostics.
 * @throws RunFailure (outcome.ts) where the query cannot go on; the signal's reason where it aborts.
 */
export async function queryOnce(request: QueryOnceRequest): Promise<QueryOnceResult> {
  const began = performance.now();
  const { plan, outputs, diagnostics } = compile(request.source, request.compile);
  const compiled = performance.now();
  if (plan === undefined || diagnostics.some(({ severity }) => severity === 'error')) {
    const stats = { rowsRead: 0, compileMs: compiled - began, queryMs: 0 };
    return { outputs, diagnostics, tables: [], exports: [], stats, loss: undefined };
  }
  const { node, scope, signal } = request;
  const bytesMax = request.bytesMax ?? BYTES_MAX;
  const { fragments, merge } = split(plan, { oneNode: true });
  const ready = [{ node, state: await node.state(signal) }];
  const reach = reachOf(fragments, request);
  const gathered = await gather({ fragments, merge }, ready, { scope, signal, bytesMax, reach });
  const [failed] = gathered.missing;
  if (failed !== undefined) throw new Error(failed.why);
  const tables: QueryTable[] = [];
  const exports: QueryExport[] = [];
  try {
    for (const sink of merge.sinks) {
      if (sink.kind === 'table') tables.push(await showTable(request, sink, gathered, bytesMax));
      else exports.push(await makeExport(request, sink, gathered, bytesMax));
    }
  } catch (error) {
    throw failureOf(error);
  }
  return {
    plan,
    outputs,
    diagnostics,
    tables,
    exports,
    stats: { rowsRead: gathered.rowsRead, compileMs: compiled - began, queryMs: performance.now() - compiled },
    loss: gathered.loss,
  };
}

const contextOf = ({ scope, signal, engineLimits }: QueryOnceRequest, { fragments }: Gathered) =>
  mergeContext(fragments, { scope, signal, clock: () => performance.now(), limits: engineLimits ?? DEFAULT_LIMITS });

async function showTable(
  request: QueryOnceRequest,
  { name, input, rowsMax }: Extract<Sink, { readonly kind: 'table' }>,
  gathered: Gathered,
  bytesMax: number,
): Promise<QueryTable> {
  const batches: Batch[] = [];
  const rows = execute(input, contextOf(request, gathered));
  const rowsTruncated = await takeRows(rows, { rowsMax, bytesMax }, (batch) => batches.push(batch));
  return { name, schema: input.schema, batches, rowsTruncated };
}

async function makeExport(
  request: QueryOnceRequest,
  sink: Extract<Sink, { readonly kind: 'otel' }>,
  gathered: Gathered,
  bytesMax: number,
): Promise<QueryExport> {
  const { endpoint } = sink.export;
  const exporting = createExportSink(sink.export, {
    scriptUid: request.scriptName,
    start: request.start,
    end: request.end,
    collectorStart: firstStart(gathered.answered, timeNs(request.end)),
    scope: scopeOf(request.scriptName, request.version),
    resourceAttributes: endpoint === undefined ? (request.resourceAttributes ?? {}) : {},
  });
  const batches: TelemetryBatch[] = [];
  const bounds = { rowsMax: request.rowsMax, bytesMax };
  const rowsTruncated = await takeRows(execute(sink.input, contextOf(request, gathered)), bounds, (rows) => {
    batches.push(...exporting.add(rows));
  });
  const itemsDropped = droppedOf(exporting.counters);
  return { name: sink.name, ...(endpoint === undefined ? {} : { endpoint }), batches, rowsTruncated, itemsDropped };
}
