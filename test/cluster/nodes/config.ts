// What containerd, the CNI plugins, kubelet and kube-proxy of one node are told. JSON is YAML.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface NodePlace {
  /** Of the whole instance. */
  readonly dir: string;
  /** Of the instance, in names of namespaces and cgroups. */
  readonly id: string;
  readonly node: string;
  readonly address: string;
  readonly podRange: string;
  readonly nameserver: string;
  readonly proxyMode: 'nftables' | 'iptables';
  readonly snapshotter: 'overlayfs' | 'native';
}

/** Writes the files into `<dir>/<node>`. */
export function writeNodeConfig(place: NodePlace): void {
  const { dir, node, address, nameserver } = place;
  const home = join(dir, node);
  const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
  const files: Record<string, string> = {
    address,
    'resolv.conf': `nameserver ${nameserver}\n`,
    'cni/10-test.conflist': json(network(place)),
    'containerd.toml': containerd(place),
    'kubelet.json': json(kubelet(place)),
    'proxy.json': json(proxy(place)),
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(home, name), text);
}

const network = ({ dir, node, podRange }: NodePlace): unknown => ({
  cniVersion: '0.4.0',
  name: 'test',
  plugins: [
    {
      type: 'bridge',
      bridge: 'cni0',
      isDefaultGateway: true,
      hairpinMode: true,
      ipMasq: false,
      ipam: { type: 'host-local', dataDir: join(dir, node, 'cni-ipam'), ranges: [[{ subnet: podRange }]] },
    },
    { type: 'portmap', capabilities: { portMappings: true } },
  ],
});

// Inside a container or a small virtual machine there is often no CAP_SYS_RESOURCE: lowering oom_score_adj is refused there.
const containerd = ({ dir, node, snapshotter }: NodePlace): string => `version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
oom_score = 0
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing",
]
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true
  disable_apparmor = true
  disable_hugetlb_controller = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "${snapshotter}"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${join(dir, node, 'cni')}"
`;

const kubelet = ({ dir, id, node, nameserver }: NodePlace): unknown => ({
  apiVersion: 'kubelet.config.k8s.io/v1beta1',
  kind: 'KubeletConfiguration',
  address: '0.0.0.0',
  authentication: {
    anonymous: { enabled: false },
    webhook: { enabled: true },
    x509: { clientCAFile: join(dir, 'pki/ca.crt') },
  },
  authorization: { mode: 'Webhook' },
  tlsCertFile: join(dir, 'pki', `${node}.crt`),
  tlsPrivateKeyFile: join(dir, 'pki', `${node}.key`),
  containerRuntimeEndpoint: 'unix:///run/containerd/containerd.sock',
  cgroupDriver: 'cgroupfs',
  cgroupRoot: `/${id}-${node}`,
  cgroupsPerQOS: true,
  enforceNodeAllocatable: [],
  failCgroupV1: false,
  failSwapOn: false,
  protectKernelDefaults: false,
  makeIPTablesUtilChains: false,
  localStorageCapacityIsolation: true,
  imageGCHighThresholdPercent: 100,
  imageGCLowThresholdPercent: 99,
  // the machine's disk is full or not whatever a test does
  evictionHard: Object.fromEntries(
    ['memory.available', 'nodefs.available', 'nodefs.inodesFree', 'imagefs.available', 'imagefs.inodesFree'].map(
      (key) => [key, '0%'],
    ),
  ),
  clusterDomain: 'cluster.local',
  clusterDNS: [nameserver],
  resolvConf: join(dir, node, 'resolv.conf'),
  registerNode: true,
  registryPullQPS: 0,
  eventRecordQPS: 0,
  kubeAPIQPS: 100,
  kubeAPIBurst: 200,
  maxPods: 110,
  nodeStatusUpdateFrequency: '4s',
  syncFrequency: '10s',
  // what is killed again and again begins again soon
  featureGates: { KubeletCrashLoopBackOffMax: true },
  crashLoopBackOff: { maxContainerRestartPeriod: '2s' },
  shutdownGracePeriod: '0s',
  volumePluginDir: join(dir, node, 'volume-plugins'),
});

const proxy = ({ dir, node, proxyMode }: NodePlace): unknown => ({
  apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
  kind: 'KubeProxyConfiguration',
  clientConnection: { kubeconfig: join(dir, 'proxy.conf') },
  mode: proxyMode,
  clusterCIDR: '10.244.0.0/16',
  hostnameOverride: node,
  bindAddress: '0.0.0.0',
  // the limits of the connection table belong to the machine
  conntrack: { maxPerCore: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
  nodePortAddresses: ['primary'],
});
