// Who may put how much into the spool. What is committed is never dropped to make room, so the room is guarded before.
import type { NewBatch, SpoolState } from './record.ts';

/** What a batch costs beside its bytes: its row, its part of the index and of its window. */
const BATCH_OVERHEAD_BYTES = 1024;

/** A destination may hold this many times what is still free, so that a dead one leaves room for the living. */
const SHARE_OF_FREE = 4;

interface Held {
  batches: number;
  bytes: number;
}

export interface SpoolRoom {
  /** Notes that `destination` holds so many more (or fewer) batches and bytes. */
  hold(destination: string, batches: number, bytes: number): void;
  /** The destination whose part is too small for these batches; undefined where all fit. */
  refusing(
    batches: readonly Pick<NewBatch, 'destination' | 'bytes'>[],
  ): { readonly destination: string; readonly heldBytes: number; readonly freeBytes: number } | undefined;
  state(): Pick<SpoolState, 'bytes' | 'bytesMax' | 'destinations'>;
}

export function createSpoolRoom(bytesMax: number): SpoolRoom {
  const held = new Map<string, Held>();
  let heldBytes = 0;
  return {
    hold(destination, batches, bytes) {
      const cost = bytes + batches * BATCH_OVERHEAD_BYTES;
      const entry = held.get(destination) ?? { batches: 0, bytes: 0 };
      entry.batches += batches;
      entry.bytes += cost;
      heldBytes += cost;
      if (entry.batches === 0) held.delete(destination);
      else held.set(destination, entry);
    },
    refusing(batches) {
      const added = new Map<string, number>();
      for (const { destination, bytes } of batches) {
        added.set(destination, (added.get(destination) ?? 0) + bytes.length + BATCH_OVERHEAD_BYTES);
      }
      const freeAfter = [...added.values()].reduce((free, cost) => free - cost, bytesMax - heldBytes);
      for (const [destination, cost] of added) {
        const own = held.get(destination)?.bytes ?? 0;
        if (freeAfter >= 0 && own + cost <= SHARE_OF_FREE * freeAfter) continue;
        return { destination, heldBytes: own, freeBytes: bytesMax - heldBytes };
      }
      return undefined;
    },
    state: () => ({
      bytes: heldBytes,
      bytesMax,
      destinations: [...held].map(([destination, { batches, bytes }]) => ({ destination, batches, bytes })),
    }),
  };
}
