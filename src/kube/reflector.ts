// Keeps a store equal to a collection of the API server: lists in pages, watches from the list's version, and comes back from
// whatever happens to the connection (R1–R9). The decisions are in reflector-machine.ts; here is what they do.
import { NO_METRICS, type Metrics } from '../model/metrics.ts';
import { linkAbort } from './abort.ts';
import { SYSTEM_CLOCK, wait, type Clock } from './timers.ts';
import { ingest } from './ingest.ts';
import {
  advanced,
  initial,
  isExpired,
  listed,
  listFailed,
  stopped,
  waited,
  watchEnded,
  type Machine,
} from './reflector-machine.ts';
import { createStore, type Index } from './store.ts';
import { countObjects } from './store-metrics.ts';
import { cut } from './transport-body.ts';
import {
  ApiError,
  type KubeClient,
  type KubeObject,
  type ListOptions,
  type ResourceType,
  type Store,
} from './types.ts';

export interface ReflectorOptions<W extends KubeObject, T extends KubeObject = W> {
  readonly client: Pick<KubeClient, 'list' | 'watch'>;
  readonly type: ResourceType<W>;
  /** Everything of the kind where absent. */
  readonly scope?: ListOptions;
  readonly indexes?: Readonly<Record<string, Index<T>>>;
  /**
   * What the store keeps of an object; `managedFields` and the last-applied annotation are gone already (R10). `before`: what it
   * keeps of that name now, whose parts may be kept on.
   */
  readonly transform?: (object: W, before: T | undefined) => T;
  /** See `StoreOptions`. */
  readonly freeze?: boolean;
  readonly metrics?: Metrics;
  /** Its abort stops the reflector; the store stays as it is. */
  readonly signal: AbortSignal;
  /** Failures of the connection, and what a transform, an index or a listener threw. Nothing of it ends the reflector. */
  readonly onError?: (error: unknown, during: 'list' | 'watch' | 'transform' | 'listener') => void;
  /** The server has answered again after a failure, if only by opening the watch: `state().lastError` is gone. */
  readonly onRecovered?: () => void;
  readonly clock?: Clock;
  /** In [0, 1). */
  readonly random?: () => number;
}

export interface ReflectorState {
  readonly phase: Machine['phase'];
  /** When it came into this phase, by the reflector's clock. */
  readonly sinceMs: number;
  /** Until the server has answered again. */
  readonly lastError: ReflectorError | undefined;
}

export interface ReflectorError {
  /** HTTP status, where there was an answer. */
  readonly status: number | undefined;
  /** `Forbidden`, `NotFound`, `Expired`, … ; `Connection` where there was no answer. */
  readonly reason: string;
  readonly message: string;
  readonly atMs: number;
}

export interface ReflectedStore<T extends KubeObject> extends Store<T> {
  state(): ReflectorState;
  /** Resolves once the signal has stopped it and nothing of it runs any more. */
  readonly stopped: Promise<void>;
}

const PAGE = 500;
/** client-go spreads the ends of watches over 5 to 10 minutes. */
const WATCH_SECONDS_MIN = 300;
/** Bookmarks come about once a minute (R5). */
export const SILENCE_MS = 90_000;

/** Begins at once; `synced` of the answer resolves after the first whole list, however long that takes. */
export function startReflector<W extends KubeObject, T extends KubeObject = W>(
  options: ReflectorOptions<W, T>,
): ReflectedStore<T> {
  const { client, type, signal, scope = {} } = options;
  const { clock = SYSTEM_CLOCK, random = Math.random, metrics = NO_METRICS } = options;
  const resource = type.group === '' ? type.plural : `${type.plural}.${type.group}`;
  const relists = metrics.counter('sluice_kube_relists_total');
  const reconnects = metrics.counter('sluice_kube_watch_reconnects_total');
  const report = (error: unknown, during: 'list' | 'watch' | 'transform' | 'listener'): void => {
    try {
      options.onError?.(error, during);
    } catch {
      // who reports must not be the one to break the stream
    }
  };
  const store = createStore<T>({
    ...(options.indexes === undefined ? {} : { indexes: options.indexes }),
    freeze: options.freeze === true,
    onError: (error) => report(error, 'listener'),
  });
  const count = countObjects(metrics, resource);
  const keep = ingest(type, options.transform, (error) => report(error, 'transform'));
  const before = ({ metadata }: W): T | undefined => store.get(metadata.namespace, metadata.name);

  let machine = initial;
  let sinceMs = clock.now();
  let lastError: ReflectorError | undefined;
  let [lists, watches] = [0, 0];

  const enter = (next: Machine): void => {
    if (next.phase !== machine.phase) sinceMs = clock.now();
    machine = next;
  };
  const failed = (error: unknown, during: 'list' | 'watch'): void => {
    lastError = describe(error, clock.now());
    report(error, during);
  };

  const answered = (): void => {
    if (lastError === undefined) return;
    lastError = undefined;
    try {
      options.onRecovered?.();
    } catch (error) {
      report(error, 'listener');
    }
  };

  const list = async (whole: boolean): Promise<void> => {
    if (lists++ > 0) relists.add(1, { resource });
    const next = store.replace();
    let token: string | undefined;
    try {
      do {
        const page = await client.list(type, {
          ...scope,
          signal,
          ...(whole ? {} : { limit: PAGE }),
          ...(token === undefined ? {} : { continue: token }),
        });
        for (const object of page.items) {
          const kept = keep(object, before(object));
          if (kept === undefined) next.keep(object);
          else next.add(kept);
        }
        token = page.continue;
        if (token !== undefined) continue;
        next.commit();
        count(store.size);
        answered();
        enter(listed(machine, page.resourceVersion));
      } while (token !== undefined);
    } catch (error) {
      if (signal.aborted) return;
      failed(error, 'list');
      enter(listFailed(machine, error, token !== undefined, clock.now(), random));
    }
  };

  const watch = async (resourceVersion: string): Promise<void> => {
    if (watches++ > 0) reconnects.add(1, { resource });
    const startedMs = clock.now();
    const silence = watchdog(clock, signal);
    let error: unknown;
    let wasOpen = false;
    try {
      const timeoutSeconds = WATCH_SECONDS_MIN + Math.floor(random() * (WATCH_SECONDS_MIN + 1));
      for await (const event of client.watch(type, {
        ...scope,
        resourceVersion,
        timeoutSeconds,
        signal: silence.signal,
        onHeard: () => {
          wasOpen = true;
          silence.heard();
          // on a quiet collection nothing comes for a minute once it is open
          answered();
        },
      })) {
        if (event.type === 'BOOKMARK') {
          enter(advanced(machine, event.resourceVersion));
          continue;
        }
        const version = event.object.metadata.resourceVersion;
        if (event.type === 'DELETED') store.remove(event.object);
        else {
          const kept = keep(event.object, before(event.object));
          if (kept !== undefined) store.set(kept);
        }
        count(store.size);
        if (version !== undefined) enter(advanced(machine, version));
      }
    } catch (caught) {
      error = caught;
    } finally {
      silence.stop();
    }
    if (signal.aborted) return;
    const livedMs = clock.now() - startedMs;
    if (error !== undefined) failed(error, 'watch');
    enter(watchEnded(machine, { error, livedMs, wasOpen }, clock.now(), random));
  };

  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      if (machine.phase === 'Listing') await list(machine.whole);
      else if (machine.phase === 'Watching') await watch(machine.resourceVersion);
      else if (machine.phase === 'Backoff') {
        await wait(clock, machine.delayMs, signal).catch(() => undefined);
        enter(waited(machine));
      } else break;
    }
    enter(stopped(machine));
    count(0);
  };

  const stoppedPromise = run();
  return Object.assign(store, { state: () => ({ phase: machine.phase, sinceMs, lastError }), stopped: stoppedPromise });
}

/** A signal for one watch that ends with the reflector's, or once nothing was heard for `SILENCE_MS` (R5). */
function watchdog(clock: Clock, parent: AbortSignal): { readonly signal: AbortSignal; heard(): void; stop(): void } {
  const linked = linkAbort(parent);
  let heardMs = clock.now();
  let cancel: () => void;
  // one timer that looks again, and not a new one for each event
  const arm = (delayMs: number): void => {
    cancel = clock.after(delayMs, () => {
      const leftMs = heardMs + SILENCE_MS - clock.now();
      if (leftMs > 0) arm(leftMs);
      else linked.abort(new Error(`the watch was silent for ${SILENCE_MS / 1000} s`));
    });
  };
  arm(SILENCE_MS);
  return {
    signal: linked.signal,
    heard: () => {
      heardMs = clock.now();
    },
    stop: () => {
      cancel();
      linked.unlink();
    },
  };
}

const REASONS: Readonly<Record<number, string>> = { 401: 'Unauthorized', 403: 'Forbidden', 404: 'NotFound' };

function describe(error: unknown, atMs: number): ReflectorError {
  if (error instanceof ApiError) {
    // of a kind that is not there the API server says `404 page not found` and not a Status
    const reason = isExpired(error) ? 'Expired' : error.reason || (REASONS[error.status] ?? `HTTP${error.status}`);
    return { status: error.status, reason, message: error.message, atMs };
  }
  return {
    status: undefined,
    reason: 'Connection',
    message: cut(error instanceof Error ? error.message : String(error)),
    atMs,
  };
}
