// How long an object waits for what it refers to. `kubectl apply` and GitOps tools bring objects in any order, so a
// missing one is first on its way (Reconciling) and only then missing (Stalled). Nothing is remembered but the conditions
// themselves, so a restarted operator goes on where the last one was. Pure.
import type { Condition, KeptCondition } from './status.ts';

/** What was there before, and now. */
export interface Attempt {
  /** `metadata.generation` that is judged. */
  readonly generation: number;
  /** Conditions as they were written last; empty for a new object. */
  readonly previous: readonly KeptCondition[];
  readonly nowMs: number;
}

/** Things that are applied together are there by then (operator.md section 1.4's two minutes). */
export const APPLY_ORDER_MS = 120_000;

const held = (
  type: string,
  status: Condition['status'],
  reason: string,
  { previous, generation }: Attempt,
): KeptCondition | undefined =>
  previous.find(
    (condition) =>
      condition.type === type &&
      condition.status === status &&
      condition.reason === reason &&
      condition.observedGeneration === generation,
  );

/** Whether what `reason` names may still come. A new generation or another reason is a new attempt. */
export function mayStillCome(reason: string, attempt: Attempt): boolean {
  const reconciling = held('Reconciling', 'True', reason, attempt);
  // not Ready for this reason and not Reconciling: this attempt has waited already
  if (reconciling === undefined) return held('Ready', 'False', reason, attempt) === undefined;
  const since = Date.parse(reconciling.lastTransitionTime);
  // a time that cannot be read is no reason to wait for ever
  return attempt.nowMs - (Number.isNaN(since) ? 0 : since) < APPLY_ORDER_MS;
}

/** When these conditions change by the mere passing of time, in ms; undefined where they do not. Look again then. */
export function reviewAtMs(conditions: readonly KeptCondition[]): number | undefined {
  const reconciling = conditions.find(({ type, status }) => type === 'Reconciling' && status === 'True');
  if (reconciling === undefined || reconciling.reason === 'Pending') return undefined;
  const since = Date.parse(reconciling.lastTransitionTime);
  return Number.isNaN(since) ? undefined : since + APPLY_ORDER_MS;
}
