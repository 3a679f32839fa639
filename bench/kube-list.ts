// What does it cost to hold 10,000 objects of 3 KB: time until they are there, memory, and the longest time for which the
// process did nothing else? Our reflector beside client-node's informer, on one API server, each run in a process of its own.
//   node --expose-gc bench/kube-list.ts [objects] [pairs]
import { spawnSync } from 'node:child_process';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { openKubeClient, userAgent } from '../src/kube/client.ts';
import { loadKubeAccess } from '../src/kube/config.ts';
import { startReflector } from '../src/kube/reflector.ts';
import { CONFIG_MAPS } from '../src/kube/resources.ts';
import { clusterMissing } from '../test/cluster/binaries.ts';
import { startControlPlane } from '../test/cluster/control-plane.ts';

const NS = 'bench';
const SIDES = ['reflector', 'reflector, one page', 'informer'] as const;

interface Result {
  readonly ms: number;
  readonly blockedMs: number;
  readonly cpuMs: number;
  readonly heapMB: number;
  readonly rssMB: number;
}

const [mode, kubeconfig = ''] = process.argv.slice(2);
if (mode === 'side') await measure(process.argv[4] ?? '', kubeconfig);
else if (clusterMissing === undefined) await compare(Number(mode ?? 10_000), Number(process.argv[3] ?? 7));

async function measure(side: string, kubeconfig: string): Promise<void> {
  // what each has to load is not in question here, but its memory is in rssMB
  const start = side === 'informer' ? await informer(kubeconfig) : await reflector(kubeconfig, side !== 'reflector');
  globalThis.gc?.();
  const heap = process.memoryUsage().heapUsed;
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const cpu = process.cpuUsage();
  const startMs = performance.now();
  const count = await start();
  const ms = performance.now() - startMs;
  const { user, system } = process.cpuUsage(cpu);
  // the last block is counted when the loop turns again
  await new Promise((resolve) => setTimeout(resolve, 20));
  delay.disable();
  globalThis.gc?.();
  const result: Result = {
    ms,
    blockedMs: delay.max / 1e6,
    cpuMs: (user + system) / 1000,
    heapMB: (process.memoryUsage().heapUsed - heap) / 1e6,
    rssMB: process.resourceUsage().maxRSS / 1000,
  };
  process.stdout.write(JSON.stringify({ ...result, count: count() }));
  process.exit(0);
}

async function reflector(kubeconfig: string, onePage: boolean): Promise<() => Promise<() => number>> {
  const access = await loadKubeAccess({ kubeconfig });
  const client = openKubeClient(access, { purpose: 'main', userAgent: userAgent('bench', '0') });
  const whole: typeof client = {
    ...client,
    list: (type, { limit: _limit, ...options }) => client.list(type, options),
  };
  await client.raw('GET', '/version');
  return async () => {
    const store = startReflector({
      client: onePage ? whole : client,
      type: CONFIG_MAPS,
      scope: { namespace: NS },
      indexes: { label: ({ metadata }) => Object.values(metadata.labels ?? {}) },
      signal: new AbortController().signal,
    });
    await store.synced;
    return () => store.size;
  };
}

async function informer(kubeconfig: string): Promise<() => Promise<() => number>> {
  const { CoreV1Api, KubeConfig, makeInformer } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  config.loadFromFile(kubeconfig);
  const api = config.makeApiClient(CoreV1Api);
  await api.readNamespace({ name: NS });
  return async () => {
    const cache = makeInformer(config, `/api/v1/namespaces/${NS}/configmaps`, () =>
      api.listNamespacedConfigMap({ namespace: NS }),
    );
    await cache.start();
    return () => cache.list().length;
  };
}

async function compare(objects: number, pairs: number): Promise<void> {
  const plane = await startControlPlane({ name: 'bench', controllerManager: false });
  try {
    await plane.kubectl(['create', 'namespace', NS]);
    const client = openKubeClient(await loadKubeAccess({ kubeconfig: plane.kubeconfig }), {
      purpose: 'main',
      userAgent: userAgent('bench', '0'),
    });
    let made = 0;
    const make = async (): Promise<void> => {
      while (made < objects) {
        const index = made++;
        const labels = { group: `g-${index % 100}` };
        const data = { script: `# ${index}\n${"df = px.DataFrame('http_events')\n".repeat(90)}` };
        const object = { metadata: { namespace: NS, name: `object-${index}`, labels }, data };
        await client.create(CONFIG_MAPS, object, { fieldManager: 'bench' });
      }
    };
    await Promise.all(Array.from({ length: 16 }, make));
    await client.close();
    const results = new Map<string, Result[]>(SIDES.map((side) => [side, []]));
    for (let pair = 0; pair < pairs; pair++) {
      for (const side of SIDES) {
        const args = ['--disable-warning=ExperimentalWarning', '--expose-gc', import.meta.filename];
        const { stdout, stderr } = spawnSync(process.execPath, [...args, 'side', plane.kubeconfig, side], {
          encoding: 'utf8',
        });
        const result = JSON.parse(stdout) as Result & { count: number };
        if (result.count !== objects) throw new Error(`${side} has ${result.count} objects\n${stderr}`);
        results.get(side)?.push(result);
      }
    }
    console.log(`${objects} ConfigMaps of 3 KB, median (lowest to highest) of ${pairs} runs each, in turns`);
    for (const side of SIDES) console.log(row(side, results.get(side) ?? []));
    console.log(
      'blocked: the longest time in which the event loop did not turn; heap: more than before, after a collection',
    );
  } finally {
    await plane.stop();
  }
}

function row(side: string, results: readonly Result[]): string {
  const cell = (key: keyof Result, unit: string): string => {
    const sorted = results.map((result) => result[key]).toSorted((a, b) => a - b);
    const at = (quantile: number): string => (sorted[Math.floor((sorted.length - 1) * quantile)] ?? 0).toFixed(0);
    return `${at(0.5)} ${unit} (${at(0)} to ${at(1)})`;
  };
  const cells = [
    cell('ms', 'ms'),
    `cpu ${cell('cpuMs', 'ms')}`,
    `blocked ${cell('blockedMs', 'ms')}`,
    `heap ${cell('heapMB', 'MB')}`,
    `rss ${cell('rssMB', 'MB')}`,
  ];
  return `  ${side.padEnd(20)} ${cells.join('  ')}`;
}
