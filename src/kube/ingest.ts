// What a store keeps of an object that the API server sent (R10).
import type { KubeObject, ObjectMeta, ResourceType } from './types.ts';

/** `kubectl apply` without `--server-side` keeps a whole second copy of the manifest there. */
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

/**
 * Without `managedFields` and the last-applied annotation, with the kind's own name (items of a list have none, metadata-only
 * objects call themselves PartialObjectMetadata), then `transform`. Undefined where `transform` threw, which is reported.
 * The object is changed in place: it has just been parsed and nobody else has it.
 */
export function ingest<W extends KubeObject, T extends KubeObject>(
  type: ResourceType<W>,
  transform: ((object: W, before: T | undefined) => T) | undefined,
  onError: (error: unknown) => void,
): (object: W, before: T | undefined) => T | undefined {
  const apiVersion = type.group === '' ? type.version : `${type.group}/${type.version}`;
  return (object, before) => {
    const raw: { apiVersion?: string; kind?: string } = object;
    raw.apiVersion = apiVersion;
    raw.kind = type.kind;
    const metadata: ObjectMeta & { managedFields?: unknown; annotations?: Record<string, string> } = object.metadata;
    delete metadata.managedFields;
    if (metadata.annotations !== undefined) delete metadata.annotations[LAST_APPLIED];
    try {
      // eslint-disable-next-line typescript/no-unsafe-type-assertion -- without a transform T is W
      return transform === undefined ? (object as unknown as T) : transform(object, before);
    } catch (error) {
      onError(error);
      return undefined;
    }
  };
}
