// What a reflector does next: Listing → Watching → Backoff → Stopped. Pure: time and randomness are handed in (R1–R4).
import { isForbidden, isGone, isNotFound, ApiError } from './types.ts';

/** client-go's reflector: 0.8 s, doubled up to 30 s, from the start again after 2 minutes without a failure. */
export const BACKOFF_FIRST_MS = 800;
export const BACKOFF_MAX_MS = 30_000;
const HEALTHY_AFTER_MS = 120_000;
/** Rights or a definition that are not there may come later, by someone's hand. */
export const REFUSED_DELAY_MS = 30_000;
/** A watch that the server ends sooner than that did not end because its time was up. */
export const SHORT_WATCH_MS = 5_000;

interface Memory {
  /** To go on watching from; opaque, never compared. */
  readonly resourceVersion: string | undefined;
  /** Since the last healthy time. */
  readonly failures: number;
  /** Of these the ones that said that the version is too old. Counted by themselves: they come from a server that is back. */
  readonly expiries: number;
  readonly failedMs: number;
}

export type Machine = Memory &
  (
    | { readonly phase: 'Listing'; /** Without pages, because a page's token has expired. */ readonly whole: boolean }
    | { readonly phase: 'Watching'; readonly resourceVersion: string }
    | { readonly phase: 'Backoff'; readonly delayMs: number; readonly next: 'Listing' | 'Watching' }
    | { readonly phase: 'Stopped' }
  );

export const initial: Machine = {
  phase: 'Listing',
  whole: false,
  resourceVersion: undefined,
  failures: 0,
  expiries: 0,
  failedMs: -Infinity,
};

const memoryOf = ({ resourceVersion, failures, expiries, failedMs }: Machine): Memory => ({
  resourceVersion,
  failures,
  expiries,
  failedMs,
});

export const listed = (machine: Machine, resourceVersion: string): Machine => ({
  ...memoryOf(machine),
  phase: 'Watching',
  resourceVersion,
});

/** An event of the watch, bookmarks too (R2). */
export const advanced = (machine: Machine, resourceVersion: string): Machine => ({ ...machine, resourceVersion });

/** `paging`: not on the first page. */
export function listFailed(
  machine: Machine,
  error: unknown,
  paging: boolean,
  nowMs: number,
  random: () => number,
): Machine {
  if (paging && isGone(error) && machine.phase === 'Listing' && !machine.whole) return { ...machine, whole: true };
  return backoff(machine, error, 'Listing', nowMs, random);
}

export interface EndedWatch {
  /** Undefined where the server ended the watch in good order. */
  readonly error: unknown;
  /** From the request on. */
  readonly livedMs: number;
  /** The server had said yes. */
  readonly wasOpen: boolean;
}

/** The pause before the next attempt includes the time that this one took to fail, so the attempts lie at most 30 s apart. */
export function watchEnded(machine: Machine, watch: EndedWatch, nowMs: number, random: () => number): Machine {
  const { error, livedMs, wasOpen } = watch;
  const { resourceVersion } = machine;
  if (resourceVersion === undefined) return backoff(machine, error, 'Listing', nowMs, random);
  if (error === undefined && livedMs >= SHORT_WATCH_MS)
    return { ...memoryOf(machine), phase: 'Watching', resourceVersion };
  const expired = isExpired(error);
  // what was refused or gone may be another collection when it is back
  const again = expired || isForbidden(error) || isNotFound(error) ? 'Listing' : 'Watching';
  return backoff(machine, error, again, nowMs, random, wasOpen ? 0 : livedMs);
}

export function waited(machine: Machine): Machine {
  if (machine.phase !== 'Backoff') return machine;
  const { resourceVersion } = machine;
  return machine.next === 'Watching' && resourceVersion !== undefined
    ? { ...memoryOf(machine), phase: 'Watching', resourceVersion }
    : { ...memoryOf(machine), phase: 'Listing', whole: false };
}

export const stopped = (machine: Machine): Machine => ({ ...memoryOf(machine), phase: 'Stopped' });

/** 410 by any of its names (R3). */
export const isExpired = (error: unknown): boolean =>
  isGone(error) || (error instanceof ApiError && (error.reason === 'Expired' || error.reason === 'Gone'));

function backoff(
  machine: Machine,
  error: unknown,
  next: 'Listing' | 'Watching',
  nowMs: number,
  random: () => number,
  spentMs = 0,
): Machine {
  const healthy = nowMs - machine.failedMs >= HEALTHY_AFTER_MS;
  const before = healthy ? { failures: 0, expiries: 0 } : machine;
  const expired = isExpired(error);
  const refused = isForbidden(error) || isNotFound(error);
  const doubled = Math.min(expired ? before.expiries : before.failures, 16);
  const ceilingMs = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** doubled);
  // whatever a proxy in between asks for: who is blind for hours says so for hours
  const askedMs = error instanceof ApiError ? Math.min(error.retryAfterMs ?? 0, BACKOFF_MAX_MS) : 0;
  return {
    phase: 'Backoff',
    // a refusal is no overload: nothing is gained by asking later each time, nor by asking at random
    delayMs: refused ? REFUSED_DELAY_MS : Math.max(askedMs, random() * ceilingMs - spentMs, 0),
    next,
    resourceVersion: machine.resourceVersion,
    failures: before.failures + (expired ? 0 : 1),
    expiries: before.expiries + (expired ? 1 : 0),
    failedMs: nowMs,
  };
}
