// Two real nodes on one kernel, a probe in a pod of each as we deploy it, and an agent here for each: both see their own pods
// and nobody else's, under the names that the API server knows.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createAgent } from '../../src/collector/agent.ts';
import type { Agent } from '../../src/collector/agent.ts';
import { asidOf } from '../../src/collector/identity/asid.ts';
import { createPodMetadata } from '../../src/collector/identity/cluster.ts';
import { slimPod, slimService } from '../../src/collector/identity/objects.ts';
import { PROTOCOLS } from '../../src/collector/protocols/registry.ts';
import { createLiveSource } from '../../src/collector/sources/live.ts';
import { rowsOf } from '../../src/columns/batch.ts';
import { openKubeClient } from '../../src/kube/client.ts';
import type { OpenKubeClient } from '../../src/kube/client.ts';
import { loadKubeAccess } from '../../src/kube/config.ts';
import { startReflector } from '../../src/kube/reflector.ts';
import { PODS, SERVICES } from '../../src/kube/resources.ts';
import { now, timeNs } from '../../src/model/time.ts';
import type { TimeNs } from '../../src/model/time.ts';
import type { Operator } from '../../src/plan/plan.ts';
import { compile } from '../../src/pxl/compile.ts';
import { createTableStore } from '../../src/tables/store.ts';
import { nodesMissing, startCluster } from '../cluster/cluster.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { waitFor } from '../cluster/instance.ts';
import { leftovers } from '../cluster/leftovers.ts';
import { programImage } from '../cluster/test-images.ts';
import { nginxMissing } from '../servers/nginx.ts';
import { AGENT_GROUP, NGINX, NGINX_CONF, PROBE, PROBE_POD, webObjects } from './node-pods.ts';

const suite = nodesMissing === undefined && nginxMissing === undefined ? describe : describe.skip;
if (nginxMissing !== undefined) process.stderr.write(`\n*** SKIPPED: two nodes on one kernel: ${nginxMissing} ***\n\n`);
const NODES = ['n1', 'n2'] as const;
suite('two nodes on one kernel', () => {
  let cluster: Cluster;
  let client: OpenKubeClient;
  let folder = '';
  const stop = new AbortController();
  const agents = new Map<string, { agent: Agent; lines: string[] }>();

  const apply = (object: object) => cluster.kubectl(['apply', '-f', '-'], { input: object });
  /** A web server with one pod on each node, behind a Service. */
  const deployWeb = async (namespace: string): Promise<void> => {
    for (const object of webObjects(namespace)) await apply(object);
    await cluster.kubectl(['-n', namespace, 'rollout', 'status', 'deployment/web', '--timeout=60s'], {
      timeoutMs: 90_000,
    });
  };
  interface Web {
    readonly pod: string;
    readonly uid: string;
    readonly ip: string;
    readonly node: string;
    readonly container: string;
    readonly replicaset: string;
  }
  const websOf = async (namespace: string): Promise<Web[]> => {
    const list = JSON.parse(await cluster.kubectl(['-n', namespace, 'get', 'pods', '-l', 'app=web', '-o', 'json'])) as {
      items: {
        metadata: { name: string; uid: string; ownerReferences: { name: string }[] };
        spec: { nodeName: string };
        status: { podIP: string; containerStatuses: { containerID: string }[] };
      }[];
    };
    return list.items.map(({ metadata, spec, status }) => ({
      pod: `${namespace}/${metadata.name}`,
      uid: metadata.uid,
      ip: status.podIP,
      node: spec.nodeName,
      container: (status.containerStatuses[0]?.containerID ?? '').replace('containerd://', ''),
      replicaset: `${namespace}/${metadata.ownerReferences[0]?.name}`,
    }));
  };

  /** The probe's socket on this machine's side; the path itself is too long for an address. */
  const socketOf = async (node: string): Promise<string> => {
    const uid = await cluster.kubectl(['get', 'pod', `probe-${node}`, '-o', 'jsonpath={.metadata.uid}']);
    const volume = join(cluster.dir, node, 'lib-kubelet', 'pods', uid, 'volumes', 'kubernetes.io~empty-dir', 'run');
    await waitFor(`the socket in ${volume}`, () => existsSync(join(volume, 'probe.sock')), 30_000);
    const { gid, mode } = statSync(join(volume, 'probe.sock'));
    expect([gid, mode & 0o777]).toEqual([AGENT_GROUP, 0o660]);
    symlinkSync(volume, join(folder, node));
    return join(folder, node, 'probe.sock');
  };
  const startAgent = async (node: string): Promise<void> => {
    const metadata = createPodMetadata({ now: Date.now });
    const lines: string[] = [];
    const source = createLiveSource({
      socketPath: await socketOf(node),
      ownTgids: [],
      localNetworks: [],
      onLine: (line) => lines.push(line),
    });
    const follow = { client, signal: stop.signal };
    const pods = startReflector({
      ...follow,
      type: PODS,
      scope: { fieldSelector: `spec.nodeName=${node}` },
      transform: (pod) => slimPod(pod as never) as never,
    });
    const services = startReflector({
      ...follow,
      type: SERVICES,
      transform: (one) => slimService(one as never) as never,
    });
    pods.onChange((change) => metadata.pod(change));
    services.onChange((change) => metadata.service(change));
    await Promise.all([pods.synced, services.synced]);
    metadata.fresh();
    const tables = createTableStore();
    const agent = createAgent({ name: node, asid: asidOf(node), pods: metadata, source, tables, protocols: PROTOCOLS });
    agents.set(node, { agent, lines });
    await source.connected;
  };
  const agentOf = (node: string): Agent => {
    const found = agents.get(node);
    if (found === undefined) throw new Error(node);
    return found.agent;
  };

  beforeAll(async () => {
    execFileSync('make', ['--no-print-directory', '-C', 'probe', 'alone'], { stdio: ['ignore', 'ignore', 'inherit'] });
    folder = mkdtempSync(join(tmpdir(), 'sluice-nodes-'));
    const images = [
      await programImage('probe', [PROBE]),
      await programImage('nginx', [NGINX], { '/etc/web.conf': NGINX_CONF }),
    ];
    cluster = await startCluster({ name: 'ident', nodes: 2, images });
    client = openKubeClient(await loadKubeAccess({ kubeconfig: cluster.kubeconfig }), {
      purpose: 'main',
      userAgent: 'sluice-test',
    });
    await deployWeb('shop');
    await deployWeb('bank');
    for (const node of NODES)
      await apply({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: `probe-${node}`, namespace: 'default' },
        spec: { ...PROBE_POD, nodeName: node },
      });
    for (const node of NODES)
      await cluster.kubectl(['wait', '--for=condition=Ready', `pod/probe-${node}`, '--timeout=60s'], {
        timeoutMs: 90_000,
      });
    await Promise.all(NODES.map(startAgent));
  }, 600_000);
  afterAll(async () => {
    for (const { agent } of agents.values()) await agent.stop();
    stop.abort();
    await client?.close();
    if (folder !== '') rmSync(folder, { recursive: true, force: true });
    await cluster?.stop();
    const left = cluster === undefined ? [] : leftovers(cluster.dir);
    if (left.length > 0) throw new Error(`left behind: ${left.join('\n')}`);
  }, 120_000);

  const rows = async (node: string, script: string, scope = '*'): Promise<unknown[][]> => {
    const { plan, diagnostics } = compile(`import px\n${script}\npx.display(df)`, {
      now: now(),
      hasDefaultEndpoint: false,
    });
    const fragment: Operator | undefined = plan?.sinks[0]?.input;
    if (fragment === undefined) throw new Error(JSON.stringify(diagnostics));
    const found: unknown[][] = [];
    const { signal } = new AbortController();
    for await (const event of agentOf(node).node.query(fragment, { scope, signal }))
      if (event.kind === 'batch') found.push(...rowsOf(event.batch));
    return found;
  };
  /** Processes of both probes, on this machine. */
  const probes = (): number[] =>
    readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => {
        try {
          const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
          const cgroup = readFileSync(`/proc/${pid}/cgroup`, 'utf8');
          return command.startsWith(`${PROBE}\0--socket\0/run/sluice`) && cgroup.includes('/sluice-ident-');
        } catch {
          return false;
        }
      });
  const settled = async (tables: string[], at: TimeNs = now()): Promise<void> => {
    for (const node of NODES) await agentOf(node).node.waitForWatermark(tables, at, AbortSignal.timeout(15_000));
  };
  const COLUMNS = [
    'pod',
    'pod_id',
    'container',
    'container_id',
    'namespace',
    'service',
    'deployment',
    'replicaset',
    'node',
  ];
  const requests = (path: string): string => `
df = px.DataFrame('http_events', select=['time_', 'upid', 'req_path', 'trace_role'])
df = df[df.req_path == '${path}']
df = df[df.trace_role == 2]
${COLUMNS.map((name) => `df.${name}_ = df.ctx['${name}']`).join('\n')}
df = df[[${COLUMNS.map((name) => `'${name}_'`).join(', ')}]]`;

  test('each node reports the requests to its own pods, with all their names', async () => {
    const webs = [...(await websOf('shop')), ...(await websOf('bank'))];
    expect(webs.map(({ node }) => node).toSorted()).toEqual(['n1', 'n1', 'n2', 'n2']);
    for (const { ip } of webs) expect((await cluster.fetch(`http://${ip}:8080/index.html?names`)).status).toBe(200);
    await settled(['http_events']);
    for (const node of NODES) {
      const wanted = webs
        .filter((web) => web.node === node)
        .map(({ pod, uid, container, replicaset }) => {
          const [namespace = ''] = pod.split('/');
          return [pod, uid, 'server', container, namespace, `${namespace}/web`, `${namespace}/web`, replicaset, node];
        });
      expect(byText(await rows(node, requests('/index.html?names')))).toEqual(byText(wanted));
    }
  });

  test('a namespace sees its own rows only', async () => {
    for (const node of NODES) {
      const all = await rows(node, requests('/index.html?names'));
      for (const scope of ['shop', 'bank', 'default', 'nobody'])
        expect(await rows(node, requests('/index.html?names'), scope)).toEqual(
          all.filter(([, , , , namespace]) => namespace === scope),
        );
    }
  });

  test('a client in a pod of the other node is seen by that node alone, and by name', async () => {
    const webs = await websOf('shop');
    for (const [from, to] of [webs, webs.toReversed()]) {
      if (from === undefined || to === undefined) throw new Error('two pods expected');
      const name = from.pod.slice('shop/'.length);
      await cluster.kubectl([
        '-n',
        'shop',
        'exec',
        name,
        '--',
        'timeout',
        '5',
        'wget',
        '-q',
        '-O',
        '/dev/null',
        `http://${to.ip}:8080/index.html?from-${from.node}`,
      ]);
      await settled(['conn_stats', 'http_events']);
      const script = `
df = px.DataFrame('conn_stats', select=['time_', 'upid', 'remote_addr', 'trace_role', 'bytes_sent'])
df = df[df.remote_addr == '${to.ip}']
df = df[df.trace_role == 1]
df = df[df.bytes_sent > 0]
df.pod = df.ctx['pod']
df = df.groupby(['pod', 'trace_role']).agg(n=('bytes_sent', px.count))
df = df[['pod', 'trace_role']]`;
      expect(await rows(from.node, script)).toEqual([[from.pod, 1n]]);
      expect(await rows(to.node, script)).toEqual([]);
    }
  });

  test('no process outside of the node’s own pods is known or counted', async () => {
    await settled(['process_stats', 'proc_exit_events']);
    for (const node of NODES) {
      const script = (table: string) => `
df = px.DataFrame('${table}', select=['time_', 'upid'])
df.pod_id = df.ctx['pod_id']
df.namespace = df.ctx['namespace']
df = df.groupby(['pod_id', 'namespace']).agg(n=('time_', px.count))
df = df[['pod_id', 'namespace']]`;
      const uids = JSON.parse(
        await cluster.kubectl(['get', 'pods', '-A', '--field-selector', `spec.nodeName=${node}`, '-o', 'json']),
      ) as { items: { metadata: { uid: string; namespace: string } }[] };
      const own = uids.items.map(({ metadata }) => `${metadata.uid} ${metadata.namespace}`).toSorted();
      const seen = (await rows(node, script('process_stats'))).map(
        ([uid, namespace]) => `${String(uid)} ${String(namespace)}`,
      );
      expect(seen.toSorted()).toEqual(own);
      for (const [uid, namespace] of await rows(node, script('proc_exit_events')))
        expect(own).toContain(`${String(uid)} ${String(namespace)}`);
    }
  });

  test('a pod that is gone keeps its names', async () => {
    const [gone] = await websOf('bank');
    if (gone === undefined) throw new Error('no pod');
    await cluster.kubectl(['-n', 'bank', 'delete', 'pod', gone.pod.slice('bank/'.length), '--wait=true'], {
      timeoutMs: 60_000,
    });
    const names = await rows(gone.node, requests('/index.html?names'), 'bank');
    expect(names).toEqual([
      [gone.pod, gone.uid, 'server', gone.container, 'bank', 'bank/web', 'bank/web', gone.replicaset, gone.node],
    ]);
    await cluster.kubectl(['-n', 'bank', 'rollout', 'status', 'deployment/web', '--timeout=60s'], {
      timeoutMs: 90_000,
    });
  });

  test('the probe has two capabilities, and none once it has loaded', async () => {
    expect(probes()).toHaveLength(2);
    for (const pid of probes()) {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      const set = (name: string): bigint => BigInt(`0x${new RegExp(`^${name}:\\t(\\w+)$`, 'm').exec(status)?.[1]}`);
      expect(set('CapBnd')).toBe((1n << 38n) | (1n << 39n));
      expect([set('CapPrm'), set('CapEff')]).toEqual([0n, 0n]);
      expect(/^Seccomp:\t(\d)$/m.exec(status)?.[1]).toBe('2');
    }
  });

  test('a probe that dies comes back, the time between is declared, and names go on', async () => {
    const [web] = (await websOf('shop')).filter(({ node }) => node === 'n1');
    const [pid = 0] = probes().filter((one) => readFileSync(`/proc/${one}/cgroup`, 'utf8').includes('-n1/'));
    expect(pid).toBeGreaterThan(1);
    const died = now();
    process.kill(pid, 'SIGKILL');
    const agent = agentOf('n1');
    await waitFor('the agent to notice', () => agent.state().blind.some(({ source }) => source === 'probe'), 10_000);
    await waitFor('the probe to be back', () => agent.metrics().probeConnects === 2, 60_000);
    expect(agent.state().blind).toEqual([]);
    const second = timeNs(died - (died % 1_000_000_000n));
    const { blind } = await agent.node.loss(['http_events'], second, now(), AbortSignal.timeout(5000));
    expect(blind).toMatchObject([{ source: 'probe', reason: 'ProbeNotRunning' }]);
    expect((await cluster.fetch(`http://${web?.ip}:8080/index.html?again`)).status).toBe(200);
    await settled(['http_events']);
    expect((await rows('n1', requests('/index.html?again'))).map(([pod]) => pod)).toEqual([web?.pod]);
    expect(await rows('n2', requests('/index.html?again'))).toEqual([]);
  }, 120_000);
});

const byText = (rows: readonly unknown[][]): string[] => rows.map((row) => row.join(' ')).toSorted();
