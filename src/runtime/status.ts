// What a runtime says of itself over the network: its destinations, and every node as it answers now.
import type { SpoolState } from '../ledger/record.ts';
import { timeNs, type TimeNs } from '../model/time.ts';
import type { Node } from '../plan/node.ts';
import type { DestinationStatus, NodeStatus, RuntimeStatus } from '../rpc/run-contract.ts';
import type { Destinations } from './destinations.ts';
import { shortened } from './outcome.ts';

export interface StatusParts {
  readonly incarnation: string;
  readonly version: string;
  readonly activeRuns: number;
  readonly waitingRuns: number;
  readonly spool: SpoolState;
  readonly destinations: ReturnType<Destinations['state']>;
  readonly nodes: readonly Node[];
  readonly presets: readonly string[];
}

/** How long a node may take to say how it is; a status is no reason to wait longer. */
const NODE_MS = 2000;

const fromMs = (ms: number): TimeNs => timeNs(BigInt(Math.trunc(ms)) * 1_000_000n);

export async function statusOf(parts: StatusParts, signal: AbortSignal): Promise<RuntimeStatus> {
  const { incarnation, version, activeRuns, waitingRuns, spool, presets } = parts;
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(NODE_MS)]);
  return {
    incarnation,
    version,
    activeRuns,
    waitingRuns,
    spoolBytes: spool.bytes,
    spoolBytesMax: spool.bytesMax,
    destinations: destinationsOf(parts),
    nodes: await Promise.all(parts.nodes.map((node) => nodeStatus(node, deadline))),
    presets,
  };
}

/** Those that are known, and those of which only batches are left (after a restart). */
function destinationsOf({ spool, destinations }: StatusParts): DestinationStatus[] {
  const held = new Map(spool.destinations.map((one) => [one.destination, one]));
  const known = destinations.map(({ name, delivery }): DestinationStatus => {
    const { batches = 0, bytes = 0 } = held.get(name) ?? {};
    held.delete(name);
    const { lastError, lastSuccessAtMs, nextAttemptAtMs, oldest } = delivery;
    return {
      name,
      batches,
      bytes,
      activity: delivery.activity,
      consecutiveFailures: delivery.consecutiveFailures,
      ...(lastSuccessAtMs === undefined ? {} : { lastSuccessAt: fromMs(lastSuccessAtMs) }),
      ...(lastError === undefined
        ? {}
        : { lastError: { code: lastError.code, message: shortened(lastError.message), at: fromMs(lastError.atMs) } }),
      ...(nextAttemptAtMs === undefined ? {} : { nextAttemptAt: fromMs(nextAttemptAtMs) }),
      ...(oldest === undefined ? {} : { oldestCommittedAt: oldest.committedAt }),
    };
  });
  const left = [...held.values()].map(({ destination, batches, bytes }): DestinationStatus => ({
    name: destination,
    batches,
    bytes,
    activity: 'no-destination',
    consecutiveFailures: 0,
  }));
  return [...known, ...left];
}

async function nodeStatus(node: Node, signal: AbortSignal): Promise<NodeStatus> {
  const { name } = node;
  try {
    const { startTime, blind, oldest } = await node.state(signal);
    return { name, answered: true, why: '', startTime, blind, ...(oldest === undefined ? {} : { oldest }) };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { name, answered: false, why: shortened(why), startTime: timeNs(0n), blind: [] };
  }
}
