// When a failed request is tried again: exponential with jitter, never before the destination asked for. Pure.

export const INITIAL_DELAY_MS = 1000;
export const DELAY_MAX_MS = 30_000;
/** A destination may ask for more than the cap, but not for ever. */
export const ASKED_DELAY_MAX_MS = 300_000;

export interface BackOff {
  /** What the next failure doubles. */
  readonly baseMs: number;
  /** Wait this long now. */
  readonly delayMs: number;
}

/**
 * The wait after one more failure. `previous` is undefined after a success. Half of the delay is jitter (50 % to 150 %
 * of the base); what the destination asked for (`afterMs`, RetryInfo or Retry-After) is a lower bound and the new base.
 */
export function nextBackOff(previous: BackOff | undefined, afterMs: number | undefined, random: () => number): BackOff {
  const doubled = previous === undefined ? INITIAL_DELAY_MS : previous.baseMs * 2;
  const asked = Math.min(Math.max(afterMs ?? 0, 0), ASKED_DELAY_MAX_MS);
  const baseMs = Math.max(Math.min(doubled, DELAY_MAX_MS), Math.min(asked, DELAY_MAX_MS));
  const jittered = Math.min(baseMs * (0.5 + random()), DELAY_MAX_MS);
  return { baseMs, delayMs: Math.max(jittered, asked) };
}
