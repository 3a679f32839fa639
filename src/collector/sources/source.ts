// Where frames come from. The agent does not know which source it reads: a live probe, or a recording of one.
import type { BlindSource } from '../../model/loss.ts';

export interface FrameSource {
  /**
   * Hands runs of whole frames to `onFrames` until the source has ended, `signal` aborts (both resolve) or it cannot go on
   * (rejects). A run is a view, valid during the call; `offset` is its place in the source, for messages. What `onFrames`
   * throws costs a live source its connection and a recording its rest.
   */
  run(onFrames: (run: Uint8Array, offset: number) => void, signal: AbortSignal): Promise<void>;
  /** A frame for the probe; dropped where nobody can hear it. */
  send(frame: Uint8Array): void;
  /** Why nothing comes at the moment; empty while it does. */
  blind(): readonly BlindSource[];
}
