// What survives a leader: for each script up to where everything is delivered, in 16 ConfigMaps of the operator's namespace
// (design.md, decision 12). The truth is here and in the runtimes' ledgers; statuses are a view.
import { createHash } from 'node:crypto';
import type { Metrics } from '../../model/metrics.ts';
import type { TimeNs } from '../../model/time.ts';
import type { KubeClient } from '../../kube/types.ts';
import type { ProgressBook, RuntimesNote } from './contract.ts';
import type { CheckpointEntry, ShardContent } from './checkpoint-format.ts';
import { createShard, Superseded } from './checkpoint-shard.ts';

export interface CheckpointsOptions {
  readonly kube: KubeClient;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  /** UTC that never falls. */
  readonly now: () => TimeNs;
  readonly monotonicMs: () => number;
  readonly writer: string;
  readonly mayWrite: () => boolean;
  /** Ends every request. */
  readonly signal: AbortSignal;
  readonly metrics: Metrics;
  /** Another leader was met, by a conflict. */
  readonly onSuperseded: (error: Superseded) => void;
  readonly onFault: (what: string, error: unknown) => void;
  /** How often one dirty shard is written at most. Default 4 s. */
  readonly writeEveryMs?: number;
}

export interface Checkpoints extends ProgressBook {
  /** The highest epoch that any shard held when it was read. */
  readonly epochRead: number;
  readonly runtimes: RuntimesNote | undefined;
  /**
   * Writes the new leader's epoch into all shards, with what a leader before us wrote meanwhile.
   * @throws Superseded
   */
  begin(epoch: number): Promise<void>;
  /** Its ExportScript is deleted: the entry goes after 24 h. */
  gone(uid: string): void;
  /** Of all others the ExportScripts are deleted. */
  retain(uids: ReadonlySet<string>): void;
  /** Resolves once the note, and all progress until now, is stored. */
  store(runtimes: RuntimesNote): Promise<void>;
  /** Writes what is dirty, now. Rejects where something could not be written. */
  flush(): Promise<void>;
  /** No more writes of its own accord. */
  close(): void;
}

export const SHARDS = 16;
const WRITE_EVERY_MS = 4000;
const KEPT_SECONDS = 86_400;
const RETRY_MS = 1000;

export const checkpointName = (shard: number): string => `sluice-checkpoint-${shard.toString(16)}`;

/** The first hex digit of sha256(uid). */
export const shardOf = (uid: string): number => (createHash('sha256').update(uid).digest()[0] ?? 0) >> 4;

/** Reads all shards live. Rejects where one cannot be read. */
export async function readCheckpoints(options: CheckpointsOptions): Promise<Checkpoints> {
  const { now, monotonicMs, signal, writer } = options;
  const writeEveryMs = options.writeEveryMs ?? WRITE_EVERY_MS;
  const writes = options.metrics.counter('sluice_checkpoint_writes_total');
  const failures = options.metrics.counter('sluice_checkpoint_write_failures_total');
  const corrupt = options.metrics.counter('sluice_checkpoint_corrupt_total');
  let epoch = 0;
  let runtimes: RuntimesNote | undefined;
  let timer: NodeJS.Timeout | undefined;
  let timerAtMs = Infinity;
  let closed = false;

  const shards = Array.from({ length: SHARDS }, (_, i) => ({
    shard: createShard({
      kube: options.kube,
      namespace: options.namespace,
      name: checkpointName(i),
      labels: options.labels,
      now,
      onCorrupt(what) {
        corrupt.add();
        options.onFault(what, new Error('treated as absent'));
      },
    }),
    index: i,
    entries: new Map<string, CheckpointEntry>(),
    isDirty: false,
    /** One write after the other. */
    writing: Promise.resolve(),
    notBeforeMs: 0,
  }));
  type Part = (typeof shards)[number];

  const nowSeconds = (): number => Number(now() / 1_000_000_000n);

  /** The later of what is here and what was found; a script that is new here was somebody else's. */
  function merge(part: Part, found: ShardContent): void {
    for (const [uid, entry] of found.entries) {
      const own = part.entries.get(uid);
      if (own === undefined || own.deliveredUntil < entry.deliveredUntil) part.entries.set(uid, entry);
    }
    if (part.index === 0) runtimes = found.runtimes ?? runtimes;
  }

  function prune(part: Part): void {
    const before = nowSeconds() - KEPT_SECONDS;
    for (const [uid, { goneAt }] of part.entries) if (goneAt !== undefined && goneAt < before) part.entries.delete(uid);
  }

  async function write(part: Part, isTakeover: boolean): Promise<void> {
    if (!options.mayWrite()) {
      closed = true;
      throw new Error('this process does not lead any more');
    }
    prune(part);
    part.isDirty = false;
    part.notBeforeMs = monotonicMs() + writeEveryMs;
    try {
      await part.shard.write(
        {
          epoch,
          writer,
          runtimes: () => (part.index === 0 ? runtimes : undefined),
          entries: () => part.entries,
          // after the takeover nobody before us can write: his epoch is over
          merge: (found) => (isTakeover ? merge(part, found) : undefined),
        },
        signal,
      );
      writes.add();
    } catch (error) {
      part.isDirty = true;
      part.notBeforeMs = monotonicMs() + RETRY_MS;
      if (error instanceof Superseded) options.onSuperseded(error);
      else if (!closed) failures.add();
      wake();
      throw error;
    }
  }

  function writeNow(part: Part, isTakeover = false): Promise<void> {
    const mine = part.writing.catch(() => undefined).then(() => write(part, isTakeover));
    part.writing = mine;
    return mine;
  }

  function tick(): void {
    timer = undefined;
    timerAtMs = Infinity;
    if (closed || !options.mayWrite()) return;
    for (const part of shards) {
      if (!part.isDirty || part.notBeforeMs > monotonicMs()) continue;
      part.notBeforeMs = Infinity;
      writeNow(part).catch((error: unknown) => {
        if (!closed && !(error instanceof Superseded)) options.onFault(`writing ${checkpointName(part.index)}`, error);
      });
    }
    wake();
  }

  /** Makes sure of a tick when the next dirty shard may be written. */
  function wake(): void {
    const next = Math.min(...shards.map((part) => (part.isDirty ? part.notBeforeMs : Infinity)));
    if (closed || epoch === 0 || next === Infinity || next >= timerAtMs) return;
    clearTimeout(timer);
    timerAtMs = next;
    timer = setTimeout(tick, Math.max(0, next - monotonicMs()));
  }

  function change(part: Part, uid: string, entry: CheckpointEntry): void {
    part.entries.set(uid, entry);
    if (part.isDirty) return;
    part.isDirty = true;
    wake();
  }

  const partOf = (uid: string): Part => {
    const part = shards[shardOf(uid)];
    if (part === undefined) throw new RangeError('no such shard');
    return part;
  };

  const read = await Promise.all(
    shards.map(async (part) => {
      const content = await part.shard.read(signal);
      merge(part, content);
      return content.epoch;
    }),
  );

  async function flush(): Promise<void> {
    await Promise.all(shards.map((part) => (part.isDirty ? writeNow(part) : part.writing)));
  }

  return {
    epochRead: Math.max(...read),
    get runtimes() {
      return runtimes;
    },
    find(uid) {
      const entry = partOf(uid).entries.get(uid);
      return entry && { deliveredUntil: entry.deliveredUntil, wasSuspended: entry.isSuspended };
    },
    *uids() {
      for (const { entries } of shards) for (const [uid, { goneAt }] of entries) if (goneAt === undefined) yield uid;
    },
    note(uid, deliveredUntil, isSuspended) {
      const part = partOf(uid);
      const before = part.entries.get(uid);
      const isSame =
        before?.deliveredUntil === deliveredUntil && before.isSuspended === isSuspended && before.goneAt === undefined;
      if (!isSame) change(part, uid, { deliveredUntil, isSuspended, goneAt: undefined, more: before?.more ?? '' });
    },
    async begin(own) {
      if (own <= Math.max(...read))
        throw new Superseded(`epoch ${own} is over: the checkpoints know ${Math.max(...read)}`);
      epoch = own;
      await Promise.all(shards.map((part) => writeNow(part, true)));
    },
    gone(uid) {
      const part = partOf(uid);
      const entry = part.entries.get(uid);
      if (entry !== undefined && entry.goneAt === undefined) change(part, uid, { ...entry, goneAt: nowSeconds() });
    },
    retain(uids) {
      for (const part of shards) {
        for (const [uid, entry] of part.entries) {
          if (uids.has(uid) || entry.goneAt !== undefined) continue;
          change(part, uid, { ...entry, goneAt: nowSeconds() });
        }
      }
    },
    async store(note) {
      runtimes = note;
      const [first] = shards;
      if (first !== undefined) first.isDirty = true;
      await flush();
    },
    flush,
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}
