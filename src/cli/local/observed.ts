// What the runtime and the collector say of themselves, taken from time to time, in the words of conditions.
import { deliveryFault } from '../../crds/delivery-faults.ts';
import type { Fault } from '../../crds/script-conditions.ts';
import type { OtelPluginStatus } from '../../crds/status.ts';
import type { BlindSource } from '../../model/loss.ts';
import type { RuntimeState } from '../../runtime/runtime.ts';

export interface Observed {
  readonly runtime: RuntimeState;
  readonly blind: readonly BlindSource[];
  readonly capture: string;
  /** How far rows' times are ahead of UTC because that was set back; 0 where it was not. */
  readonly clockAheadMs: number;
  /** Why the source of rows cannot go on. */
  readonly sourceFault: Fault | undefined;
}

export interface Observations {
  take(facts: Observed): void;
  readonly capture: string;
  /** What a destination says while it does not take anything. */
  retrying(uid: string): Fault | undefined;
  /** The Delivered condition's facts; undefined while nothing was tried. */
  delivery(uid: string): { readonly ok: boolean; readonly fault: Fault | undefined } | undefined;
  collectorFault(): Fault | undefined;
  /** The parts of a plugin's status that are just as observed. */
  plugin(uid: string, node: string): Pick<OtelPluginStatus, 'lastSuccess' | 'queue' | 'nodes'>;
}

const BLIND_MAX = 10;

export function createObservations(): Observations {
  /** Destinations whose newest attempt failed and is to be repeated. */
  const failing = new Set<string>();
  let observed: Observed | undefined;

  const deliveryOf = (uid: string) => observed?.runtime.destinations.find(({ name }) => name === uid)?.delivery;

  function retrying(uid: string): Fault | undefined {
    const error = deliveryOf(uid)?.lastError;
    if (error === undefined || !failing.has(uid)) return undefined;
    return deliveryFault(error.code, error.message, false).fault;
  }

  /** Rows are missing, or will be. */
  function blindFault(): Fault | undefined {
    if (observed?.sourceFault !== undefined) return observed.sourceFault;
    const [first] = observed?.blind ?? [];
    return first === undefined ? undefined : { reason: first.reason, message: `${first.source}: ${first.message}` };
  }

  /** A step of UTC backwards: nothing is missing, but times are not UTC's until it has caught up. */
  function clockFault(): Fault | undefined {
    if (observed === undefined || observed.clockAheadMs === 0) return undefined;
    const message = "UTC was set back; rows' times go on from before and are ahead of it until it has caught up";
    return { reason: 'ClockSetBack', message };
  }

  return {
    take(facts) {
      observed = facts;
      for (const { name, delivery } of facts.runtime.destinations) {
        // while the next attempt is under way nothing is known that would be better
        if (delivery.activity === 'backing-off') failing.add(name);
        else if (delivery.activity !== 'sending' || delivery.consecutiveFailures === 0) failing.delete(name);
      }
    },
    get capture() {
      return observed?.capture ?? '';
    },
    retrying,
    delivery(uid) {
      const fault = retrying(uid);
      if (fault !== undefined) return { ok: false, fault };
      return deliveryOf(uid)?.lastSuccessAtMs === undefined ? undefined : { ok: true, fault };
    },
    collectorFault: () => blindFault() ?? clockFault(),
    plugin(uid, node) {
      const success = deliveryOf(uid)?.lastSuccessAtMs;
      const spool = observed?.runtime.spool.destinations.find(({ destination }) => destination === uid);
      const blind = observed?.blind ?? [];
      return {
        ...(success === undefined ? {} : { lastSuccess: new Date(success).toISOString() }),
        queue: { batches: spool?.batches ?? 0, bytes: spool?.bytes ?? 0 },
        nodes: {
          total: 1,
          ready: blindFault() === undefined ? 1 : 0,
          blind: blind.slice(0, BLIND_MAX).map(({ source, reason }) => ({ node, source, reason })),
        },
      };
    },
  };
}
