// One output column per expression.
import type { Batch } from '../../columns/column.ts';
import type { MapOperator } from '../../plan/plan.ts';
import type { ExecutionContext } from '../context.ts';
import { createCompiler } from '../evaluate.ts';

export async function* runMap(
  { columns, schema, input: { schema: inputSchema } }: MapOperator,
  input: AsyncIterable<Batch>,
  context: ExecutionContext,
): AsyncGenerator<Batch> {
  const compile = createCompiler(inputSchema, context);
  const evaluators = columns.map(({ expression }) => compile(expression));
  for await (const batch of input) {
    yield { schema, columns: evaluators.map((evaluate) => evaluate(batch)), length: batch.length };
  }
}
