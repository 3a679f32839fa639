// A spool in memory, with what tests want to know of it.
import type { BatchVerdict, Spool, SpooledBatch } from '../../../src/exporters/delivery/spool.ts';
import type { EncodedRequest } from '../../../src/exporters/sender.ts';
import { timeNs } from '../../../src/model/time.ts';

export interface MemorySpool extends Spool {
  commit(name: string, request: EncodedRequest): number;
  readonly verdicts: (BatchVerdict & { readonly id: number })[];
  pending(name: string): SpooledBatch[];
  /** Takes a batch away without a verdict, as a spool that makes room does. */
  drop(id: number): void;
  /** Resolves as soon as nothing is left for that name. */
  empty(name: string): Promise<void>;
}

export function memorySpool(): MemorySpool {
  const batches: { name: string; batch: SpooledBatch }[] = [];
  const verdicts: MemorySpool['verdicts'] = [];
  const waiting = new Set<() => void>();
  let nextId = 1;
  const pending = (name: string): SpooledBatch[] =>
    batches.filter((one) => one.name === name).map(({ batch }) => batch);
  const remove = (id: number): boolean => {
    const at = batches.findIndex(({ batch }) => batch.id === id);
    if (at >= 0) batches.splice(at, 1);
    for (const check of waiting) check();
    return at >= 0;
  };
  return {
    verdicts,
    pending,
    drop: (id) => void remove(id),
    commit: (name, request) => {
      batches.push({
        name,
        batch: { ...request, id: nextId, attempts: 0, isUnanswered: false, committedAt: timeNs(BigInt(nextId)) },
      });
      return nextId++;
    },
    next: async (name) => pending(name)[0],
    attempted: async (id, attempts, isUnanswered) => {
      const one = batches.find(({ batch }) => batch.id === id);
      if (one !== undefined) one.batch = { ...one.batch, attempts, isUnanswered };
    },
    finished: async (id, verdict) => {
      if (batches.some(({ batch }) => batch.id === id)) verdicts.push({ id, ...verdict });
      remove(id);
    },
    empty: (name) =>
      new Promise((resolve) => {
        const check = (): void => {
          if (pending(name).length > 0) return;
          waiting.delete(check);
          resolve();
        };
        waiting.add(check);
        check();
      }),
  };
}
