// Paths of the API server: /api/v1/… for the core group, /apis/<group>/<version>/… for all others.
import type { ResourceType } from './types.ts';

/** Of a collection, or of one object where `name` is given. @throws where a namespaced object has no namespace. */
export function objectPath(type: ResourceType, namespace: string | undefined, name?: string): string {
  const root = type.group === '' ? `/api/${type.version}` : `/apis/${type.group}/${type.version}`;
  const scoped = type.namespaced && namespace !== undefined && namespace !== '';
  if (type.namespaced && !scoped && name !== undefined) throw new Error(`${type.kind} ${name} needs a namespace`);
  const collection = scoped ? `${root}/namespaces/${segment(namespace)}/${type.plural}` : `${root}/${type.plural}`;
  return name === undefined ? collection : `${collection}/${segment(name)}`;
}

/** One segment of a path, whatever the text. @throws for what a server would resolve away. */
function segment(text: string): string {
  if (text === '' || text === '.' || text === '..') throw new Error(`${JSON.stringify(text)} is no name of an object`);
  return encodeURIComponent(text);
}

/** `?a=b&c=d` of those that are defined; empty where none is. */
export function query(parameters: Readonly<Record<string, string | undefined>>): string {
  const pairs = Object.entries(parameters).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`],
  );
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`;
}
