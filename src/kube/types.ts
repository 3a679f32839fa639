// What the API server is asked for and answers, as plain JSON (no classes: a field that this build does not know must
// survive a read and a write). Kubernetes API concepts: https://kubernetes.io/docs/reference/using-api/api-concepts/

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  /** RFC 3339. */
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
}

export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMeta;
}

/** A kind as the API server serves it. `T` is the shape that the caller reads it as. */
export interface ResourceType<T extends KubeObject = KubeObject> {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
  /** Never there; carries `T`. */
  readonly shape?: T;
}

export interface ListOptions {
  /** All namespaces where absent. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** Only `metadata` of each object (PartialObjectMetadata). */
  readonly metadataOnly?: boolean;
}

export interface ListPage<T extends KubeObject> {
  readonly items: readonly T[];
  readonly resourceVersion: string;
  /** Token of the next page. */
  readonly continue: string | undefined;
}

export type WatchEvent<T extends KubeObject> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string };

export interface WriteOptions {
  /** `sluice`, `sluice-status`, … ; shows in managedFields and the audit log. */
  readonly fieldManager: string;
  readonly signal?: AbortSignal;
  readonly dryRun?: boolean;
}

export interface DeleteOptions {
  /** Preconditions: only that very object. */
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
  readonly gracePeriodSeconds?: number;
  readonly signal?: AbortSignal;
}

export interface ReadOptions {
  readonly signal?: AbortSignal;
}

/** One API server. Every call rejects with ApiError for an answer that is no success, else with what broke the connection. */
export interface KubeClient {
  get<T extends KubeObject>(
    type: ResourceType<T>,
    namespace: string | undefined,
    name: string,
    options?: ReadOptions,
  ): Promise<T>;
  /** One page. `continue` from the page before. */
  list<T extends KubeObject>(
    type: ResourceType<T>,
    options: ListOptions &
      ReadOptions & { readonly limit?: number; readonly continue?: string; readonly resourceVersion?: string },
  ): Promise<ListPage<T>>;
  /**
   * Ends when the server ends it; throws ApiError with status 410 where `resourceVersion` is too old. `onHeard`: the server has
   * said yes, and then each time that bytes of its answer come, be it a piece of an event.
   */
  watch<T extends KubeObject>(
    type: ResourceType<T>,
    options: ListOptions & {
      readonly resourceVersion: string;
      readonly timeoutSeconds: number;
      readonly signal: AbortSignal;
      readonly onHeard?: () => void;
    },
  ): AsyncIterable<WatchEvent<T>>;
  /** Server-side apply, forced: the whole of what `fieldManager` wants (KEP-555). `subresource: 'status'` for a status. */
  apply<T extends KubeObject>(
    type: ResourceType<T>,
    object: T,
    options: WriteOptions & { readonly subresource?: 'status' },
  ): Promise<T>;
  create<T extends KubeObject>(type: ResourceType<T>, object: T, options: WriteOptions): Promise<T>;
  /** PUT; with `metadata.resourceVersion` it answers 409 where the object has changed. */
  update<T extends KubeObject>(type: ResourceType<T>, object: T, options: WriteOptions): Promise<T>;
  /** RFC 6902. */
  patchJson<T extends KubeObject>(
    type: ResourceType<T>,
    namespace: string | undefined,
    name: string,
    operations: readonly object[],
    options: WriteOptions & { readonly subresource?: 'status' },
  ): Promise<T>;
  delete(type: ResourceType, namespace: string | undefined, name: string, options?: DeleteOptions): Promise<void>;
  /** A request outside of kinds: /version, SelfSubjectAccessReview. */
  raw(method: 'GET' | 'POST', path: string, body?: unknown, options?: ReadOptions): Promise<unknown>;
}

/** An answer of the API server that is no success (metav1.Status). */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  /** HTTP status. */
  readonly status: number;
  /** `NotFound`, `Conflict`, `Expired`, … ; empty where the body was no Status. */
  readonly reason: string;
  /** How long to wait, where the server said so. */
  readonly retryAfterMs: number | undefined;

  constructor(status: number, reason: string, message: string, retryAfterMs?: number) {
    super(message);
    this.status = status;
    this.reason = reason;
    this.retryAfterMs = retryAfterMs;
  }
}

const hasStatus =
  (...statuses: readonly number[]) =>
  (error: unknown): error is ApiError =>
    error instanceof ApiError && statuses.includes(error.status);

export const isNotFound = hasStatus(404);
export const isConflict = hasStatus(409);
export const isGone = hasStatus(410);
export const isForbidden = hasStatus(403);

/** A copy of all objects of a kind (and scope) that follows the API server. Objects are shared and must not be changed. */
export interface Store<T extends KubeObject> {
  /** True from the first whole list on. Absence means nothing before (R11). */
  readonly hasSynced: boolean;
  /** Resolves once it has synced. */
  readonly synced: Promise<void>;
  get(namespace: string | undefined, name: string): T | undefined;
  all(): Iterable<T>;
  readonly size: number;
  /** Objects under a value of an index that the store was made with. */
  by(index: string, value: string): readonly T[];
  /**
   * Called after the store has changed. A name that comes back with another uid is a deletion and an addition (R13). Until what
   * is answered is called: whoever ends before the store does so.
   */
  onChange(listener: (change: StoreChange<T>) => void): () => void;
}

export interface StoreChange<T extends KubeObject> {
  readonly before: T | undefined;
  readonly after: T | undefined;
  /** From a list, not from the watch: nobody waits for it (R16). */
  readonly isInitial: boolean;
}
