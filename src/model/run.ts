// The contract between who plans runs (operator, or `sluice local`) and who executes them (the query runtime). In one
// process it is called directly; in a cluster the same calls travel over gRPC.
import type { Destination } from './destination.ts';
import type { Diagnostic } from './diagnostic.ts';
import type { Delivery, RunOutcome } from './outcome.ts';
import type { TimeNs } from './time.ts';

export type ScriptSource =
  { readonly kind: 'text'; readonly text: string } | { readonly kind: 'preset'; readonly name: string };

export interface CompileRequest {
  readonly script: ScriptSource;
  /** Values bound to `name`s of the script; converted to the annotated type, never spliced into the text. */
  readonly args: Readonly<Record<string, string>>;
  /** Whose text it is: in a cluster the runtime that will run it compiles it. */
  readonly uid?: string;
}

/** One output of a script: a table shown, or a metric or span exported. */
export interface ScriptOutput {
  readonly kind: 'table' | 'metric' | 'span';
  readonly name: string;
  /** For tables the columns with their types; empty otherwise. */
  readonly columns: readonly { readonly name: string; readonly type: string; readonly semanticType: string }[];
}

export interface CompileResult {
  /** sha256 of script text and arguments; empty where the script does not compile. */
  readonly scriptHash: string;
  readonly outputs: readonly ScriptOutput[];
  readonly diagnostics: readonly Diagnostic[];
}

/** Half-open [start, end). */
export interface CommittedInterval {
  readonly start: TimeNs;
  readonly end: TimeNs;
  /** Every batch of it was acknowledged, refused for good or dropped. */
  readonly delivered: boolean;
}

export interface RunRequest {
  /** Names the run in logs; no meaning otherwise. */
  readonly runId: string;
  readonly epoch: number;
  readonly scriptHash: string;
  readonly uid: string;
  /** `namespace/name`, for scope names and logs. */
  readonly scriptName: string;
  readonly start: TimeNs;
  readonly end: TimeNs;
  readonly pluginUid: string;
  readonly revision: string;
  readonly scope: string;
  readonly limits: { readonly timeoutMs: number; readonly rowsMax: number; readonly watermarkWaitMs: number };
}

export type RunResult =
  /** `delivered`: nothing of it is left to send, so no delivery with `windowDelivered` follows. */
  | { readonly status: 'committed'; readonly outcome: RunOutcome; readonly delivered: boolean }
  /** Not committed; may be tried again. */
  | { readonly status: 'failed'; readonly outcome: RunOutcome }
  /** [start, end) overlaps what is committed already under this uid. Recent windows are told one by one, so that each can be asked for. */
  | { readonly status: 'overlap'; readonly committed: readonly CommittedInterval[] }
  | { readonly status: 'unknown'; readonly what: 'script' | 'destination' };

/** A stretch that is finished without a query: suspended, its data gone, or left out by the catch-up policy. */
export interface SkipRequest {
  readonly epoch: number;
  readonly uid: string;
  readonly start: TimeNs;
  readonly end: TimeNs;
  /** Becomes the outcome's reason: Suspended, DataExpired, CatchUpMaxAge, CatchUpSkip. */
  readonly reason: string;
}

export interface RunContract {
  hello(epoch: number): Promise<{ readonly incarnation: string; readonly highestEpoch: number }>;
  compile(request: CompileRequest): Promise<CompileResult>;
  putDestination(pluginUid: string, revision: string, destination: Destination): Promise<void>;
  /** The spool of the destination is tried for up to `graceMs` more, then dropped and counted. */
  removeDestination(pluginUid: string, graceMs: number): Promise<void>;
  /** Committed time, joined where windows touch and are equally delivered. */
  ledger(uids: readonly string[]): Promise<ReadonlyMap<string, readonly CommittedInterval[]>>;
  /**
   * Resolves once the window is committed or has failed. `signal` cancels a run that is not yet committed. A window that is
   * committed already is answered with the outcome that it had, whatever the script is now.
   */
  run(request: RunRequest, signal: AbortSignal): Promise<RunResult>;
  /** Commits [start, end) as `Skipped`, so that it is in the ledger once and with its reason. Never queries or sends. */
  skip(request: SkipRequest): Promise<RunResult>;
  /** What destinations said, from the first delivery that was not yet handed out under this incarnation. */
  deliveries(epoch: number, signal: AbortSignal): AsyncIterable<Delivery>;
}
