// A cluster with real nodes for tests: each a kubelet, a containerd and a kube-proxy in network, mount and UTS namespaces of
// its own, with CoreDNS beside the control plane. Two nodes are Ready in about eight seconds. Needs root.
//
// The nodes share the machine's kernel and its pid namespace, as its eBPF programs see it: each captures what happens on all.
import { execFile, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, statfsSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { baseImages } from './test-images.ts';
import { binaries, clusterMissing } from './binaries.ts';
import {
  startControlPlane,
  type ControlPlane,
  type ControlPlaneNetwork,
  type ControlPlaneOptions,
} from './control-plane.ts';
import { INSTANCES, ownerOf, rememberUndo, waitFor, type Instance, type Server } from './instance.ts';
import { writeKubeconfig } from './kubectl.ts';
import { writeNodeConfig } from './nodes/config.ts';

const execute = promisify(execFile);
const SCRIPTS = join(import.meta.dirname, 'nodes');
const CONTROL_PLANE = '10.200.0.1';
const API_PORT = 6443;
const READY_MS = 120_000;

/** Why there can be no real nodes on this machine; undefined where there can. */
export const nodesMissing: string | undefined = clusterMissing ?? whyNoNodes();
if (nodesMissing !== undefined)
  process.stderr.write(`\n*** SKIPPED: everything on real Kubernetes nodes: ${nodesMissing} ***\n\n`);

function whyNoNodes(): string | undefined {
  if (process.getuid?.() !== 0) return 'not root';
  const succeeds = (script: string): boolean => spawnSync('/bin/sh', ['-c', script], { stdio: 'ignore' }).status === 0;
  const programs = [
    'containerd',
    'ctr',
    'runc',
    'socat',
    'ip',
    'nft',
    'iptables',
    'nsenter',
    'unshare',
    'gcc',
    'busybox',
  ];
  const missing = programs.filter((program) => !succeeds(`command -v ${program}`));
  if (!succeeds('test -x /usr/lib/cni/bridge')) missing.push('the CNI plugins in /usr/lib/cni');
  if (missing.length > 0) return `this machine lacks ${missing.join(', ')} ('make test-setup' installs them)`;
  if (!succeeds('unshare --net --mount ip link add br0 type bridge'))
    return 'network namespaces or bridges are not allowed here';
  const probe = `sluice-try-${process.pid}`;
  const cgroup = `d=$(awk '$3 ~ /^cgroup/ { print $2; exit }' /proc/mounts) && mkdir "$d/${probe}" && rmdir "$d/${probe}"`;
  return succeeds(cgroup) ? undefined : 'cgroups cannot be made here';
}

export interface ClusterOptions extends Omit<ControlPlaneOptions, 'network' | 'controllerManager' | 'scheduler'> {
  /** 1 to 9; they are called n1, n2, … */
  readonly nodes: number;
  /** Image archives that every node gets, besides `localhost/pause:1` and `localhost/busybox:1`. Pods take them with `imagePullPolicy: Never`. */
  readonly images?: readonly string[];
  /** How long a silent node counts as Ready. Default 40, as in Kubernetes; at least 12 (a node reports every 4 s). */
  readonly nodeGraceSeconds?: number;
  readonly proxyMode?: 'nftables' | 'iptables';
}

export interface CommandOptions {
  readonly input?: string;
  readonly timeoutMs?: number;
}

export interface Cluster extends ControlPlane {
  readonly nodes: readonly string[];
  /** As `enter`, on a node: its network, mounts and host name. */
  enterNode(node: string): readonly string[];
  /** Runs a command (see `enter`); its standard output. */
  run(command: readonly string[], options?: CommandOptions): Promise<string>;
  runOnNode(node: string, command: readonly string[], options?: CommandOptions): Promise<string>;
  /** GET from inside, by curl; the status is 0 where nothing answered within 5 s. */
  fetch(url: string): Promise<{ status: number; body: string }>;
  /** Of a pod, as soon as it has one. */
  podAddress(namespace: string, pod: string): Promise<string>;
  /** Into every node that runs; the same name again replaces the image for pods that start later. */
  importImage(archive: string): Promise<void>;
  /** As if the power had gone: every process of it killed, its network gone. Its disk stays. */
  crashNode(node: string): Promise<void>;
  /** After a crash; resolves when its kubelet has reported again and the node counts as Ready (which it still may, within its grace). */
  startNode(node: string): Promise<void>;
}

const networkOf = (dir: string): ControlPlaneNetwork => {
  const id = basename(dir);
  const enter = ['nsenter', `--net=/run/netns/${id}`, '--'];
  return {
    enter,
    address: CONTROL_PLANE,
    port: API_PORT,
    async up() {
      rememberUndo(dir, [join(SCRIPTS, 'down.sh'), id]);
      await execute(join(SCRIPTS, 'network.sh'), [id], { timeout: 30_000 });
    },
    forward(instance, port) {
      const socket = join(instance.dir, 'api.sock');
      instance.start('forward-in', [
        ...enter,
        'socat',
        `UNIX-LISTEN:${socket},fork,backlog=256`,
        `TCP:127.0.0.1:${API_PORT}`,
      ]);
      instance.start('forward', [
        'socat',
        `TCP-LISTEN:${port},bind=127.0.0.1,fork,reuseaddr,backlog=256`,
        `UNIX-CONNECT:${socket}`,
      ]);
    },
  };
};

/** Resolves when every node is Ready and has the images. */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const { name, nodes: count, images = [], nodeGraceSeconds = 40, lifeMs = 40 * 60_000 } = options;
  const id = `sluice-${name}-${process.pid}-${Date.now().toString(36)}`;
  const dir = options.dir ?? join(INSTANCES, id);
  const network = networkOf(dir);
  const [kubelet = ''] = binaries('kubernetes', 'kubelet', 'kube-proxy');
  const [coredns = ''] = binaries('coredns');
  const archives = [...(await baseImages()), ...images];
  const plane = await startControlPlane({
    ...options,
    dir,
    network,
    lifeMs,
    controllerManager: true,
    scheduler: true,
    controllerManagerArgs: [
      `--node-monitor-grace-period=${nodeGraceSeconds}s`,
      ...(options.controllerManagerArgs ?? []),
    ],
  });
  const nodes = Array.from({ length: count }, (_, index) => `n${index + 1}`);
  const dismissGuard = guard(plane.instance, id, lifeMs);
  try {
    startDns(plane, coredns, network.enter);
    writeKubeconfig(join(dir, 'proxy.conf'), credentials(plane, 'proxy'));
    const running = new Map<string, Server>();
    const start = async (node: string): Promise<void> => {
      running.set(node, await startNode(plane, id, node, kubelet, options.proxyMode ?? 'nftables'));
    };
    const ready = (node: string): Promise<void> =>
      waitFor(
        `node ${node} Ready`,
        async () => {
          if (running.get(node)?.isRunning() !== true) throw new Error(`${node} has ended: ${plane.log(node)}`);
          const path = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}';
          return (await plane.kubectl(['get', 'node', node, '-o', path])) === 'True';
        },
        READY_MS,
      );
    const ctr = (node: string): string[] => ['-a', join(dir, node, 'run-containerd/containerd.sock'), '-n', 'k8s.io'];
    const importInto = async (node: string, archive: string): Promise<void> =>
      void (await execute('ctr', [...ctr(node), 'images', 'import', archive], { timeout: READY_MS }));
    const prepare = async (node: string): Promise<void> => {
      await start(node);
      await waitFor(
        `containerd of ${node}`,
        () => execute('ctr', [...ctr(node), 'version']).then(() => true),
        READY_MS,
      );
      for (const archive of archives) await importInto(node, archive);
      await ready(node);
    };
    await Promise.all(nodes.map(prepare));
    const serverOf = (node: string): Server => {
      const server = running.get(node);
      if (server === undefined) throw new Error(`there is no node ${node}`);
      return server;
    };
    const enterNode = (node: string): string[] =>
      `nsenter --net --mount --uts --target ${serverOf(node).identity.pid} --`.split(' ');
    const run = (command: readonly string[], settings?: CommandOptions): Promise<string> =>
      runCommand([...network.enter, ...command], settings);
    return {
      ...plane,
      nodes,
      async stop() {
        await plane.stop();
        dismissGuard();
      },
      enterNode,
      run,
      runOnNode: (node, command, settings) => runCommand([...enterNode(node), ...command], settings),
      async fetch(url) {
        const output = await run(['curl', '-s', '-m', '5', '-w', '\n%{http_code}', url]).catch(() => '\n0');
        const cut = output.lastIndexOf('\n');
        return { status: Number(output.slice(cut + 1)), body: output.slice(0, cut) };
      },
      async podAddress(namespace, pod) {
        let address = '';
        const question = ['get', 'pod', pod, '--namespace', namespace, '-o', 'jsonpath={.status.podIP}'];
        await waitFor(`address of ${pod}`, async () => (address = await plane.kubectl(question)) !== '', READY_MS);
        return address;
      },
      async importImage(archive) {
        await Promise.all(nodes.filter((node) => serverOf(node).isRunning()).map((node) => importInto(node, archive)));
      },
      async crashNode(node) {
        await execute(join(SCRIPTS, 'down.sh'), [id, node], { timeout: 60_000 });
        await serverOf(node).stop(0);
      },
      async startNode(node) {
        await start(node);
        await notSilent(plane, node);
        await ready(node);
      },
    };
  } catch (error) {
    process.stderr.write(nodes.map((node) => plane.log(`${node}-kubelet`).slice(-1000)).join('\n'));
    await plane.stop().catch(() => {});
    dismissGuard();
    throw error;
  }
}

/** The kubelet has reported since now. A crashed node counts as Ready until its grace has passed. */
async function notSilent(plane: ControlPlane, node: string): Promise<void> {
  const question = ['get', 'lease', node, '--namespace', 'kube-node-lease', '-o', 'jsonpath={.spec.renewTime}'];
  const before = await plane.kubectl(question).catch(() => '');
  await waitFor(`a sign of life of ${node}`, async () => (await plane.kubectl(question)) !== before, READY_MS);
}

const credentials = ({ authority, caFile }: ControlPlane, name: string): Parameters<typeof writeKubeconfig>[1] => ({
  server: `https://${CONTROL_PLANE}:${API_PORT}`,
  caFile,
  user: {
    'client-certificate': join(authority.dir, `${name}.crt`),
    'client-key': join(authority.dir, `${name}.key`),
  },
});

async function startNode(
  plane: ControlPlane,
  id: string,
  node: string,
  kubelet: string,
  proxyMode: 'nftables' | 'iptables',
): Promise<Server> {
  const { dir, authority, instance } = plane;
  const index = Number(node.slice(1));
  const address = `10.200.0.${10 + index}`;
  const podRange = `10.244.${index}.0/24`;
  mkdirSync(join(dir, node, 'cni'), { recursive: true });
  // the overlay filesystem does not take itself as its upper layer, which is what a container's disk often is
  const OVERLAYFS_MAGIC = 0x794c7630;
  const snapshotter = statfsSync(dir).type === OVERLAYFS_MAGIC ? 'native' : 'overlayfs';
  writeNodeConfig({ dir, id, node, address, podRange, nameserver: CONTROL_PLANE, proxyMode, snapshotter });
  await Promise.all([
    execute(join(SCRIPTS, 'plug.sh'), [id, String(index)], { timeout: 30_000 }),
    authority.issue(node, `/O=system:nodes/CN=system:node:${node}`, [`DNS:${node}`, `IP:${address}`]),
    // the range has to be there before the kubelet, which passes it on
    plane.kubectl(['apply', '-f', '-'], {
      input: {
        apiVersion: 'v1',
        kind: 'Node',
        metadata: { name: node },
        spec: { podCIDR: podRange, podCIDRs: [podRange] },
      },
    }),
  ]);
  writeKubeconfig(join(dir, node, 'kubelet.conf'), credentials(plane, node));
  const namespaces = [
    'nsenter',
    `--net=/run/netns/${id}-${node}`,
    'unshare',
    '--mount',
    '--propagation',
    'private',
    '--uts',
  ];
  const path = `${join(kubelet, '..')}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;
  return instance.start(node, [...namespaces, join(SCRIPTS, 'init.sh'), dir, node], { PATH: path });
}

function startDns({ dir, instance, insideKubeconfig }: ControlPlane, coredns: string, enter: readonly string[]): void {
  const zones = `kubernetes cluster.local in-addr.arpa {\n    kubeconfig ${insideKubeconfig} test\n    ttl 1\n  }`;
  writeFileSync(join(dir, 'Corefile'), `.:53 {\n  bind ${CONTROL_PLANE}\n  errors\n  cache 2\n  ${zones}\n}\n`);
  instance.start('coredns', [...enter, coredns, '-conf', join(dir, 'Corefile')]);
}

/** Ends the cluster when this process has gone without doing so. It must outlive us, so it is none of the instance's servers. */
function guard({ dir }: Instance, id: string, lifeMs: number): () => void {
  const owner = ownerOf(dir);
  const args = [String(owner.pid), owner.startTicks, String(Math.ceil(lifeMs / 1000) + 60), dir, id];
  const child = spawn(join(SCRIPTS, 'guard.sh'), args, { detached: true, stdio: 'ignore' });
  child.unref();
  return () => void child.kill('SIGKILL');
}

function runCommand(command: readonly string[], { input, timeoutMs = 60_000 }: CommandOptions = {}): Promise<string> {
  const [program = '', ...args] = command;
  const running = execute(program, args, { timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: 64 << 20 });
  running.child.stdin?.on('error', () => {});
  running.child.stdin?.end(input ?? '');
  return running.then(({ stdout }) => stdout);
}
