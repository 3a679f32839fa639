// The ledger's thread: the disk's waits stay out of the main one. Requests are answered in the order they came.
import { parentPort, workerData } from 'node:worker_threads';
import { LedgerError } from './error.ts';
import type { LedgerReply, LedgerRequest, LedgerWorkerData } from './messages.ts';
import { createStore } from './store.ts';

const port = parentPort;
if (port === null) throw new Error('the ledger runs as a worker thread');

const { directory, limits }: LedgerWorkerData = workerData;

const failure = (id: number, error: unknown): LedgerReply => ({
  id,
  status: 'failed',
  ...(error instanceof LedgerError ? { code: error.code } : {}),
  message: error instanceof Error ? error.message : String(error),
});

/** Buffers of batches that are read go over without a copy. */
function buffersOf(value: unknown): ArrayBuffer[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((item: unknown) => {
    if (typeof item !== 'object' || item === null || !('bytes' in item) || !(item.bytes instanceof Uint8Array))
      return [];
    return item.bytes.buffer instanceof ArrayBuffer ? [item.bytes.buffer] : [];
  });
}

try {
  const store = createStore(directory, limits);
  port.on('message', ({ id, method, args }: LedgerRequest) => {
    let reply: LedgerReply;
    try {
      // The client's types tie arguments to methods; here they are only handed on.
      const value: unknown = Reflect.apply(store[method], store, args);
      reply = { id, status: 'done', value };
      port.postMessage(reply, buffersOf(value));
    } catch (error) {
      port.postMessage(failure(id, error));
    }
    if (method === 'close') port.close();
  });
  port.postMessage({ id: 0, status: 'done', value: store.incarnation() } satisfies LedgerReply);
} catch (error) {
  port.postMessage(failure(0, error));
  port.close();
}
