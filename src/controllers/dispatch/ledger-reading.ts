// Reads what ledgers have of scripts before these run: in pages, one page at a time per runtime, tried again after a pause
// for as long as the runtime is up.
import type { CommittedInterval } from '../../model/run.ts';
import type { RunTargets } from './contract.ts';
import { uidOf, type Entry } from './entry.ts';
import type { Lane } from './lane.ts';

export interface LedgerReadingOptions {
  readonly targets: Pick<RunTargets, 'ledger'>;
  readonly onHeard: (entry: Entry, ordinal: number, committed: readonly CommittedInterval[]) => void;
  readonly onFault: (what: string, error: unknown) => void;
  readonly isStopped: () => boolean;
}

const PAGE = 500;
const RETRY_MS = 1000;
const NONE: readonly CommittedInterval[] = [];

/** Reads for all entries of `lane.toRead`. Resolves when none is left or the lane is down; rejects with the first failure, after which it goes on by itself. */
export function createLedgerReading(options: LedgerReadingOptions): (lane: Lane) => Promise<void> {
  async function page(lane: Lane): Promise<void> {
    const entries = [...lane.toRead].slice(0, PAGE);
    const { connection } = lane;
    const found = await options.targets.ledger(lane.ordinal, entries.map(uidOf));
    // it went and came back meanwhile, perhaps with another disk: what it said before counts for nothing
    if (lane.connection !== connection) return;
    for (const entry of entries) {
      if (!lane.toRead.delete(entry)) continue;
      options.onHeard(entry, lane.ordinal, found.get(uidOf(entry)) ?? NONE);
    }
  }

  return async function read(lane) {
    if (lane.isReading) return;
    lane.isReading = true;
    try {
      while (lane.isUp && lane.toRead.size > 0 && !options.isStopped()) await page(lane);
    } catch (error) {
      const again = (): void => {
        lane.isReadAgain = false;
        if (!options.isStopped()) read(lane).catch((failure: unknown) => options.onFault('reading a ledger', failure));
      };
      if (!lane.isReadAgain) setTimeout(again, RETRY_MS).unref();
      lane.isReadAgain = true;
      throw error;
    } finally {
      lane.isReading = false;
    }
  };
}
