// Reads what a report needs from a cluster, with whatever rights the caller has. What cannot be read is a line in the bundle
// and no end of it.
import { stringify } from 'yaml';
import type { Bundle } from './bundle.ts';
import { cleaned, masker, plainSecrets } from './mask.ts';

export interface CollectOptions {
  /** GET; rejects with the API server's answer or with what broke the connection. */
  readonly get: (path: string, options?: { readonly accept?: string; readonly timeoutMs?: number }) => Promise<Buffer>;
  readonly bundle: Bundle;
  /** Of the installation. */
  readonly namespace: string;
  /** Of each container's log. */
  readonly tailLines: number;
  /** Whose logs and metrics are read; those that are not ready first. */
  readonly podsMax: number;
  readonly version: string;
  readonly nowMs: number;
  readonly onProgress: (what: string) => void;
}

export interface Problem {
  readonly what: string;
  readonly why: string;
}

export interface Collected {
  readonly files: number;
  readonly problems: readonly Problem[];
}

type Fields = Readonly<Record<string, unknown>>;
const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const field = (value: unknown, ...path: readonly string[]): unknown =>
  path.reduce<unknown>((inner, name) => (isFields(inner) ? inner[name] : undefined), value);
const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

/** Names only: the server leaves everything else out, so that values never come here. */
const METADATA_ONLY = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';
const OURS = 'labelSelector=app.kubernetes.io%2Fname%3Dsluice';
const PORTS = { health: 8081, metrics: 9090 };
/** What a node that is away costs: its kubelet does not answer, and is not asked twice. */
const LOG_MS = 10_000;
const PROXY_MS = 5000;
const PODS_AT_ONCE = 8;

/** Lists of the installation's namespace, under these file names. */
const LISTS: Readonly<Record<string, readonly [string, string]>> = {
  deployments: ['apis/apps/v1', OURS],
  replicasets: ['apis/apps/v1', OURS],
  statefulsets: ['apis/apps/v1', OURS],
  daemonsets: ['apis/apps/v1', OURS],
  services: ['api/v1', OURS],
  configmaps: ['api/v1', OURS],
  serviceaccounts: ['api/v1', OURS],
  persistentvolumeclaims: ['api/v1', OURS],
  resourcequotas: ['api/v1', ''],
  limitranges: ['api/v1', ''],
  endpointslices: ['apis/discovery.k8s.io/v1', OURS],
  networkpolicies: ['apis/networking.k8s.io/v1', ''],
  poddisruptionbudgets: ['apis/policy/v1', OURS],
  roles: ['apis/rbac.authorization.k8s.io/v1', OURS],
  rolebindings: ['apis/rbac.authorization.k8s.io/v1', OURS],
  leases: ['apis/coordination.k8s.io/v1', 'fieldSelector=metadata.name%3Dsluice-operator'],
};

/** A node's names of images are most of it and none of our business. */
function shortNode(node: unknown): unknown {
  const status: unknown = field(node, 'status');
  if (!isFields(node) || !isFields(status)) return node;
  const { images: _, ...rest } = status;
  return { ...node, status: rest };
}

/** Writes everything into the bundle; `finish` is the caller's. */
export async function collect(options: CollectOptions): Promise<Collected> {
  const { get, bundle, namespace, onProgress } = options;
  const problems: Problem[] = [];
  let files = 0;
  let mask = masker([]);

  const attempt = async <T>(what: string, action: () => Promise<T>): Promise<T | undefined> => {
    onProgress(what);
    try {
      return await action();
    } catch (error) {
      problems.push({ what, why: mask(error instanceof Error ? error.message : String(error)) });
      return undefined;
    }
  };
  const add = (path: string, content: string): void => {
    bundle.add(path, mask(content));
    files++;
  };
  const addYaml = (path: string, value: unknown): void => add(path, stringify(value, { lineWidth: 0 }));
  const read = async (path: string, accept = 'application/json'): Promise<unknown> => {
    const parsed: unknown = JSON.parse((await get(path, { accept })).toString('utf8'));
    return parsed;
  };
  const items = async (path: string, accept?: string): Promise<readonly unknown[]> =>
    list(field(await read(path, accept), 'items'));
  const addList = (file: string, what: string, path: string, map: (object: unknown) => unknown = cleaned) =>
    attempt(what, async () => addYaml(file, (await items(path)).map(map)));

  // first, because what they hold in plain text is masked in everything else
  const resources = new Map<string, readonly unknown[]>();
  for (const plural of ['otelplugins', 'exportscripts']) {
    const api = '/apis/sluice.dev/v1alpha1';
    const all = await attempt(`${plural} of all namespaces`, () => items(`${api}/${plural}`));
    const own = all ?? (await attempt(plural, () => items(`${api}/namespaces/${namespace}/${plural}`)));
    if (own !== undefined) resources.set(plural, own);
  }
  mask = masker(plainSecrets([...resources.values()].flat()));
  for (const [plural, objects] of resources) addYaml(`${plural}.yaml`, objects.map(cleaned));

  await attempt('version', async () => addYaml('server.yaml', await read('/version')));
  await addList('nodes.yaml', 'nodes', '/api/v1/nodes', (node) => shortNode(cleaned(node)));
  for (const plural of ['otelplugins', 'exportscripts']) {
    const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${plural}.sluice.dev`;
    await attempt(`definition of ${plural}`, async () =>
      addYaml(`definition-${plural}.yaml`, cleaned(await read(path))),
    );
  }
  for (const [plural, [api, query]] of Object.entries(LISTS))
    await addList(`${namespace}/${plural}.yaml`, plural, `/${api}/namespaces/${namespace}/${plural}?${query}`);
  await attempt('names of secrets', async () => {
    const secrets = await items(`/api/v1/namespaces/${namespace}/secrets?${OURS}`, METADATA_ONLY);
    addYaml(`${namespace}/secrets-without-values.yaml`, secrets.map(cleaned));
  });
  await addList(`${namespace}/events.yaml`, 'events', `/api/v1/namespaces/${namespace}/events`);
  for (const kind of ['OtelPlugin', 'ExportScript'])
    await addList(
      `events-${kind.toLowerCase()}.yaml`,
      `events of ${kind}s`,
      `/api/v1/events?fieldSelector=involvedObject.kind%3D${kind}`,
    );

  const pods = await attempt('pods', () => items(`/api/v1/namespaces/${namespace}/pods?${OURS}`));
  if (pods !== undefined) addYaml(`${namespace}/pods.yaml`, pods.map(cleaned));
  const isReady = (pod: unknown): boolean =>
    list(field(pod, 'status', 'conditions')).some(
      (condition) => field(condition, 'type') === 'Ready' && field(condition, 'status') === 'True',
    );
  const sorted = [...(pods ?? [])].sort((a, b) => Number(isReady(a)) - Number(isReady(b)));
  for (const pod of sorted.slice(options.podsMax))
    problems.push({ what: `log of ${text(field(pod, 'metadata', 'name'))}`, why: 'left out, see --pods' });
  const waiting = sorted.slice(0, options.podsMax);
  const worker = async (): Promise<void> => {
    for (let pod = waiting.shift(); pod !== undefined; pod = waiting.shift()) await readPod(pod);
  };
  await Promise.all(Array.from({ length: PODS_AT_ONCE }, worker));

  async function readPod(pod: unknown): Promise<void> {
    const name = text(field(pod, 'metadata', 'name'));
    const path = `/api/v1/namespaces/${namespace}/pods/${name}`;
    const statuses = [
      ...list(field(pod, 'status', 'initContainerStatuses')),
      ...list(field(pod, 'status', 'containerStatuses')),
    ];
    const readLog = async (container: string, query: string, suffix: string): Promise<void> => {
      const parameters = `container=${container}&timestamps=true&tailLines=${String(options.tailLines)}${query}`;
      const answer = await get(`${path}/log?${parameters}`, { accept: '*/*', timeoutMs: LOG_MS });
      add(`${namespace}/logs/${name}.${container}${suffix}.log`, answer.toString('utf8'));
    };
    for (const status of statuses) {
      const container = text(field(status, 'name'));
      await attempt(`log of ${name} ${container}`, () => readLog(container, '', ''));
      if (Number(field(status, 'restartCount') ?? 0) > 0)
        await attempt(`log of ${name} ${container} before its restart`, () =>
          readLog(container, '&previous=true', '.previous'),
        );
    }
    for (const [port, page] of [
      [PORTS.metrics, 'metrics'],
      [PORTS.health, 'readyz'],
    ] as const)
      await attempt(`${page} of ${name}`, async () => {
        const answer = await get(`${path}:${String(port)}/proxy/${page}`, { accept: '*/*', timeoutMs: PROXY_MS });
        add(`${namespace}/${page}/${name}.txt`, answer.toString('utf8'));
      });
  }
  addYaml('dump.yaml', {
    program: `sluice ${options.version}`,
    time: new Date(options.nowMs).toISOString(),
    namespace,
    notRead: problems,
  });
  return { files, problems };
}
