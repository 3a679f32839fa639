// Follows one Secret or ConfigMap by name, with the smallest right that allows it: get, list and watch on that name. The
// values are held in memory and nowhere else.
import { startReflector } from '../kube/reflector.ts';
import { CONFIG_MAPS, SECRETS, type ConfigMap, type Secret } from '../kube/resources.ts';
import type { KubeClient, KubeObject } from '../kube/types.ts';
import type { Metrics } from '../model/metrics.ts';
import type { KeyValuesFound } from './otelplugin/resolve.ts';
import type { Follow } from './references.ts';

interface Kept extends KubeObject {
  readonly values: ReadonlyMap<string, Uint8Array>;
}

const bytesOf = (
  data: Readonly<Record<string, string>> | undefined,
  encoding: 'utf8' | 'base64',
): [string, Uint8Array][] => Object.entries(data ?? {}).map(([key, value]) => [key, Buffer.from(value, encoding)]);

const keep = (
  { metadata: { name, namespace, uid, resourceVersion } }: KubeObject,
  values: [string, Uint8Array][],
): Kept => ({
  metadata: {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(uid === undefined ? {} : { uid }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
  },
  values: new Map(values),
});

const keepSecret = (secret: Secret): Kept => keep(secret, bytesOf(secret.data, 'base64'));
const keepConfigMap = (map: ConfigMap): Kept =>
  keep(map, [...bytesOf(map.binaryData, 'base64'), ...bytesOf(map.data, 'utf8')]);

export interface FollowOptions {
  readonly client: Pick<KubeClient, 'list' | 'watch'>;
  readonly metrics: Metrics;
  readonly signal: AbortSignal;
  readonly onError: (what: string, error: unknown) => void;
}

export const followObjects =
  ({ client, metrics, signal, onError }: FollowOptions): Follow =>
  (kind, namespace, name, onChange) => {
    const own = new AbortController();
    let wasForbidden = false;
    const common = {
      client,
      metrics,
      scope: { namespace, fieldSelector: `metadata.name=${name}` },
      signal: AbortSignal.any([signal, own.signal]),
      onError: (error: unknown, during: string) => {
        onError(`${during} ${kind} ${namespace}/${name}`, error);
        const isForbidden = current() === 'forbidden';
        if (isForbidden !== wasForbidden) onChange();
        wasForbidden = isForbidden;
      },
      // the object may be as it was, and nothing else would tell that it is read again
      onRecovered: () => {
        if (wasForbidden) onChange();
        wasForbidden = false;
      },
    };
    const store =
      kind === 'Secret'
        ? startReflector<Secret, Kept>({ ...common, type: SECRETS, transform: keepSecret })
        : startReflector<ConfigMap, Kept>({ ...common, type: CONFIG_MAPS, transform: keepConfigMap });
    function current(): KeyValuesFound {
      if (store.state().lastError?.status === 403) return 'forbidden';
      if (!store.hasSynced) return 'pending';
      return store.get(namespace, name)?.values ?? 'absent';
    }
    store.onChange(onChange);
    void store.synced.then(onChange);
    return { current, stop: () => own.abort() };
  };
