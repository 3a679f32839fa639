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
import type { IdentityRule } from './identity/rules.ts';
import { createIntake } from './intake.ts';
import type { CollectorMetrics } from './metrics.ts';
import type { Protocol } from './protocols/protocol.ts';
import type { FrameSource } from './sources/source.ts';
import type { TableStore } from '../tables/store.ts';

export interface AgentOptions {
  /** The node's name, and its host's until the source says it. */
  readonly name: string;
  readonly source: FrameSource;
  readonly tables: Pick<TableStore, 'snapshot' | 'append' | 'setWatermark' | 'rowsExpired'>;
  readonly protocols: readonly Protocol[];
  readonly engineLimits?: EngineLimits;
  readonly identityRules?: readonly IdentityRule[];
  /** Ranges like `10.0.0.0/8` whose own side makes the rows. Loopback and this host's addresses always are. */
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

const ASID = 1;
const CONNECTIONS_MAX = 131_072;
const BYTES_HELD_MAX = 64 * 1024 * 1024;

/** Thrown at a scope that this collector cannot keep rows to. */
export class ScopeError extends Error {
  override readonly name = 'ScopeError';
}

/**
 * Starts reading `source` into `tables` at once. The source is never asked what it is: timers run on the time of its
 * frames, so a recording gives the same rows every time.
 */
export function createAgent(options: AgentOptions): Agent {
  const { source, tables } = options;
  const intake = createIntake({
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
    const notRunning = intake.blindIn(names).filter((interval) => interval.start < end);
    return { ...seen, rowsExpired, blind: [...seen.blind, ...notRunning, ...unseen(start, end)] };
  };

  const state = (): NodeState => ({
    startTime: intake.startTime ?? timeNs(0n),
    blind: [...source.blind(), ...intake.blind()],
  });

  async function* query(fragment: Operator, { scope, signal }: QueryOptions): AsyncGenerator<FragmentEvent> {
    if (scope !== '*') throw new ScopeError(`this collector answers scope "*" only, not "${scope}"`);
    const stats = { rowsRead: 0, bytesRead: 0 };
    const context: ExecutionContext = {
      tables,
      identity: intake.processes,
      asid: ASID,
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
