// What was not seen. Every node reports it, every run's outcome carries it for its window, so that
// exported <= true <= exported + lost holds and is checkable.
import type { TimeNs } from './time.ts';

/** A source of rows that does not run, or not fully, and why. Shown in `nodes.blind`. */
export interface BlindSource {
  readonly source: string;
  /** CamelCase word for machines, e.g. `KernelTooOld`, `MissingCapability`, `ProbeNotRunning`. */
  readonly reason: string;
  readonly message: string;
}

/** Wall-clock interval [start, end) in which a source saw nothing. `end` undefined: it still does not. */
export interface BlindInterval {
  readonly source: string;
  readonly start: TimeNs;
  readonly end?: TimeNs;
  readonly reason: string;
}

/** Loss of one window on one node. All counts are upper bounds: each lost event hides at most one exchange. */
export interface WindowLoss {
  /** Events that the kernel side could not hand over (ring full, map full, unreadable memory). */
  readonly eventsDropped: number;
  /** Exchanges that the parsers gave up: gaps, bytes not understood, limits. */
  readonly exchangesLost: number;
  /** Bytes of followed connections that no parser understood. */
  readonly bytesNotUnderstood: number;
  /**
   * Rows that came behind the watermark and were stored at it: so many more than its own may be in this window. Where they
   * are missing they are among the exchanges lost.
   */
  readonly rowsLate: number;
  /** Rows of the window that the table store had to expire before they were read. */
  readonly rowsExpired: number;
  readonly blind: readonly BlindInterval[];
}

export const NO_LOSS: WindowLoss = {
  eventsDropped: 0,
  exchangesLost: 0,
  bytesNotUnderstood: 0,
  rowsLate: 0,
  rowsExpired: 0,
  blind: [],
};

/** How many exchanges may be missing from what was exported; the right-hand side of the inequality above. */
export const lostAtMost = (loss: WindowLoss): number => loss.eventsDropped + loss.exchangesLost + loss.rowsExpired;

export const addLoss = (a: WindowLoss, b: WindowLoss): WindowLoss => ({
  eventsDropped: a.eventsDropped + b.eventsDropped,
  exchangesLost: a.exchangesLost + b.exchangesLost,
  bytesNotUnderstood: a.bytesNotUnderstood + b.bytesNotUnderstood,
  rowsLate: a.rowsLate + b.rowsLate,
  rowsExpired: a.rowsExpired + b.rowsExpired,
  blind: [...a.blind, ...b.blind],
});
