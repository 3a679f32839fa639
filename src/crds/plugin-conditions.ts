// Facts about an OtelPlugin -> its conditions. Ready is computed from the others and `spec.enabled`. Pure.
import { mayStillCome, type Attempt } from './attempt.ts';
import { PERMANENT_REASONS } from './delivery-faults.ts';
import { OTEL_PLUGIN_REASONS } from './plugin-reasons.ts';
import { conditionsFrom, pendingConditions } from './reason-table.ts';
import type { Fault } from './script-conditions.ts';
import { OBJECTS_MISSING } from './shared-reasons.ts';
import type { ConditionFact } from './status.ts';

export interface PluginFacts {
  readonly enabled: boolean;
  /** The destination's type or address cannot be used at all: DestinationNotAvailable, EndpointForbidden. */
  readonly destination: Fault | undefined;
  /** SecretNotFound, ConfigMapNotFound, KeyNotFound, SecretForbidden, InvalidValue; Pending while they are being read. */
  readonly credentials: Fault | undefined;
  /** PresetNotFound, NameTaken. */
  readonly presets: Fault | undefined;
  /** `undefined` while nothing was tried. Permanent is a fault with a reason of PERMANENT_REASONS. */
  readonly delivery: { readonly ok: boolean; readonly fault: Fault | undefined } | undefined;
  /** Why a node does not see everything. */
  readonly collector: Fault | undefined;
  /** Why windows are not committed. */
  readonly runtime: Fault | undefined;
}

const condition = conditionsFrom(OTEL_PLUGIN_REASONS);
type Type = keyof typeof OTEL_PLUGIN_REASONS;

/** A fault with reason Pending is none yet: it is being looked up. */
const fromFault = (type: Type, fault: Fault | undefined, good: string): ConditionFact =>
  fault === undefined
    ? condition(type, 'True', good)
    : condition(type, fault.reason === 'Pending' ? 'Unknown' : 'False', fault.reason, fault.message);

function deliveredOf({ destination, delivery }: PluginFacts): ConditionFact {
  if (destination !== undefined) return fromFault('Delivered', destination, 'Acknowledged');
  if (delivery === undefined) return condition('Delivered', 'Unknown', 'Pending');
  const fault = delivery.ok ? undefined : (delivery.fault ?? { reason: 'Retrying', message: '' });
  return fromFault('Delivered', fault, 'Acknowledged');
}

/** What keeps Ready from being True, from the other conditions: what must be changed by somebody first. */
function faultOf(
  credentials: ConditionFact,
  delivered: ConditionFact,
  runtime: ConditionFact,
): { readonly fault: Fault; readonly kind: 'missing' | 'permanent' | 'passing' } | undefined {
  const { reason, message } = delivered;
  // of a destination that can never be used
  if (reason === 'DestinationNotAvailable' || reason === 'EndpointForbidden') {
    return { fault: { reason, message }, kind: 'permanent' };
  }
  if (credentials.status === 'False') {
    return { fault: credentials, kind: OBJECTS_MISSING.includes(credentials.reason) ? 'missing' : 'permanent' };
  }
  if (credentials.status === 'Unknown') return { fault: credentials, kind: 'passing' };
  if (delivered.status === 'False' && PERMANENT_REASONS.has(reason)) {
    return { fault: { reason: 'ExportFailing', message: `${reason}: ${message}` }, kind: 'permanent' };
  }
  return runtime.status === 'False' ? { fault: runtime, kind: 'passing' } : undefined;
}

/** How an OtelPlugin is shown from its first sight until it was looked at (C19). */
export const pendingPluginConditions = (): ConditionFact[] => pendingConditions(OTEL_PLUGIN_REASONS);

/**
 * All conditions of an OtelPlugin, in a fixed order. Reconciling and Stalled are there only while they hold: a missing
 * Secret or ConfigMap is Reconciling for two minutes of this attempt and then Stalled; a runtime that is not there is
 * Reconciling for as long and then neither, because it comes back without a change.
 */
export function pluginConditions(facts: PluginFacts, attempt: Attempt): ConditionFact[] {
  const credentials = fromFault('CredentialsResolved', facts.credentials, 'Resolved');
  const delivered = deliveredOf(facts);
  const runtime = fromFault('RuntimeReady', facts.runtime, 'Ready');
  const found = facts.enabled ? faultOf(credentials, delivered, runtime) : undefined;
  const ready = facts.enabled
    ? fromFault('Ready', found?.fault, 'Configured')
    : condition('Ready', 'True', 'Suspended', 'spec.enabled is false');
  const { reason, message } = ready;
  const isComing =
    ready.status === 'Unknown' || (found !== undefined && found.kind !== 'permanent' && mayStillCome(reason, attempt));
  const isStuck = found !== undefined && found.kind !== 'passing' && !isComing;
  return [
    ready,
    credentials,
    delivered,
    fromFault('PresetsSynced', facts.presets, 'Synced'),
    fromFault('CollectorReady', facts.collector, 'Ready'),
    runtime,
    ...(isComing ? [condition('Reconciling', 'True', reason, message)] : []),
    ...(isStuck ? [condition('Stalled', 'True', reason, message)] : []),
  ];
}
