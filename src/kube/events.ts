// Kubernetes events, events.k8s.io/v1 (C33): what `kubectl describe` shows people. They are news, not records: repeated ones become
// a series (KEP-383), too many are dropped and counted, and whoever records one never waits and never fails for it.
import { NO_METRICS, type Metrics } from '../model/metrics.ts';
import { microTime } from './lease-record.ts';
import { createTokenBucket, type TokenBucket } from './rate-limit.ts';
import { EVENTS } from './resources.ts';
import { SYSTEM_CLOCK, wait, type Clock } from './timers.ts';
import { ApiError, isConflict, isNotFound, type KubeClient, type KubeObject } from './types.ts';

/** The object that an event is about. */
export interface Regarding {
  readonly apiVersion: string;
  readonly kind: string;
  /** Absent for what has none; such events are recorded in `default`. */
  readonly namespace?: string;
  readonly name: string;
  readonly uid?: string;
}

export interface EventNote {
  readonly regarding: Regarding;
  readonly type: 'Normal' | 'Warning';
  /** CamelCase, why: `CompileFailed`. */
  readonly reason: string;
  /** CamelCase, what was done or tried: `Reconcile`. */
  readonly action: string;
  /** For people; cut at 1 KiB. No secrets. */
  readonly note: string;
  /** What is the same where notes differ by a count or a name only: those are one series. Default: the note. */
  readonly template?: string;
}

export interface Events {
  /** Never throws, never waits. */
  record(event: EventNote): void;
  /** Sends what waits, for at most `graceMs` (2000 by default); later events are dropped. */
  stop(graceMs?: number): Promise<void>;
}

export interface EventsOptions {
  readonly client: Pick<KubeClient, 'create' | 'patchJson'>;
  /** `reportingController`, and the field manager. */
  readonly component: string;
  /** `reportingInstance`: this process. */
  readonly instance: string;
  readonly clock?: Clock;
  readonly date?: () => Date;
  readonly random?: () => number;
  readonly metrics?: Metrics;
  /** An event could not be sent; told for each try. */
  readonly onError?: (error: unknown) => void;
}

/** The API server's limits on an event, in bytes. */
const NOTE_BYTES_MAX = 1024;
const NAME_BYTES_MAX = 128;
/** What comes again within that time belongs to the same series. */
const SERIES_MS = 10 * 60_000;
/** A series that goes on is written so often; its second occurrence at once. */
const SERIES_WRITE_MS = 60_000;
/** One object's writes: so many at once, then one in five minutes. */
const OBJECT = { burst: 25, ratePerSecond: 1 / 300 };
/** All writes. */
const GLOBAL = { burst: 10, ratePerSecond: 10 };
const WAITING_MAX = 1000;
/** More than that many objects or series at a time: the oldest are forgotten. */
const REMEMBERED_MAX = 4096;
const RETRIES_MS = [1000, 5000];

interface Series {
  readonly key: string;
  readonly event: EventNote;
  readonly namespace: string;
  /** Of the Event object; empty until it is made. */
  name: string;
  readonly firstDate: Date;
  lastDate: Date;
  lastMs: number;
  count: number;
  /** As written last; 0: never. */
  writtenCount: number;
  writtenMs: number;
  isWaiting: boolean;
}

/** The longest beginning that fits, whole characters only. */
function cut(text: string, bytesMax: number): string {
  if (Buffer.byteLength(text) <= bytesMax) return text;
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(bytesMax - 3));
  return `${text.slice(0, read)}…`;
}

const objectOf = ({ kind, namespace = '', name, uid = '' }: Regarding): string =>
  JSON.stringify([kind, namespace, name, uid]);

/** Nothing is sent before there is something to send; the timers end with `stop`. */
export function createEvents(options: EventsOptions): Events {
  const { client, component, clock = SYSTEM_CLOCK, random = Math.random } = options;
  const date = options.date ?? ((): Date => new Date());
  const dropped = (options.metrics ?? NO_METRICS).counter('sluice_events_dropped_total');
  const stopping = new AbortController();
  const all = new Map<string, Series>();
  const objects = new Map<string, TokenBucket>();
  const bucket = createTokenBucket({ ...GLOBAL, now: () => clock.now() });
  const waiting: Series[] = [];
  const idle: (() => void)[] = [];
  let isSending = false;
  let isStopped = false;
  let cancelSweep: (() => void) | undefined;

  function remember<V>(map: Map<string, V>, key: string, value: V): void {
    map.set(key, value);
    const oldest = map.size > REMEMBERED_MAX ? map.keys().next() : undefined;
    if (oldest?.done === false) map.delete(oldest.value);
  }

  function mayWrite(regarding: Regarding): boolean {
    const key = objectOf(regarding);
    let tokens = objects.get(key);
    if (tokens === undefined) {
      tokens = createTokenBucket({ ...OBJECT, now: () => clock.now() });
      remember(objects, key, tokens);
    }
    return tokens.tryTake();
  }

  function enqueue(series: Series): boolean {
    if (waiting.length >= WAITING_MAX || !mayWrite(series.event.regarding)) return false;
    series.isWaiting = true;
    waiting.push(series);
    if (!isSending) void sendAll();
    return true;
  }

  function record(event: EventNote): void {
    if (isStopped) {
      dropped.add();
      return;
    }
    const key = JSON.stringify([
      objectOf(event.regarding),
      event.type,
      event.reason,
      event.action,
      event.template ?? event.note,
    ]);
    const nowMs = clock.now();
    const known = all.get(key);
    if (known !== undefined && nowMs - known.lastMs <= SERIES_MS) {
      known.count++;
      known.lastMs = nowMs;
      known.lastDate = date();
      // what is not written now is in the count that is written later
      if (isDue(known, nowMs)) enqueue(known);
      return;
    }
    const now = date();
    const series: Series = {
      key,
      event,
      namespace: event.regarding.namespace ?? 'default',
      name: '',
      firstDate: now,
      lastDate: now,
      lastMs: nowMs,
      count: 1,
      writtenCount: 0,
      writtenMs: -Infinity,
      isWaiting: false,
    };
    if (enqueue(series)) {
      all.delete(key);
      remember(all, key, series);
      cancelSweep ??= clock.after(SERIES_WRITE_MS, sweep);
    } else dropped.add();
  }

  /** Something is to be written, and it is time to. */
  const isDue = ({ count, writtenCount, writtenMs, isWaiting }: Series, nowMs: number): boolean =>
    !isWaiting && count > writtenCount && (writtenCount === 1 || nowMs - writtenMs >= SERIES_WRITE_MS);

  /** Counts of series that went on, also of those that then ended; and nothing is remembered longer than it is of use. */
  function sweep(): void {
    const nowMs = clock.now();
    for (const series of all.values()) {
      if (isDue(series, nowMs)) enqueue(series);
      if (nowMs - series.lastMs > SERIES_MS) all.delete(series.key);
    }
    for (const [key, tokens] of objects) if (tokens.tokens() >= OBJECT.burst) objects.delete(key);
    cancelSweep = all.size + objects.size > 0 ? clock.after(SERIES_WRITE_MS, sweep) : undefined;
  }

  async function sendAll(): Promise<void> {
    isSending = true;
    for (let series = waiting.shift(); series !== undefined; series = waiting.shift()) {
      try {
        const delayMs = bucket.reserve();
        if (delayMs > 0) await wait(clock, delayMs, stopping.signal);
        await send(series);
      } catch (error) {
        dropped.add();
        // who comes next may try again: the object's tokens say how often
        if (series.writtenCount === 0 && all.get(series.key) === series) all.delete(series.key);
        options.onError?.(error);
      }
      series.isWaiting = false;
      // it happened again meanwhile
      if (series.writtenCount > 0 && isDue(series, clock.now())) enqueue(series);
    }
    isSending = false;
    idle.splice(0).forEach((resolve) => resolve());
  }

  /** What is wrong with the request itself does not get better; the rest may. */
  const isPassing = (error: unknown): boolean =>
    !(error instanceof ApiError) || error.status === 429 || error.status >= 500;

  async function send(series: Series): Promise<void> {
    for (const [attempt, pauseMs] of [...RETRIES_MS, undefined].entries()) {
      try {
        await write(series, attempt > 0);
        return;
      } catch (error) {
        if (pauseMs === undefined || stopping.signal.aborted || !isPassing(error)) throw error;
        options.onError?.(error);
        const asked = error instanceof ApiError ? (error.retryAfterMs ?? 0) : 0;
        await wait(clock, Math.max(pauseMs, asked), stopping.signal);
      }
    }
  }

  async function write(series: Series, isRepeated: boolean): Promise<void> {
    const { count } = series;
    series.writtenMs = clock.now();
    if (series.writtenCount === 0 || !(await patched(series, count))) await create(series, count, isRepeated);
    series.writtenCount = count;
  }

  /** False where the API server has forgotten the event (after an hour, by default). */
  async function patched({ namespace, name, lastDate }: Series, count: number): Promise<boolean> {
    const value = { count, lastObservedTime: microTime(lastDate) };
    try {
      await client.patchJson(EVENTS, namespace, name, [{ op: 'add', path: '/series', value }], {
        fieldManager: component,
        signal: stopping.signal,
      });
      return true;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  async function create(series: Series, count: number, isRepeated: boolean): Promise<void> {
    const { event, namespace, firstDate, lastDate } = series;
    // a name that was tried is kept: what looked like a failure may have arrived
    if (!isRepeated || series.name === '') series.name = nameFor(event.regarding.name);
    const object: KubeObject & Readonly<Record<string, unknown>> = {
      metadata: { name: series.name, namespace },
      eventTime: microTime(firstDate),
      reportingController: component,
      reportingInstance: cut(options.instance, NAME_BYTES_MAX),
      type: event.type,
      reason: cut(event.reason, NAME_BYTES_MAX),
      action: cut(event.action, NAME_BYTES_MAX),
      note: cut(event.note, NOTE_BYTES_MAX),
      regarding: event.regarding,
      ...(count > 1 ? { series: { count, lastObservedTime: microTime(lastDate) } } : {}),
    };
    try {
      await client.create(EVENTS, object, { fieldManager: component, signal: stopping.signal });
    } catch (error) {
      if (!(isRepeated && isConflict(error))) throw error;
    }
  }

  /** `<object>.<time and chance in hexadecimal>`, as everybody names them; a DNS subdomain. */
  function nameFor(object: string): string {
    const unique = BigInt(date().getTime()) * 1_000_000n + BigInt(Math.floor(random() * 1_000_000));
    return `${object.slice(0, 230)}.${unique.toString(16)}`;
  }

  return {
    record(event) {
      try {
        record(event);
      } catch (error) {
        dropped.add();
        options.onError?.(error);
      }
    },
    async stop(graceMs = 2000) {
      if (isStopped) return;
      isStopped = true;
      cancelSweep?.();
      for (const series of all.values()) if (!series.isWaiting && series.count > series.writtenCount) enqueue(series);
      const giveUp = (): void => stopping.abort(new Error('events that waited were dropped at the end'));
      const cancel = graceMs > 0 ? clock.after(graceMs, giveUp) : giveUp();
      if (isSending) await new Promise<void>((resolve) => idle.push(resolve));
      cancel?.();
    },
  };
}
