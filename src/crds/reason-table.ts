// Every condition of both kinds has a closed list of reasons, so that scripts and alerts may rely on them. Conditions are
// only made through such a list, and docs/conditions.md is made from it. The lists: script-reasons.ts, plugin-reasons.ts.
import { conditionOf, type Condition, type ConditionFact } from './status.ts';

export interface Reason {
  readonly status: Condition['status'];
  /** What is the case. */
  readonly means: string;
  /** What a person does about it; absent where nothing is to be done. */
  readonly action?: string;
}

/** A condition's reasons, in the order in which the documentation has them. */
export type Reasons = Readonly<Record<string, Reason>>;

export interface ConditionReasons {
  /** What the condition says while it is True. */
  readonly means: string;
  readonly reasons: Reasons;
  /** Stands in for a reason that is not in the list, which is then said in the message. */
  readonly fallback: string;
}

export type ReasonTable = Readonly<Record<string, ConditionReasons>>;

export const yes = (means: string, action?: string): Reason => ({
  status: 'True',
  means,
  ...(action === undefined ? {} : { action }),
});
export const no = (means: string, action: string): Reason => ({ status: 'False', means, action });
export const open = (means: string): Reason => ({ status: 'Unknown', means, action: 'wait' });

/** The reasons of `from` as those of a condition that is True while they hold. */
export const asTrue = (from: Reasons, ...names: readonly string[]): Reasons =>
  Object.fromEntries(
    names.map((name) => {
      const { means = '', action } = from[name] ?? {};
      return [name, yes(means, action)];
    }),
  );

/** A word from outside as a reason of the list, or the condition's fallback with that word put before the message. */
function listed(
  { reasons, fallback }: ConditionReasons,
  status: Condition['status'],
  reason: string,
  message: string,
): readonly [string, string] {
  const known = Object.hasOwn(reasons, reason) ? reasons[reason] : undefined;
  if (known?.status === status) return [reason, message];
  return [fallback, message === '' ? reason : `${reason}: ${message}`];
}

/** Makes conditions of one kind; only with reasons of its table. */
export const conditionsFrom =
  <T extends ReasonTable>(table: T) =>
  (type: keyof T & string, status: Condition['status'], reason: string, message = ''): ConditionFact => {
    const entry: ConditionReasons | undefined = table[type];
    if (entry === undefined) throw new TypeError(`there is no condition ${type}`);
    return conditionOf(type, status, ...listed(entry, status, reason, message));
  };

/** What an object has from its first sight on: all known conditions Unknown (C19; an object without conditions looks finished to kstatus). */
export const pendingConditions = (table: ReasonTable): ConditionFact[] => [
  ...Object.keys(table)
    .filter((type) => type !== 'Reconciling' && type !== 'Stalled')
    .map((type) => conditionOf(type, 'Unknown', 'Pending')),
  conditionOf('Reconciling', 'True', 'Pending'),
];
