// Facts about an ExportScript -> its conditions, the situation table of operator.md section 1.4. Ready is computed from
// the others and never set by itself; it goes False only where nothing will be delivered without a change, or after
// three failed windows. Pure.
import { mayStillCome, type Attempt } from './attempt.ts';
import { PERMANENT_REASONS } from './delivery-faults.ts';
import { EXPORT_SCRIPT_REASONS } from './script-reasons.ts';
import { conditionsFrom, pendingConditions } from './reason-table.ts';
import { CREDENTIALS, OBJECTS_MISSING } from './shared-reasons.ts';
import type { ConditionFact } from './status.ts';

/** Windows that may fail in a row before Ready goes False. */
export const FAILURE_THRESHOLD = 3;

/** Something that is missing or wrong, with what to do about it. */
export interface Fault {
  /** CamelCase, of the list in reasons.ts. */
  readonly reason: string;
  readonly message: string;
}

export interface ScriptFacts {
  readonly suspended: boolean;
  /**
   * The plugin cannot be used: PluginNotFound (also where it does not allow this namespace), what the plugin lacks, or
   * Pending while it is being looked up.
   */
  readonly plugin: Fault | undefined;
  /** The plugin says `enabled: false`. */
  readonly pluginDisabled: boolean;
  /** The script text cannot be had: ConfigMapNotFound, KeyNotFound, PresetNotFound; or Pending. */
  readonly source: Fault | undefined;
  /** `undefined`: not compiled yet. */
  readonly compiled: { readonly fault: Fault | undefined; readonly warnings: number } | undefined;
  /** Set where runs cannot be planned now: SpoolFull, RuntimeUnavailable. */
  readonly schedule: Fault | undefined;
  readonly consecutiveFailures: number;
  /**
   * Of the last attempts: `undefined` while nothing was tried. `permanent`: nothing will be taken without a change; so is
   * every fault with a reason of PERMANENT_REASONS (`deliveryFault` makes them).
   */
  readonly delivery:
    { readonly ok: boolean; readonly fault: Fault | undefined; readonly permanent: boolean } | undefined;
  /** The newest loss within a day: NodesMissing, SourcesBlind, RowsTruncated, DataExpired, Suspended. */
  readonly incomplete: Fault | undefined;
}

const condition = conditionsFrom(EXPORT_SCRIPT_REASONS);
type Type = keyof typeof EXPORT_SCRIPT_REASONS;
/** A fault with reason Pending is none yet: it is being looked up. */
const no = (type: Type, { reason, message }: Fault): ConditionFact =>
  condition(type, reason === 'Pending' ? 'Unknown' : 'False', reason, message);

/** Faults of the plugin that are about its credentials: the script only says that they are missing. */
const OF_CREDENTIALS: ReadonlySet<string> = new Set(Object.keys(CREDENTIALS));

/** What may be on its way with the same `kubectl apply`; other faults are Stalled at once. */
const MAY_COME: ReadonlySet<string> = new Set(['PluginNotFound', ...OBJECTS_MISSING]);

function resolvedOf({ plugin, source }: ScriptFacts): ConditionFact {
  if (plugin !== undefined && OF_CREDENTIALS.has(plugin.reason))
    return condition('Resolved', 'False', 'CredentialsMissing', `${plugin.reason}: ${plugin.message}`);
  const fault = plugin ?? source;
  return fault === undefined ? condition('Resolved', 'True', 'Resolved') : no('Resolved', fault);
}

function compiledOf({ compiled }: ScriptFacts): ConditionFact {
  if (compiled === undefined) return condition('Compiled', 'Unknown', 'Pending');
  if (compiled.fault !== undefined) return no('Compiled', compiled.fault);
  return compiled.warnings === 0
    ? condition('Compiled', 'True', 'Compiled')
    : condition('Compiled', 'True', 'CompiledWithWarnings', '`sluice check` shows the warnings');
}

function scheduledOf(facts: ScriptFacts, isBlocked: boolean, isPending: boolean): ConditionFact {
  if (facts.suspended) return condition('Scheduled', 'False', 'Suspended', 'spec.suspend is true');
  if (facts.pluginDisabled) return condition('Scheduled', 'False', 'Suspended', 'the plugin is disabled');
  if (facts.schedule !== undefined) return no('Scheduled', facts.schedule);
  if (isBlocked) return condition('Scheduled', 'False', 'NotReady', 'see Resolved and Compiled');
  if (isPending) return condition('Scheduled', 'Unknown', 'Pending');
  return condition('Scheduled', 'True', 'Scheduled');
}

const isPermanent = ({ delivery }: ScriptFacts): boolean =>
  delivery !== undefined &&
  !delivery.ok &&
  (delivery.permanent || (delivery.fault !== undefined && PERMANENT_REASONS.has(delivery.fault.reason)));

function deliveredOf({ delivery, schedule, consecutiveFailures }: ScriptFacts): ConditionFact {
  const fault = delivery?.ok === false ? (delivery.fault ?? { reason: 'Retrying', message: '' }) : undefined;
  const isRefusing = fault !== undefined && fault.reason !== 'PartialSuccess';
  if (consecutiveFailures >= FAILURE_THRESHOLD) {
    if (!isRefusing) {
      const why = schedule === undefined ? 'see status.lastError' : `${schedule.reason}: ${schedule.message}`;
      return condition('Delivered', 'False', 'RunFailing', why);
    }
    if (fault.reason === 'Retrying' || fault.reason === 'Refused')
      return condition('Delivered', 'False', 'ExportFailing', fault.message);
  }
  if (fault !== undefined) return no('Delivered', fault);
  return delivery === undefined
    ? condition('Delivered', 'Unknown', 'Pending')
    : condition('Delivered', 'True', 'Acknowledged');
}

interface Others {
  readonly resolved: ConditionFact;
  readonly compiled: ConditionFact;
  readonly scheduled: ConditionFact;
  readonly delivered: ConditionFact;
}

/** Ready from the other conditions alone; `isPermanent` says which of Delivered's faults these are. */
function readyOf({ resolved, compiled, scheduled, delivered }: Others, permanent: boolean): ConditionFact {
  if (scheduled.reason === 'Suspended') return condition('Ready', 'True', 'Suspended', scheduled.message);
  if (resolved.status === 'False') return no('Ready', resolved);
  if (compiled.status === 'False') return no('Ready', compiled);
  if (resolved.status === 'Unknown' || compiled.status === 'Unknown') return condition('Ready', 'Unknown', 'Pending');
  if (delivered.reason === 'RunFailing' || delivered.reason === 'ExportFailing') return no('Ready', delivered);
  if (permanent) {
    const { reason, message } = delivered;
    return condition('Ready', 'False', 'ExportFailing', message === '' ? reason : `${reason}: ${message}`);
  }
  return condition('Ready', 'True', 'Scheduled');
}

/** How an ExportScript is shown from its first sight until it was looked at (C19). */
export const pendingScriptConditions = (): ConditionFact[] => pendingConditions(EXPORT_SCRIPT_REASONS);

/**
 * All conditions of an ExportScript, in a fixed order. Reconciling and Stalled are there only while they hold, so that
 * neither is left behind: what is missing is Reconciling for two minutes of this attempt, then Stalled.
 */
export function scriptConditions(facts: ScriptFacts, attempt: Attempt): ConditionFact[] {
  const resolved = resolvedOf(facts);
  const compiled = compiledOf(facts);
  const isBlocked = resolved.status === 'False' || compiled.status === 'False';
  const isPending = resolved.status === 'Unknown' || compiled.status === 'Unknown';
  const scheduled = scheduledOf(facts, isBlocked, isPending);
  const delivered = deliveredOf(facts);
  const permanent = isPermanent(facts);
  const ready = readyOf({ resolved, compiled, scheduled, delivered }, permanent);
  const { reason, message } = ready;
  const missing = resolved.status === 'False' && MAY_COME.has((facts.plugin ?? facts.source)?.reason ?? '');
  const isComing = ready.status === 'False' && missing && mayStillCome(reason, attempt);
  const isStuck = ready.status === 'False' && !isComing && (isBlocked || permanent);
  return [
    ready,
    resolved,
    compiled,
    scheduled,
    delivered,
    facts.incomplete !== undefined
      ? no('Complete', facts.incomplete)
      : ready.status === 'Unknown'
        ? condition('Complete', 'Unknown', 'Pending')
        : condition('Complete', 'True', 'NothingMissing'),
    ...(ready.status === 'Unknown' || isComing ? [condition('Reconciling', 'True', reason, message)] : []),
    ...(isStuck ? [condition('Stalled', 'True', reason, message)] : []),
  ];
}
