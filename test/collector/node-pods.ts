// The pods of the test on real nodes: the probe as a container of its own, and a web server on each node.
import { join } from 'node:path';

export const PROBE = join(process.cwd(), 'build', 'sluice-probe');
/** The agent's group, to which the socket is given. */
export const AGENT_GROUP = 65_532;
export const NGINX = '/usr/sbin/nginx';
export const NGINX_CONF = `daemon off; master_process off; pid /tmp/nginx.pid; error_log stderr error; user root;
events { worker_connections 64; }
http {
  access_log off; client_body_temp_path /tmp; proxy_temp_path /tmp; fastcgi_temp_path /tmp; uwsgi_temp_path /tmp; scgi_temp_path /tmp;
  server { listen 8080; location / { return 200 "hello"; } }
}
`;

/** The probe's container: uid 0 with two capabilities, nothing of the host but its process ids. */
export const PROBE_POD = {
  hostPID: true,
  securityContext: { fsGroup: AGENT_GROUP, seccompProfile: { type: 'RuntimeDefault' } },
  terminationGracePeriodSeconds: 5,
  automountServiceAccountToken: false,
  containers: [
    {
      name: 'probe',
      image: 'localhost/probe:1',
      imagePullPolicy: 'Never',
      command: [PROBE, '--socket', '/run/sluice/probe.sock', '--socket-gid', String(AGENT_GROUP), '--cgroup', 'pods'],
      securityContext: {
        runAsUser: 0,
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'], add: ['BPF', 'PERFMON'] },
      },
      volumeMounts: [{ name: 'run', mountPath: '/run/sluice' }],
    },
  ],
  volumes: [{ name: 'run', emptyDir: {} }],
};

/** A namespace with a web server, one pod on each node, behind a Service. */
export function webObjects(namespace: string): object[] {
  const labels = { app: 'web' };
  const metadata = { name: 'web', namespace, labels };
  return [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata,
      spec: {
        replicas: 2,
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            terminationGracePeriodSeconds: 0,
            topologySpreadConstraints: [
              {
                maxSkew: 1,
                topologyKey: 'kubernetes.io/hostname',
                whenUnsatisfiable: 'DoNotSchedule',
                labelSelector: { matchLabels: labels },
              },
            ],
            volumes: [{ name: 'tmp', emptyDir: {} }],
            containers: [
              {
                name: 'server',
                image: 'localhost/nginx:1',
                imagePullPolicy: 'Never',
                command: [NGINX, '-e', 'stderr', '-c', '/etc/web.conf'],
                volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }],
              },
            ],
          },
        },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { selector: labels, ports: [{ port: 80, targetPort: 8080 }] },
    },
  ];
}
