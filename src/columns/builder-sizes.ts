// How large builders become, so that the next one need not grow.

/** How large a finished builder was: the next of its kind starts at that size and need not grow. */
export interface BuilderSizes {
  readonly rows: number;
  /** Of a STRING column: dictionary entries, and bytes of all of them. */
  readonly entries: number;
  readonly dataBytes: number;
}

export const NO_SIZES: BuilderSizes = { rows: 0, entries: 0, dataBytes: 0 };

/** Whether a buffer may stay as it is when its column is finished: copying would free less than an eighth of it. */
export const isNearlyFull = (used: number, capacity: number): boolean => used * 8 >= capacity * 7;
