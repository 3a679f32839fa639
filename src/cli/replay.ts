// A recording as the source of `sluice local`: at its own pace, moved to now by whole ten-second windows.
import { setTimeout as sleep } from 'node:timers/promises';
import { openPacedRecording, type PacedSource } from '../collector/sources/paced.ts';
import { now } from '../model/time.ts';

/** Divides a minute; windows of the samples have this length. */
const ALIGN_NS = 10_000_000_000n;

export const replaySource = (path: string): PacedSource =>
  openPacedRecording(path, {
    alignNs: ALIGN_NS,
    nowNs: now,
    sleep: (ms, signal) => sleep(ms, undefined, { signal }).catch(() => undefined),
  });
