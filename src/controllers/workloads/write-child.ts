// Writes children by server-side apply (KEP-555, operator rule C27), and only where something differs (C28). What differs is
// judged by the fields that we send and nothing else (C29): others may add theirs. Fields that an earlier build or other
// settings sent and this one does not are found by a hash on the object, which outlives this process.
import { createHash } from 'node:crypto';
import { ApiError, type KubeClient, type KubeObject, type ResourceType } from '../../kube/types.ts';
import type { Child } from './objects.ts';

/** Of the object as it was sent last, itself left out. */
const APPLIED_HASH = 'sluice.dev/applied-hash';
const FIELD_MANAGER = 'sluice';

type Fields = Readonly<Record<string, unknown>>;
const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Fields by which the API tells the items of a list apart; the first that tells ours apart (x-kubernetes-list-map-keys). */
const KEYS = ['uid', 'mountPath', 'containerPort', 'port', 'topologyKey', 'name'] as const;

function keyFor(items: readonly unknown[]): string | undefined {
  if (items.length === 0) return undefined;
  return KEYS.find((key) => {
    const values = items.flatMap((item) => (isFields(item) && key in item ? [item[key]] : []));
    return values.length === items.length && new Set(values).size === items.length;
  });
}

const pointer = (name: string | number): string => `/${String(name).replaceAll('~', '~0').replaceAll('/', '~1')}`;

/** JSON pointers of items in lists of ours that are not ours, in an order in which they can be removed one after the other. */
export function foreignItems(intended: unknown, observed: unknown, path = ''): string[] {
  if (isFields(intended) && isFields(observed))
    return Object.entries(intended).flatMap(([name, value]) =>
      foreignItems(value, observed[name], `${path}${pointer(name)}`),
    );
  if (!Array.isArray(intended) || !Array.isArray(observed)) return [];
  const key = keyFor(intended);
  if (key === undefined) return [];
  return observed
    .map((item: unknown, at) => {
      const ours: unknown = intended.find((one: unknown) => isFields(one) && isFields(item) && one[key] === item[key]);
      const here = `${path}${pointer(at)}`;
      return ours === undefined ? [here] : foreignItems(ours, item, here);
    })
    .reverse()
    .flat();
}

/** Equal for equal values, whatever the order of their fields. */
const textOf = (value: unknown): string =>
  JSON.stringify(value, (_, inner: unknown) =>
    isFields(inner) ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1))) : inner,
  );

/**
 * What `observed` has at the places that `intended` speaks of, in `intended`'s form. Equal to `intended`: nothing is to be
 * done. Items of lists are found by their keys; a list without keys is one value.
 */
export function ownedPart(intended: unknown, observed: unknown): unknown {
  if (isFields(intended)) {
    if (!isFields(observed)) return observed;
    return Object.fromEntries(
      Object.entries(intended).map(([name, value]) => [name, ownedPart(value, observed[name])]),
    );
  }
  if (!Array.isArray(intended) || !Array.isArray(observed)) return observed;
  const key = keyFor(intended);
  if (key === undefined) return observed;
  return intended.map((item: unknown) =>
    ownedPart(
      item,
      observed.find((other: unknown) => isFields(other) && isFields(item) && other[key] === item[key]),
    ),
  );
}

const hashOf = (child: Child): string => createHash('sha256').update(textOf(child)).digest('hex').slice(0, 16);

/** The object with its hash on it: what is sent. */
export function withHash(child: Child): Child {
  // a hash of keys is better not shown; what is in a Secret is compared whole anyway
  if (child.kind === 'Secret') return child;
  const annotations = { ...child.metadata.annotations, [APPLIED_HASH]: hashOf(child) };
  return { ...child, metadata: { ...child.metadata, annotations } };
}

export interface ChildWriter {
  /** Makes the object so. Gives what the API server answered; undefined where nothing was to be done. */
  write(
    type: ResourceType,
    child: Child,
    observed: KubeObject | undefined,
    signal: AbortSignal,
  ): Promise<KubeObject | undefined>;
}

/** Remembers what came of each write, because what comes of it need not be what was sent (defaults, quantities, webhooks). */
export function createChildWriter(client: Pick<KubeClient, 'apply' | 'patchJson'>): ChildWriter {
  const results = new Map<string, { readonly sent: string; readonly result: string }>();

  /**
   * Items that others added stay, unless ours cannot be there beside them: a port whose number somebody changed is another
   * item to the API (its number is its key), with a name that ours has.
   */
  async function make(
    type: ResourceType,
    intended: Child,
    observed: KubeObject | undefined,
    signal: AbortSignal,
  ): Promise<KubeObject> {
    const options = { fieldManager: FIELD_MANAGER, signal };
    try {
      return await client.apply<KubeObject>(type, intended, options);
    } catch (error) {
      const isInvalid = error instanceof ApiError && error.status === 422 && observed !== undefined;
      const foreign = isInvalid ? foreignItems(intended, observed) : [];
      if (observed === undefined || foreign.length === 0) throw error;
      const { name, namespace, resourceVersion } = observed.metadata;
      const operations = [
        { op: 'test', path: '/metadata/resourceVersion', value: resourceVersion },
        ...foreign.map((path) => ({ op: 'remove', path })),
      ];
      await client.patchJson<KubeObject>(type, namespace, name, operations, options);
      return client.apply<KubeObject>(type, intended, options);
    }
  }

  return {
    async write(type, child, observed, signal) {
      const intended = withHash(child);
      const key = `${child.kind}/${child.metadata.name}`;
      const sent = textOf(intended);
      if (observed !== undefined) {
        const owned = textOf(ownedPart(intended, observed));
        const before = results.get(key);
        if (owned === sent || (before?.sent === sent && before.result === owned)) return undefined;
      }
      const answer = await make(type, intended, observed, signal);
      results.set(key, { sent, result: textOf(ownedPart(intended, answer)) });
      return answer;
    },
  };
}
