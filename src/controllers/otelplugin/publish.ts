// A plugin's entry and what is known of runtimes and nodes -> its status. Pure.
import { endpointHost } from '../../crds/printer-columns.ts';
import { pendingPluginConditions, pluginConditions } from '../../crds/plugin-conditions.ts';
import { boundPluginStatus } from '../../crds/status-bounds.ts';
import type { Fault } from '../../crds/script-conditions.ts';
import { mergeConditions, type KeptCondition, type OtelPluginStatus } from '../../crds/status.ts';
import type { RuntimeFact } from '../dispatch/contract.ts';
import type { DestinationFacts, NodeFacts } from '../runtime-states.ts';
import type { WorkloadHealth } from '../workloads/health.ts';
import type { PluginEntry } from './entries.ts';

export interface PluginWorld {
  readonly destination: DestinationFacts;
  readonly nodes: readonly NodeFacts[];
  /** Undefined until the workloads were looked at. */
  readonly health: WorkloadHealth | undefined;
  readonly runtimes: readonly RuntimeFact[];
  /** What keeps windows from being committed: a full or broken state. */
  readonly stateFault: Fault | undefined;
  /** Scripts that refer to this plugin. */
  readonly scripts: { readonly ready: number; readonly total: number };
  readonly previous: readonly KeptCondition[];
  readonly nowMs: number;
}

const BLIND_MAX = 10;

type Blind = OtelPluginStatus['nodes']['blind'][number] & { readonly message: string };

/** What each node does not see, and why; nodes without a collector that answers are blind altogether. */
export function blindOf(nodes: readonly NodeFacts[], health: WorkloadHealth | undefined): Blind[] {
  const notReady = health?.collector.notReady ?? [];
  const known = new Set(notReady.map(({ node }) => node));
  return [
    ...notReady.map(({ node, reason, message }) => ({ node, source: 'collector', reason, message })),
    ...nodes
      .filter(({ name }) => !known.has(name))
      .flatMap(({ name: node, answered, why, blind }): Blind[] =>
        answered
          ? blind.map(({ source, reason, message }) => ({ node, source, reason, message }))
          : [{ node, source: 'collector', reason: 'NodesNotReady', message: why }],
      ),
  ];
}

function collectorFault(blind: readonly Blind[], health: WorkloadHealth | undefined): Fault | undefined {
  const fault = health?.collector.fault;
  if (fault !== undefined)
    return { reason: fault.isTransient ? 'NodesNotReady' : fault.reason, message: fault.message };
  const [first] = blind;
  if (first === undefined) return undefined;
  const more = blind.length > 1 ? ` (and ${blind.length - 1} more, see status.nodes)` : '';
  return { reason: first.reason, message: `node ${first.node}: ${first.source}: ${first.message}${more}` };
}

function runtimeFault({ runtimes, health, stateFault }: PluginWorld): Fault | undefined {
  if (stateFault !== undefined) return stateFault;
  const fault = health?.runtime.fault;
  if (fault !== undefined && !fault.isTransient) return { reason: fault.reason, message: fault.message };
  const away = runtimes.filter(({ state }) => state === 'Unreachable' || state === 'Connecting');
  if (runtimes.length > 0 && away.length === 0) return undefined;
  const why = away.map(({ ordinal, message }) => `sluice-runtime-${ordinal}: ${message ?? 'connecting'}`);
  return { reason: 'RuntimeUnavailable', message: why.join('; ') || 'no runtime is there yet' };
}

/** The whole status. Undefined: values are being read, and what was written is not worse. */
export function pluginStatusOf(entry: PluginEntry, world: PluginWorld): OtelPluginStatus | undefined {
  const { object } = entry;
  const generation = object.metadata.generation ?? 1;
  if (entry.isPending && world.previous.length > 0) return undefined;
  const blind = blindOf(world.nodes, world.health);
  const { failing, lastSuccessMs, batches, bytes } = world.destination;
  const facts = entry.isPending
    ? pendingPluginConditions()
    : pluginConditions(
        {
          enabled: !entry.isDisabled,
          destination: entry.condition === 'destination' ? entry.fault : undefined,
          credentials: entry.condition === 'credentials' ? entry.fault : undefined,
          presets: entry.presets,
          delivery:
            failing !== undefined
              ? { ok: false, fault: failing.fault }
              : lastSuccessMs === undefined
                ? undefined
                : { ok: true, fault: undefined },
          collector: collectorFault(blind, world.health),
          runtime: runtimeFault(world),
        },
        { generation, previous: world.previous, nowMs: world.nowMs },
      );
  const total = world.health?.collector.total ?? world.nodes.length;
  const blindNodes = new Set(blind.map(({ node }) => node)).size;
  const endpoint = endpointHost(object.spec.destination.endpoint ?? '');
  return boundPluginStatus({
    observedGeneration: generation,
    conditions: mergeConditions(world.previous, facts, generation, new Date(world.nowMs).toISOString()),
    scripts: `${world.scripts.ready}/${world.scripts.total}`,
    ...(endpoint === '' ? {} : { endpoint }),
    ...(lastSuccessMs === undefined ? {} : { lastSuccess: new Date(lastSuccessMs).toISOString() }),
    queue: { batches, bytes },
    nodes: {
      total,
      ready: Math.max(0, total - blindNodes),
      blind: blind.slice(0, BLIND_MAX).map(({ node, source, reason }) => ({ node, source, reason })),
    },
  });
}
