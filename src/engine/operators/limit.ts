// The first rows; the input is closed as soon as they are there.
import type { Batch } from '../../columns/column.ts';
import { sliceBatch } from '../../columns/select.ts';
import type { LimitOperator } from '../../plan/plan.ts';

export async function* runLimit({ rows }: LimitOperator, input: AsyncIterable<Batch>): AsyncGenerator<Batch> {
  let left = rows;
  if (left <= 0) return;
  for await (const batch of input) {
    const taken = batch.length > left ? sliceBatch(batch, 0, left) : batch;
    left -= taken.length;
    yield taken;
    if (left === 0) return;
  }
}
