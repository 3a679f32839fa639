// Time as the plumbing sees it: monotonic milliseconds and timers, handed in, so that tests turn the hands themselves.

export interface Clock {
  /** Milliseconds since some fixed moment; never steps, goes on while the process is stopped by a signal. */
  now(): number;
  /** Calls once after `delayMs` (below 2^31). The function it returns cancels. */
  after(delayMs: number, call: () => void): () => void;
}

/** Longer delays overflow Node's timers and fire at once; whoever waits longer arms the timer again. */
export const TIMER_MAX_MS = 2 ** 31 - 1;

export const SYSTEM_CLOCK: Clock = {
  now: () => performance.now(),
  after(delayMs, call) {
    const timer = setTimeout(call, Math.min(delayMs, TIMER_MAX_MS));
    return () => clearTimeout(timer);
  },
};

/** Resolves after `delayMs`; rejects with the signal's reason where that is aborted first. */
export function wait(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const reasonOf = (): Error =>
      signal?.reason instanceof Error ? signal.reason : new Error('aborted', { cause: signal?.reason });
    if (signal?.aborted === true) {
      reject(reasonOf());
      return;
    }
    const onAbort = (): void => {
      cancel();
      reject(reasonOf());
    };
    const cancel = clock.after(delayMs, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
