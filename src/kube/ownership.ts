// Children of an object: made by server-side apply (C27), and only where the name is free or ours. Server-side apply with force would
// take over whatever has the name, and a store can be behind or see only what has our label: so who writes says which very
// object it has seen, and looks at the API server itself where it has seen none.
import type { KubeClient, KubeObject, OwnerReference, ResourceType } from './types.ts';
import { ApiError, isConflict, isNotFound } from './types.ts';

export interface Owner {
  readonly type: ResourceType;
  readonly object: KubeObject;
}

/** `not-ours`: an object of that name is there which the owner does not control; it was not touched. */
export type OwnedWrite<T> =
  | { readonly status: 'applied'; readonly object: T }
  | { readonly status: 'not-ours'; readonly controller: OwnerReference | undefined }
  /** The owner is being deleted: nothing is made any more (C25). */
  | { readonly status: 'owner-deleted' };

export interface OwnedApply<T extends KubeObject> {
  readonly owner: Owner;
  /** All that we want of it; without owner references, which are added. */
  readonly intended: T;
  /** As the store has it. */
  readonly observed: KubeObject | undefined;
  readonly fieldManager: string;
  readonly signal?: AbortSignal;
}

export const controllerOf = ({ metadata }: KubeObject): OwnerReference | undefined =>
  metadata.ownerReferences?.find(({ controller }) => controller === true);

export const isControlledBy = (object: KubeObject, owner: KubeObject): boolean =>
  owner.metadata.uid !== undefined && controllerOf(object)?.uid === owner.metadata.uid;

/**
 * C24. `blockOwnerDeletion` needs `update` on the owner's `finalizers` where OwnerReferencesPermissionEnforcement is on.
 * @throws RangeError where the owner has no uid yet, or cannot own objects of `namespace`
 */
export function ownerReference({ type, object }: Owner, namespace: string | undefined): OwnerReference {
  const { name, uid } = object.metadata;
  if (uid === undefined) throw new RangeError(`${type.kind} ${name} has no uid: it was not read from the API server`);
  if (type.namespaced && object.metadata.namespace !== namespace)
    throw new RangeError(
      `${type.kind} ${name} cannot own an object in another namespace: it would be collected as an orphan`,
    );
  const apiVersion = type.group === '' ? type.version : `${type.group}/${type.version}`;
  return { apiVersion, kind: type.kind, name, uid, controller: true, blockOwnerDeletion: true };
}

/**
 * Applies the child unless its name is taken. Rejects with 409 where the object that was seen is gone: the key comes back, and
 * the store has caught up.
 */
export async function applyOwned<T extends KubeObject>(
  client: Pick<KubeClient, 'get' | 'apply'>,
  type: ResourceType<T>,
  { owner, intended, observed, fieldManager, signal }: OwnedApply<T>,
): Promise<OwnedWrite<T>> {
  if (owner.object.metadata.deletionTimestamp !== undefined) return { status: 'owner-deleted' };
  const { namespace, name } = intended.metadata;
  const reference = ownerReference(owner, namespace);
  const read = signal === undefined ? {} : { signal };
  const there = observed ?? (await liveOrUndefined(client, type, namespace, name, read));
  if (there !== undefined && !isControlledBy(there, owner.object))
    return { status: 'not-ours', controller: controllerOf(there) };
  const uid = there?.metadata.uid;
  const metadata = {
    ...intended.metadata,
    ownerReferences: [reference],
    // an apply with a uid changes that very object; it makes none (409) and changes no other (422: a uid cannot change)
    ...(uid === undefined ? {} : { uid }),
  };
  try {
    const object = await client.apply(type, { ...intended, metadata }, { fieldManager, ...read });
    return { status: 'applied', object };
  } catch (error) {
    if (uid === undefined || !(error instanceof ApiError) || error.status !== 422) throw error;
    const now = await liveOrUndefined(client, type, namespace, name, read);
    if (now === undefined || now.metadata.uid === uid) throw error;
    return applyOwned(client, type, { owner, intended, observed: now, fieldManager, ...read });
  }
}

async function liveOrUndefined(
  client: Pick<KubeClient, 'get'>,
  type: ResourceType,
  namespace: string | undefined,
  name: string,
  options: { readonly signal?: AbortSignal },
): Promise<KubeObject | undefined> {
  try {
    return await client.get(type, namespace, name, options);
  } catch (error) {
    // R23: only this answer means that it is not there
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** Deletes the very object that was seen, if the owner controls it. One that is gone, or another by now, is as good as deleted. */
export async function deleteOwned(
  client: Pick<KubeClient, 'delete'>,
  type: ResourceType,
  owner: KubeObject,
  observed: KubeObject,
  signal?: AbortSignal,
): Promise<'deleted' | 'not-ours'> {
  const { namespace, name, uid } = observed.metadata;
  if (uid === undefined || !isControlledBy(observed, owner)) return 'not-ours';
  try {
    await client.delete(type, namespace, name, {
      uid,
      propagationPolicy: 'Background',
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (error) {
    if (!isNotFound(error) && !isConflict(error)) throw error;
  }
  return 'deleted';
}
