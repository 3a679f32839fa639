// Recordings: a 16-byte header (magic, version) and then the frames as they came. Reading streams with one buffer; the
// same file always gives the same frames.
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { FrameError } from '../frames/frame.ts';
import { createFramer } from '../frames/framer.ts';
import type { FrameSource } from './source.ts';

export const RECORDING_HEADER_BYTES = 16;
const MAGIC = 'SLUICREC';
const VERSION = 1;
const READ_BYTES = 256 * 1024;

/** The file is no recording, or not one to its end; the message names file, place and reason. */
export class RecordingError extends Error {
  override readonly name = 'RecordingError';
}

export function recordingHeader(): Uint8Array {
  const header = new Uint8Array(RECORDING_HEADER_BYTES);
  header.set(new TextEncoder().encode(MAGIC));
  new DataView(header.buffer).setUint32(8, VERSION, true);
  return header;
}

/** Throws RecordingError unless the file begins as a recording of our version. */
export async function checkHeader(file: FileHandle, path: string): Promise<void> {
  const header = new Uint8Array(RECORDING_HEADER_BYTES);
  const { bytesRead } = await file.read(header, 0, RECORDING_HEADER_BYTES, 0);
  if (bytesRead < RECORDING_HEADER_BYTES || new TextDecoder('latin1').decode(header.subarray(0, 8)) !== MAGIC) {
    throw new RecordingError(`${path} is no recording: it does not begin with ${MAGIC}`);
  }
  const version = new DataView(header.buffer).getUint32(8, true);
  if (version !== VERSION)
    throw new RecordingError(`${path} is a recording of version ${version}; this program reads ${VERSION}`);
}

/** The frames of a recording, as fast as they are taken. `run` rejects with RecordingError where the file is not whole. */
export function openRecording(path: string): FrameSource {
  return {
    send: () => undefined,
    blind: () => [],
    async run(onFrames, signal) {
      const file = await open(path, 'r').catch((error: unknown) => {
        const reason = error instanceof Error ? error.message : String(error);
        throw new RecordingError(`cannot open the recording ${path}: ${reason}`, { cause: error });
      });
      try {
        await checkHeader(file, path);
        const framer = createFramer(onFrames, RECORDING_HEADER_BYTES);
        const buffer = new Uint8Array(READ_BYTES);
        let position = RECORDING_HEADER_BYTES;
        while (!signal.aborted) {
          const { bytesRead } = await file.read(buffer, 0, READ_BYTES, position);
          if (bytesRead === 0) {
            framer.end();
            return;
          }
          position += bytesRead;
          framer.push(buffer.subarray(0, bytesRead));
        }
      } catch (error) {
        if (error instanceof FrameError) throw new RecordingError(`${path}: ${error.message}`, { cause: error });
        throw error;
      } finally {
        await file.close();
      }
    },
  };
}
