// Cuts a byte stream into runs of whole frames: chunks of any size in, views of whole frames out. A frame that spans
// chunks is put together in a carry buffer of one frame's maximum; everything else is passed on without a copy.
import { FrameError, WIRE_FRAME_BYTES_MAX, WIRE_HEADER_BYTES } from './frame.ts';

export interface Framer {
  /** Takes the next chunk. Throws FrameError where a length field cannot be one; the framer is unusable afterwards. */
  push(chunk: Uint8Array): void;
  /** Throws FrameError if the stream ended inside a frame. */
  end(): void;
  /** Where the next run begins in the stream. */
  readonly offset: number;
  /** Kernel time of the last frame passed on; undefined before the first. */
  readonly lastKtime: number | undefined;
}

const u32At = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24)) >>> 0;

const isLength = (length: number): boolean =>
  length >= WIRE_HEADER_BYTES && length <= WIRE_FRAME_BYTES_MAX && length % 8 === 0;

/** `onRun` gets one or more whole frames at a time: a view, valid during the call; `offset` is its place in the stream. */
export function createFramer(onRun: (run: Uint8Array, offset: number) => void, startOffset = 0): Framer {
  const carry = new Uint8Array(WIRE_FRAME_BYTES_MAX);
  let carried = 0;
  let offset = startOffset;
  let lastKtime: number | undefined;

  const checked = (length: number, at: number): number => {
    if (!isLength(length)) {
      throw new FrameError(
        `frame length ${length} is not a multiple of 8 in ${WIRE_HEADER_BYTES}..${WIRE_FRAME_BYTES_MAX}`,
        at,
      );
    }
    return length;
  };
  const emit = (run: Uint8Array, lastFrame: number): void => {
    const at = offset;
    offset += run.length;
    lastKtime = u32At(run, lastFrame + 12) * 4_294_967_296 + u32At(run, lastFrame + 8);
    onRun(run, at);
  };
  /** Fills the carry buffer up to `target` bytes from `chunk` at `at`; says how far into the chunk that went. */
  const fill = (chunk: Uint8Array, at: number, target: number): number => {
    const taken = Math.max(0, Math.min(target - carried, chunk.length - at));
    carry.set(chunk.subarray(at, at + taken), carried);
    carried += taken;
    return at + taken;
  };

  return {
    get offset() {
      return offset;
    },
    get lastKtime() {
      return lastKtime;
    },
    push(chunk) {
      let at = 0;
      if (carried > 0) {
        at = fill(chunk, at, 4);
        if (carried < 4) return;
        const length = checked(u32At(carry, 0), offset);
        at = fill(chunk, at, length);
        if (carried < length) return;
        carried = 0;
        emit(carry.subarray(0, length), 0);
      }
      const start = at;
      let last = at;
      while (chunk.length - at >= 4) {
        const length = u32At(chunk, at);
        // What is whole goes out first, then the bad frame is told.
        if (!isLength(length) || chunk.length - at < length) break;
        last = at;
        at += length;
      }
      if (at > start) emit(chunk.subarray(start, at), last - start);
      if (chunk.length - at >= 4) checked(u32At(chunk, at), offset);
      fill(chunk, at, chunk.length - at);
    },
    end() {
      if (carried > 0) throw new FrameError(`the stream ends inside a frame, after ${carried} of its bytes`, offset);
    },
  };
}
