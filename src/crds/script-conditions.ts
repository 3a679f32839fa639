// Facts about an ExportScript -> its conditions. Pure, one table of rules: Ready is computed from the others and never
// set by itself; it goes False only where nothing will be delivered without a change, or after three failed windows.
import { conditionOf, type ConditionFact } from './status.ts';

/** Windows that may fail in a row before Ready goes False. */
export const FAILURE_THRESHOLD = 3;

/** Something that is missing or wrong, with what to do about it. */
export interface Fault {
  readonly reason: string;
  readonly message: string;
}

export interface ScriptFacts {
  readonly suspended: boolean;
  /** The plugin cannot be used: PluginNotFound (also where it does not allow this namespace), DestinationNotAvailable, CredentialsMissing, … */
  readonly plugin: Fault | undefined;
  /** The plugin says `enabled: false`. */
  readonly pluginDisabled: boolean;
  /** The script text cannot be had: ConfigMapNotFound, PresetNotFound. */
  readonly source: Fault | undefined;
  /** `undefined`: not compiled yet. */
  readonly compiled: { readonly fault: Fault | undefined; readonly warnings: number } | undefined;
  /** Set where runs cannot be planned now: SpoolFull, RuntimeUnavailable. */
  readonly schedule: Fault | undefined;
  readonly consecutiveFailures: number;
  /** Of the last attempts: `undefined` while nothing was tried. */
  readonly delivery:
    { readonly ok: boolean; readonly fault: Fault | undefined; readonly permanent: boolean } | undefined;
  /** The newest loss within a day: NodesMissing, SourcesBlind, RowsTruncated, DataExpired, Suspended. */
  readonly incomplete: Fault | undefined;
}

const no = (type: string, { reason, message }: Fault): ConditionFact => conditionOf(type, 'False', reason, message);

function compiledOf({ compiled }: ScriptFacts): ConditionFact {
  if (compiled === undefined) return conditionOf('Compiled', 'Unknown', 'Pending');
  if (compiled.fault !== undefined) return no('Compiled', compiled.fault);
  return compiled.warnings === 0
    ? conditionOf('Compiled', 'True', 'Compiled')
    : conditionOf('Compiled', 'True', 'CompiledWithWarnings', '`sluice check` shows the warnings');
}

function scheduledOf(facts: ScriptFacts, blocked: boolean): ConditionFact {
  if (facts.suspended) return conditionOf('Scheduled', 'False', 'Suspended', 'spec.suspend is true');
  if (facts.pluginDisabled) return conditionOf('Scheduled', 'False', 'Suspended', 'the plugin is disabled');
  if (facts.schedule !== undefined) return no('Scheduled', facts.schedule);
  if (blocked) return conditionOf('Scheduled', 'False', 'NotReady', 'see Resolved and Compiled');
  if (facts.compiled === undefined) return conditionOf('Scheduled', 'Unknown', 'Pending');
  return conditionOf('Scheduled', 'True', 'Scheduled');
}

function deliveredOf({ delivery }: ScriptFacts): ConditionFact {
  if (delivery === undefined) return conditionOf('Delivered', 'Unknown', 'Pending');
  if (delivery.ok) return conditionOf('Delivered', 'True', 'Acknowledged');
  return no('Delivered', delivery.fault ?? { reason: 'Retrying', message: '' });
}

function readyOf(facts: ScriptFacts, fault: Fault | undefined): ConditionFact {
  if (facts.suspended || facts.pluginDisabled) return conditionOf('Ready', 'True', 'Suspended');
  if (fault !== undefined) return no('Ready', fault);
  if (facts.compiled === undefined) return conditionOf('Ready', 'Unknown', 'Pending');
  const { delivery } = facts;
  if (
    delivery !== undefined &&
    !delivery.ok &&
    (delivery.permanent || facts.consecutiveFailures >= FAILURE_THRESHOLD)
  ) {
    return no('Ready', { reason: 'ExportFailing', message: delivery.fault?.message ?? '' });
  }
  if (facts.consecutiveFailures >= FAILURE_THRESHOLD) {
    return no('Ready', facts.schedule ?? { reason: 'RunFailing', message: 'see status.lastError' });
  }
  return conditionOf('Ready', 'True', 'Scheduled');
}

/** All conditions of an ExportScript, in a fixed order. Reconciling and Stalled are there only while they hold. */
export function scriptConditions(facts: ScriptFacts): ConditionFact[] {
  const unresolved = facts.plugin ?? facts.source;
  const fault = unresolved ?? facts.compiled?.fault;
  const ready = readyOf(facts, fault);
  const pending = ready.status === 'Unknown';
  const stalled = fault !== undefined || (facts.delivery?.permanent ?? false);
  return [
    ready,
    unresolved === undefined ? conditionOf('Resolved', 'True', 'Resolved') : no('Resolved', unresolved),
    compiledOf(facts),
    scheduledOf(facts, fault !== undefined),
    deliveredOf(facts),
    facts.incomplete === undefined
      ? conditionOf('Complete', 'True', 'NothingMissing')
      : no('Complete', facts.incomplete),
    ...(pending ? [conditionOf('Reconciling', 'True', 'Pending')] : []),
    ...(stalled && ready.status === 'False' ? [conditionOf('Stalled', 'True', ready.reason, ready.message)] : []),
  ];
}
