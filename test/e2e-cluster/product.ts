// Sluice in a cluster with two real nodes, installed as docs/install.md says, with applications to observe and a receiver.
import { join } from 'node:path';
import { binary } from '../cluster/binaries.ts';
import { startCluster, type Cluster } from '../cluster/cluster.ts';
import { sluiceImage } from '../cluster/image.ts';
import { diagnose } from './diagnose.ts';
import { openReceiver, receiverImage, receiverObjects, RECEIVER, type Receiver } from './receiver.ts';
import { itemReader, type Item } from './received.ts';
import { SHOPS, shopObjects } from './shops.ts';
import { watchStatuses, type StatusWatch } from './statuses.ts';

export const ROOT = join(import.meta.dirname, '..', '..');
export const NAMESPACE = 'sluice-system';

export interface Product {
  readonly cluster: Cluster;
  readonly receiver: Receiver;
  readonly statuses: StatusWatch;
  /** Everything that the receiver has got. */
  readonly items: () => readonly Item[];
  /** `kubectl apply -f -` of objects, in this order. */
  readonly apply: (objects: readonly object[]) => Promise<void>;
  stop(): Promise<void>;
}

/** Name -> value of lines of the settings file. */
export type Settings = Readonly<Record<string, string>>;

export interface ProductOptions {
  /** Of the cluster. */
  readonly name: string;
  readonly lifeMs?: number;
  /** Of the settings file: single-word values that are not the defaults. */
  readonly settings?: Settings;
  /** Once aborted, what was begun is taken down and the promise rejects. */
  readonly signal?: AbortSignal;
  /** Says how far it is. */
  readonly onProgress?: (what: string) => void;
}

/** Resolves when everything is installed and ready; `config/samples` is applied. Rejects with what the cluster says. */
export async function startProduct({
  name,
  lifeMs,
  settings,
  signal,
  onProgress = () => {},
}: ProductOptions): Promise<Product> {
  const images = [sluiceImage(), await receiverImage()];
  onProgress('images are made');
  signal?.throwIfAborted();
  const cluster = await startCluster({
    name,
    nodes: 2,
    images,
    nodeGraceSeconds: 12,
    ...(lifeMs === undefined ? {} : { lifeMs }),
  });
  try {
    const aborted = new Promise<never>((_, reject) => {
      const give = (): void => reject(new Error('interrupted'));
      signal?.addEventListener('abort', give);
      if (signal?.aborted === true) give();
    });
    return await Promise.race([fill(cluster, { settings, signal, onProgress }), aborted]);
  } catch (error) {
    if (signal?.aborted !== true) process.stderr.write(await diagnose(cluster.kubectl));
    await cluster.stop();
    throw error;
  }
}

interface FillOptions {
  readonly settings: Settings | undefined;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: (what: string) => void;
}

/** Everything into a cluster; resolves when it is ready. */
async function fill(cluster: Cluster, { settings, signal, onProgress }: FillOptions): Promise<Product> {
  onProgress(`two nodes are ready: ${cluster.nodes.join(', ')}`);
  const apply = applyTo(cluster);
  await apply([...shopObjects(), ...receiverObjects('n1')]);
  await install(cluster, settings);
  onProgress('kubectl apply -k config/default');
  await cluster.kubectl(['apply', '-f', join(ROOT, 'config/samples')]);
  onProgress('kubectl apply -f config/samples');
  for (const { namespace, name: shop, kind } of SHOPS) await rolledOut(cluster, namespace, kind, shop);
  await rolledOut(cluster, 'default', 'Deployment', RECEIVER);
  await ready(cluster);
  onProgress('everything is ready');
  const receiver = await openReceiver(cluster);
  signal?.throwIfAborted();
  const statuses = watchStatuses(binary('kubernetes', 'kubectl'), cluster);
  return {
    cluster,
    receiver,
    statuses,
    items: itemReader(() => receiver.requests()),
    apply,
    async stop() {
      await statuses.stop();
      await cluster.stop();
    },
  };
}

const applyTo =
  (cluster: Cluster): Product['apply'] =>
  async (objects) => {
    await cluster.kubectl(['apply', '-f', '-'], { input: { apiVersion: 'v1', kind: 'List', items: objects } });
  };

/** `kubectl apply -k config/default`, and waits until the API server serves both kinds. */
export async function install({ kubectl }: Cluster, settings?: Settings): Promise<void> {
  const folder = join(ROOT, 'config/default');
  if (settings === undefined) await kubectl(['apply', '-k', folder]);
  else await kubectl(['apply', '-f', '-'], { input: withSettings(await kubectl(['kustomize', folder]), settings) });
  const kinds = ['crd/otelplugins.sluice.dev', 'crd/exportscripts.sluice.dev'];
  await kubectl(['wait', '--for=condition=Established', ...kinds, '--timeout=30s']);
}

/** Every pod of the operator, the runtime and the collector is ready. */
export async function ready(cluster: Cluster): Promise<void> {
  await rolledOut(cluster, NAMESPACE, 'Deployment', 'sluice-operator');
  // these two are made by the operator
  for (const kind of ['StatefulSet', 'DaemonSet'] as const) {
    const child = kind === 'StatefulSet' ? 'sluice-runtime' : 'sluice-collector';
    await cluster.kubectl(['wait', '--for=create', `${kind}/${child}`, '-n', NAMESPACE, '--timeout=60s'], {
      timeoutMs: 70_000,
    });
    await rolledOut(cluster, NAMESPACE, kind, child);
  }
}

export async function rolledOut(cluster: Cluster, namespace: string, kind: string, name: string): Promise<void> {
  const args =
    kind === 'ReplicaSet'
      ? ['wait', '--for=jsonpath={.status.readyReplicas}=2', `replicaset/${name}`]
      : ['rollout', 'status', `${kind.toLowerCase()}/${name}`];
  await cluster.kubectl([...args, '--namespace', namespace, '--timeout=120s'], { timeoutMs: 130_000 });
}

function withSettings(text: string, values: Settings): string {
  return Object.entries(values).reduce((changed, [name, value]) => {
    const line = new RegExp(`\\b${name}: \\S+`);
    if (!line.test(changed)) throw new Error(`the settings have no ${name}`);
    return changed.replace(line, `${name}: ${value}`);
  }, text);
}

/** Changes single-word values of the settings file; the operator follows when its kubelet has brought the file. */
export async function changeSettings({ kubectl }: Cluster, values: Settings): Promise<void> {
  const map = ['get', 'configmap', 'sluice-settings', '-n', NAMESPACE, '-o', 'jsonpath={.data.sluice\\.yaml}'];
  const patch = JSON.stringify({ data: { 'sluice.yaml': withSettings(await kubectl(map), values) } });
  await kubectl(['patch', 'configmap', 'sluice-settings', '-n', NAMESPACE, '--type=merge', '-p', patch]);
  // a kubelet brings files when it looks at a pod, which it does at once when the pod changes
  const pods = ['pods', '-n', NAMESPACE, '-l', 'app.kubernetes.io/component=operator'];
  await kubectl(['annotate', ...pods, '--overwrite', `test/changed=${Date.now()}`]);
}

/** Asks every `everyMs` until there is an answer. Rejects after `timeoutMs` with what was said last. */
export async function until<T>(
  what: string,
  ask: () => Promise<T | undefined | false> | T | undefined | false,
  timeoutMs: number,
  everyMs = 300,
): Promise<T> {
  const end = Date.now() + timeoutMs;
  let cause: unknown;
  for (;;) {
    try {
      const answer = await ask();
      if (answer !== undefined && answer !== false) return answer;
    } catch (error) {
      cause = error;
    }
    if (Date.now() > end) {
      const said = cause instanceof Error ? `: ${cause.message}` : '';
      throw new Error(`${what}: not within ${timeoutMs / 1000} s${said}`, { cause });
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
