// Writes what a source hands out to a recording beside its use. The file has its name only once it is whole: it grows as
// `<path>.part` and is renamed at the end.
import { open, rename, rm } from 'node:fs/promises';
import { RecordingError, recordingHeader } from './recording.ts';
import type { FrameSource } from './source.ts';

/** Bytes that may wait for a slow disk. */
const PENDING_BYTES_MAX = 64 * 1024 * 1024;

export interface Recorder {
  /** Takes a copy of a run of whole frames. False once the recording is full: the run and all later ones are left out. */
  write(run: Uint8Array): boolean;
  /** Waits for the disk and gives the file its name. Throws what the disk said; the part file is removed then. */
  finish(): Promise<void>;
  /** Gives the recording up and removes the part file. */
  discard(): Promise<void>;
  readonly bytesWritten: number;
  /** The recording ended before `finish`: `size` bound reached, or `disk` too slow or refusing. */
  readonly cutBy: 'size' | 'disk' | undefined;
}

/** Opens `<path>.part` for a recording of at most `bytesMax` bytes, header included. */
export async function createRecorder(path: string, bytesMax: number): Promise<Recorder> {
  const part = `${path}.part`;
  const file = await open(part, 'w');
  let bytesWritten = 0;
  let pendingBytes = 0;
  let cutBy: Recorder['cutBy'];
  let failure: Error | undefined;
  let tail: Promise<void> = Promise.resolve();

  const writeAfter = async (earlier: Promise<void>, bytes: Uint8Array): Promise<void> => {
    await earlier;
    try {
      if (failure === undefined) await file.appendFile(bytes);
    } catch (error) {
      failure = error instanceof Error ? error : new Error('unknown', { cause: error });
      cutBy = 'disk';
    } finally {
      pendingBytes -= bytes.length;
    }
  };
  const append = (bytes: Uint8Array): void => {
    bytesWritten += bytes.length;
    pendingBytes += bytes.length;
    tail = writeAfter(tail, bytes);
  };
  append(recordingHeader());

  return {
    get bytesWritten() {
      return bytesWritten;
    },
    get cutBy() {
      return cutBy;
    },
    write(run) {
      if (cutBy !== undefined) return false;
      if (bytesWritten + run.length > bytesMax) cutBy = 'size';
      else if (pendingBytes + run.length > PENDING_BYTES_MAX) cutBy = 'disk';
      else append(run.slice());
      return cutBy === undefined;
    },
    async finish() {
      await tail;
      try {
        if (failure !== undefined) {
          throw new RecordingError(`writing the recording ${path} failed: ${failure.message}`, { cause: failure });
        }
        await file.sync();
      } catch (error) {
        await file.close();
        await rm(part, { force: true });
        throw error;
      }
      await file.close();
      await rename(part, path);
    },
    async discard() {
      await tail;
      await file.close();
      await rm(part, { force: true });
    },
  };
}

/** A source that also writes what it hands out. */
export const recorded = (source: FrameSource, recorder: Recorder): FrameSource => ({
  send: (frame) => source.send(frame),
  blind: () => source.blind(),
  run: (onFrames, signal) =>
    source.run((run, offset) => {
      recorder.write(run);
      onFrames(run, offset);
    }, signal),
});
