// A node's collector: reads a source of frames into the tables, and answers what is asked of the node.
import { DEFAULT_LIMITS } from '../engine/context.ts';
import type { EngineLimits, ExecutionContext } from '../engine/context.ts';
import { execute } from '../engine/execute.ts';
import type { BlindInterval, WindowLoss } from '../model/loss.ts';
import type { IdentityLookup } from '../model/identity.ts';
import { timeNs } from '../model/time.ts';
import type { TimeNs } from '../model/time.ts';
import type { FragmentEvent, Node, NodeState, QueryOptions } from '../plan/node.ts';
import type { Operator } from '../plan/plan.ts';
import { parseRange } from './connections/address.ts';
import { ASID_ALONE } from './identity/asid.ts';
import type { PodMetadata } from './identity/cluster.ts';
import type { IdentityRule } from './identity/rules.ts';
import { createIntake } from './intake.ts';
import type { CollectorMetrics } from './metrics.ts';
import type { Protocol } from './protocols/protocol.ts';
import { ScopeError, checkScope, scopedIdentity, scopedTables } from './scope.ts';
import type { FrameSource } from './sources/source.ts';
import type { TableStore } from '../tables/store.ts';

export interface AgentOptions {
  /** The node's name, and its host's until the source says it; in a cluster that of the Node object. */
  readonly name: string;
  /** Short id that tells this node's processes from those of others: `asidOf` of the Node's name; 1 where there is one node. */
  readonly asid?: number;
  /** In a cluster: who the pods and services are. Without it every process is one of a host. */
  readonly pods?: PodMetadata;
  readonly source: FrameSource;
  readonly tables: Pick<TableStore, 'snapshot' | 'append' | 'setWatermark' | 'rowsExpired'>;
  readonly protocols: readonly Protocol[];
  readonly engineLimits?: EngineLimits;
  readonly identityRules?: readonly IdentityRule[];
  /**
   * Ranges like `10.0.0.0/8` whose own side makes the rows. Loopback, this host's addresses and those of `pods` always are.
   */
  readonly insideRanges?: readonly string[];
  readonly bothSides?: boolean;
  readonly connectionsMax?: number;
  readonly bytesHeldMax?: number;
}

export interface Agent {
  readonly node: Node;
  /** What `node.state` answers, at once. */
  state(): NodeState;
  readonly identity: IdentityLookup;
  /** A copy of the counters. */
  metrics(): CollectorMetrics;
  /** Resolves when the source has ended, or after `stop`; rejects where the source cannot go on. */
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

const CONNECTIONS_MAX = 131_072;
const BYTES_HELD_MAX = 64 * 1024 * 1024;

/**
 * Starts reading `source` into `tables` at once. The source is never asked what it is: timers run on the time of its
 * frames, so a recording gives the same rows every time.
 */
export function createAgent(options: AgentOptions): Agent {
  const { source, tables, pods, asid = ASID_ALONE } = options;
  if (!Number.isInteger(asid) || asid < 1 || asid > 0xffff_ffff) throw new RangeError(`${asid} is no agent short id`);
  const intake = createIntake({
    asid,
    pods,
    protocols: options.protocols,
    hostname: options.name,
    identityRules: options.identityRules ?? [],
    insideRanges: (options.insideRanges ?? []).map(parseRange),
    bothSides: options.bothSides ?? false,
    connectionsMax: options.connectionsMax ?? CONNECTIONS_MAX,
    bytesHeldMax: options.bytesHeldMax ?? BYTES_HELD_MAX,
    append: (table, time, cells) => void tables.append(table, time, cells),
    setWatermark: (table, time) => tables.setWatermark(table, time),
    control: (frame) => source.send(frame),
  });
  const stopping = new AbortController();
  let isEnded = false;
  const ended = source.run(intake.take, stopping.signal).finally(() => {
    isEnded = true;
    intake.finish();
  });
  // Whoever wants to know waits for `ended`; a failure must not end the process meanwhile.
  ended.catch(() => undefined);

  /** Before counting began, and since the source fell silent. */
  const unseen = (start: TimeNs, end: TimeNs): BlindInterval[] => {
    const { startTime, lastTime } = intake;
    if (startTime === undefined) return [{ source: 'collector', start, end, reason: 'NotStarted' }];
    const intervals: BlindInterval[] = [];
    if (start < startTime) intervals.push({ source: 'collector', start, end: startTime, reason: 'NotStarted' });
    const [trouble] = source.blind();
    if (lastTime === undefined || end <= lastTime) return intervals;
    if (isEnded) intervals.push({ source: 'collector', start: lastTime, reason: 'SourceEnded' });
    else if (trouble !== undefined) intervals.push({ source: trouble.source, start: lastTime, reason: trouble.reason });
    return intervals;
  };
  const loss = (names: readonly string[], start: TimeNs, end: TimeNs): WindowLoss => {
    const seen = intake.loss.window(names, start, end);
    const rowsExpired = tables.rowsExpired([...new Set(names)], start, end);
    const named = pods?.blindWithin(start, end) ?? [];
    const notRunning = intake.blindIn(names).filter((interval) => interval.start < end);
    return { ...seen, rowsExpired, blind: [...seen.blind, ...notRunning, ...unseen(start, end), ...named] };
  };

  const state = (): NodeState => ({
    startTime: intake.startTime ?? timeNs(0n),
    blind: [...source.blind(), ...intake.blind(), ...(pods?.blind() ?? [])],
  });

  /** What a fragment may read: everything, or what belongs to one namespace. */
  const within = (fragment: Operator, scope: string): Pick<ExecutionContext, 'tables' | 'identity'> => {
    const { processes, metrics } = intake;
    try {
      if (checkScope(scope, fragment) === '*') return { tables, identity: processes };
    } catch (error) {
      if (error instanceof ScopeError) metrics.scopesRefused += 1;
      throw error;
    }
    const onUnknown = (rows: number): void => void (metrics.scopeRowsUnknown += rows);
    return { tables: scopedTables(tables, scope, processes, onUnknown), identity: scopedIdentity(scope, processes) };
  };
  async function* query(fragment: Operator, { scope, signal }: QueryOptions): AsyncGenerator<FragmentEvent> {
    const stats = { rowsRead: 0, bytesRead: 0 };
    const context: ExecutionContext = {
      ...within(fragment, scope),
      asid,
      scope,
      ...(intake.startTime === undefined ? {} : { collectorStart: intake.startTime }),
      node: options.name,
      signal,
      clock: () => performance.now(),
      limits: options.engineLimits ?? DEFAULT_LIMITS,
      stats,
    };
    for await (const batch of execute(fragment, context)) yield { kind: 'batch', batch };
    yield { kind: 'end', stats };
  }

  return {
    node: {
      name: options.name,
      state: () => Promise.resolve(state()),
      waitForWatermark: intake.watermarks.waitFor,
      query,
      loss: (names, start, end) => Promise.resolve(loss(names, start, end)),
    },
    state,
    identity: intake.processes,
    metrics: () => ({ ...intake.metrics, exchangesLost: { ...intake.metrics.exchangesLost } }),
    ended,
    async stop() {
      stopping.abort();
      await ended.catch(() => undefined);
    },
  };
}
