// What is sent again, and when (R34).
import { ApiError } from './types.ts';

export interface RetryPolicy {
  readonly retriesMax: number;
  /** Before the first retry, full jitter; doubled for each one after it. */
  readonly firstDelayMs: number;
  /** A longer `Retry-After` is handed to the caller instead of being waited for. */
  readonly retryAfterMaxMs: number;
}

export const REQUEST_RETRY: RetryPolicy = { retriesMax: 4, firstDelayMs: 100, retryAfterMaxMs: 30_000 };
export const NO_RETRY: RetryPolicy = { retriesMax: 0, firstDelayMs: 0, retryAfterMaxMs: 0 };

/**
 * How long to wait before attempt `retries + 2`; undefined where there is to be none. A 429, and a 503 that says when to come
 * back, were not processed, so even a create goes again; any other failure leaves open whether it was done.
 */
export function retryDelayMs(
  policy: RetryPolicy,
  error: unknown,
  idempotent: boolean,
  retries: number,
  random: () => number,
): number | undefined {
  if (retries >= policy.retriesMax) return undefined;
  const backoffMs = random() * policy.firstDelayMs * 2 ** retries;
  if (!(error instanceof ApiError)) return idempotent ? backoffMs : undefined;
  const refused = error.status === 429 || (error.status === 503 && error.retryAfterMs !== undefined);
  if (!refused && !(idempotent && error.status >= 500)) return undefined;
  const afterMs = error.retryAfterMs ?? 0;
  return afterMs > policy.retryAfterMaxMs ? undefined : afterMs + backoffMs;
}
