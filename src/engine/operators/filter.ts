// Rows whose predicate is true, in their order.
import { filterBatch } from '../../columns/select.ts';
import type { Batch } from '../../columns/column.ts';
import type { FilterOperator } from '../../plan/plan.ts';
import type { ExecutionContext } from '../context.ts';
import { createCompiler } from '../evaluate.ts';
import { booleans } from '../functions/kernel.ts';

export async function* runFilter(
  { predicate, schema }: FilterOperator,
  input: AsyncIterable<Batch>,
  context: ExecutionContext,
): AsyncGenerator<Batch> {
  const evaluate = createCompiler(schema, context)(predicate);
  for await (const batch of input) {
    const kept = filterBatch(batch, booleans(evaluate(batch)));
    if (kept.length > 0) yield kept;
  }
}
