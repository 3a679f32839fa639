// How far each table is complete. Event tables: up to the last time at which the probe's rings had been read, less a
// margin for rows that their last event does not end; sampled tables: up to the last sample.
import { timeNs } from '../model/time.ts';
import type { TimeNs } from '../model/time.ts';

export const EVENT_MARGIN_NS = 50_000_000n;
/** Beyond every time: nothing more will come. */
export const FOREVER = timeNs(2n ** 63n - 1n);

export interface Watermarks {
  readonly of: (table: string) => TimeNs;
  readonly lowest: (tables: readonly string[]) => TimeNs;
  /** Every event before `time` has been seen. */
  drained(time: TimeNs): void;
  sampled(time: TimeNs): void;
  /** Whether samples come at all; without them sampled tables, which get no rows, are complete as events are. */
  setSampling(isSampling: boolean): void;
  /** The source has ended. */
  finish(): void;
  readonly waitFor: (tables: readonly string[], time: TimeNs, signal: AbortSignal) => Promise<void>;
}

interface Waiter {
  readonly tables: readonly string[];
  readonly time: TimeNs;
  readonly resolve: () => void;
}

/** `isSampled` says which tables get their rows by sampling. */
export function createWatermarks(isSampled: (table: string) => boolean): Watermarks {
  const waiters = new Set<Waiter>();
  let events = timeNs(0n);
  let samples = timeNs(0n);
  let isSampling = true;

  const of = (table: string): TimeNs => (isSampling && isSampled(table) ? samples : events);
  const lowest = (tables: readonly string[]): TimeNs => {
    let low = FOREVER;
    for (const table of tables) if (of(table) < low) low = of(table);
    return low;
  };
  const wake = (): void => {
    for (const waiter of waiters) {
      if (lowest(waiter.tables) < waiter.time) continue;
      waiters.delete(waiter);
      waiter.resolve();
    }
  };

  return {
    of,
    lowest,
    drained(time) {
      const mark = timeNs(time - EVENT_MARGIN_NS);
      if (mark <= events) return;
      events = mark;
      wake();
    },
    sampled(time) {
      if (time <= samples) return;
      samples = time;
      wake();
    },
    setSampling(next) {
      isSampling = next;
      wake();
    },
    finish() {
      events = FOREVER;
      samples = FOREVER;
      wake();
    },
    waitFor: (tables, time, signal) =>
      new Promise((resolve, reject) => {
        const refuse = (): void => {
          waiters.delete(waiter);
          reject(signal.reason instanceof Error ? signal.reason : new Error('waiting was given up'));
        };
        const waiter: Waiter = {
          tables,
          time,
          resolve: () => {
            signal.removeEventListener('abort', refuse);
            resolve();
          },
        };
        if (lowest(tables) >= time) return resolve();
        if (signal.aborted) return refuse();
        waiters.add(waiter);
        signal.addEventListener('abort', refuse, { once: true });
      }),
  };
}
