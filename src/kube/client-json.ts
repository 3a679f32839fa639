// Bodies of success: one object, or a page of them.
import type { KubeObject, ListPage, ResourceType } from './types.ts';

export function parseObject<T extends KubeObject>(type: ResourceType<T>, body: Buffer): T {
  const value: unknown = JSON.parse(body.toString('utf8'));
  if (typeof value !== 'object' || value === null || !('metadata' in value)) {
    throw new Error(`the API server answered no ${type.kind}`);
  }
  // eslint-disable-next-line typescript/no-unsafe-type-assertion -- the caller names the shape of its kind
  return value as T;
}

export function parseList<T extends KubeObject>(type: ResourceType<T>, body: Buffer): ListPage<T> {
  const value: unknown = JSON.parse(body.toString('utf8'));
  // eslint-disable-next-line typescript/no-unsafe-type-assertion -- checked field by field below
  const list = value as { items?: T[]; metadata?: { resourceVersion?: string; continue?: string } } | null;
  const version = list?.metadata?.resourceVersion;
  if (version === undefined) throw new Error(`the API server answered no list of ${type.plural}`);
  const token = list?.metadata?.continue;
  return {
    items: list?.items ?? [],
    resourceVersion: version,
    continue: token === '' ? undefined : token,
  };
}
