// Writes per second (R34), waited for in the order in which they were asked for.
import { createTokenBucket } from './rate-limit.ts';
import { wait, type Clock } from './timers.ts';

export interface WriteLimit {
  /** In the long run. */
  readonly perSecond: number;
  /** At once after a pause. */
  readonly burst: number;
}

export interface Limiter {
  /** Resolves when a write may go; rejects when `signal` aborts before. */
  acquire(signal: AbortSignal | undefined): Promise<void>;
}

export function createLimiter({ perSecond, burst }: WriteLimit, clock: Clock): Limiter {
  const bucket = createTokenBucket({ ratePerSecond: perSecond, burst, now: () => clock.now() });
  return {
    acquire: async (signal) => {
      const delayMs = bucket.reserve();
      if (delayMs > 0) await wait(clock, delayMs, signal);
    },
  };
}
