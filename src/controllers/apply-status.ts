// A status on its way to the API server, by server-side apply. Where the definition there is older than this operator the API
// server refuses what has a field too many; that field is left out then, so that users see all else.
import { API_VERSION } from '../crds/parts.ts';
import { ExternalError } from '../kube/controller.ts';
import { ApiError, type KubeClient, type KubeObject, type ResourceType } from '../kube/types.ts';
import { undeclaredFields, withoutFields, type FieldPath } from './undeclared-fields.ts';

export interface ApplyStatusOptions {
  readonly client: Pick<KubeClient, 'apply'>;
  /** Monotonic milliseconds. */
  readonly clock: () => number;
  readonly onFault: (what: string, error: unknown) => void;
}

/** A newer definition may come; until then one write is refused in that time. */
const UNDECLARED_MS = 300_000;

/** Resolves with the object as it is now. Rejects with what the client rejects with. */
export function createApplyStatus({
  client,
  clock,
  onFault,
}: ApplyStatusOptions): (type: ResourceType, metadata: KubeObject['metadata'], status: object) => Promise<KubeObject> {
  const kinds = new Map<string, { readonly fields: Map<string, FieldPath>; readonly untilMs: number }>();

  function undeclaredOf(kind: string): Map<string, FieldPath> {
    const known = kinds.get(kind);
    if (known !== undefined && clock() < known.untilMs) return known.fields;
    const fields = new Map<string, FieldPath>();
    kinds.set(kind, { fields, untilMs: clock() + UNDECLARED_MS });
    return fields;
  }

  return async (type, metadata, status) => {
    const { kind } = type;
    const undeclared = undeclaredOf(kind);
    for (;;) {
      const left = new Map(undeclared);
      const object: KubeObject & { readonly status: object } = {
        apiVersion: API_VERSION,
        kind,
        metadata,
        status: withoutFields(status, [...left.values()]),
      };
      try {
        return await client.apply(type, object, { fieldManager: 'sluice-status', subresource: 'status' });
      } catch (error) {
        const found = error instanceof ApiError ? undeclaredFields(error.message) : [];
        // what was left out and is named all the same cannot be helped
        if (!found.some((path) => !left.has(path.join('.')))) throw error;
        // another write may have learned it meanwhile
        const fresh = found.filter((path) => !undeclared.has(path.join('.')));
        if (fresh.length === 0) continue;
        for (const path of fresh) undeclared.set(path.join('.'), path);
        const names = fresh.map((path) => `status.${path.join('.')}`).join(', ');
        const advice = `it has no ${names}: apply config/crd of this version`;
        onFault(`the definition of ${kind}`, new ExternalError(advice, { cause: error }));
      }
    }
  };
}
