// The status of both kinds: what a user reads with kubectl, written by one process. Built by pure functions from facts.
import type { WindowOutcome } from '../model/outcome.ts';

export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  /** CamelCase, from the closed list in docs/conditions.md. */
  readonly reason: string;
  /** For people, at most 512 bytes; no secrets, no times, no counters. */
  readonly message: string;
  /** RFC 3339; changes only when `status` does. */
  readonly lastTransitionTime: string;
  readonly observedGeneration: number;
}

/** What the next judgement needs of a condition that was there. */
export type KeptCondition = Omit<Condition, 'message'>;

/** A condition before it is compared with what was there. */
export type ConditionFact = Pick<Condition, 'type' | 'status' | 'reason' | 'message'>;

export interface WindowStatus {
  readonly start: string;
  readonly end: string;
  readonly outcome: WindowOutcome;
}

export interface RunStatus {
  readonly rows: number;
  readonly metrics: number;
  readonly spans: number;
  readonly bytes: number;
  readonly durationMs: number;
  readonly nodes: { readonly expected: number; readonly answered: number; readonly missing: readonly string[] };
}

export interface Totals {
  readonly windows: number;
  readonly failures: number;
  readonly missed: number;
  readonly repeated: number;
  readonly rows: number;
  readonly metrics: number;
  readonly spans: number;
  readonly bytes: number;
  /** Exchanges that the windows' loss says may be missing. */
  readonly lost: number;
  /** Points and spans that the destination refused for good or that were dropped. */
  readonly refused: number;
}

export const NO_TOTALS: Totals = {
  windows: 0,
  failures: 0,
  missed: 0,
  repeated: 0,
  rows: 0,
  metrics: 0,
  spans: 0,
  bytes: 0,
  lost: 0,
  refused: 0,
};

export interface ExportScriptStatus {
  readonly observedGeneration: number;
  readonly scriptHash: string;
  readonly conditions: readonly Condition[];
  readonly deliveredUntil?: string;
  readonly lastWindow?: WindowStatus;
  readonly lastRun?: RunStatus;
  readonly totals: Totals;
  readonly nextWindow?: { readonly start: string; readonly end: string };
  readonly lastError?: {
    readonly stage: string;
    readonly code: string;
    readonly message: string;
    readonly line?: number;
    readonly column?: number;
  };
  readonly lastManualRun?: { readonly token: string; readonly outcome: string };
  /** Newest first, at most 10. */
  readonly history: readonly (WindowStatus & {
    readonly reason?: string;
    readonly metrics: number;
    readonly spans: number;
    /** Upper bound of the exchanges that were not seen. */
    readonly lost: number;
  })[];
}

export interface OtelPluginStatus {
  readonly observedGeneration: number;
  readonly conditions: readonly Condition[];
  /** `ready/total` of the scripts that refer to this plugin. */
  readonly scripts: string;
  readonly lastSuccess?: string;
  readonly queue: { readonly batches: number; readonly bytes: number };
  readonly nodes: {
    readonly total: number;
    readonly ready: number;
    readonly blind: readonly { readonly node: string; readonly source: string; readonly reason: string }[];
  };
}

/** Of a text from outside. */
const MESSAGE_BYTES_MAX = 512;
/** Of a condition (C18): ours may be longer, e.g. by the commands that a user is to run. */
export const CONDITION_MESSAGE_BYTES_MAX = 1024;

/** Cuts a text from outside to what a status may carry, at a character's border and on one line. */
export function cutMessage(text: string, bytesMax = MESSAGE_BYTES_MAX): string {
  // oxlint-disable-next-line no-control-regex
  const line = text.replace(/[\u0000-\u001f\u007f]+/g, ' ').toWellFormed();
  if (Buffer.byteLength(line) <= bytesMax) return line;
  const cut = Buffer.from(line)
    .subarray(0, bytesMax - 3)
    .toString('utf8');
  return `${cut.replace(/\uFFFD+$/, '')}…`;
}

/** A Reconciling condition is one attempt: another reason or generation is another attempt, which began now. */
const isSameAttempt = (before: KeptCondition, fact: ConditionFact, generation: number): boolean =>
  fact.type !== 'Reconciling' || (before.reason === fact.reason && before.observedGeneration === generation);

/**
 * Puts facts into conditions: `lastTransitionTime` is kept while the status is the same (Kubernetes API conventions,
 * "Typical status properties"); conditions that are no longer a fact are gone.
 */
export function mergeConditions(
  previous: readonly KeptCondition[],
  facts: readonly ConditionFact[],
  generation: number,
  now: string,
): Condition[] {
  return facts.map((fact) => {
    const before = previous.find((condition) => condition.type === fact.type);
    const isSame = before?.status === fact.status && isSameAttempt(before, fact, generation);
    return {
      ...fact,
      message: cutMessage(fact.message, CONDITION_MESSAGE_BYTES_MAX),
      observedGeneration: generation,
      lastTransitionTime: isSame ? before.lastTransitionTime : now,
    };
  });
}

export const conditionOf = (
  type: string,
  status: Condition['status'],
  reason: string,
  message = '',
): ConditionFact => ({ type, status, reason, message });
