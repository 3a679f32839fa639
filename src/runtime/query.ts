// Asks the nodes and merges what they answer. A node's answer counts wholly or not at all: half a partial aggregate would
// be a wrong number.
import { batchBytes } from '../columns/batch.ts';
import type { Batch } from '../columns/column.ts';
import { EngineError, type ExecutionContext } from '../engine/context.ts';
import { addLoss, NO_LOSS, type WindowLoss } from '../model/loss.ts';
import type { TimeNs } from '../model/time.ts';
import { inputsOf } from '../plan/inputs.ts';
import type { Node, NodeState } from '../plan/node.ts';
import type { Operator, SourceOperator, SplitPlan } from '../plan/plan.ts';
import { PlanError } from '../rpc/flight-node.ts';
import { RunFailure } from './outcome.ts';

/** A node that has all rows of a window, and what it said of itself then. */
export interface ReadyNode {
  readonly node: Node;
  readonly state: NodeState;
}

export interface Gathered {
  /** Batches of each fragment, nodes one after the other. */
  readonly fragments: readonly (readonly Batch[])[];
  readonly answered: readonly ReadyNode[];
  /** What those that answered did not see. */
  readonly loss: WindowLoss;
  /** Names of nodes that did not answer, and why. */
  readonly missing: readonly { readonly node: string; readonly why: string }[];
  readonly rowsRead: number;
}

export interface GatherOptions {
  readonly scope: string;
  readonly signal: AbortSignal;
  /** Bytes that all answers together may hold. */
  readonly bytesMax: number;
  /** The times whose losses are asked for. */
  readonly reach: Reach;
}

function sourcesOf(operators: readonly Operator[]): readonly SourceOperator[] {
  const sources: SourceOperator[] = [];
  const seen = new Set<Operator>();
  const visit = (operator: Operator): void => {
    if (seen.has(operator)) return;
    seen.add(operator);
    if (operator.kind === 'source') sources.push(operator);
    for (const input of inputsOf(operator)) visit(input);
  };
  operators.forEach(visit);
  return sources;
}

/** Names of all tables that the operators read. */
export const tablesOf = (operators: readonly Operator[]): readonly string[] =>
  [...new Set(sourcesOf(operators).map(({ table }) => table))].sort();

/**
 * The time whose losses concern the operators' rows: the window's, and what sources that look further back read before
 * it. A source without a start takes what is there, whatever that is.
 */
export const reachOf = (operators: readonly Operator[], { start, end }: Reach): Reach => ({
  start: sourcesOf(operators).reduce((first, source) => earlier(first, source.start ?? first), start),
  end,
});

export interface Reach {
  readonly start: TimeNs;
  readonly end: TimeNs;
}

const earlier = (a: TimeNs, b: TimeNs): TimeNs => (a < b ? a : b);

/** Waits until each node has all rows before `end`, at most `waitMs`. Those that are behind, or do not answer, are named. */
export async function nodesReady(
  nodes: readonly Node[],
  tables: readonly string[],
  end: TimeNs,
  waitMs: number,
  signal: AbortSignal,
): Promise<{ readonly ready: readonly ReadyNode[]; readonly behind: readonly string[] }> {
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(waitMs)]);
  const asked = await Promise.allSettled(
    nodes.map(async (node): Promise<ReadyNode> => {
      const state = await node.state(deadline);
      // a collector that began after the window has no row of it to wait for
      if (state.startTime >= end) return { node, state };
      await node.waitForWatermark(tables, end, deadline);
      return { node, state: await node.state(deadline) };
    }),
  );
  signal.throwIfAborted();
  return {
    ready: asked.flatMap((one) => (one.status === 'fulfilled' ? one.value : [])),
    behind: nodes.filter((_, i) => asked[i]?.status === 'rejected').map(({ name }) => name),
  };
}

/**
 * Runs all fragments on all nodes.
 * @throws RunFailure at stage Query where the plan itself cannot be executed (EngineError, a remote node's PlanError), or answers grow too large.
 */
export async function gather(split: SplitPlan, nodes: readonly ReadyNode[], options: GatherOptions): Promise<Gathered> {
  const budget = { bytes: options.bytesMax };
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const answers = await Promise.all(
    nodes.map(async ({ node }) => {
      try {
        return await askNode(split, node, { ...options, signal }, budget);
      } catch (error) {
        if (error instanceof EngineError || error instanceof PlanError || error instanceof RunFailure) {
          stop.abort(error);
          throw failureOf(error);
        }
        return { why: error instanceof Error ? error.message : String(error) };
      }
    }),
  );
  options.signal.throwIfAborted();
  const missing: { node: string; why: string }[] = [];
  const answered: ReadyNode[] = [];
  const fragments: Batch[][] = split.fragments.map(() => []);
  let rowsRead = 0;
  let loss = NO_LOSS;
  answers.forEach((answer, i) => {
    const ready = nodes[i];
    if (ready === undefined) return;
    if ('why' in answer) {
      missing.push({ node: ready.node.name, why: answer.why });
      return;
    }
    answered.push(ready);
    rowsRead += answer.rowsRead;
    loss = addLoss(loss, answer.loss);
    answer.fragments.forEach((batches, fragment) => fragments[fragment]?.push(...batches));
  });
  return { fragments, answered, missing, rowsRead, loss };
}

interface Answer {
  readonly fragments: readonly (readonly Batch[])[];
  readonly rowsRead: number;
  readonly loss: WindowLoss;
}

async function askNode(
  split: SplitPlan,
  node: Node,
  options: GatherOptions,
  budget: { bytes: number },
): Promise<Answer> {
  const fragments: Batch[][] = [];
  let rowsRead = 0;
  for (const fragment of split.fragments) {
    const batches: Batch[] = [];
    let ended = false;
    for await (const event of node.query(fragment, { scope: options.scope, signal: options.signal })) {
      if (event.kind === 'end') {
        ended = true;
        rowsRead += event.stats.rowsRead;
        continue;
      }
      if (event.batch.length === 0) continue;
      budget.bytes -= batchBytes(event.batch);
      if (budget.bytes < 0) {
        const mib = Math.round(options.bytesMax / 2 ** 20);
        const advice = 'aggregate in the script, or use a shorter window';
        throw new RunFailure('Query', 'QUERY_TOO_LARGE', `the nodes' answers hold more than ${mib} MiB; ${advice}`);
      }
      batches.push(event.batch);
    }
    if (!ended) throw new Error('the answer broke off');
    fragments.push(batches);
  }
  const { start, end } = options.reach;
  // after the rows: whatever was lost of them is known by now
  const loss = await node.loss(tablesOf(split.fragments), start, end, options.signal);
  return { fragments, rowsRead, loss };
}

/** What went wrong in the engine, as the run's failure. Other errors are handed back as they are. */
export function failureOf(error: unknown): unknown {
  if (!(error instanceof EngineError) && !(error instanceof PlanError)) return error;
  return new RunFailure('Query', error.code, error.message, { cause: error });
}

/** The merging side's context: no tables and no processes of its own, only what nodes answered. */
export function mergeContext(
  fragments: readonly (readonly Batch[])[],
  rest: Pick<ExecutionContext, 'scope' | 'signal' | 'clock' | 'limits'>,
): ExecutionContext {
  return {
    ...rest,
    tables: {
      snapshot(table) {
        throw new EngineError('INTERNAL_ERROR', `table ${table} was left on the merging side of the plan`);
      },
    },
    remote: async function* remote(fragment) {
      yield* fragments[fragment] ?? [];
    },
    identity: {
      process: () => undefined,
      podByIp: () => undefined,
      podByName: () => undefined,
      podById: () => undefined,
    },
    asid: 0,
    node: '',
    stats: { rowsRead: 0, bytesRead: 0 },
  };
}
