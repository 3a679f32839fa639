// A recording at its own pace, as if it happened now: the wall clock in its clock pairs is moved, so that demos and
// schedules see fresh rows. Moved by whole windows, so that a window of the recording is a window of today.
import { open } from 'node:fs/promises';
import { FRAME, FrameError, WIRE_HEADER_BYTES } from '../frames/frame.ts';
import { createFramer } from '../frames/framer.ts';
import { checkHeader, RECORDING_HEADER_BYTES, RecordingError } from './recording.ts';
import type { FrameSource } from './source.ts';

export interface PacedOptions {
  /** The recording's times are moved by a multiple of this: the windows' length, or a multiple of all of them. */
  readonly alignNs: bigint;
  /** Wall clock, nanoseconds. */
  readonly nowNs: () => bigint;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

export interface PacedSource extends FrameSource {
  /** Nanoseconds that the recording's times are moved by; known once the first clock pair was read. */
  readonly shiftNs: Promise<bigint>;
}

/** Small, so that little comes early. */
const READ_BYTES = 4096;

/**
 * Replays `path` so that its first moment lies at most `alignNs` before now; what is already over comes at once, the
 * rest when its time has come. Ends with the file.
 */
export function openPacedRecording(path: string, { alignNs, nowNs, sleep }: PacedOptions): PacedSource {
  const shift = Promise.withResolvers<bigint>();
  shift.promise.catch(() => undefined);
  return {
    shiftNs: shift.promise,
    send: () => undefined,
    blind: () => [],
    async run(onFrames, signal) {
      const file = await open(path, 'r').catch((error: unknown) => {
        throw new RecordingError(`cannot open the recording ${path}`, { cause: error });
      });
      let shiftNs: bigint | undefined;
      /** Wall clock minus kernel time of the last clock pair, moved. */
      let offsetNs = 0n;
      let lastKtime = 0n;
      const move = (run: Uint8Array): void => {
        const view = new DataView(run.buffer, run.byteOffset, run.byteLength);
        for (let at = 0; at < run.length; at += view.getUint32(at, true)) {
          lastKtime = view.getBigUint64(at + 8, true);
          if (view.getUint16(at + 4, true) !== FRAME.CLOCK) continue;
          const realtime = view.getBigUint64(at + WIRE_HEADER_BYTES, true);
          if (shiftNs === undefined) {
            const ageNs = nowNs() - realtime;
            // floored, so that the recording begins in the past also where it was made on a clock that was ahead
            shiftNs = ageNs - (((ageNs % alignNs) + alignNs) % alignNs);
            shift.resolve(shiftNs);
          }
          view.setBigUint64(at + WIRE_HEADER_BYTES, realtime + shiftNs, true);
          offsetNs = realtime + shiftNs - lastKtime;
        }
      };
      try {
        await checkHeader(file, path);
        const framer = createFramer((run, offset) => {
          move(run);
          onFrames(run, offset);
        }, RECORDING_HEADER_BYTES);
        const buffer = new Uint8Array(READ_BYTES);
        let position = RECORDING_HEADER_BYTES;
        while (!signal.aborted) {
          const { bytesRead } = await file.read(buffer, 0, READ_BYTES, position);
          if (bytesRead === 0) return framer.end();
          position += bytesRead;
          framer.push(buffer.subarray(0, bytesRead));
          const waitNs = shiftNs === undefined ? 0n : lastKtime + offsetNs - nowNs();
          if (waitNs > 1_000_000n) await sleep(Number(waitNs / 1_000_000n), signal);
        }
      } catch (error) {
        const known =
          error instanceof FrameError ? new RecordingError(`${path}: ${error.message}`, { cause: error }) : error;
        // whoever waits for the first clock pair is told what is wrong with the file, not that none came
        shift.reject(known);
        throw known;
      } finally {
        shift.reject(new RecordingError(`${path} has no clock pair`));
        await file.close();
      }
    },
  };
}
