// What a leader plans and dispatches with: the nouns between the loop (dispatcher.ts), where runs go (runtimes.ts), what
// survives a leader (checkpoints.ts) and who reconciles the two kinds. Types only.
import type { KubeClient } from '../../kube/types.ts';
import type { Metrics } from '../../model/metrics.ts';
import type { Delivery, RunOutcome } from '../../model/outcome.ts';
import type { CommittedInterval, RunContract, RunRequest, RunResult, SkipRequest } from '../../model/run.ts';
import type { TimeNs } from '../../model/time.ts';
import type { ScriptSchedule } from '../../schedule/script-state.ts';

/** A script that compiles and whose destination is known. */
export interface ScheduledScript {
  readonly schedule: ScriptSchedule;
  /**
   * All windows before were reported as committed, as an earlier leader wrote down; what a ledger has beyond is reported by
   * this one. Only what the first `set` of a script says counts. Undefined: it is not known, and nothing is reported.
   */
  readonly countedUntil?: TimeNs | undefined;
  readonly run: Pick<RunRequest, 'scriptHash' | 'scriptName' | 'pluginUid' | 'revision' | 'scope' | 'limits'>;
}

/** How a run came about and what it repeats. */
export interface RunNotes {
  /** The window's fate was unknown after a runtime lost its disk: it may have been sent before. Counts in `totals.repeated`. */
  readonly isRepeated: boolean;
  /** Asked for by `runNow`. */
  readonly isManual: boolean;
  /** How many windows of the script's present length it spans: more than one where they were skipped or coalesced. */
  readonly windows: number;
}

/** What the outside is told of scripts. All calls are made after the state has changed, and none for a script that was removed but `delivered`. */
export interface DispatcherListener {
  /**
   * Once per window, also where the answer to its run was lost and the ledger was asked for it. Then destinations may have
   * answered for all of it already: `delivered` is true although the outcome has items.
   */
  committed(uid: string, outcome: RunOutcome, delivered: boolean, notes: RunNotes): void;
  failed(uid: string, outcome: RunOutcome, notes: RunNotes): void;
  /** A destination's verdict; never before the window that it is about was reported as committed, where this process saw it committed. */
  delivered(delivery: Delivery): void;
  /** A call to the runtime did not come back with a result; the window is tried again. */
  broke(uid: string, error: unknown): void;
  /** The runtime does not know the script or the destination (it restarted, or the script moved to another): give them
   * again, then `set` once more. A cluster's `Runtimes` gives destinations again by itself. */
  unknown(uid: string, what: 'script' | 'destination'): void;
}

export interface ScriptProgress {
  /** All before is answered for by destinations, without a hole. */
  readonly deliveredUntil: TimeNs;
  /** All before is committed or skipped with a reason, and was reported. Where the next window starts, or one that is still to be reported. */
  readonly finishedUntil: TimeNs;
  /** Runs that failed since the last that did not. */
  readonly failures: number;
  /** The ordinal of the runtime that runs it. */
  readonly ordinal: number;
}

/** What a dispatcher remembers of scripts beyond its own life. */
export interface ProgressBook {
  find(uid: string): { readonly deliveredUntil: TimeNs; readonly wasSuspended: boolean } | undefined;
  note(uid: string, deliveredUntil: TimeNs, isSuspended: boolean): void;
  /** Of all scripts that it knows and whose ExportScripts are not gone. */
  uids(): Iterable<string>;
}

/** What became of a manual run. `outcome` is a text for `status.lastManualRun`: `Complete`, `Partial/NodesMissing`, `Failed/DEADLINE_EXCEEDED`, `AlreadyCommitted`. */
export interface ManualRun {
  readonly token: string;
  readonly outcome: string;
}

/**
 * Where runs go. `sluice local` has one runtime, a cluster one per ordinal. Which of them a script belongs to is a pure
 * function of its uid and their number (design.md, decision 11).
 */
export interface RunTargets {
  /** The ordinals in use now, leaving ones included. */
  ordinals(): readonly number[];
  /** Where new runs of the script go. */
  ordinalOf(uid: string): number;
  /** Whose ledgers may hold windows of a script that this leader has not met yet; `ordinalOf(uid)` among them. */
  ledgersOf(uid: string): readonly number[];
  ledger(ordinal: number, uids: readonly string[]): Promise<ReadonlyMap<string, readonly CommittedInterval[]>>;
  run(ordinal: number, request: RunRequest, signal: AbortSignal): Promise<RunResult>;
  skip(ordinal: number, request: SkipRequest): Promise<RunResult>;
  /** No table holds rows older than this, on any node; undefined where it is not known. */
  oldestData(ordinal: number): TimeNs | undefined;
  /** One listener, set before anything else is called. */
  listen(listener: TargetListener): void;
}

/** What the targets ask of the dispatcher while scripts move. */
export interface Residents {
  /** How many scripts' windows lie, or may lie, in the ledger of `ordinal` and are not delivered. */
  leftAt(ordinal: number): number;
  /** Whether every script is where it belongs and nothing of it is left to deliver elsewhere. */
  isSettled(): boolean;
}

/** Which runtimes' ledgers may hold windows that the checkpoints do not answer for. Part of the checkpoints. */
export interface RuntimesNote {
  /** The smallest and the largest number of runtimes since every script was last where it belonged. */
  readonly least: number;
  readonly most: number;
  /** Ordinal to the id of its ledger's file. */
  readonly ledgers: ReadonlyMap<number, string>;
}

export interface TargetListener {
  /** It answers (again): its ledger is to be read before it gets runs. `isLost`: it began with an empty disk. */
  up(ordinal: number, isLost: boolean): void;
  down(ordinal: number): void;
  /** It will not come back: what was not delivered there is as on a lost disk. */
  gone(ordinal: number): void;
  /** `ordinalOf` may answer differently from now on. */
  moved(): void;
  delivered(delivery: Delivery): void;
}

/** What a client tells of its stream of deliveries, which it opens again by itself. */
export interface ConnectionListener {
  /** The stream is open (again): from here on everything must be asked anew. */
  connected(incarnation: string): void;
  disconnected(error: Error): void;
}

/**
 * One runtime, as a connection to it that is made again whenever it breaks (`src/rpc/run-client.ts`). An incarnation is
 * `<id of its ledger's file>.<times it was opened>`: another id is another, empty disk.
 */
export interface RuntimeClient extends RunContract {
  /** No table of any node holds rows before this; undefined where it is not known. */
  oldestData(signal: AbortSignal): Promise<TimeNs | undefined>;
  /** Names of the destinations that it knows or has batches for. */
  status(signal: AbortSignal): Promise<{ readonly destinations: readonly { readonly name: string }[] }>;
  /** Ends the connection and every call on it. */
  close(): void;
}

/** `Leaving`: gets no new runs and may still send what it has. */
export type RuntimeState = 'Connecting' | 'Ready' | 'Unreachable' | 'Leaving';

export interface RuntimeFact {
  readonly ordinal: number;
  readonly state: RuntimeState;
  /** Why it is not reached, in at most 512 bytes. */
  readonly message: string | undefined;
  /** Runs due and not started, and running. */
  readonly due: number;
  readonly running: number;
}

/** The leader's right to act. Given by the lease; `signal` aborts synchronously when the right ends (R27). */
export interface Term {
  readonly signal: AbortSignal;
  mayWrite(): boolean;
  /** `spec.leaseTransitions` of the lease at acquisition. */
  readonly transitions: number;
  /** The lease's `holderIdentity`: who wrote a checkpoint. */
  readonly identity: string;
}

/** What `takeOver(options): Promise<Dispatch>` (takeover.ts) needs. It rejects where the shards cannot be read or written. */
export interface TakeOverOptions {
  readonly term: Term;
  readonly kube: KubeClient;
  /** The operator's own: where the checkpoints are. */
  readonly namespace: string;
  /** Labels of the checkpoint ConfigMaps. */
  readonly labels: Readonly<Record<string, string>>;
  /** Runtimes wanted now. */
  readonly replicas: number;
  /** Called once for each ordinal that is in use. */
  readonly connect: (ordinal: number, listener: ConnectionListener) => RuntimeClient;
  readonly listener: DispatcherListener;
  /** A runtime came or went: `unavailable` may answer differently for its scripts. */
  readonly onRuntimes?: (facts: readonly RuntimeFact[]) => void;
  /** UTC that never falls (`risingClock`). */
  readonly now: () => TimeNs;
  readonly random: () => number;
  readonly metrics: Metrics;
  /** Runs at once per runtime, of them at most a quarter for backlog. Default 16. */
  readonly runsMax?: number;
  readonly onFault: (what: string, error: unknown) => void;
}

/** Why a term of dispatch is over. `Superseded`: another leader's epoch or checkpoint was met; the caller steps down, or takes over again while its lease still holds. */
export type DispatchEnd = 'LeaseLost' | 'Superseded' | 'Stopped';

/** The dispatch of one leader's term: what `takeOver` (takeover.ts) resolves with. Nothing here throws for a runtime that is away. */
export interface Dispatch {
  readonly epoch: number;
  /** Adds or changes one script: O(log n). A new uid is planned once ledger and checkpoint are read. */
  set(script: ScheduledScript): void;
  /** It cannot run now (does not compile, plugin missing): no new runs, the one under way is cancelled, its progress is kept. */
  hold(uid: string): void;
  /** The ExportScript is deleted: its run is cancelled, committed batches still go out. Its checkpoint is kept for 24 h. */
  remove(uid: string): void;
  /** After the first whole list of ExportScripts: uids that are not in it are deleted ones. */
  retain(uids: ReadonlySet<string>): void;
  /** Undefined until ledger and checkpoint of it are read. */
  progress(uid: string): ScriptProgress | undefined;
  /** `Scheduled=False/RuntimeUnavailable` with its message where the runtime of this script is not reached. */
  unavailable(uid: string): { readonly reason: 'RuntimeUnavailable'; readonly message: string } | undefined;
  /**
   * Runs the last complete window if it is not committed, also of a suspended script, else answers from the ledger
   * (design.md section 5, Manual run). The same token again gives the same answer. Undefined: the uid is not known.
   */
  runNow(uid: string, token: string): Promise<ManualRun> | undefined;
  /** Asks the runtime of `request.uid` (any that answers where it has none). Rejects where it does not answer. */
  compile: RunContract['compile'];
  /** Kept in memory and given to every runtime, now and whenever one (re)connects. */
  putDestination: RunContract['putDestination'];
  /** Of all runtimes. Resolves when those that answer have dropped it. */
  removeDestination: RunContract['removeDestination'];
  /** After the first whole list of OtelPlugins: what runtimes have for others is tried for 30 s more, then dropped. */
  retainDestinations(pluginUids: ReadonlySet<string>): void;
  /** How many runtimes there are to be from now on. Scripts move; ordinals beyond leave. */
  resize(replicas: number): void;
  /** What the StatefulSet may have as `replicas` now: a leaving ordinal counts until its spool is empty, at most 5 min. */
  replicasNeeded(): number;
  runtimes(): readonly RuntimeFact[];
  /** Resolves when dispatch has ended by itself or by `stop`. */
  readonly ended: Promise<DispatchEnd>;
  /** No new runs; those under way get up to `graceMs`, then the checkpoints are written. */
  stop(graceMs: number): Promise<void>;
}
