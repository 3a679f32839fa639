// The command lines of the control plane's servers. They run in the instance's folder, so paths are relative to it.

const flags = (values: Record<string, string | number | boolean>): string[] =>
  Object.entries(values).map(([name, value]) => `--${name}=${value}`);

export function etcdFlags(name: string, port: number): string[] {
  const client = `http://127.0.0.1:${port}`;
  // a cluster of one never talks to its peers; port 0 takes any
  const peer = 'http://127.0.0.1:0';
  return flags({
    'data-dir': 'etcd',
    name,
    'unsafe-no-fsync': true,
    'log-level': 'warn',
    'listen-client-urls': client,
    'advertise-client-urls': client,
    'listen-peer-urls': peer,
    'initial-advertise-peer-urls': peer,
    'initial-cluster': `${name}=${peer}`,
  });
}

export interface Place {
  /** Under which nodes and pods reach the API server. */
  readonly address: string;
  readonly secure: number;
  readonly etcdPort: number;
  readonly hasNetwork: boolean;
}

export const apiServerFlags = ({ address, secure, etcdPort, hasNetwork }: Place): string[] =>
  flags({
    'etcd-servers': `http://127.0.0.1:${etcdPort}`,
    'bind-address': hasNetwork ? '0.0.0.0' : '127.0.0.1',
    'advertise-address': address,
    'secure-port': secure,
    'tls-cert-file': 'pki/apiserver.crt',
    'tls-private-key-file': 'pki/apiserver.key',
    'cert-dir': 'pki',
    'client-ca-file': 'pki/ca.crt',
    'authorization-mode': 'Node,RBAC',
    'enable-admission-plugins': 'NodeRestriction',
    'allow-privileged': true,
    'service-account-issuer': 'https://kubernetes.default.svc',
    'service-account-key-file': 'pki/sa.pub',
    'service-account-signing-key-file': 'pki/sa.key',
    'service-cluster-ip-range': '10.96.0.0/16',
    // webhooks and aggregated APIs by Service go straight to pod addresses: the control plane has no kube-proxy
    'enable-aggregator-routing': true,
    'requestheader-client-ca-file': 'pki/ca.crt',
    'requestheader-allowed-names': 'front-proxy-client',
    'requestheader-username-headers': 'X-Remote-User',
    'requestheader-group-headers': 'X-Remote-Group',
    'requestheader-extra-headers-prefix': 'X-Remote-Extra-',
    'proxy-client-cert-file': 'pki/front-proxy.crt',
    'proxy-client-key-file': 'pki/front-proxy.key',
    'kubelet-client-certificate': 'pki/kubelet-client.crt',
    'kubelet-client-key': 'pki/kubelet-client.key',
    'kubelet-certificate-authority': 'pki/ca.crt',
    'kubelet-preferred-address-types': 'InternalIP,Hostname',
    'audit-policy-file': 'audit-policy.json',
    'audit-log-path': 'audit.log',
    'shutdown-delay-duration': '0s',
  });

/** Of kube-scheduler, and what kube-controller-manager has in common with it: no port, no election. */
export const componentFlags = (name: string): string[] =>
  flags({
    kubeconfig: `${name}.conf`,
    'authentication-kubeconfig': `${name}.conf`,
    'authorization-kubeconfig': `${name}.conf`,
    'secure-port': 0,
    'leader-elect': false,
    'kube-api-qps': 200,
    'kube-api-burst': 400,
  });

export const controllerManagerFlags = (): string[] => [
  ...componentFlags('controller-manager'),
  ...flags({
    'use-service-account-credentials': true,
    'root-ca-file': 'pki/ca.crt',
    'service-account-private-key-file': 'pki/sa.key',
    'cluster-signing-cert-file': 'pki/ca.crt',
    'cluster-signing-key-file': 'pki/ca.key',
    'concurrent-gc-syncs': 20,
    'node-monitor-period': '2s',
  }),
];
