// Sends one destination's spooled batches in order, one at a time, until each has a verdict. Every destination has a
// loop of its own, so a slow one delays nobody else.
import type { Destination } from '../../model/destination.ts';
import type { TimeNs } from '../../model/time.ts';
import { splitRequest } from '../otlp/split.ts';
import type { EncodedRequest, Sender, SendOutcome } from '../sender.ts';
import { nextBackOff, type BackOff } from './back-off.ts';
import type { BatchVerdict, Spool, SpooledBatch } from './spool.ts';

/** A part this small is not too large for anyone; a server without room for it lacks something else (a quota). */
const SPLIT_BYTES_MIN = 64 * 1024;

/** The world of a delivery loop, so that tests need no clock and no network. */
export interface DeliveryWorld {
  readonly spool: Spool;
  readonly open: (destination: Destination) => Sender;
  /** Wall clock in ms. */
  readonly nowMs: () => number;
  /** In [0, 1). */
  readonly random: () => number;
  /** Resolves after `ms`, or at once when the signal aborts. Never rejects. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Called after each verdict is in the spool. */
  readonly onVerdict?: (name: string, batch: SpooledBatch, verdict: BatchVerdict) => void;
  /** A fault of ours in the loop (the spool's file, say); the loop goes on after a back-off. */
  readonly onFault?: (name: string, error: unknown) => void;
}

export interface DeliveryState {
  /** `no-destination`: waits for `put`, after a restart for instance. */
  readonly activity: 'no-destination' | 'idle' | 'sending' | 'backing-off' | 'stopped';
  readonly consecutiveFailures: number;
  /** Kept after a success, for status; `atMs` tells which is newer. */
  readonly lastError: { readonly code: string; readonly message: string; readonly atMs: number } | undefined;
  readonly lastSuccessAtMs: number | undefined;
  readonly nextAttemptAtMs: number | undefined;
  /** The batch that is sent now or waits to be sent again; what else waits, the spool knows. */
  readonly oldest: { readonly id: number; readonly committedAt: TimeNs } | undefined;
  /** Of this process. */
  readonly attempts: number;
}

export interface DeliveryLoop {
  /** A new destination, or new credentials for it: the current back-off ends. */
  put(destination: Destination): void;
  /** Something was committed for it. */
  wake(): void;
  state(): DeliveryState;
  /** `drained` as soon as nothing is left to send, `expired` after `graceMs`, `stopped` by `stop`. The loop goes on. */
  drained(graceMs: number): Promise<'drained' | 'expired' | 'stopped'>;
  /** Cancels the request under way, which stays in the spool. Resolves once nothing of the loop runs any more. */
  stop(): Promise<void>;
}

/** Progress on one batch, kept through retries: parts that are done are not sent again by this process. */
interface Work {
  readonly batch: SpooledBatch;
  /** Still to send, first first. Parts of a batch that was too large as a whole. */
  readonly parts: EncodedRequest[];
  attempts: number;
  /** Of an earlier attempt, also of an earlier process, nobody knows whether it was taken. */
  isUnanswered: boolean;
  accepted: number;
  rejected: number;
  /** Of the first refusal. */
  code: string | undefined;
  message: string | undefined;
}

const itemsOf = ({ metricPoints, spans, logs }: EncodedRequest): number => metricPoints + spans + logs;

function beginWork(batch: SpooledBatch): Work {
  return {
    batch,
    parts: [batch],
    attempts: batch.attempts,
    isUnanswered: batch.isUnanswered,
    accepted: 0,
    rejected: 0,
    code: undefined,
    message: undefined,
  };
}

/** Notes what became of the first part, which is still there after `retry`. Returns whether anything was refused. */
function advance(work: Work, part: EncodedRequest, outcome: SendOutcome): boolean {
  if (outcome.status === 'retry') return false;
  if (outcome.status === 'sent') {
    work.parts.shift();
    work.accepted++;
    work.rejected += outcome.rejected;
    work.message ??= outcome.message;
    return false;
  }
  const halves = outcome.status === 'split' ? splitRequest(part) : undefined;
  // Without a word about size, and already small, more splitting would only be a storm of calls.
  const isHopeless = halves !== undefined && outcome.code !== 'TOO_LARGE' && part.bytes.length < SPLIT_BYTES_MIN;
  if (halves !== undefined && !isHopeless) {
    work.parts.splice(0, 1, ...halves);
    return false;
  }
  for (const refused of work.parts.splice(0, isHopeless ? work.parts.length : 1)) work.rejected += itemsOf(refused);
  work.code ??= outcome.code;
  work.message ??= outcome.message;
  return true;
}

const verdictOf = ({ accepted, rejected, attempts, isUnanswered, code, message }: Work): BatchVerdict => ({
  outcome: accepted > 0 ? 'acknowledged' : 'refused',
  rejected: accepted > 0 ? rejected : 0,
  attempts,
  ...(accepted > 0 && isUnanswered ? { isRepeated: true } : {}),
  ...(code === undefined ? {} : { code }),
  ...(message === undefined ? {} : { message }),
});

/** Starts the loop; it waits until a destination is put. `name` is what the spool knows the destination by. */
export function startDelivery(name: string, world: DeliveryWorld): DeliveryLoop {
  const stopping = new AbortController();
  let sender: Sender | undefined;
  let revision = 0;
  let activity: DeliveryState['activity'] = 'no-destination';
  let failures = 0;
  let backOff: BackOff | undefined;
  let attempts = 0;
  let lastError: DeliveryState['lastError'];
  let lastSuccessAtMs: number | undefined;
  let nextAttemptAtMs: number | undefined;
  let oldest: DeliveryState['oldest'];
  /** Ends the current wait; a call between two waits ends the next one. */
  let interrupt = new AbortController();
  const onDrained = new Set<() => void>();

  const pause = async (ms: number): Promise<void> => {
    await world.sleep(ms, AbortSignal.any([interrupt.signal, stopping.signal]));
    if (interrupt.signal.aborted) interrupt = new AbortController();
  };
  const untilWoken = (): Promise<void> => pause(Number.POSITIVE_INFINITY);

  /** Waits after a failure of an attempt that began with destination `tried`; a newer one is tried at once. */
  const failed = async (tried: number, code: string, message: string, afterMs?: number): Promise<void> => {
    failures++;
    lastError = { code, message, atMs: world.nowMs() };
    backOff = nextBackOff(backOff, afterMs, world.random);
    activity = 'backing-off';
    nextAttemptAtMs = world.nowMs() + backOff.delayMs;
    // A commit is no reason to try earlier, so a wake only goes round.
    for (;;) {
      const leftMs = nextAttemptAtMs - world.nowMs();
      if (leftMs <= 0 || revision !== tried || stopping.signal.aborted) break;
      await pause(leftMs);
    }
    if (revision !== tried) backOff = undefined;
    nextAttemptAtMs = undefined;
  };

  const attempt = async (work: Work, part: EncodedRequest, to: Sender): Promise<void> => {
    const tried = revision;
    activity = 'sending';
    work.attempts++;
    attempts++;
    // A process that is killed from here on leaves an attempt without an answer, and the next one has to know.
    await world.spool.attempted(work.batch.id, work.attempts, true);
    const outcome = await to.send(part, stopping.signal);
    if (outcome.status === 'retry') {
      work.isUnanswered ||= outcome.isUnanswered === true;
      if (!work.isUnanswered) await world.spool.attempted(work.batch.id, work.attempts, false);
      if (stopping.signal.aborted) return;
    }
    const isRefused = advance(work, part, outcome);
    if (outcome.status === 'sent') {
      failures = 0;
      backOff = undefined;
      lastSuccessAtMs = world.nowMs();
    } else if (isRefused) {
      failures++;
      lastError = { code: outcome.code, message: outcome.message, atMs: world.nowMs() };
    } else if (outcome.status === 'retry') {
      await failed(tried, outcome.code, outcome.message, outcome.afterMs);
    }
  };

  let work: Work | undefined;
  const step = async (): Promise<void> => {
    if (sender === undefined) {
      activity = 'no-destination';
      return untilWoken();
    }
    const batch = await world.spool.next(name);
    if (batch === undefined) {
      work = undefined;
      oldest = undefined;
      activity = 'idle';
      for (const resolve of onDrained) resolve();
      return untilWoken();
    }
    oldest = { id: batch.id, committedAt: batch.committedAt };
    // Taken away meanwhile to make room: another one is first now.
    if (work?.batch.id !== batch.id) work = beginWork(batch);
    const [part] = work.parts;
    if (part !== undefined) await attempt(work, part, sender);
    // A batch that is done stays `work` until the spool knows, so that a fault there never sends it again.
    if (work.parts.length > 0) return undefined;
    const verdict = verdictOf(work);
    await world.spool.finished(batch.id, verdict);
    work = undefined;
    world.onVerdict?.(name, batch, verdict);
    return undefined;
  };

  const running = (async () => {
    while (!stopping.signal.aborted) {
      try {
        await step();
      } catch (error) {
        world.onFault?.(name, error);
        await failed(revision, 'INTERNAL_FAULT', error instanceof Error ? error.message : String(error));
      }
    }
    activity = 'stopped';
    sender?.close();
  })();

  return {
    put: (destination) => {
      const previous = sender;
      sender = world.open(destination);
      previous?.close();
      revision++;
      backOff = undefined;
      interrupt.abort();
    },
    wake: () => interrupt.abort(),
    state: () => ({
      activity,
      consecutiveFailures: failures,
      lastError,
      lastSuccessAtMs,
      nextAttemptAtMs,
      oldest,
      attempts,
    }),
    drained: async (graceMs) => {
      const over = new AbortController();
      let isDrained = false;
      const drained = (): void => {
        isDrained = true;
        over.abort();
      };
      onDrained.add(drained);
      interrupt.abort();
      await world.sleep(graceMs, AbortSignal.any([over.signal, stopping.signal]));
      onDrained.delete(drained);
      if (isDrained) return 'drained';
      return stopping.signal.aborted ? 'stopped' : 'expired';
    },
    stop: async () => {
      stopping.abort();
      await running;
    },
  };
}
