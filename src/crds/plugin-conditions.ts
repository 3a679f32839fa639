// Facts about an OtelPlugin -> its conditions. Pure.
import type { Fault } from './script-conditions.ts';
import { conditionOf, type ConditionFact } from './status.ts';

export interface PluginFacts {
  readonly enabled: boolean;
  /** The destination's type or address cannot be used at all: DestinationNotAvailable, EndpointForbidden. */
  readonly destination: Fault | undefined;
  readonly credentials: Fault | undefined;
  readonly presets: Fault | undefined;
  /** `undefined` while nothing was tried. */
  readonly delivery: { readonly ok: boolean; readonly fault: Fault | undefined } | undefined;
  readonly collector: Fault | undefined;
  readonly runtime: Fault | undefined;
}

const fromFault = (type: string, fault: Fault | undefined, good: string): ConditionFact =>
  fault === undefined ? conditionOf(type, 'True', good) : conditionOf(type, 'False', fault.reason, fault.message);

/** All conditions of an OtelPlugin, in a fixed order. */
export function pluginConditions(facts: PluginFacts): ConditionFact[] {
  const fault = facts.destination ?? facts.credentials;
  const ready = facts.enabled
    ? fromFault('Ready', fault ?? facts.runtime, 'Configured')
    : conditionOf('Ready', 'True', 'Suspended', 'spec.enabled is false');
  const { delivery } = facts;
  return [
    ready,
    fromFault('CredentialsResolved', facts.credentials, 'Resolved'),
    delivery === undefined
      ? conditionOf('Delivered', 'Unknown', 'Pending')
      : fromFault(
          'Delivered',
          delivery.ok ? undefined : (delivery.fault ?? { reason: 'Retrying', message: '' }),
          'Acknowledged',
        ),
    fromFault('PresetsSynced', facts.presets, 'Synced'),
    fromFault('CollectorReady', facts.collector, 'Ready'),
    fromFault('RuntimeReady', facts.runtime, 'Ready'),
    ...(fault !== undefined && facts.enabled ? [conditionOf('Stalled', 'True', fault.reason, fault.message)] : []),
  ];
}
