// What the leader's two threads share. The thread that renews the lease writes until when leadership is valid; the main thread
// compares that with the clock before each write. No message has to arrive for a passed deadline to stop writes: not when the
// main thread was blocked, not when the whole process was stopped (SIGSTOP) and goes on.

const DEADLINE = 0;
const TERM = 1;
const BEAT = 2;

export interface LeaderMemory {
  readonly buffer: SharedArrayBuffer;
  /** Leadership of `term` is valid until `deadlineMs`. */
  grant(term: number, deadlineMs: number): void;
  /** Nobody's leadership is valid any more. */
  revoke(): void;
  /** Whether this very term is valid at `nowMs`. */
  isValid(term: number, nowMs: number): boolean;
  readonly deadlineMs: number;
  /** The main thread's loop has turned. */
  beat(nowMs: number): void;
  readonly beatMs: number;
}

/** `process.hrtime` is one clock for all threads of all processes; `performance.now` begins with each thread. */
export const processMs = (): number => Number(process.hrtime.bigint()) / 1e6;

/** Times are `processMs`. The bytes are nanoseconds, 64 bits each, because only integers can be shared atomically. */
export function openLeaderMemory(buffer = new SharedArrayBuffer(24)): LeaderMemory {
  const words = new BigInt64Array(buffer);
  const load = (at: number): number => Number(Atomics.load(words, at)) / 1e6;
  const store = (at: number, ms: number): void => void Atomics.store(words, at, BigInt(Math.floor(ms * 1e6)));

  return {
    buffer,
    grant(term, deadlineMs) {
      // the term first: who sees the new deadline must not take it for the old term's
      Atomics.store(words, TERM, BigInt(term));
      store(DEADLINE, deadlineMs);
    },
    revoke: () => store(DEADLINE, 0),
    isValid(term, nowMs) {
      // the deadline first, for the same reason
      const deadlineMs = load(DEADLINE);
      return Atomics.load(words, TERM) === BigInt(term) && nowMs < deadlineMs;
    },
    get deadlineMs() {
      return load(DEADLINE);
    },
    beat: (nowMs) => store(BEAT, nowMs),
    get beatMs() {
      return load(BEAT);
    },
  };
}
