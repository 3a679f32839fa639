// One runtime of the cluster: whether it answers, what it was given, and the order of things after each (re)connection:
// hello, destinations, and only then is it up and has its ledger read.
import type { Delivery } from '../../model/outcome.ts';
import type { Destination } from '../../model/destination.ts';
import type { TimeNs } from '../../model/time.ts';
import type { ConnectionListener, RuntimeClient, RuntimeState } from './contract.ts';

export interface GivenDestination {
  readonly revision: string;
  readonly destination: Destination;
}

export interface RuntimeLinkOptions {
  readonly ordinal: number;
  readonly epoch: number;
  readonly connect: (ordinal: number, listener: ConnectionListener) => RuntimeClient;
  readonly destinations: ReadonlyMap<string, GivenDestination>;
  /** The plugins that there are, once they are known: others' destinations are removed. */
  readonly retained: () => ReadonlySet<string> | undefined;
  readonly onUp: (fileId: string) => void;
  readonly onDown: () => void;
  readonly onDelivery: (delivery: Delivery) => void;
  /** It knows a higher epoch. */
  readonly onSuperseded: () => void;
  readonly onFault: (what: string, error: unknown) => void;
}

export interface RuntimeLink {
  readonly client: RuntimeClient;
  readonly isUp: boolean;
  readonly state: RuntimeState;
  readonly message: string | undefined;
  readonly oldestData: TimeNs | undefined;
  /** Gives it one destination; failures are told and made good at the next run that lacks it. */
  put(pluginUid: string): Promise<void>;
  remove(pluginUid: string, graceMs: number): Promise<void>;
  /** Removes what is there for plugins that are not any more. */
  sweep(): void;
  close(): void;
}

const RETRY_MS = 2000;
/** A destination that was refused, or did not arrive, is given again. */
const PUT_AGAIN_MS = 15_000;
const OLDEST_MS = 30_000;
const REMOVE_GRACE_MS = 30_000;
/** Destinations that scripts name themselves; no plugin stands for them. */
const SCRIPT_ENDPOINT = 'endpoint:';

/** Of an incarnation; see `RuntimeClient`. */
export const fileIdOf = (incarnation: string): string => {
  const dot = incarnation.lastIndexOf('.');
  return dot < 0 ? incarnation : incarnation.slice(0, dot);
};

export function openRuntimeLink(options: RuntimeLinkOptions): RuntimeLink {
  const { ordinal, epoch, destinations } = options;
  const closing = new AbortController();
  const { signal } = closing;
  let state: RuntimeState = 'Connecting';
  let message: string | undefined;
  let oldestData: TimeNs | undefined;
  /** Counts connections and losses of them: what was begun for an earlier one is given up. */
  let turn = 0;
  let retry: NodeJS.Timeout | undefined;
  const notGiven = new Set<string>();
  let putting: NodeJS.Timeout | undefined;

  const fault = (what: string, error: unknown): void => options.onFault(`runtime ${ordinal}: ${what}`, error);

  function down(error: unknown): void {
    turn += 1;
    clearTimeout(retry);
    message = (error instanceof Error ? error.message : String(error)).slice(0, 512);
    const before = state;
    state = 'Unreachable';
    if (before !== 'Unreachable') options.onDown();
  }

  function putLater(uid: string, error: unknown): void {
    fault('giving it a destination', error);
    notGiven.add(uid);
    putting ??= setTimeout(() => {
      putting = undefined;
      const uids = [...notGiven];
      notGiven.clear();
      for (const one of uids) void put(one);
    }, PUT_AGAIN_MS);
  }

  async function put(uid: string): Promise<void> {
    const given = destinations.get(uid);
    if (given === undefined || state !== 'Ready' || signal.aborted) return;
    try {
      await client.putDestination(uid, given.revision, given.destination);
    } catch (error) {
      if (!signal.aborted && state === 'Ready') putLater(uid, error);
    }
  }

  async function greet(mine: number): Promise<void> {
    const { incarnation, highestEpoch } = await client.hello(epoch);
    if (signal.aborted || mine !== turn) return;
    if (highestEpoch > epoch) {
      options.onSuperseded();
      return;
    }
    for (const [uid, { revision, destination }] of destinations) {
      try {
        await client.putDestination(uid, revision, destination);
      } catch (error) {
        if (signal.aborted || mine !== turn) return;
        // one that it refuses costs its own scripts their runs, which say so, and nobody else's
        putLater(uid, error);
      }
    }
    if (signal.aborted || mine !== turn) return;
    state = 'Ready';
    message = undefined;
    options.onUp(fileIdOf(incarnation));
    sweep();
    void askOldest();
  }

  function connected(): void {
    if (signal.aborted) return;
    if (state === 'Ready') down(new Error('it was connected anew'));
    turn += 1;
    const mine = turn;
    clearTimeout(retry);
    greet(mine).catch((error: unknown) => {
      if (signal.aborted || mine !== turn) return;
      down(error);
      retry = setTimeout(connected, RETRY_MS);
    });
  }

  const client = options.connect(ordinal, {
    connected,
    disconnected(error) {
      if (!signal.aborted) down(error);
    },
  });

  /** The client connects again by itself; where its stream ends for good, somebody else reads, or it cannot be read. */
  async function follow(): Promise<void> {
    while (!signal.aborted) {
      try {
        for await (const delivery of client.deliveries(epoch, signal)) options.onDelivery(delivery);
        if (signal.aborted) return;
        const { highestEpoch } = await client.hello(epoch);
        if (highestEpoch > epoch) {
          options.onSuperseded();
          return;
        }
        down(new Error('its stream of deliveries ended'));
      } catch (error) {
        if (signal.aborted) return;
        down(error);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, RETRY_MS);
        signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
      });
    }
  }

  async function askOldest(): Promise<void> {
    try {
      oldestData = state === 'Ready' ? await client.oldestData(signal) : undefined;
    } catch {
      // not known; a run finds out for itself
      oldestData = undefined;
    }
  }
  const oldestTimer = setInterval(() => void askOldest(), OLDEST_MS);

  function sweep(): void {
    const wanted = options.retained();
    if (wanted === undefined || state !== 'Ready') return;
    const work = async (): Promise<void> => {
      const known = await client.status(signal);
      for (const { name } of known.destinations) {
        if (wanted.has(name) || destinations.has(name) || name.startsWith(SCRIPT_ENDPOINT)) continue;
        client
          .removeDestination(name, REMOVE_GRACE_MS)
          .catch((error: unknown) => fault('removing a destination', error));
      }
    };
    work().catch((error: unknown) => fault('asking for its destinations', error));
  }

  void follow();
  return {
    client,
    get isUp() {
      return state === 'Ready';
    },
    get state() {
      return state;
    },
    get message() {
      return message;
    },
    get oldestData() {
      return oldestData;
    },
    put,
    async remove(pluginUid, graceMs) {
      if (state !== 'Ready') return;
      try {
        await client.removeDestination(pluginUid, graceMs);
      } catch (error) {
        fault('removing a destination', error);
      }
    },
    sweep,
    close() {
      turn += 1;
      clearTimeout(retry);
      clearTimeout(putting);
      clearInterval(oldestTimer);
      closing.abort(new Error('closed'));
      client.close();
    },
  };
}
