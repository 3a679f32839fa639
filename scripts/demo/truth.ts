// The demo's verdict: for each window what the service counted, what the receiver got, and what was declared lost.

export interface WindowTruth {
  /** Milliseconds since the epoch; [start, end). */
  readonly start: number;
  readonly end: number;
  readonly counted: number;
  readonly exported: number;
  readonly lost: number;
}

/** exported = counted where nothing was lost, else exported <= counted <= exported + lost. */
export const holds = ({ counted, exported, lost }: WindowTruth): boolean =>
  lost === 0 ? exported === counted : exported <= counted && counted <= exported + lost;

const number = (value: number): string => value.toLocaleString('en-US');

/** The line of truth of a window. */
export const truthLine = (window: WindowTruth): string =>
  `${new Date(window.start).toISOString().slice(11, 19)}–${new Date(window.end).toISOString().slice(11, 19)}  ` +
  `service counted ${number(window.counted)} · exported ${number(window.exported)} · declared lost ${number(window.lost)}  ` +
  (holds(window) ? '✓' : '✗ WRONG');
