// Checkpoints as their contract has them, in memory: what a write of an older epoch meets is a conflict. Writes can be held
// back, so that a leader ends between progress and its being stored.
import type { Checkpoints } from '../../../src/controllers/dispatch/checkpoints.ts';
import { Superseded } from '../../../src/controllers/dispatch/checkpoint-shard.ts';
import type { RuntimesNote } from '../../../src/controllers/dispatch/contract.ts';
import type { TimeNs } from '../../../src/model/time.ts';

export interface CheckpointStore {
  epoch: number;
  writer: string;
  runtimes: RuntimesNote | undefined;
  readonly entries: Map<string, { readonly deliveredUntil: TimeNs; readonly wasSuspended: boolean }>;
}

export const newStore = (): CheckpointStore => ({ epoch: 0, writer: '', runtimes: undefined, entries: new Map() });

export interface MemoryCheckpointsOptions {
  readonly store: CheckpointStore;
  readonly writer: string;
  readonly mayWrite: () => boolean;
  readonly onSuperseded: (error: Superseded) => void;
  /** The API server does not answer. */
  readonly isAway: () => boolean;
}

export async function memoryCheckpoints(options: MemoryCheckpointsOptions): Promise<Checkpoints> {
  const { store, writer, mayWrite } = options;
  const own = new Map(store.entries);
  const gone = new Set<string>();
  const dirty = new Set<string>();
  const epochRead = store.epoch;
  let { runtimes } = store;
  let epoch = 0;
  let timer: NodeJS.Timeout | undefined;

  async function write(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, 20));
    if (!mayWrite() || options.isAway()) throw new Error('not written');
    if (store.epoch > epoch || (store.epoch === epoch && store.writer !== writer)) {
      const error = new Superseded(`epoch ${store.epoch}`);
      options.onSuperseded(error);
      throw error;
    }
    if (store.epoch < epoch) {
      for (const [uid, entry] of store.entries) {
        const mine = own.get(uid);
        if (mine === undefined || mine.deliveredUntil < entry.deliveredUntil) own.set(uid, entry);
      }
      ({ runtimes } = store);
    }
    Object.assign(store, { epoch, writer, runtimes });
    for (const uid of dirty) {
      const entry = own.get(uid);
      if (entry !== undefined) store.entries.set(uid, entry);
    }
    dirty.clear();
  }
  const wake = (): void => {
    timer ??= setTimeout(() => {
      timer = undefined;
      if (mayWrite()) write().catch(wake);
    }, 4000);
  };

  return {
    epochRead,
    get runtimes() {
      return runtimes;
    },
    async begin(given) {
      epoch = given;
      await write();
    },
    find: (uid) => own.get(uid),
    uids: () => [...own.keys()].filter((uid) => !gone.has(uid)),
    note(uid, deliveredUntil, wasSuspended) {
      const before = own.get(uid);
      if (before?.deliveredUntil === deliveredUntil && before.wasSuspended === wasSuspended) return;
      gone.delete(uid);
      own.set(uid, { deliveredUntil, wasSuspended });
      dirty.add(uid);
      wake();
    },
    gone: (uid) => void gone.add(uid),
    retain: () => undefined,
    async store(note) {
      runtimes = note;
      await write();
    },
    flush: write,
    close: () => clearTimeout(timer),
  };
}
