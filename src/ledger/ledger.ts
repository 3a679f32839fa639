// The ledger: which windows are finished, and what of them is still to be sent, in one file that outlives the process.
// Promises in front of the thread that owns the file.
import { Worker } from 'node:worker_threads';
import { LedgerError } from './error.ts';
import type { LedgerReply, LedgerRequest, LedgerWorkerData } from './messages.ts';
import type { WindowCommit } from './record.ts';
import { DEFAULT_LIMITS, type LedgerLimits, type LedgerStore } from './store.ts';

type Method = Exclude<keyof LedgerStore, 'incarnation'>;

/** The store's operations as promises. They run one after the other, in call order; each is atomic. */
export type Ledger = {
  readonly [M in Method]: (...args: Parameters<LedgerStore[M]>) => Promise<ReturnType<LedgerStore[M]>>;
} & {
  /** Changes with every opening, and wholly where the file was lost. */
  readonly incarnation: string;
};

interface Waiting {
  /** Takes what the called method returns. */
  readonly resolve: (value: never) => void;
  readonly reject: (error: Error) => void;
}

/** Beside each other under `node` (sources) and after `tsc` (JavaScript). */
const WORKER = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url);

/**
 * Opens (or creates) the ledger in `directory`, checks it and keeps every other process out of it until `close`.
 * @throws LedgerError StateReadOnly, StateFull, StateCorrupt, StateLocked, StateTooNew or StateIoError.
 */
export async function openLedger(directory: string, limits: Partial<LedgerLimits> = {}): Promise<Ledger> {
  const workerData: LedgerWorkerData = { directory, limits: { ...DEFAULT_LIMITS, ...limits } };
  const worker = new Worker(WORKER, {
    workerData,
    // The thread holds a page cache and one request; batches are outside of its heap.
    resourceLimits: { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 4, stackSizeMb: 2 },
  });
  const waiting = new Map<number, Waiting>();
  let nextId = 1;
  let ended: LedgerError | undefined;

  const endWith = (error: LedgerError): void => {
    ended ??= error;
    for (const { reject } of waiting.values()) reject(ended);
    waiting.clear();
  };
  worker.on('message', (reply: LedgerReply<never>) => {
    const waiter = waiting.get(reply.id);
    waiting.delete(reply.id);
    if (reply.status === 'done') waiter?.resolve(reply.value);
    else
      waiter?.reject(reply.code === undefined ? new Error(reply.message) : new LedgerError(reply.code, reply.message));
  });
  worker.on('error', (error) => {
    endWith(new LedgerError('StateClosed', `ledger in ${directory}: its thread failed`, { cause: error }));
  });
  worker.on('exit', () => endWith(new LedgerError('StateClosed', `ledger in ${directory}: it is closed`)));

  function call<M extends Method>(
    method: M,
    args: Parameters<LedgerStore[M]>,
    transfer: readonly ArrayBuffer[] = [],
  ): Promise<ReturnType<LedgerStore[M]>> {
    if (ended !== undefined) return Promise.reject(ended);
    const id = nextId++;
    return new Promise((resolve, reject) => {
      waiting.set(id, { resolve, reject });
      worker.postMessage({ id, method, args } satisfies LedgerRequest, transfer);
    });
  }

  const incarnation = await new Promise<string>((resolve, reject) => waiting.set(0, { resolve, reject }));
  return {
    incarnation,
    hello: (...args) => call('hello', args),
    commit: (window) => {
      const { batches, buffers } = detached(window);
      return call('commit', [{ ...window, batches }], buffers);
    },
    hasRoom: (...args) => call('hasRoom', args),
    findWindow: (...args) => call('findWindow', args),
    committed: (...args) => call('committed', args),
    pending: (...args) => call('pending', args),
    attempted: (...args) => call('attempted', args),
    finish: (...args) => call('finish', args),
    dropDestination: (...args) => call('dropDestination', args),
    deliveries: (...args) => call('deliveries', args),
    takeDeliveries: (...args) => call('takeDeliveries', args),
    spool: (...args) => call('spool', args),
    close: async () => {
      if (ended !== undefined) return;
      const exited = new Promise((resolve) => worker.once('exit', resolve));
      await call('close', []);
      await exited;
    },
  };
}

/** Copies of the batches' bytes, so that the thread can own them while the caller's stay as they are. */
function detached(window: WindowCommit): {
  readonly batches: WindowCommit['batches'];
  readonly buffers: ArrayBuffer[];
} {
  const batches = window.batches.map((batch) => ({ ...batch, bytes: Uint8Array.from(batch.bytes) }));
  return { batches, buffers: batches.map(({ bytes }) => bytes.buffer) };
}
