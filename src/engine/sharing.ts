// Operators that stand at several places of one tree (`df.merge(df.groupby(…))` and the like) are executed once where
// that is simple: whoever reads one to its end leaves its batches for those who come later. Who comes too early, or
// after a result that was too large to keep, executes it again; rows are the same either way.
import { batchBytes } from '../columns/batch.ts';
import type { Batch } from '../columns/column.ts';
import { inputsOf } from '../plan/inputs.ts';
import type { Operator } from '../plan/plan.ts';

/** Only what is costly to make and small to keep. */
const isWorthKeeping = ({ kind }: Operator): boolean => kind === 'aggregate' || kind === 'join';

/** The operators below `root` that more than one other reads. */
export function sharedOperators(root: Operator): ReadonlySet<Operator> {
  const seen = new Set<Operator>();
  const shared = new Set<Operator>();
  const visit = (operator: Operator): void => {
    if (seen.has(operator)) {
      if (isWorthKeeping(operator)) shared.add(operator);
      return;
    }
    seen.add(operator);
    for (const input of inputsOf(operator)) visit(input);
  };
  visit(root);
  return shared;
}

export interface SharedRows {
  /** The rows that were kept, or those of `run`, which are kept if they fit. */
  read(run: () => AsyncIterable<Batch>): AsyncIterable<Batch>;
}

export function createSharedRows(bytesMax: number): SharedRows {
  let kept: readonly Batch[] | undefined;
  return {
    async *read(run) {
      if (kept !== undefined) {
        yield* kept;
        return;
      }
      const batches: Batch[] = [];
      let bytes = 0;
      for await (const batch of run()) {
        bytes += batchBytes(batch);
        if (bytes <= bytesMax) batches.push(batch);
        else batches.length = 0;
        yield batch;
      }
      if (bytes <= bytesMax) kept = batches;
    },
  };
}
