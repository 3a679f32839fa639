// Runs an operator tree: batches in, batches out, one async generator an operator.
import type { Batch } from '../columns/column.ts';
import type { Operator } from '../plan/plan.ts';
import type { ExecutionContext } from './context.ts';
import { runAggregate } from './operators/aggregate.ts';
import { runFilter } from './operators/filter.ts';
import { runJoin } from './operators/join.ts';
import { runLimit } from './operators/limit.ts';
import { runMap } from './operators/map.ts';
import { runRemote } from './operators/remote.ts';
import { runSource } from './operators/source.ts';
import { runUnion } from './operators/union.ts';
import { createSharedRows, sharedOperators, type SharedRows } from './sharing.ts';

/** Share of an operator's memory bound that results kept for a second reader may take. */
const KEPT_SHARE = 8;

/**
 * The rows of `operator`, each batch with the operator's schema. Ends with an EngineError where the query cannot go on
 * (`code` says why), with the signal's reason where it is aborted. Gives the event loop a turn every 10 ms of work.
 */
export function execute(operator: Operator, context: ExecutionContext): AsyncIterable<Batch> {
  const shared = new Map<Operator, SharedRows>();
  for (const one of sharedOperators(operator)) {
    shared.set(one, createSharedRows(Math.floor(context.limits.bytesMax / KEPT_SHARE)));
  }
  const rowsOf = (one: Operator): AsyncIterable<Batch> => {
    const run = (): AsyncIterable<Batch> => start(one, context, rowsOf);
    return shared.get(one)?.read(run) ?? run();
  };
  return rowsOf(operator);
}

function start(
  operator: Operator,
  context: ExecutionContext,
  input: (child: Operator) => AsyncIterable<Batch>,
): AsyncIterable<Batch> {
  switch (operator.kind) {
    case 'source':
      return runSource(operator, context);
    case 'filter':
      return runFilter(operator, input(operator.input), context);
    case 'map':
      return runMap(operator, input(operator.input), context);
    case 'aggregate':
      return runAggregate(operator, input(operator.input), context);
    case 'join':
      return runJoin(operator, input(operator.left), input(operator.right), context);
    case 'union':
      return runUnion(operator, operator.inputs.map(input), context);
    case 'limit':
      return runLimit(operator, input(operator.input));
    case 'remote':
      return runRemote(operator, context);
  }
}
