// How fast one client writes (R34). What the rule says of the whole client is said here of writes that are no statuses: statuses of
// ten thousand objects have bounds of their own (in flight, and per second where nobody waits for them), reads are pages of 500 and
// one watch for each collection, and the API server says 429 where that is too much for it.
import type { Limiter } from './write-limit.ts';
import type { KubeClient } from './types.ts';

export const WRITE_LIMIT = { perSecond: 50, burst: 100 } as const;

/**
 * To be laid around a fenced client and not under it: whether this process leads is asked after the wait, in the moment of the
 * write. The write's own signal ends the wait as well.
 */
export function limitedClient(client: KubeClient, limiter: Limiter): KubeClient {
  const isStatus = ({ subresource }: { readonly subresource?: 'status' }): boolean => subresource === 'status';
  return {
    get: (type, namespace, name, options) => client.get(type, namespace, name, options),
    list: (type, options) => client.list(type, options),
    watch: (type, options) => client.watch(type, options),
    apply: async (type, object, options) => {
      if (!isStatus(options)) await limiter.acquire(options.signal);
      return client.apply(type, object, options);
    },
    create: async (type, object, options) => {
      await limiter.acquire(options.signal);
      return client.create(type, object, options);
    },
    update: async (type, object, options) => {
      await limiter.acquire(options.signal);
      return client.update(type, object, options);
    },
    patchJson: async (type, namespace, name, operations, options) => {
      if (!isStatus(options)) await limiter.acquire(options.signal);
      return client.patchJson(type, namespace, name, operations, options);
    },
    delete: async (type, namespace, name, options) => {
      await limiter.acquire(options?.signal);
      return client.delete(type, namespace, name, options);
    },
    raw: async (method, path, body, options) => {
      if (method !== 'GET') await limiter.acquire(options?.signal);
      return client.raw(method, path, body, options);
    },
  };
}
