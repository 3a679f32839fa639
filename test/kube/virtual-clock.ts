// A clock whose hands the test turns. Timers fire in the order in which they are due, at the moment they are due.
import { TIMER_MAX_MS, type Clock } from '../../src/kube/timers.ts';

export interface VirtualClock extends Clock {
  /** Turns the hands; every timer on the way fires. */
  advance(ms: number): void;
  /** As `advance`, with time after each timer for what promises have to do. */
  settle(ms: number): Promise<void>;
  /** Timers that are armed. */
  readonly timers: number;
}

const turnOfTheLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export function createVirtualClock(start = 1000): VirtualClock {
  interface Timer {
    readonly due: number;
    readonly call: () => void;
  }
  let now = start;
  const timers = new Set<Timer>();

  function next(end: number): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of timers) if (timer.due <= end && (first === undefined || timer.due < first.due)) first = timer;
    return first;
  }

  function fire(timer: Timer): void {
    timers.delete(timer);
    now = Math.max(now, timer.due);
    timer.call();
  }

  return {
    now: () => now,
    after(delayMs, call) {
      // as Node has it: what is longer overflows and fires at once
      if (delayMs > TIMER_MAX_MS) throw new Error(`a timer of ${delayMs} ms would fire at once`);
      const timer = { due: now + Math.max(0, delayMs), call };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
    advance(ms) {
      const end = now + ms;
      for (let timer = next(end); timer !== undefined; timer = next(end)) fire(timer);
      now = end;
    },
    async settle(ms) {
      const end = now + ms;
      await turnOfTheLoop();
      for (let timer = next(end); timer !== undefined; timer = next(end)) {
        fire(timer);
        await turnOfTheLoop();
      }
      now = end;
      await turnOfTheLoop();
    },
    get timers() {
      return timers.size;
    },
  };
}
