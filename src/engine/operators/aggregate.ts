// Group-by: rows to dense group ids, then each aggregate updates its per-group state in one loop. In `partial` mode the
// states leave as bytes, in `final` mode they come in so.
import type { Batch, Column } from '../../columns/column.ts';
import { sliceBatch } from '../../columns/select.ts';
import type { AggregateExpression } from '../../plan/expression.ts';
import type { AggregateOperator } from '../../plan/plan.ts';
import type { Schema } from '../../model/types.ts';
import type { Accumulator } from '../aggregates/accumulator.ts';
import { createAccumulator } from '../aggregates/create.ts';
import { EngineError, type ExecutionContext } from '../context.ts';
import { columnIndex, columnOf, createCompiler, type Evaluator } from '../evaluate.ts';
import { strings } from '../functions/kernel.ts';
import { createPacer } from '../pacing.ts';
import { createKeyTable } from './key-table.ts';

export const BATCH_ROWS_MAX = 65_536;

export async function* runAggregate(
  operator: AggregateOperator,
  input: AsyncIterable<Batch>,
  context: ExecutionContext,
): AsyncGenerator<Batch> {
  const { keys, aggregates, mode, schema } = operator;
  const inputSchema = operator.input.schema;
  const keyIndexes = keys.map((key) => columnIndex(inputSchema, key));
  const table = createKeyTable(keyIndexes.map((index) => inputSchema[index]?.type ?? 'STRING'));
  const accumulators = aggregates.map(createAccumulator);
  const feed = mode === 'final' ? mergeStates(aggregates, inputSchema) : updateRows(aggregates, inputSchema, context);

  for await (const batch of input) {
    const ids = table.encode(
      keyIndexes.map((index) => columnOf(batch, index)),
      batch.length,
    );
    accumulators.forEach((accumulator, i) => feed(accumulator, i, batch, ids, table.size));
    checkBounds(operator, context, table.size, table.byteSize, accumulators);
  }

  const groups = table.size;
  const columns: Column[] = [
    ...table.columns(),
    ...accumulators.map((a) => (mode === 'partial' ? a.states(groups) : a.result(groups))),
  ];
  const all: Batch = { schema, columns, length: groups };
  const pace = createPacer(context);
  for (let start = 0; start < groups; start += BATCH_ROWS_MAX) {
    await pace();
    yield sliceBatch(all, start, Math.min(groups, start + BATCH_ROWS_MAX));
  }
}

type Feed = (accumulator: Accumulator, i: number, batch: Batch, ids: Int32Array, groups: number) => void;

function updateRows(aggregates: readonly AggregateExpression[], schema: Schema, context: ExecutionContext): Feed {
  const compile = createCompiler(schema, context);
  const time = schema.find(({ name, type }) => name === 'time_' && type === 'TIME64NS');
  const evaluators: Evaluator[][] = aggregates.map(({ function: name, args }) => {
    const own = args.map(compile);
    // The rows' time is an argument of `last` that scripts do not write.
    if (name === 'last' && own.length === 1 && time !== undefined) own.push(compile({ kind: 'column', ...time }));
    return own;
  });
  return (accumulator, i, batch, ids, groups) => {
    accumulator.update(evaluators[i]?.map((evaluate) => evaluate(batch)) ?? [], ids, groups);
  };
}

function mergeStates(aggregates: readonly AggregateExpression[], schema: Schema): Feed {
  const indexes = aggregates.map(({ name }) => columnIndex(schema, name, 'STRING'));
  return (accumulator, i, batch, ids, groups) => {
    accumulator.merge(strings(columnOf(batch, indexes[i] ?? -1)), ids, groups);
  };
}

function checkBounds(
  { keys }: AggregateOperator,
  { limits }: ExecutionContext,
  groups: number,
  keyBytes: number,
  accumulators: readonly Accumulator[],
): void {
  const by = keys.length === 0 ? 'the aggregate' : `the group by ${keys.join(', ')}`;
  if (groups > limits.groupsMax) {
    throw new EngineError(
      'GROUPS_LIMIT',
      `${by} has more than ${limits.groupsMax} groups; group by fewer or coarser columns`,
    );
  }
  const bytes = accumulators.reduce((sum, accumulator) => sum + accumulator.byteSize, keyBytes);
  if (bytes > limits.bytesMax) {
    throw new EngineError(
      'MEMORY_LIMIT',
      `${by} needs more than ${limits.bytesMax} bytes; group by fewer or coarser columns`,
    );
  }
}
