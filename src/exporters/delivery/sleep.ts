// The real clock of the delivery loops.

const TIMEOUT_MS_MAX = 2 ** 31 - 1;

/** Resolves after `ms` (Infinity: only at the abort), or at once when the signal aborts. Never rejects. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    let timer: NodeJS.Timeout | undefined;
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    signal.addEventListener('abort', end, { once: true });
    if (Number.isFinite(ms)) timer = setTimeout(end, Math.min(Math.max(ms, 0), TIMEOUT_MS_MAX));
  });
}
