// Where the nodes' rows of a fragment enter the merging side.
import type { Batch } from '../../columns/column.ts';
import type { RemoteOperator } from '../../plan/plan.ts';
import { EngineError, type ExecutionContext } from '../context.ts';
import { createPacer } from '../pacing.ts';

export async function* runRemote(
  { fragment, schema }: RemoteOperator,
  context: ExecutionContext,
): AsyncGenerator<Batch> {
  if (context.remote === undefined) {
    throw new EngineError('NO_REMOTE', `the plan reads fragment ${fragment} of other nodes, but it runs on one node`);
  }
  const pace = createPacer(context);
  for await (const batch of context.remote(fragment)) {
    schema.forEach(({ name, type }, i) => {
      if (batch.columns[i]?.type !== type) {
        throw new EngineError(
          'COLUMN_TYPE',
          `a node gave ${batch.columns[i]?.type ?? 'nothing'} for column "${name}" of type ${type}`,
        );
      }
    });
    if (batch.length > 0) yield { schema, columns: batch.columns, length: batch.length };
    await pace();
  }
}
