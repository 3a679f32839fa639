// What destinations said, for whoever plans. The ledger keeps each delivery until it was handed out; one reader at a
// time, the newest.
import type { Delivery } from '../model/outcome.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { StoredDelivery } from '../ledger/record.ts';

export interface DeliveryFeed {
  /** New deliveries may be there. */
  wake(): void;
  /** Ends when `signal` aborts, when a newer reader comes, or at `close`. A delivery counts as handed out once the next is asked for. */
  read(signal: AbortSignal): AsyncIterable<Delivery>;
  /** The same in pages of at least one; a page counts as handed out once the next is asked for. */
  pages(signal: AbortSignal): AsyncIterable<readonly Delivery[]>;
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

  /** Pages as the ledger has them, with how far they go. `taken` is asked after each, however the reader left it. */
  async function* follow(
    signal: AbortSignal,
    taken: (page: readonly StoredDelivery[], isWhole: boolean) => number,
  ): AsyncGenerator<readonly StoredDelivery[]> {
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
      if (page.length === 0) {
        await Promise.race([next, over]);
        continue;
      }
      if (!goesOn()) return;
      let isWhole = false;
      try {
        yield page;
        isWhole = true;
      } finally {
        const until = Math.max(after, taken(page, isWhole));
        if (until > after) await ledger.takeDeliveries(until).catch(onFault);
        after = until;
      }
    }
  }

  async function* read(signal: AbortSignal): AsyncGenerator<Delivery> {
    let handedOut = 0;
    for await (const page of follow(signal, () => handedOut)) {
      for (const { seq, delivery } of page) {
        if (signal.aborted || closed) return;
        yield delivery;
        handedOut = seq;
      }
    }
  }

  async function* pages(signal: AbortSignal): AsyncGenerator<readonly Delivery[]> {
    const lastOf = (page: readonly StoredDelivery[], isWhole: boolean): number =>
      isWhole ? (page.at(-1)?.seq ?? 0) : 0;
    for await (const page of follow(signal, lastOf)) yield page.map(({ delivery }) => delivery);
  }

  return {
    wake,
    read,
    pages,
    close() {
      closed = true;
      reader?.abort();
      wake();
    },
  };
}
