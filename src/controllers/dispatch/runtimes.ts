// The runtimes of a cluster as targets of runs: which script belongs to which, what happens when one is away, comes back
// empty, is added or leaves (design.md, decision 11). Nothing here waits for a runtime that does not answer, but its own
// scripts.
import type { RunContract, RunRequest, RunResult } from '../../model/run.ts';
import type {
  ConnectionListener,
  Residents,
  RuntimeClient,
  RuntimeFact,
  RuntimesNote,
  RunTargets,
  TargetListener,
} from './contract.ts';
import { ordinalOf } from './rendezvous.ts';
import { openRuntimeLink, type GivenDestination, type RuntimeLink } from './runtime-link.ts';

export interface RuntimesOptions {
  readonly epoch: number;
  readonly replicas: number;
  /** What the checkpoints say; undefined: nothing. */
  readonly note: RuntimesNote | undefined;
  readonly connect: (ordinal: number, listener: ConnectionListener) => RuntimeClient;
  /** Writes a note, and all progress before it. Resolves once it is stored. */
  readonly store: (note: RuntimesNote) => Promise<void>;
  readonly onSuperseded: () => void;
  readonly onChange: () => void;
  readonly monotonicMs: () => number;
  readonly onFault: (what: string, error: unknown) => void;
  /** How long a leaving ordinal may go on sending. Default 5 min. */
  readonly leaveMs?: number;
  /** How often moves are looked after. Default 2 s. */
  readonly settleEveryMs?: number;
}

export interface Runtimes extends RunTargets, Pick<RunContract, 'compile' | 'putDestination' | 'removeDestination'> {
  retainDestinations(pluginUids: ReadonlySet<string>): void;
  resize(replicas: number): void;
  replicasNeeded(): number;
  /** `due` and `running` are the dispatcher's to fill. */
  facts(): readonly Omit<RuntimeFact, 'due' | 'running'>[];
  /** Why a runtime cannot be had; undefined where it can. */
  whyDown(ordinal: number): string | undefined;
  /** Begins to connect; after `listen`. */
  open(residents: Residents): void;
  close(): void;
}

const LEAVE_MS = 5 * 60_000;
const SETTLE_EVERY_MS = 2000;

export function createRuntimes(options: RuntimesOptions): Runtimes {
  const { monotonicMs } = options;
  const links = new Map<number, RuntimeLink>();
  const ledgers = new Map(options.note?.ledgers);
  const destinations = new Map<string, GivenDestination>();
  const leaving = new Map<number, number>();
  let retained: ReadonlySet<string> | undefined;
  let wanted = Math.max(1, options.replicas);
  // without a note any of them may hold anything
  let least = options.note?.least ?? 1;
  let most = options.note?.most ?? wanted;
  // a number that is not noted is noted before scripts move, as one that changes later
  let count = Math.min(Math.max(wanted, least), most);
  let listener: TargetListener | undefined;
  let residents: Residents | undefined;
  let timer: NodeJS.Timeout | undefined;
  let work: Promise<void> = Promise.resolve();
  let closed = false;

  const noteNow = (): RuntimesNote => ({ least, most, ledgers: new Map(ledgers) });

  function up(ordinal: number, fileId: string): void {
    const known = ledgers.get(ordinal);
    ledgers.set(ordinal, fileId);
    if (known !== fileId) later('storing a new ledger', () => options.store(noteNow()));
    listener?.up(ordinal, known !== undefined && known !== fileId);
    options.onChange();
  }

  function openLink(ordinal: number): void {
    if (links.has(ordinal)) return;
    const link = openRuntimeLink({
      ordinal,
      epoch: options.epoch,
      connect: options.connect,
      destinations,
      retained: () => retained,
      onUp: (fileId) => up(ordinal, fileId),
      onDown() {
        listener?.down(ordinal);
        options.onChange();
      },
      onDelivery: (delivery) => listener?.delivered(delivery),
      onSuperseded: options.onSuperseded,
      onFault: options.onFault,
    });
    links.set(ordinal, link);
  }

  async function afterAll(before: Promise<void>, what: string, step: () => Promise<void>): Promise<void> {
    await before;
    if (closed) return;
    try {
      await step();
    } catch (error) {
      if (!closed) options.onFault(what, error);
    }
  }

  /** One after the other; what fails is told, and `settle` comes by again. */
  function later(what: string, step: () => Promise<void>): void {
    work = afterAll(work, what, step);
  }

  /**
   * First it is stored that more ledgers may hold windows, then scripts move: so whoever takes over in between asks them
   * all.
   */
  async function takeCount(): Promise<void> {
    if (wanted === count) return;
    const next = wanted;
    least = Math.min(least, next);
    most = Math.max(most, next);
    for (let ordinal = 0; ordinal < next; ordinal++) {
      leaving.delete(ordinal);
      openLink(ordinal);
    }
    await options.store(noteNow());
    if (closed) return;
    count = next;
    noteLeaving();
    listener?.moved();
    options.onChange();
  }

  function noteLeaving(): void {
    for (const ordinal of links.keys()) {
      if (ordinal >= count && !leaving.has(ordinal)) leaving.set(ordinal, monotonicMs());
    }
  }

  /** Those that nothing is left at, and those whose time is over. */
  function doneLeaving(whose: Residents): readonly number[] {
    const leaveMs = options.leaveMs ?? LEAVE_MS;
    return [...leaving].flatMap(([ordinal, since]) =>
      whose.leftAt(ordinal) === 0 || monotonicMs() - since >= leaveMs ? [ordinal] : [],
    );
  }

  /** Lets go of leaving ordinals, after it is stored that nobody need ask them. */
  async function letGo(done: readonly number[]): Promise<void> {
    const staying = [...links.keys()].filter((ordinal) => !done.includes(ordinal));
    for (const ordinal of done) ledgers.delete(ordinal);
    await options.store({ ...noteNow(), most: Math.max(count, ...staying.map((ordinal) => ordinal + 1)) });
    if (closed) return;
    most = Math.max(count, ...staying.map((ordinal) => ordinal + 1));
    for (const ordinal of done) {
      leaving.delete(ordinal);
      links.get(ordinal)?.close();
      links.delete(ordinal);
      listener?.gone(ordinal);
    }
    options.onChange();
  }

  async function settle(): Promise<void> {
    await takeCount();
    if (residents === undefined || closed) return;
    const done = doneLeaving(residents);
    if (done.length > 0) await letGo(done);
    if ((least === count && most === count) || leaving.size > 0 || !residents.isSettled()) return;
    const settled = count;
    await options.store({ ...noteNow(), least: settled, most: settled });
    // `count` changes in this queue only
    least = most = settled;
  }

  const linkOf = (ordinal: number): RuntimeLink => {
    const link = links.get(ordinal);
    if (link?.isUp !== true) throw new Error(`runtime ${ordinal} is not reached: ${link?.message ?? 'it is gone'}`);
    return link;
  };

  async function run(ordinal: number, request: RunRequest, signal: AbortSignal): Promise<RunResult> {
    const { client } = linkOf(ordinal);
    let result = await client.run(request, signal);
    if (result.status === 'unknown' && result.what === 'destination') {
      const given = destinations.get(request.pluginUid);
      if (given?.revision !== request.revision) return result;
      await client.putDestination(request.pluginUid, given.revision, given.destination);
      result = await client.run(request, signal);
    }
    return heedEpoch(result);
  }

  function heedEpoch(result: RunResult): RunResult {
    if (result.status === 'failed' && result.outcome.error?.code === 'SUPERSEDED') options.onSuperseded();
    return result;
  }

  return {
    ordinals: () => [...links.keys()],
    ordinalOf: (uid) => ordinalOf(uid, count),
    ledgersOf(uid) {
      const ordinals = new Set([ordinalOf(uid, count)]);
      for (let n = least; n <= most; n++) ordinals.add(ordinalOf(uid, n));
      return [...ordinals].filter((ordinal) => links.has(ordinal));
    },
    ledger: async (ordinal, uids) => linkOf(ordinal).client.ledger(uids),
    run,
    skip: async (ordinal, request) => heedEpoch(await linkOf(ordinal).client.skip(request)),
    oldestData: (ordinal) => links.get(ordinal)?.oldestData,
    listen(to) {
      listener = to;
    },
    open(whose) {
      residents = whose;
      for (let ordinal = 0; ordinal < most; ordinal++) openLink(ordinal);
      noteLeaving();
      if (wanted !== count) later('changing the number of runtimes', takeCount);
      timer = setInterval(() => later('settling moved scripts', settle), options.settleEveryMs ?? SETTLE_EVERY_MS);
    },
    async compile(request) {
      const ordinal =
        request.uid === undefined
          ? [...links.keys()].find((one) => links.get(one)?.isUp)
          : ordinalOf(request.uid, count);
      return linkOf(ordinal ?? 0).client.compile(request);
    },
    async putDestination(pluginUid, revision, destination) {
      destinations.set(pluginUid, { revision, destination });
      await Promise.all([...links.values()].map((link) => link.put(pluginUid)));
    },
    async removeDestination(pluginUid, graceMs) {
      destinations.delete(pluginUid);
      // where a runtime is not reached now, its next sweep takes it away
      if (retained !== undefined) retained = new Set([...retained].filter((uid) => uid !== pluginUid));
      await Promise.all([...links.values()].map((link) => link.remove(pluginUid, graceMs)));
    },
    retainDestinations(pluginUids) {
      retained = pluginUids;
      for (const link of links.values()) link.sweep();
    },
    resize(replicas) {
      wanted = Math.max(1, replicas);
      later('changing the number of runtimes', takeCount);
    },
    replicasNeeded: () => Math.max(wanted, count, ...[...links.keys()].map((ordinal) => ordinal + 1)),
    facts: () =>
      [...links].map(([ordinal, link]) => ({
        ordinal,
        state: link.isUp && ordinal >= count ? 'Leaving' : link.state,
        message: link.message,
      })),
    whyDown(ordinal) {
      const link = links.get(ordinal);
      return link?.isUp === true ? undefined : (link?.message ?? 'it has not been reached yet');
    },
    close() {
      closed = true;
      clearInterval(timer);
      for (const link of links.values()) link.close();
    },
  };
}
