// Kernel time (CLOCK_MONOTONIC) -> wall clock. The offset follows UTC upwards at once and never falls, so that time_ is
// monotonic; a backward step of UTC is counted and leaves us ahead of it until it has caught up.
import { timeNs } from '../model/time.ts';
import type { TimeNs } from '../model/time.ts';
import type { KtimeNs } from './protocols/protocol.ts';

/** A pair that is lower than its forerunner by more than this is a step; less is slewing or the reading's own jitter. */
const STEP_NS = 1_000_000n;

export interface Clock {
  /** Takes a pair of readings, in frame order. */
  pair(ktime: KtimeNs, realtime: bigint): void;
  /** Wall-clock time of a kernel time by the offset of now; undefined before the first pair. */
  wall(ktime: KtimeNs): TimeNs | undefined;
  /** Backward steps of UTC seen. */
  readonly stepsBack: number;
  /** How far our offset is ahead of the last pair's; 0 unless UTC went back. */
  readonly aheadNs: bigint;
}

export function createClock(): Clock {
  let offset: bigint | undefined;
  let observed = 0n;
  let stepsBack = 0;
  return {
    pair(ktime, realtime) {
      const next = realtime - BigInt(ktime);
      if (offset !== undefined && observed - next > STEP_NS) stepsBack += 1;
      observed = next;
      if (offset === undefined || next > offset) offset = next;
    },
    wall: (ktime) => (offset === undefined ? undefined : timeNs(offset + BigInt(ktime))),
    get stepsBack() {
      return stepsBack;
    },
    get aheadNs() {
      return (offset ?? 0n) - observed;
    },
  };
}
