// What destinations said, for whoever plans. The ledger keeps each delivery until it was handed out; one reader at a
// time, the newest.
import type { Delivery } from '../model/outcome.ts';
import type { Ledger } from '../ledger/ledger.ts';

export interface DeliveryFeed {
  /** New deliveries may be there. */
  wake(): void;
  /** Ends when `signal` aborts, when a newer reader comes, or at `close`. A delivery counts as handed out once the next is asked for. */
  read(signal: AbortSignal): AsyncIterable<Delivery>;
  close(): void;
}

const PAGE = 256;

/** `onFault`: the ledger could not note what was handed out; it is noted with the next page, and not handed out again. */
export function createDeliveryFeed(
  ledger: Pick<Ledger, 'deliveries' | 'takeDeliveries'>,
  onFault: (error: unknown) => void = () => undefined,
): DeliveryFeed {
  let news = Promise.withResolvers<void>();
  let reader: AbortController | undefined;
  let closed = false;

  const wake = (): void => {
    news.resolve();
    news = Promise.withResolvers<void>();
  };

  async function* read(signal: AbortSignal): AsyncGenerator<Delivery> {
    reader?.abort();
    const own = new AbortController();
    reader = own;
    const ended = AbortSignal.any([signal, own.signal]);
    const over = new Promise<void>((resolve) => ended.addEventListener('abort', () => resolve(), { once: true }));
    const goesOn = (): boolean => !ended.aborted && !closed;
    let after = 0;
    while (goesOn()) {
      // Taken before the look, so that nothing that comes in between is slept over.
      const next = news.promise;
      const page = await ledger.deliveries(after, PAGE);
      let taken = after;
      try {
        for (const { seq, delivery } of page) {
          if (!goesOn()) return;
          yield delivery;
          taken = seq;
        }
      } finally {
        if (taken > after) await ledger.takeDeliveries(taken).catch(onFault);
        after = taken;
      }
      if (page.length === 0) await Promise.race([next, over]);
    }
  }

  return {
    wake,
    read,
    close() {
      closed = true;
      reader?.abort();
      wake();
    },
  };
}
