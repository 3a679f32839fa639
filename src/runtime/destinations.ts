// The destinations that are known now, each with its delivery loop over the ledger's spool. Their values, credentials
// among them, are in memory only: after a restart nothing is sent until they are given again.
import type { Destination } from '../model/destination.ts';
import type { Ledger } from '../ledger/ledger.ts';
import {
  startDelivery,
  type DeliveryLoop,
  type DeliveryState,
  type DeliveryWorld,
} from '../exporters/delivery/deliver.ts';
import type { BatchVerdict, Spool } from '../exporters/delivery/spool.ts';
import type { Sender } from '../exporters/sender.ts';

export interface DestinationsOptions {
  readonly ledger: Pick<Ledger, 'pending' | 'attempted' | 'finish' | 'dropDestination'>;
  readonly open: (destination: Destination) => Sender;
  readonly nowMs: () => number;
  readonly random: () => number;
  /** Deliveries were written to the ledger. */
  readonly onDeliveries: () => void;
  readonly onFault: (what: string, error: unknown) => void;
}

export interface Destinations {
  put(name: string, revision: string, destination: Destination): void;
  /** The destination, if it is known in this revision and not about to be removed. */
  find(name: string, revision: string): Destination | undefined;
  /** Something was committed for it. */
  wake(name: string): void;
  /** Tries what it has for `graceMs` more, then gives it up, on record. A `put` meanwhile calls it off. */
  remove(name: string, graceMs: number): Promise<void>;
  state(): readonly { readonly name: string; readonly delivery: DeliveryState }[];
  /** Sends on for up to `graceMs`, then stops; what is left stays in the spool. */
  stop(graceMs: number): Promise<void>;
}

interface Entry {
  revision: string;
  destination: Destination;
  readonly loop: DeliveryLoop;
  /** Set while it is being removed. */
  leaving: object | undefined;
}

/** The longest a timer can count. */
const TIMER_MAX_MS = 2 ** 31 - 1;

/** Resolves after `ms` (Infinity: never), or when the signal aborts. */
export const sleep = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = ms > TIMER_MAX_MS ? undefined : setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });

export function createDestinations(options: DestinationsOptions): Destinations {
  const { ledger } = options;
  const entries = new Map<string, Entry>();

  /** Verdicts that the ledger could not take (a full disk). Their batches are not sent a second time for that. */
  const unrecorded = new Map<number, BatchVerdict>();
  const record = async (id: number, verdict: BatchVerdict): Promise<void> => {
    unrecorded.set(id, verdict);
    await ledger.finish([{ id, verdict }]);
    unrecorded.delete(id);
  };
  const spool: Spool = {
    async next(name) {
      for (;;) {
        const [oldest] = await ledger.pending(name, 0, 1, 0);
        const verdict = oldest === undefined ? undefined : unrecorded.get(oldest.id);
        if (oldest === undefined || verdict === undefined) return oldest;
        await record(oldest.id, verdict);
        options.onDeliveries();
      }
    },
    attempted: (id, attempts, isUnanswered) => ledger.attempted(id, attempts, isUnanswered),
    finished: record,
  };
  const world: DeliveryWorld = {
    spool,
    open: options.open,
    nowMs: options.nowMs,
    random: options.random,
    sleep,
    onVerdict: options.onDeliveries,
    onFault: (name, error) => options.onFault(`delivery to ${name}`, error),
  };

  return {
    put(name, revision, destination) {
      const known = entries.get(name);
      const entry = known ?? { revision, destination, loop: startDelivery(name, world), leaving: undefined };
      const changed = known === undefined || known.revision !== revision || known.leaving !== undefined;
      entries.set(name, entry);
      entry.revision = revision;
      entry.destination = destination;
      entry.leaving = undefined;
      // The same again must not cut a back-off short.
      if (changed) entry.loop.put(destination);
    },
    find(name, revision) {
      const entry = entries.get(name);
      if (entry === undefined || entry.leaving !== undefined || entry.revision !== revision) return undefined;
      return entry.destination;
    },
    wake: (name) => entries.get(name)?.loop.wake(),
    async remove(name, graceMs) {
      const entry = entries.get(name);
      const leaving = {};
      if (entry !== undefined) {
        entry.leaving = leaving;
        const end = await entry.loop.drained(graceMs);
        // stopped: the process ends meanwhile; what is left is for the next one to decide
        if (end === 'stopped' || entry.leaving !== leaving) return;
        entries.delete(name);
        await entry.loop.stop();
      }
      const dropped = await ledger.dropDestination(name, 'the plugin was deleted');
      if (dropped > 0) options.onDeliveries();
    },
    state: () => [...entries].map(([name, { loop }]) => ({ name, delivery: loop.state() })),
    async stop(graceMs) {
      const loops = [...entries.values()].map(({ loop }) => loop);
      await Promise.all(
        loops.map(async (loop) => {
          if (loop.state().activity !== 'backing-off' && loop.state().activity !== 'no-destination')
            await loop.drained(graceMs);
          await loop.stop();
        }),
      );
    },
  };
}
