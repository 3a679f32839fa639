// Rows of one table, as the table store hands them out.
import { batchBytes } from '../../columns/batch.ts';
import type { Batch } from '../../columns/column.ts';
import type { SourceOperator } from '../../plan/plan.ts';
import { EngineError, type ExecutionContext } from '../context.ts';
import { createPacer } from '../pacing.ts';

export async function* runSource(operator: SourceOperator, context: ExecutionContext): AsyncGenerator<Batch> {
  const { table, columns, start, end, schema } = operator;
  const pace = createPacer(context);
  const range = { ...(start !== undefined && { start }), ...(end !== undefined && { end }) };
  for (const batch of context.tables.snapshot(table, { ...range, columns })) {
    schema.forEach(({ name, type }, i) => {
      if (batch.columns[i]?.type !== type) {
        throw new EngineError(
          'COLUMN_TYPE',
          `table ${table} gave ${batch.columns[i]?.type ?? 'nothing'} for column "${name}" of type ${type}`,
        );
      }
    });
    context.stats.rowsRead += batch.length;
    context.stats.bytesRead += batchBytes(batch);
    if (batch.length > 0) yield { schema, columns: batch.columns, length: batch.length };
    await pace();
  }
}
