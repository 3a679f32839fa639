// A client that writes only while this process leads. Reading is free.
import { linkAbort } from './abort.ts';
import type { KubeClient } from './types.ts';

/** A write was refused here, before it left the process. */
export class NotLeaderError extends Error {
  override readonly name = 'NotLeaderError';
}

/** What of a client changes something. POST outside of kinds counts: what it does is not known here. */
type Writes = Pick<KubeClient, 'apply' | 'create' | 'update' | 'patchJson' | 'delete'>;

/**
 * Asks `mayWrite` in the moment in which a write is made, and refuses with `NotLeaderError` where it says no. `term` gives the
 * signal of the current term: a write that is under way when the term ends is given up (which takes nothing back that has
 * arrived).
 */
export function fencedClient(
  client: KubeClient,
  mayWrite: () => boolean,
  term: () => { readonly signal: AbortSignal } | undefined = () => undefined,
): KubeClient {
  async function fenced<R>(what: string, signal: AbortSignal | undefined, write: (signal: AbortSignal) => Promise<R>) {
    if (!mayWrite()) throw new NotLeaderError(`${what}: this process is not the leader`);
    const ofTerm = term()?.signal;
    const link = linkAbort(signal);
    const onEnd = (): void => link.abort(ofTerm?.reason);
    ofTerm?.addEventListener('abort', onEnd, { once: true });
    try {
      return await write(link.signal);
    } finally {
      ofTerm?.removeEventListener('abort', onEnd);
      link.unlink();
    }
  }

  const writes: Writes = {
    apply: (type, object, options) =>
      fenced(`apply of ${type.plural}`, options.signal, (signal) => client.apply(type, object, { ...options, signal })),
    create: (type, object, options) =>
      fenced(`create of ${type.plural}`, options.signal, (signal) =>
        client.create(type, object, { ...options, signal }),
      ),
    update: (type, object, options) =>
      fenced(`update of ${type.plural}`, options.signal, (signal) =>
        client.update(type, object, { ...options, signal }),
      ),
    patchJson: (type, namespace, name, operations, options) =>
      fenced(`patch of ${type.plural}`, options.signal, (signal) =>
        client.patchJson(type, namespace, name, operations, { ...options, signal }),
      ),
    delete: (type, namespace, name, options = {}) =>
      fenced(`delete of ${type.plural}`, options.signal, (signal) =>
        client.delete(type, namespace, name, { ...options, signal }),
      ),
  };
  return {
    ...writes,
    get: (type, namespace, name, options) => client.get(type, namespace, name, options),
    list: (type, options) => client.list(type, options),
    watch: (type, options) => client.watch(type, options),
    raw: (method, path, body, options) =>
      method === 'GET'
        ? client.raw(method, path, body, options)
        : fenced(`${method} ${path}`, options?.signal, (signal) =>
            client.raw(method, path, body, { ...options, signal }),
          ),
  };
}
