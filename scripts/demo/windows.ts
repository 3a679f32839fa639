// The demo's clock: windows on the epoch grid, and the pause of the load around each window's end.

/** Length of a window: that of the samples. */
export const WINDOW_MS = 10_000;
/** No request is begun this long before a window's end (the slowest route takes 100 ms) … */
export const PAUSE_BEFORE_MS = 200;
/** … until this long after it. */
export const PAUSE_AFTER_MS = 100;

/** Milliseconds until `boundary`; without one, until the end of the window that runs now. */
export function msUntilBoundary(boundary?: number): number {
  const now = Date.now();
  return Math.max(0, (boundary ?? Math.ceil((now + 1) / WINDOW_MS) * WINDOW_MS) - now);
}

/** Whether load may begin a request now. */
export function mayBegin(now = Date.now()): boolean {
  const phase = now % WINDOW_MS;
  return phase >= PAUSE_AFTER_MS && phase < WINDOW_MS - PAUSE_BEFORE_MS;
}
