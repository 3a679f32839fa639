// A token bucket: a burst at once, then a steady rate. It never waits itself; `reserve` says how long the caller has to.

export interface TokenBucket {
  /** Takes a token if there is one now. */
  tryTake(): boolean;
  /**
   * Takes a token in any case and returns in how many milliseconds it may be used (0: now). Callers who wait for that
   * long are served in the order in which they asked.
   */
  reserve(): number;
  /** Tokens now; below zero where more are reserved than have come. */
  tokens(): number;
}

export interface TokenBucketOptions {
  /** Tokens per second; above 0. */
  readonly ratePerSecond: number;
  /** Tokens at the start and at most; at least 1. */
  readonly burst: number;
  /** Milliseconds; never falls. */
  readonly now: () => number;
}

/** @throws RangeError where a figure makes no bucket */
export function createTokenBucket({ ratePerSecond, burst, now }: TokenBucketOptions): TokenBucket {
  if (!(ratePerSecond > 0) || !(burst >= 1))
    throw new RangeError(
      `a token bucket needs a rate above 0 and a burst of at least 1, not ${ratePerSecond}, ${burst}`,
    );
  const perMs = ratePerSecond / 1000;
  let tokens = burst;
  let filledAt = now();

  function refill(): void {
    const time = now();
    tokens = Math.min(burst, tokens + (time - filledAt) * perMs);
    filledAt = time;
  }

  return {
    tryTake() {
      refill();
      // a whole token to within what floating point loses on the way
      if (tokens < 1 - 1e-9) return false;
      tokens -= 1;
      return true;
    },
    reserve() {
      refill();
      tokens -= 1;
      return tokens >= -1e-9 ? 0 : -tokens / perMs;
    },
    tokens() {
      refill();
      return tokens;
    },
  };
}
