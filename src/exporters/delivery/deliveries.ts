// One delivery loop per destination, found by the name under which the spool keeps its batches.
import type { Destination } from '../../model/destination.ts';
import { startDelivery, type DeliveryLoop, type DeliveryState, type DeliveryWorld } from './deliver.ts';
import { sleep } from './sleep.ts';

export interface Deliveries {
  /** Begins or goes on sending to the destination; its current back-off ends. */
  put(name: string, destination: Destination): void;
  /** Something was committed for it. Known before its destination (after a restart), it shows as `no-destination`. */
  wake(name: string): void;
  /**
   * Tries what is left for up to `graceMs`, then ends the loop. `drained`: nothing is left. `expired`: the caller drops
   * the rest from the spool and counts it. `kept`: put again or stopped meanwhile, nothing may be dropped.
   */
  remove(name: string, graceMs: number): Promise<'drained' | 'expired' | 'kept'>;
  states(): ReadonlyMap<string, DeliveryState>;
  /** Ends all loops; what is not sent stays in the spool. */
  stop(): Promise<void>;
}

/** What a loop needs, with the real clock where nothing else is given. */
export type DeliveriesOptions = Pick<DeliveryWorld, 'spool' | 'open'> & Partial<DeliveryWorld>;

export function createDeliveries(options: DeliveriesOptions): Deliveries {
  const world: DeliveryWorld = { nowMs: Date.now, random: Math.random, sleep, ...options };
  const loops = new Map<string, DeliveryLoop>();
  /** Names whose loop ends soon, unless they are put again. */
  const removing = new Set<string>();
  const loopOf = (name: string): DeliveryLoop => {
    let loop = loops.get(name);
    if (loop === undefined) loops.set(name, (loop = startDelivery(name, world)));
    return loop;
  };
  return {
    put: (name, destination) => {
      removing.delete(name);
      loopOf(name).put(destination);
    },
    wake: (name) => loopOf(name).wake(),
    remove: async (name, graceMs) => {
      const loop = loopOf(name);
      removing.add(name);
      const end = await loop.drained(graceMs);
      if (end === 'stopped' || !removing.delete(name)) return 'kept';
      loops.delete(name);
      await loop.stop();
      return end;
    },
    states: () => new Map([...loops].map(([name, loop]) => [name, loop.state()])),
    stop: async () => {
      await Promise.all([...loops.values()].map((loop) => loop.stop()));
      loops.clear();
    },
  };
}
