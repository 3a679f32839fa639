// What the runtimes say of destinations and nodes, asked for from time to time: what OtelPlugin's Delivered, queue and
// nodes are made of, and why scripts of a destination are not delivered.
import { deliveryFault } from '../crds/delivery-faults.ts';
import type { Fault } from '../crds/script-conditions.ts';
import type { BlindSource } from '../model/loss.ts';
import type { DestinationStatus, RuntimeStatus } from '../rpc/run-contract.ts';

/** A destination over all runtimes. */
export interface DestinationFacts {
  /** Why it takes nothing now; undefined while it does, or was not tried. */
  readonly failing: { readonly fault: Fault; readonly permanent: boolean } | undefined;
  /** Unix milliseconds. */
  readonly lastSuccessMs: number | undefined;
  readonly batches: number;
  readonly bytes: number;
}

export interface NodeFacts {
  readonly name: string;
  readonly answered: boolean;
  readonly why: string;
  readonly blind: readonly BlindSource[];
}

export interface RuntimeStates {
  destination(pluginUid: string): DestinationFacts;
  /** By name; empty until a runtime has answered. */
  nodes(): readonly NodeFacts[];
  /** Asks now. Never rejects: who does not answer keeps what was known of it. */
  refresh(signal: AbortSignal): Promise<void>;
}

export interface RuntimeStatesOptions {
  /** By ordinal, those that are connected. */
  readonly runtimes: () => ReadonlyMap<number, { status(signal: AbortSignal): Promise<RuntimeStatus> }>;
  readonly timeoutMs: number;
  /** Destinations whose facts have changed; `isFailing`: of some, whether they take anything. */
  readonly onDestinations: (changed: readonly { readonly name: string; readonly isFailing: boolean }[]) => void;
  readonly onNodes: () => void;
}

const NOTHING: DestinationFacts = { failing: undefined, lastSuccessMs: undefined, batches: 0, bytes: 0 };

const msOf = (time: bigint): number => Number(time / 1_000_000n);

function failureOf({ activity, consecutiveFailures, lastError }: DestinationStatus): DestinationFacts['failing'] {
  // while the next attempt is under way nothing better is known than the last failure
  const isFailing = activity === 'backing-off' || (activity === 'sending' && consecutiveFailures > 0);
  return isFailing && lastError !== undefined ? deliveryFault(lastError.code, lastError.message, false) : undefined;
}

/** One destination, as all runtimes see it. Pure. */
export function mergeDestinations(statuses: readonly DestinationStatus[]): DestinationFacts {
  let facts = NOTHING;
  for (const status of statuses) {
    const success = status.lastSuccessAt === undefined ? undefined : msOf(status.lastSuccessAt);
    const failing = failureOf(status);
    facts = {
      // a failure that needs somebody's hand is said before one that passes
      failing: failing?.permanent === true ? failing : (facts.failing ?? failing),
      lastSuccessMs: success === undefined ? facts.lastSuccessMs : Math.max(success, facts.lastSuccessMs ?? 0),
      batches: facts.batches + status.batches,
      bytes: facts.bytes + status.bytes,
    };
  }
  return facts;
}

/** Nodes as all runtimes see them: one that answered any of them has answered. Pure. */
export function mergeNodes(statuses: readonly RuntimeStatus[]): NodeFacts[] {
  const nodes = new Map<string, NodeFacts>();
  for (const { name, answered, why, blind } of statuses.flatMap((status) => status.nodes)) {
    if (nodes.get(name)?.answered !== true) nodes.set(name, { name, answered, why, blind });
  }
  return [...nodes.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

export function createRuntimeStates(options: RuntimeStatesOptions): RuntimeStates {
  const known = new Map<number, RuntimeStatus>();
  let destinations = new Map<string, DestinationFacts>();
  let nodes: readonly NodeFacts[] = [];

  function take(): void {
    const all = [...known.values()];
    const byName = Map.groupBy(
      all.flatMap((status) => status.destinations),
      ({ name }) => name,
    );
    const next = new Map([...byName].map(([name, statuses]) => [name, mergeDestinations(statuses)]));
    const changed = [...new Set([...next.keys(), ...destinations.keys()])].flatMap((name) => {
      const [before, after] = [destinations.get(name) ?? NOTHING, next.get(name) ?? NOTHING];
      if (JSON.stringify(before) === JSON.stringify(after)) return [];
      return { name, isFailing: JSON.stringify(before.failing) !== JSON.stringify(after.failing) };
    });
    destinations = next;
    const before = JSON.stringify(nodes);
    nodes = mergeNodes(all);
    if (changed.length > 0) options.onDestinations(changed);
    if (JSON.stringify(nodes) !== before) options.onNodes();
  }

  return {
    destination: (uid) => destinations.get(uid) ?? NOTHING,
    nodes: () => nodes,
    async refresh(signal) {
      const runtimes = options.runtimes();
      for (const ordinal of known.keys()) if (!runtimes.has(ordinal)) known.delete(ordinal);
      const asked = await Promise.allSettled(
        [...runtimes].map(async ([ordinal, runtime]) => {
          const limit = AbortSignal.any([signal, AbortSignal.timeout(options.timeoutMs)]);
          return { ordinal, status: await runtime.status(limit) };
        }),
      );
      if (signal.aborted) return;
      for (const one of asked) if (one.status === 'fulfilled') known.set(one.value.ordinal, one.value.status);
      take();
    },
  };
}
