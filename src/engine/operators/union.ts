// All rows of all inputs. With time_ in the schema they come in its order, equal times by input and then by arrival;
// inputs need not be sorted for that. Without it one input follows the other.
import { batchBytes } from '../../columns/batch.ts';
import type { Batch } from '../../columns/column.ts';
import { concatBatches } from '../../columns/concat.ts';
import { sliceBatch, takeBatch } from '../../columns/select.ts';
import type { Schema } from '../../model/types.ts';
import type { UnionOperator } from '../../plan/plan.ts';
import { EngineError, type ExecutionContext } from '../context.ts';
import { columnIndex, columnOf } from '../evaluate.ts';
import { int64s } from '../functions/kernel.ts';
import { createPacer } from '../pacing.ts';
import { BATCH_ROWS_MAX } from './aggregate.ts';

export async function* runUnion(
  { inputs, schema }: UnionOperator,
  streams: readonly AsyncIterable<Batch>[],
  context: ExecutionContext,
): AsyncGenerator<Batch> {
  const timeIndex = schema.findIndex(({ name, type }) => name === 'time_' && type === 'TIME64NS');
  const batches: Batch[] = [];
  let bytes = 0;
  for (const [i, stream] of streams.entries()) {
    const order = schema.map(({ name, type }) => columnIndex(inputs[i]?.schema ?? [], name, type));
    for await (const batch of stream) {
      const ordered = { schema, columns: order.map((at) => columnOf(batch, at)), length: batch.length };
      if (timeIndex < 0) {
        yield ordered;
        continue;
      }
      batches.push(ordered);
      bytes += batchBytes(ordered);
      if (bytes > context.limits.bytesMax) {
        throw new EngineError(
          'MEMORY_LIMIT',
          `the append needs more than ${context.limits.bytesMax} bytes; group or filter before it`,
        );
      }
    }
  }
  if (timeIndex >= 0) yield* inTimeOrder(batches, timeIndex, schema, context);
}

async function* inTimeOrder(
  batches: readonly Batch[],
  timeIndex: number,
  schema: Schema,
  context: ExecutionContext,
): AsyncGenerator<Batch> {
  const pace = createPacer(context);
  const all = concatBatches(schema, batches);
  const times = int64s(columnOf(all, timeIndex));
  const order = sortedRows(times);
  for (let start = 0; start < all.length; start += BATCH_ROWS_MAX) {
    await pace();
    const end = Math.min(all.length, start + BATCH_ROWS_MAX);
    yield order === undefined ? sliceBatch(all, start, end) : takeBatch(all, order.subarray(start, end));
  }
}

/** Row numbers in ascending order of time, stable; undefined where the rows are in order. */
function sortedRows(times: BigInt64Array): Int32Array | undefined {
  let isSorted = true;
  for (let i = 1; i < times.length && isSorted; i++) isSorted = (times[i - 1] ?? 0n) <= (times[i] ?? 0n);
  if (isSorted) return undefined;
  const compare = (a: number, b: number): number => {
    const [timeA, timeB] = [times[a] ?? 0n, times[b] ?? 0n];
    return timeA < timeB ? -1 : timeA > timeB ? 1 : a - b;
  };
  return Int32Array.from(times, (_, i) => i).sort(compare);
}
