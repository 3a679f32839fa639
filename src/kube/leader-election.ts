// The life of a candidate for a Lease (R24–R26): campaign, hold, lose, and again once the process is ready for another term. It
// runs in a thread of its own (leader-worker.ts) and knows no threads: time, randomness and the client come from outside.
import { linkAbort } from './abort.ts';
import {
  durationOf,
  holderOf,
  newLease,
  releasedLease,
  renewedLease,
  takenLease,
  transitionsOf,
  type Claim,
} from './lease-record.ts';
import { LEASES, type Lease } from './resources.ts';
import { wait, type Clock } from './timers.ts';
import { isConflict, isNotFound, type KubeClient } from './types.ts';

export interface LeaseTimes {
  /** A holder that was silent for that long is taken for dead. */
  readonly leaseDurationMs: number;
  /** A leader that could not renew for that long is none any more. Shorter than `leaseDurationMs`: the rest is for what it had under way. */
  readonly renewDeadlineMs: number;
  /** Between two attempts. */
  readonly retryPeriodMs: number;
}

export interface ElectionOptions extends LeaseTimes {
  readonly client: Pick<KubeClient, 'get' | 'create' | 'update'>;
  readonly namespace: string;
  readonly name: string;
  /** Of this process alone: not of its pod, whose container may have been restarted. */
  readonly identity: string;
  readonly clock: Clock;
  /** For what people read in the lease. */
  readonly date: () => Date;
  readonly random: () => number;
  readonly firstTerm: number;
  readonly listener: ElectionListener;
}

/** All called synchronously where it happens. */
export interface ElectionListener {
  /** Valid until `deadlineMs` of the clock. */
  acquired(term: number, transitions: number, deadlineMs: number): void;
  renewed(term: number, deadlineMs: number): void;
  lost(term: number, reason: string): void;
  /** Who holds the lease has changed; empty: nobody. */
  observed(holder: string): void;
  /** An attempt failed; the next one follows. */
  failed(error: unknown): void;
}

export interface Election {
  /** Ends this term, if it is the current one, and releases the lease. */
  stepDown(term: number, reason: string): void;
  /** Everything of this term has ended: the process may be a candidate again. */
  rejoin(term: number): void;
  /** Ends the term, releases the lease (trying for at most `renewDeadlineMs` ÷ 2) and resolves. Idempotent. */
  stop(): Promise<void>;
}

const FIELD_MANAGER = 'sluice-leader';
/** How often it is tried to release the lease, within its time. */
const RELEASES_MAX = 5;
const RELEASE_PAUSE_MS = 200;
/** Candidates do not all ask at the same moment. */
const JITTER = 0.2;

/** Why a term ended. */
class Ended extends Error {
  readonly isTaken: boolean;

  constructor(reason: string, isTaken = false) {
    super(reason);
    this.isTaken = isTaken;
  }
}

export function startElection(options: ElectionOptions): Election {
  const { client, namespace, name, identity, clock, random, listener } = options;
  const { leaseDurationMs, renewDeadlineMs, retryPeriodMs } = options;
  const stopping = new AbortController();
  let current: { readonly term: number; readonly end: AbortController } | undefined;
  let readyFor = options.firstTerm;
  let wake = (): void => undefined;
  /** As the API server last answered it, with the moment from which on it was like that. */
  let observed: { readonly lease: Lease; readonly record: string; readonly sinceMs: number } | undefined;

  const claim = (): Claim => ({ identity, durationMs: leaseDurationMs, now: options.date() });

  function observe(lease: Lease): Lease {
    const record = JSON.stringify(lease.spec ?? null);
    const before = observed === undefined ? undefined : holderOf(observed.lease);
    // R25: only a change counts, and only our own clock
    const sinceMs = observed?.record === record ? observed.sinceMs : clock.now();
    observed = { lease, record, sinceMs };
    if (holderOf(lease) !== before) listener.observed(holderOf(lease));
    return lease;
  }

  /** One request, given up after half the renew deadline, or when `signal` says so. */
  async function within<R>(signal: AbortSignal, call: (signal: AbortSignal) => Promise<R>): Promise<R> {
    const link = linkAbort(signal);
    const limitMs = renewDeadlineMs / 2;
    const cancel = clock.after(limitMs, () => link.abort(new Error(`no answer within ${limitMs / 1000} s`)));
    try {
      return await call(link.signal);
    } finally {
      cancel();
      link.unlink();
    }
  }

  const read = (signal: AbortSignal): Promise<Lease> =>
    within(signal, (one) => client.get(LEASES, namespace, name, { signal: one }));
  /** With the version that was read: 409 where somebody was faster. */
  const write = (lease: Lease, signal: AbortSignal): Promise<Lease> =>
    within(signal, (one) => client.update(LEASES, lease, { fieldManager: FIELD_MANAGER, signal: one }));
  const create = (lease: Lease, signal: AbortSignal): Promise<Lease> =>
    within(signal, (one) => client.create(LEASES, lease, { fieldManager: FIELD_MANAGER, signal: one }));

  const expiresMs = (): number =>
    observed === undefined || holderOf(observed.lease) === '' || holderOf(observed.lease) === identity
      ? 0
      : observed.sinceMs + durationOf(observed.lease, leaseDurationMs);

  /** The lease as ours, or undefined where it is another's. */
  async function tryAcquire(signal: AbortSignal): Promise<Lease | undefined> {
    const lease = await readIfThere(signal);
    if (lease === undefined) return observe(await create(newLease({ name, namespace }, claim()), signal));
    if (clock.now() < expiresMs()) return undefined;
    return observe(await write(takenLease(lease, claim()), signal));
  }

  /** Until the lease is ours. Returns when the request that got it was sent. */
  async function campaign(signal: AbortSignal): Promise<number> {
    for (;;) {
      const sentMs = clock.now();
      try {
        // a stopped process may see the answer when all it says is over
        if ((await tryAcquire(signal)) !== undefined && clock.now() < sentMs + renewDeadlineMs) return sentMs;
      } catch (error) {
        signal.throwIfAborted();
        // a lost race is how it goes with several candidates
        if (!isConflict(error)) listener.failed(error);
      }
      const pauseMs = retryPeriodMs * (1 + JITTER * random());
      const untilExpiryMs = expiresMs() - clock.now();
      // not later than the holder expires, where that is soon
      await wait(clock, untilExpiryMs > 0 ? Math.min(pauseMs, untilExpiryMs + 1) : pauseMs, signal);
    }
  }

  async function renewOnce(lease: Lease, signal: AbortSignal): Promise<void> {
    try {
      observe(await write(renewedLease(lease, claim()), signal));
      return;
    } catch (error) {
      if (!isConflict(error) && !isNotFound(error)) throw error;
    }
    const there = await readIfThere(signal);
    if (there === undefined) await recreate(lease, signal);
    else if (holderOf(there) === identity) observe(await write(renewedLease(there, claim()), signal));
    else throw new Ended(`the lease was taken by ${JSON.stringify(holderOf(there))}`, true);
  }

  async function readIfThere(signal: AbortSignal): Promise<Lease | undefined> {
    try {
      return observe(await read(signal));
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  /** Somebody deleted it, and who creates it now holds it. With the transitions it had: the term goes on. */
  async function recreate({ spec }: Lease, signal: AbortSignal): Promise<void> {
    const metadata = { name, namespace };
    observe(await create(renewedLease(spec === undefined ? { metadata } : { metadata, spec }, claim()), signal));
  }

  /** Until the term ends; throws why. */
  async function hold(term: number, sentMs: number, end: AbortController): Promise<never> {
    let deadlineMs = sentMs + renewDeadlineMs;
    let nextMs = sentMs + retryPeriodMs;
    for (;;) {
      const link = linkAbort(end.signal);
      const cancel = clock.after(deadlineMs - clock.now(), () =>
        link.abort(new Ended(`it was not renewed within ${renewDeadlineMs / 1000} s`)),
      );
      try {
        await wait(clock, Math.max(0, nextMs - clock.now()), link.signal);
        const startMs = clock.now();
        nextMs = startMs + retryPeriodMs;
        try {
          if (observed !== undefined) await renewOnce(observed.lease, link.signal);
          // the term may have ended while the answer was on its way
          end.signal.throwIfAborted();
          // reckoned from when it was sent: from then on others may count
          deadlineMs = startMs + renewDeadlineMs;
          listener.renewed(term, deadlineMs);
        } catch (error) {
          if (error instanceof Ended) throw error;
          link.signal.throwIfAborted();
          listener.failed(error);
        }
        if (clock.now() >= deadlineMs) throw new Ended(`it was not renewed within ${renewDeadlineMs / 1000} s`);
      } finally {
        cancel();
        link.unlink();
      }
    }
  }

  /** Best effort: a successor need not wait until the lease expires. `isKnown`: the lease is as we last saw it. */
  async function release(isKnown: boolean): Promise<void> {
    const limit = new AbortController();
    const cancel = clock.after(renewDeadlineMs / 2, () => limit.abort(new Error('the lease could not be released')));
    let lease = isKnown ? observed?.lease : undefined;
    try {
      for (let attempt = 1; ; attempt++) {
        try {
          // after a failure it may have been written all the same, or our own last renewal after we gave it up
          lease ??= observe(await read(limit.signal));
          if (holderOf(lease) !== identity) return;
          observe(await write(releasedLease(lease, options.date()), limit.signal));
          return;
        } catch (error) {
          if (isNotFound(error)) return;
          if (limit.signal.aborted || attempt === RELEASES_MAX) throw error;
          lease = undefined;
          if (!isConflict(error)) await wait(clock, RELEASE_PAUSE_MS, limit.signal);
        }
      }
    } catch (error) {
      listener.failed(error);
    } finally {
      cancel();
    }
  }

  async function serve(term: number, sentMs: number): Promise<void> {
    const end = new AbortController();
    current = { term, end };
    listener.acquired(term, observed === undefined ? 0 : transitionsOf(observed.lease), sentMs + renewDeadlineMs);
    let ended: unknown;
    try {
      await hold(term, sentMs, end);
    } catch (error) {
      ended = error;
    }
    current = undefined;
    listener.lost(term, ended instanceof Error ? ended.message : String(ended));
    if (!(ended instanceof Ended && ended.isTaken)) await release(true);
  }

  async function run(): Promise<void> {
    for (let term = options.firstTerm; !stopping.signal.aborted; term++) {
      const mayCampaign = (): boolean => readyFor >= term || stopping.signal.aborted;
      while (!mayCampaign()) await new Promise<void>((resolve) => (wake = resolve));
      try {
        const sentMs = await campaign(stopping.signal);
        await serve(term, sentMs);
      } catch (error) {
        if (!stopping.signal.aborted) throw error;
        // stopped while an attempt was under way that may have succeeded
        await release(false);
      }
    }
  }

  stopping.signal.addEventListener('abort', () => {
    current?.end.abort(new Ended('stopping'));
    wake();
  });
  const running = run();

  return {
    stepDown(term, reason) {
      if (current?.term === term) current.end.abort(new Ended(reason));
    },
    rejoin(term) {
      readyFor = Math.max(readyFor, term + 1);
      wake();
    },
    async stop() {
      stopping.abort(new Error('stopping'));
      await running;
    },
  };
}
