// One operator and many ExportScripts on a real kube-apiserver: memory, cold start, steady CPU, start skew, event loop. The
// runtime is a stub (operator-stub-agent.ts), since the question is what the operator costs.
//   node bench/operator.ts [SCRIPTS] [WINDOW_SECONDS] [STEADY_SECONDS]
// SLUICE_BENCH_NODE: more flags for the operator's node, SLUICE_BENCH_HOLD: seconds for which all stays up at the end, for a profiler.
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { openKubeClient, userAgent } from '../src/kube/client.ts';
import { loadKubeAccess } from '../src/kube/config.ts';
import type { KubeObject, ResourceType } from '../src/kube/types.ts';
import { startControlPlane } from '../test/cluster/control-plane.ts';
import { freePort } from '../test/servers/free-port.ts';

const [scripts = 10_000, windowSeconds = 60, steadySeconds = 120] = process.argv.slice(2).map(Number);
const PLUGINS = 50;
const API_SERVER_OBJECTS = 2000;

const TYPE: ResourceType = {
  group: 'sluice.dev',
  version: 'v1alpha1',
  plural: 'exportscripts',
  kind: 'ExportScript',
  namespaced: true,
};
const PLUGIN: ResourceType = { ...TYPE, plural: 'otelplugins', kind: 'OtelPlugin' };

const say = (text: string): void => void process.stdout.write(`${text}\n`);
const percentile = (values: readonly number[], p: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * p))] ?? Number.NaN;

/** A script of about 3 KB, another one each. */
const scriptText = (i: number): string =>
  `# script ${i}\nimport px\ndf = px.DataFrame('http_events', start_time=px.plugin.start_time, end_time=px.plugin.end_time)\n` +
  Array.from({ length: 26 }, (_, n) => `# ${'x'.repeat(90)} ${i}.${n}\n`).join('') +
  `px.export(df, px.otel.Data(data=[px.otel.metric.Gauge(name='m${i}', value=df.latency)]))\n`;

const plugin = (i: number): KubeObject & { spec: unknown } => ({
  apiVersion: 'sluice.dev/v1alpha1',
  kind: 'OtelPlugin',
  metadata: { name: `plugin-${i}`, namespace: 'default' },
  spec: { destination: { type: 'OTLPGRPC', endpoint: 'collector:4317', tls: { mode: 'Plaintext' } } },
});
const script = (i: number): KubeObject & { spec: unknown } => ({
  apiVersion: 'sluice.dev/v1alpha1',
  kind: 'ExportScript',
  metadata: { name: `script-${i}`, namespace: 'default' },
  spec: {
    pluginRef: { name: `plugin-${i % PLUGINS}` },
    window: `${windowSeconds}s`,
    script: { inline: scriptText(i) },
  },
});

async function each(count: number, atOnce: number, work: (i: number) => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  let next = 0;
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (next < count) await work(next++);
    }),
  );
  return (performance.now() - begun) / 1000;
}

const memoryOf = (pid: number): { rss: number; peak: number } => {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const kib = (name: string): number => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0);
  return { rss: kib('VmRSS') / 1024, peak: kib('VmHWM') / 1024 };
};
/** CPU seconds of a process so far. */
const cpuOf = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
};

/** Seconds that all cores together were idle since the start of the machine. */
const idleSeconds = (): number => Number(readFileSync('/proc/stat', 'utf8').split(/\s+/)[4]) / 100;

const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
const plane = await startControlPlane({ name: 'bench', lifeMs: 3_600_000 });
const children: ChildProcess[] = [];
try {
  await plane.kubectl(['apply', '-k', 'config/crd']);
  await plane.kubectl(['wait', '--for=condition=Established', 'crd', '--all']);
  await plane.kubectl(['create', 'namespace', 'sluice-system']);
  const access = await loadKubeAccess({ kubeconfig: plane.kubeconfig });
  const client = openKubeClient(access, { purpose: 'main', userAgent: userAgent('bench', '0') });
  const options = { fieldManager: 'bench' };
  await each(PLUGINS, 8, (i) => client.create(PLUGIN, plugin(i), options));
  const created = await each(scripts, 32, (i) => client.create(TYPE, script(i), options));
  const size = JSON.stringify(await client.get(TYPE, 'default', 'script-0')).length;
  say(
    `${scripts} ExportScripts of ${size} bytes (script text ${scriptText(0).length}), ${PLUGINS} plugins, window ${windowSeconds} s; made at ${Math.round(scripts / created)}/s`,
  );

  // the API server's own ceiling: the same status writes, by the same client, with nothing else to do
  const page = await client.list<KubeObject>(TYPE, { namespace: 'default', limit: API_SERVER_OBJECTS });
  const status = (n: number): object => ({
    observedGeneration: 1,
    scriptHash: 'f'.repeat(64),
    conditions: ['Ready', 'Resolved', 'Compiled', 'Scheduled', 'Delivered', 'Complete'].map((type) => ({
      type,
      status: 'True',
      reason: n === 0 ? 'Scheduled' : 'Suspended',
      message: '',
      lastTransitionTime: '2026-01-01T00:00:00Z',
      observedGeneration: 1,
    })),
  });
  const ceiling = await each(page.items.length, 32, (i) => {
    const { metadata } = page.items[i] ?? { metadata: { name: '' } };
    const object = {
      apiVersion: 'sluice.dev/v1alpha1',
      kind: 'ExportScript',
      metadata: { name: metadata.name, namespace: 'default' },
      status: status(1),
    };
    return client.apply<KubeObject>(TYPE, object, { fieldManager: 'bench-status', subresource: 'status' });
  });
  const ceilingRate = page.items.length / ceiling;

  const port = await freePort();
  const stub = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', 'bench/operator-stub-agent.ts', String(port), String(windowSeconds)],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  children.push(stub);
  let late: number[] = [];
  let runs = 0;
  createInterface({ input: stub.stdout }).on('line', (line) => {
    if (!line.startsWith('{')) return;
    const sample = JSON.parse(line) as { runs: number; lateMs: number[] };
    runs += sample.runs;
    late.push(...sample.lateMs);
  });
  await once(stub.stdout, 'data');

  const settings = join(folder, 'sluice.yaml');
  writeFileSync(settings, 'log: {level: warn}\n');
  // as in the image: compiled, and as a pod finds its cluster, without client-node
  execFileSync('node_modules/.bin/tsc', ['-p', 'tsconfig.build.json', '--noCheck', '--outDir', join(folder, 'dist')]);
  for (const link of ['node_modules', 'package.json'])
    execFileSync('ln', ['-s', join(process.cwd(), link), join(folder, link)]);
  execFileSync('cp', ['-r', 'src/presets', join(folder, 'dist', 'presets')]);
  execFileSync('cp', ['src/rpc/run.proto', join(folder, 'dist', 'rpc', 'run.proto')]);
  const [health, metrics] = [await freePort(), await freePort()];
  // with a service account's token where the kubelet mounts it: a mount namespace of its own has that folder
  await plane.kubectl(['create', 'serviceaccount', 'operator', '-n', 'sluice-system']);
  await plane.kubectl([
    'create',
    'clusterrolebinding',
    'bench',
    '--clusterrole=cluster-admin',
    '--serviceaccount=sluice-system:operator',
  ]);
  const token = (await plane.kubectl(['create', 'token', 'operator', '-n', 'sluice-system', '--duration=2h'])).trim();
  const account = '/run/secrets/kubernetes.io/serviceaccount';
  writeFileSync(join(folder, 'token'), token);
  writeFileSync(join(folder, 'namespace'), 'sluice-system');
  execFileSync('cp', [plane.caFile, join(folder, 'ca.crt')]);
  const inside = `mount -t tmpfs tmpfs /run && mkdir -p ${account} && cp ${folder}/token ${folder}/namespace ${folder}/ca.crt ${account}/ && exec "$@"`;
  const { hostname: host, port: apiPort } = new URL(plane.url);
  const [begun, idleBefore] = [performance.now(), idleSeconds()];
  const operator = spawn(
    'unshare',
    [
      '--mount',
      'sh',
      '-c',
      inside,
      'sh',
      process.execPath,
      '--max-semi-space-size=4',
      ...(process.env['SLUICE_BENCH_NODE'] ?? '').split(' ').filter((flag) => flag !== ''),
      join(folder, 'dist', 'main.js'),
      'operator',
      '--settings',
      settings,
      '--runtime',
      `127.0.0.1:${port}`,
      '--insecure',
      '--health-address',
      `127.0.0.1:${health}`,
      '--metrics-address',
      `127.0.0.1:${metrics}`,
    ],
    {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, MALLOC_ARENA_MAX: '1', KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: apiPort },
    },
  );
  children.push(operator);
  const pid = operator.pid ?? 0;

  const isWritten = (object: KubeObject): boolean => {
    const conditions: unknown = Reflect.get(Reflect.get(object, 'status') ?? {}, 'conditions');
    return (
      Array.isArray(conditions) &&
      conditions.some(
        (one: { type: string; status: string; reason: string }) =>
          one.type === 'Ready' && one.status === 'True' && one.reason === 'Scheduled',
      )
    );
  };
  // its own count tells when it is time to look: reading ten thousand objects again and again would be the load itself
  const statusWrites = (text: string): number =>
    Number(/^sluice_status_writes_total\{urgency="urgent"\} (\S+)$/m.exec(text)?.[1] ?? 0);
  let firstMs: number | undefined;
  let [coldSeconds, coldCpu, idleShare] = [Number.NaN, Number.NaN, Number.NaN];
  for (;;) {
    await sleep(500);
    const writes = await fetch(`http://127.0.0.1:${metrics}/metrics`).then(
      async (reply) => statusWrites(await reply.text()),
      () => 0,
    );
    if (performance.now() - begun > 300_000) throw new Error(`only ${writes} statuses written after five minutes`);
    if (writes > 0) firstMs ??= performance.now() - begun;
    if (writes < scripts) continue;
    coldSeconds = (performance.now() - begun) / 1000;
    coldCpu = cpuOf(pid);
    idleShare = (idleSeconds() - idleBefore) / coldSeconds / availableParallelism();
    let [ready, token] = [0, undefined as string | undefined];
    do {
      const part = await client.list<KubeObject>(TYPE, {
        namespace: 'default',
        limit: 500,
        ...(token === undefined ? {} : { continue: token }),
      });
      ready += part.items.filter(isWritten).length;
      token = part.continue;
    } while (token !== undefined);
    if (ready >= scripts) break;
    await sleep(1000);
  }
  say(
    `cold start: ${coldSeconds.toFixed(1)} s to all statuses = ${Math.round(scripts / coldSeconds)} objects/s with the start (first seen after ${((firstMs ?? 0) / 1000).toFixed(1)} s); API server's own ceiling ${Math.round(ceilingRate)} status writes/s; till then the operator took ${coldCpu.toFixed(1)} s of CPU, and the machine was idle for ${(100 * idleShare).toFixed(0)} %`,
  );

  await sleep(Math.max(15_000, windowSeconds * 1000));
  late = [];
  runs = 0;
  const [cpuBefore, steadyBegun] = [cpuOf(pid), performance.now()];
  const delays: number[] = [];
  while (performance.now() - steadyBegun < steadySeconds * 1000) {
    await sleep(5000);
    const text = await (await fetch(`http://127.0.0.1:${metrics}/metrics`)).text();
    delays.push(Number(/^nodejs_eventloop_delay_p99_seconds (\S+)$/m.exec(text)?.[1]) * 1000);
  }
  const seconds = (performance.now() - steadyBegun) / 1000;
  const { rss, peak } = memoryOf(pid);
  if (process.env['SLUICE_BENCH_HOLD'] !== undefined) {
    say(`operator is process ${pid}, metrics on ${metrics}`);
    await sleep(Number(process.env['SLUICE_BENCH_HOLD']) * 1000);
  }
  say(
    `steady for ${seconds.toFixed(0)} s: RSS ${rss.toFixed(0)} MB (peak ${peak.toFixed(0)}), CPU ${((cpuOf(pid) - cpuBefore) / seconds).toFixed(3)} cores, ${(runs / seconds).toFixed(0)} runs/s of ${(scripts / windowSeconds).toFixed(0)} due`,
  );
  say(
    `start skew: p50 ${percentile(late, 0.5)} ms, p99 ${percentile(late, 0.99)} ms, max ${percentile(late, 1)} ms (${late.length} windows)`,
  );
  say(
    `event loop delay, p99 of five seconds each: median ${percentile(delays, 0.5).toFixed(1)} ms, worst ${percentile(delays, 1).toFixed(1)} ms`,
  );
  await client.close();
} finally {
  for (const child of children) {
    if (child.exitCode !== null) continue;
    child.kill('SIGTERM');
    await Promise.race([once(child, 'exit'), sleep(25_000)]);
    child.kill('SIGKILL');
  }
  await plane.stop();
  rmSync(folder, { recursive: true, force: true });
}
