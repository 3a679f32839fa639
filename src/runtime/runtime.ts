// The query runtime, in process: scripts are compiled, runs executed and committed to the ledger, and what was committed
// is delivered. Implements RunContract; in a cluster the same calls arrive over gRPC.
import { DEFAULT_LIMITS, type EngineLimits } from '../engine/context.ts';
import type { Sender } from '../exporters/sender.ts';
import { LedgerError } from '../ledger/error.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { SpoolState } from '../ledger/record.ts';
import type { Destination } from '../model/destination.ts';
import type { CompileRequest, CompileResult, RunRequest, RunResult, SkipRequest } from '../model/run.ts';
import { timeNs, type TimeNs } from '../model/time.ts';
import type { Node } from '../plan/node.ts';
import type { RunBackend } from '../rpc/run-contract.ts';
import { RpcError } from '../rpc/status.ts';
import { createCompiler, type Compiler } from './compiler.ts';
import { createDeliveryFeed } from './delivery-feed.ts';
import { createDestinations, type Destinations } from './destinations.ts';
import { createLanes, createSlots } from './lanes.ts';
import { newTally, outcomeOf, RunFailure, runErrorOf, type RunTally } from './outcome.ts';
import { destinationOf, produce, type RunParts } from './run.ts';
import { traced } from './run-span.ts';
import { createScripts, scriptHashOf, type Script } from './scripts.ts';
import { statusOf } from './status.ts';

export interface RuntimeOptions {
  /** Open; stays the caller's, who closes it after `stop`. */
  readonly ledger: Ledger;
  /** The nodes that are expected to answer now. Known dead ones are left out. */
  readonly nodes: () => readonly Node[];
  readonly openSender: (destination: Destination) => Sender;
  /** The text of a shipped script; undefined where there is none of that name. */
  readonly preset: (name: string) => Promise<string | undefined>;
  /** Names that `preset` has, for whoever asks. */
  readonly presetNames?: readonly string[];
  /** Wall clock. */
  readonly now: () => TimeNs;
  /** Monotonic milliseconds. */
  readonly clock: () => number;
  readonly random: () => number;
  /** In a cluster scripts may not name endpoints of their own. */
  readonly forbidScriptEndpoint: boolean;
  /** Ours, for the exported scope. */
  readonly version: string;
  /** Faults of ours, for the log. */
  readonly onFault: (what: string, error: unknown) => void;
  /** Queries at once. Default 4. */
  readonly runsMax?: number;
  /** Bytes of nodes' answers, and of export rows, that one run may hold. Default 256 MiB. */
  readonly runBytesMax?: number;
  /** Encoded bytes of one run, at most half of the spool. Default 128 MiB. */
  readonly exportBytesMax?: number;
  readonly engineLimits?: EngineLimits;
  /** Stays the caller's. One of its own, ended by `stop`, where absent. */
  readonly compiler?: Compiler;
}

export interface RuntimeState {
  readonly incarnation: string;
  readonly spool: SpoolState;
  readonly destinations: ReturnType<Destinations['state']>;
  readonly activeRuns: number;
  readonly waitingRuns: number;
}

export interface Runtime extends RunBackend {
  state(): Promise<RuntimeState>;
  /** No new runs; those under way, and deliveries, get up to `graceMs`; the rest stays for the next start. */
  stop(graceMs: number): Promise<void>;
}

interface ActiveRun {
  readonly epoch: number;
  readonly cancel: AbortController;
}

/** The window that a script is compiled for when it is only checked. */
const CHECK_WINDOW_NS = 10_000_000_000n;

export function createRuntime(options: RuntimeOptions): Runtime {
  const { ledger, now, clock } = options;
  const compiler = options.compiler ?? createCompiler();
  const scripts = createScripts();
  const lanes = createLanes();
  const slots = createSlots(options.runsMax ?? 4);
  const feed = createDeliveryFeed(ledger, (error) => options.onFault('noting deliveries', error));
  const destinations = createDestinations({
    ledger,
    open: options.openSender,
    nowMs: () => Number(now() / 1_000_000n),
    random: options.random,
    onDeliveries: () => feed.wake(),
    onFault: options.onFault,
  });
  const parts: RunParts = {
    compiler,
    nodes: options.nodes,
    slots,
    limits: options.engineLimits ?? { ...DEFAULT_LIMITS, bytesMax: 256 * 2 ** 20 },
    runBytesMax: options.runBytesMax ?? 256 * 2 ** 20,
    exportBytesMax: options.exportBytesMax ?? 128 * 2 ** 20,
    forbidScriptEndpoint: options.forbidScriptEndpoint,
    version: options.version,
    clock,
  };
  const active = new Set<ActiveRun>();
  const running = new Set<Promise<unknown>>();
  let highestEpoch = 0;
  let stopped = false;

  /** Cancels what leaders before `epoch` started; a run that is committed already is not touched. */
  function supersede(epoch: number): void {
    highestEpoch = Math.max(highestEpoch, epoch);
    for (const run of active) if (run.epoch < highestEpoch) run.cancel.abort(stale(run.epoch, highestEpoch));
  }

  async function hello(epoch: number): Promise<number> {
    supersede(await ledger.hello(epoch));
    return highestEpoch;
  }

  async function textOf({ script }: CompileRequest): Promise<string | undefined> {
    return script.kind === 'text' ? script.text : options.preset(script.name);
  }

  async function compile(request: CompileRequest): Promise<CompileResult> {
    const text = await textOf(request);
    if (text === undefined) {
      const name = request.script.kind === 'preset' ? request.script.name : '';
      const message = `there is no preset ${JSON.stringify(name)}`;
      const diagnostic = { code: 'UNKNOWN_PRESET', severity: 'error', message, line: 0, column: 0 } as const;
      return { scriptHash: '', outputs: [], diagnostics: [diagnostic] };
    }
    const script = { text, args: request.args };
    const scriptHash = scriptHashOf(script);
    const before = scripts.find(scriptHash);
    if (before !== undefined) return before.compiled;
    const end = now();
    const { outputs, diagnostics } = await compiler.compile(text, {
      now: end,
      window: { start: timeNs(end - CHECK_WINDOW_NS), end },
      args: request.args,
      hasDefaultEndpoint: true,
      forbidScriptEndpoint: options.forbidScriptEndpoint,
    });
    if (diagnostics.some(({ severity }) => severity === 'error')) return { scriptHash: '', outputs: [], diagnostics };
    const compiled = { scriptHash, outputs, diagnostics };
    scripts.keep(script, compiled);
    return compiled;
  }

  /** What the ledger knows of the window already; undefined where it is free. */
  async function answeredBefore({
    uid,
    start,
    end,
  }: Pick<RunRequest, 'uid' | 'start' | 'end'>): Promise<RunResult | undefined> {
    const stored = await ledger.findWindow(uid, start, end);
    if (stored !== undefined) return { status: 'committed', ...stored };
    const committed = (await ledger.committed([uid], false)).get(uid) ?? [];
    return committed.some((one) => one.start < end && one.end > start) ? { status: 'overlap', committed } : undefined;
  }

  async function commit(
    request: RunRequest,
    tally: RunTally,
    produced: Awaited<ReturnType<typeof produce>>,
    started: number,
  ): Promise<RunResult> {
    const outcome = outcomeOf(request, tally, clock() - started, produced.verdict);
    const { batches } = produced;
    const result = await ledger.commit({
      epoch: request.epoch,
      pluginUid: request.pluginUid,
      outcome,
      batches,
      committedAt: now(),
    });
    switch (result.status) {
      case 'committed':
        for (const [name, endpoint] of produced.endpoints) destinations.put(name, name, destinationOf(endpoint));
        for (const name of new Set(batches.map(({ destination }) => destination))) destinations.wake(name);
        return { status: 'committed', outcome, delivered: result.delivered };
      case 'overlap':
        return result;
      case 'stale':
        throw stale(request.epoch, result.highestEpoch);
      case 'spool-full':
        throw new RunFailure('Export', 'SPOOL_FULL', SPOOL_FULL_MESSAGE);
      default:
        return result satisfies never;
    }
  }

  async function execute(request: RunRequest, cancelled: AbortSignal): Promise<RunResult> {
    const started = clock();
    const tally = newTally();
    try {
      cancelled.throwIfAborted();
      const known = await hello(request.epoch);
      if (known > request.epoch) throw stale(request.epoch, known);
      const before = await answeredBefore(request);
      if (before !== undefined) return before;
      const script = scripts.find(request.scriptHash);
      if (script === undefined) return { status: 'unknown', what: 'script' };
      const destination = destinations.find(request.pluginUid, request.revision);
      if (destination === undefined) return { status: 'unknown', what: 'destination' };
      if (!(await ledger.hasRoom(request.pluginUid))) throw new RunFailure('Export', 'SPOOL_FULL', SPOOL_FULL_MESSAGE);
      const produced = await produceInTime(script, request, destination, tally, cancelled);
      cancelled.throwIfAborted();
      if (destinations.find(request.pluginUid, request.revision) === undefined)
        return { status: 'unknown', what: 'destination' };
      return await commit(request, tally, produced, started);
    } catch (error) {
      const failure = failureFrom(error, cancelled);
      if (failure.code === 'INTERNAL_ERROR') options.onFault(`run ${request.runId}`, error);
      const verdict = { outcome: 'Failed', reason: failure.code, error: runErrorOf(failure) } as const;
      return { status: 'failed', outcome: outcomeOf(request, tally, clock() - started, verdict) };
    }
  }

  async function produceInTime(
    script: Script,
    request: RunRequest,
    destination: Destination,
    tally: RunTally,
    cancelled: AbortSignal,
  ) {
    const { timeoutMs } = request.limits;
    const late = new AbortController();
    const timer = setTimeout(() => {
      late.abort(
        new RunFailure('Query', 'DEADLINE_EXCEEDED', `the run took longer than its timeout of ${timeoutMs} ms`),
      );
    }, timeoutMs);
    try {
      return await produce(parts, script, request, destination, tally, AbortSignal.any([cancelled, late.signal]));
    } finally {
      clearTimeout(timer);
    }
  }

  function run(request: RunRequest, signal: AbortSignal): Promise<RunResult> {
    if (request.start >= request.end) throw new RangeError(`run ${request.runId}: start is not before end`);
    const cancel = new AbortController();
    const one: ActiveRun = { epoch: request.epoch, cancel };
    if (stopped) cancel.abort(new RunFailure('Query', 'STOPPING', 'the runtime is stopping'));
    active.add(one);
    supersede(request.epoch);
    const work = (): Promise<RunResult> => execute(request, AbortSignal.any([signal, cancel.signal]));
    const result = lanes(request.uid, () => traced(request, work)).finally(() => {
      active.delete(one);
      running.delete(result);
    });
    running.add(result);
    return result;
  }

  async function skip(request: SkipRequest): Promise<RunResult> {
    if (request.start >= request.end) throw new RangeError(`skip of ${request.uid}: start is not before end`);
    return lanes(request.uid, async () => {
      const tally = newTally();
      const outcome = outcomeOf(request, tally, 0, { outcome: 'Skipped', reason: request.reason });
      try {
        const before = await answeredBefore(request);
        if (before !== undefined) return before;
        const { epoch } = request;
        const result = await ledger.commit({ epoch, pluginUid: '', outcome, batches: [], committedAt: now() });
        if (result.status === 'committed') return { status: 'committed', outcome, delivered: true };
        if (result.status === 'overlap') return result;
        throw result.status === 'stale'
          ? stale(epoch, result.highestEpoch)
          : new RunFailure('Export', 'SPOOL_FULL', SPOOL_FULL_MESSAGE);
      } catch (error) {
        const failure = failureFrom(error, undefined);
        const verdict = { outcome: 'Failed', reason: failure.code, error: runErrorOf(failure) } as const;
        return { status: 'failed', outcome: { ...outcome, ...verdict } };
      }
    });
  }

  return {
    incarnation: ledger.incarnation,
    async hello(epoch) {
      return { highestEpoch: await hello(epoch), incarnation: ledger.incarnation };
    },
    compile,
    async putDestination(pluginUid, revision, destination) {
      destinations.put(pluginUid, revision, destination);
    },
    removeDestination: (pluginUid, graceMs) => destinations.remove(pluginUid, graceMs),
    ledger: (uids) => ledger.committed(uids),
    run,
    skip,
    async *deliveries(epoch, signal) {
      if ((await hello(epoch)) > epoch) return;
      yield* feed.read(signal);
    },
    async *deliveryPages(epoch, signal) {
      if ((await hello(epoch)) > epoch) return;
      yield* feed.pages(signal);
      // not the end of the deliveries: whoever reads comes back
      if (stopped && !signal.aborted) throw new RpcError('UNAVAILABLE', 'the runtime is stopping');
    },
    async status(signal) {
      const { incarnation } = ledger;
      const spool = await ledger.spool();
      const [activeRuns, waitingRuns] = [active.size, slots.waiting];
      const { version, presetNames: presets = [] } = options;
      const parts = { incarnation, version, activeRuns, waitingRuns, spool, presets };
      return statusOf({ ...parts, destinations: destinations.state(), nodes: options.nodes() }, signal);
    },
    async state() {
      const spool = await ledger.spool();
      return {
        incarnation: ledger.incarnation,
        spool,
        destinations: destinations.state(),
        activeRuns: active.size,
        waitingRuns: slots.waiting,
      };
    },
    async stop(graceMs) {
      stopped = true;
      const ends = clock() + graceMs;
      const timer = setTimeout(() => {
        for (const { cancel } of active) cancel.abort(new RunFailure('Query', 'STOPPING', 'the runtime is stopping'));
      }, graceMs);
      await Promise.allSettled(running);
      clearTimeout(timer);
      await destinations.stop(Math.max(0, ends - clock()));
      feed.close();
      if (options.compiler === undefined) await compiler.close();
    },
  };
}

const SPOOL_FULL_MESSAGE =
  'the destination is behind and its part of the spool is full; the window is tried again when some of it was taken';

const stale = (epoch: number, highest: number): RunFailure =>
  new RunFailure('Query', 'SUPERSEDED', `epoch ${epoch} is over, the leader's is ${highest}`);

/** Whatever was thrown, as a failure with a stage. */
function failureFrom(error: unknown, cancelled: AbortSignal | undefined): RunFailure {
  if (error instanceof RunFailure) return error;
  if (error instanceof LedgerError) return new RunFailure('Export', error.code, error.message, { cause: error });
  if (cancelled?.aborted === true)
    return new RunFailure('Query', 'CANCELLED', 'the run was cancelled', { cause: error });
  const message = error instanceof Error ? error.message : String(error);
  return new RunFailure('Query', 'INTERNAL_ERROR', message, { cause: error });
}
