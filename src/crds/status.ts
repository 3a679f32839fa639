// The status of both kinds: what a user reads with kubectl, written by one process. Built by pure functions from facts.
import type { Static } from '@sinclair/typebox';
import {
  CONDITION_MESSAGE_MAX,
  MESSAGE_MAX,
  type exportScriptStatusSchema,
  type otelPluginStatusSchema,
} from './status-schema.ts';

type DeepReadonly<T> = T extends readonly (infer U)[]
  ? readonly DeepReadonly<U>[]
  : T extends object
    ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
    : T;

export type ExportScriptStatus = DeepReadonly<Static<typeof exportScriptStatusSchema>>;
export type OtelPluginStatus = DeepReadonly<Static<typeof otelPluginStatusSchema>>;

/** metav1.Condition; `lastTransitionTime` changes only when `status` does. */
export type Condition = ExportScriptStatus['conditions'][number];
export type WindowStatus = NonNullable<ExportScriptStatus['lastWindow']>;
export type RunStatus = NonNullable<ExportScriptStatus['lastRun']>;
export type Totals = ExportScriptStatus['totals'];

/** What the next judgement needs of a condition that was there. */
export type KeptCondition = Omit<Condition, 'message'>;

/** A condition before it is compared with what was there. */
export type ConditionFact = Pick<Condition, 'type' | 'status' | 'reason' | 'message'>;

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

/** Cuts a text from outside to what a status may carry, at a character's border and on one line. */
export function cutMessage(text: string, bytesMax: number = MESSAGE_MAX): string {
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
      message: cutMessage(fact.message, CONDITION_MESSAGE_MAX),
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
