// The clock that windows go by. It follows UTC upwards at once and never goes back, exactly as rows' `time_` does, so a
// window that is over stays over when somebody sets the host's clock back.
import { timeNs, type TimeNs } from '../model/time.ts';

export interface ClockSources {
  /** UTC as the host has it now. */
  readonly wall: () => TimeNs;
  /** Nanoseconds since some fixed moment; never steps. */
  readonly monotonic: () => bigint;
}

/** Monotonic time plus the largest difference to UTC that was ever seen. */
export function risingClock({ wall, monotonic }: ClockSources): () => TimeNs {
  let offset: bigint | undefined;
  return () => {
    const elapsed = monotonic();
    const difference = wall() - elapsed;
    if (offset === undefined || difference > offset) offset = difference;
    return timeNs(elapsed + offset);
  };
}
