// A real control plane for tests: etcd and kube-apiserver, and when asked kube-controller-manager and kube-scheduler, on free
// ports of 127.0.0.1 (or inside a network namespace, for real nodes). Ready in about four seconds; any number side by side.
import { request } from 'node:https';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AUDIT_POLICY, readAuditLog, type AuditEvent } from './audit.ts';
import { binaries } from './binaries.ts';
import { apiServerFlags, componentFlags, controllerManagerFlags, etcdFlags } from './flags.ts';
import { createCertificateAuthority, type CertificateAuthority } from './certificates.ts';
import { createInstance, GiveUp, undo, waitFor, type Instance, type Server } from './instance.ts';
import { kubectlWith, writeKubeconfig, type Kubectl } from './kubectl.ts';
import { freePort } from '../servers/free-port.ts';

export type ServerName = 'etcd' | 'apiserver' | 'controller-manager' | 'scheduler';

export interface ControlPlaneOptions {
  /** Of the test: in the names of its folder and of what it makes in the kernel. Letters, digits, `-`. */
  readonly name: string;
  /** Where its state lives; a new folder below the system's temporary one else. Removed by `stop`. */
  readonly dir?: string;
  /** kube-controller-manager: service accounts, garbage collection, Deployments, namespaces that end. Default true. */
  readonly controllerManager?: boolean;
  /** kube-scheduler. Default false. */
  readonly scheduler?: boolean;
  readonly apiServerArgs?: readonly string[];
  readonly controllerManagerArgs?: readonly string[];
  /** After which everything is killed, whatever the test does. Default 20 minutes. */
  readonly lifeMs?: number;
  /** Where the servers run, if not on this machine's loopback interface. */
  readonly network?: ControlPlaneNetwork;
}

export interface ControlPlaneNetwork {
  /** Put before each command, e.g. `nsenter --net=…`. */
  readonly enter: readonly string[];
  /** Of the API server, for nodes and pods. */
  readonly address: string;
  readonly port: number;
  /** Makes the namespaces, before anything is started; says by `rememberUndo` how they go away. */
  up(dir: string): Promise<void> | void;
  /** Makes `https://127.0.0.1:<port>` of this machine lead to the API server. */
  forward(instance: Instance, port: number): void;
}

export interface ControlPlane {
  readonly dir: string;
  readonly instance: Instance;
  readonly authority: CertificateAuthority;
  /** `https://127.0.0.1:port`. */
  readonly url: string;
  readonly caFile: string;
  /** Path of the administrator's kubeconfig. */
  readonly kubeconfig: string;
  /** Put before a command, it runs where the servers run, and with real nodes reaches pods' and Services' addresses. */
  readonly enter: readonly string[];
  /** As `kubeconfig`, for what runs there. */
  readonly insideKubeconfig: string;
  /** As the administrator. */
  readonly kubectl: Kubectl;
  /** Path of a kubeconfig with a fresh token of this service account, and its namespace as default. The token is good for an hour. */
  tokenKubeconfig(namespace: string, serviceAccount: string): Promise<string>;
  /** kubectl with another kubeconfig. */
  kubectlAs(kubeconfig: string): Kubectl;
  /** What was asked of the API server so far, leases included. A request's line comes right after its answer. */
  auditEvents(): AuditEvent[];
  /** Resolves with the first event that `isWanted`; rejects after 10 s. */
  auditEvent(isWanted: (event: AuditEvent) => boolean): Promise<AuditEvent>;
  /** SIGKILL; resolves when it is gone. Its port stays its own. */
  kill(server: ServerName): Promise<void>;
  /** Starts again what was killed or stopped; resolves when the API server is ready (where etcd runs). */
  restart(server: ServerName): Promise<void>;
  /** The end of a server's log, for messages. */
  log(server: string): string;
  /** Ends everything and removes the folder; rejects if something is left. Idempotent. */
  stop(): Promise<void>;
}

const READY_MS = 90_000;

/** Resolves when the API server says it is ready (and the `default` service account exists, with a controller manager). */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce(options);
    } catch (error) {
      // another process took the port between our look and the server's bind
      if (attempt < 3 && error instanceof Error && error.message.includes('address already in use')) continue;
      throw error;
    }
  }
}

async function startOnce(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { name, network, lifeMs = 20 * 60_000 } = options;
  const programs = programsFor(options);
  const instance = createInstance(name, options.dir);
  let isStopped = false;
  const stop = async (): Promise<void> => {
    if (isStopped) return;
    isStopped = true;
    clearTimeout(life);
    try {
      undo(instance.dir);
    } finally {
      await instance.remove();
    }
  };
  const life = setTimeout(() => {
    process.stderr.write(`\n*** the control plane ${name} has outlived its time and is ended ***\n`);
    stop().catch(() => {});
  }, lifeMs);
  life.unref();
  try {
    await network?.up(instance.dir);
    return await startServers(options, instance, programs, stop);
  } catch (error) {
    await stop().catch(() => {});
    throw error;
  }
}

interface Programs {
  readonly servers: Readonly<Record<ServerName, string>>;
  readonly kubectl: string;
}

function programsFor({ controllerManager = true, scheduler = false }: ControlPlaneOptions): Programs {
  const [etcd = ''] = binaries('etcd', 'etcd');
  const [apiserver = '', kubectl = ''] = binaries('kubernetes', 'kube-apiserver', 'kubectl');
  const [manager = ''] = controllerManager ? binaries('kubernetes', 'kube-controller-manager') : [];
  const [schedulerProgram = ''] = scheduler ? binaries('kubernetes', 'kube-scheduler') : [];
  return { servers: { etcd, apiserver, 'controller-manager': manager, scheduler: schedulerProgram }, kubectl };
}

async function startServers(
  options: ControlPlaneOptions,
  instance: Instance,
  programs: Programs,
  stop: () => Promise<void>,
): Promise<ControlPlane> {
  const { name, network } = options;
  const { dir } = instance;
  const enter = network?.enter ?? [];
  const [port, etcdPort] = await Promise.all([freePort(), network === undefined ? freePort() : 2379]);
  const secure = network?.port ?? port;
  const address = network?.address ?? '127.0.0.1';
  const authority = await createCertificateAuthority(join(dir, 'pki'));
  await issueAll(authority, address);
  const url = `https://127.0.0.1:${port}`;
  const inside = `https://127.0.0.1:${secure}`;
  const config = (file: string, user: string, server: string): string =>
    writeKubeconfig(join(dir, file), { server, caFile: authority.caFile, user: clientOf(authority, user) });
  const kubeconfig = config('admin.conf', 'admin', url);
  config('controller-manager.conf', 'controller-manager', inside);
  config('scheduler.conf', 'scheduler', inside);
  const insideKubeconfig = config('inside.conf', 'admin', inside);
  writeFileSync(join(dir, 'audit-policy.json'), AUDIT_POLICY);
  const flags: Record<ServerName, readonly string[]> = {
    etcd: etcdFlags(name, etcdPort),
    apiserver: [
      ...apiServerFlags({ address, secure, etcdPort, hasNetwork: network !== undefined }),
      ...(options.apiServerArgs ?? []),
    ],
    'controller-manager': [...controllerManagerFlags(), ...(options.controllerManagerArgs ?? [])],
    scheduler: componentFlags('scheduler'),
  };
  const running = new Map<ServerName, Server>();
  // they live for minutes at most: a third of their time would go into collecting garbage
  const env = { GOGC: '400' };
  const launch = (server: ServerName): void =>
    void running.set(server, instance.start(server, [...enter, programs.servers[server], ...flags[server]], env));
  const log = (server: string): string => instance.log(server).slice(-3000);
  const ready = (): Promise<void> =>
    waitFor(
      `the API server of ${name}`,
      () => {
        for (const needed of ['etcd', 'apiserver'] as const)
          if (running.get(needed)?.isRunning() === false) throw new GiveUp(`${needed} has ended:\n${log(needed)}`);
        return isReady(port, authority);
      },
      READY_MS,
    );
  launch('etcd');
  launch('apiserver');
  network?.forward(instance, port);
  await ready();
  const kubectlAs = (file: string): Kubectl => kubectlWith(programs.kubectl, file, join(dir, 'kubectl-cache'));
  const kubectl = kubectlAs(kubeconfig);
  if (programs.servers.scheduler !== '') launch('scheduler');
  if (programs.servers['controller-manager'] !== '') {
    launch('controller-manager');
    const account = ['get', 'serviceaccount', 'default', '--namespace', 'default'];
    await waitFor('the default service account', () => kubectl(account).then(() => true), READY_MS);
  }
  const auditEvents = (): AuditEvent[] => readAuditLog(join(dir, 'audit.log'));
  /** All of its state goes with its folder: nothing is lost by not asking first. Where nodes are, they end before it. */
  const end = async (): Promise<void> => {
    if (network === undefined) await Promise.all([...running.values()].map((server) => server.stop(0)));
    await stop();
  };
  return {
    dir,
    instance,
    authority,
    url,
    caFile: authority.caFile,
    kubeconfig,
    enter,
    insideKubeconfig,
    kubectl,
    kubectlAs,
    auditEvents,
    log,
    stop: end,
    async tokenKubeconfig(namespace, serviceAccount) {
      const token = await kubectl(['create', 'token', serviceAccount, '--namespace', namespace, '--duration', '1h']);
      const user = { token: token.trim() };
      const file = join(dir, `${namespace}-${serviceAccount}.conf`);
      return writeKubeconfig(file, { server: url, caFile: authority.caFile, user, namespace });
    },
    async auditEvent(isWanted) {
      let found: AuditEvent | undefined;
      await waitFor('the line in the audit log', () => (found = auditEvents().find(isWanted)) !== undefined, 10_000);
      if (found === undefined) throw new Error('unreachable');
      return found;
    },
    async kill(server) {
      await running.get(server)?.stop(0);
    },
    async restart(server) {
      await running.get(server)?.stop();
      launch(server);
      if (server === 'etcd' || server === 'apiserver') await ready();
    },
  };
}

const clientOf = (
  { dir }: CertificateAuthority,
  name: string,
): { 'client-certificate': string; 'client-key': string } => ({
  'client-certificate': join(dir, `${name}.crt`),
  'client-key': join(dir, `${name}.key`),
});

async function issueAll(authority: CertificateAuthority, address: string): Promise<void> {
  const service = [
    'kubernetes',
    'kubernetes.default',
    'kubernetes.default.svc',
    'kubernetes.default.svc.cluster.local',
  ];
  const names = [...['localhost', ...service].map((dns) => `DNS:${dns}`), 'IP:127.0.0.1', 'IP:10.96.0.1'];
  if (address !== '127.0.0.1') names.push(`IP:${address}`);
  await Promise.all([
    authority.issue('apiserver', '/CN=kube-apiserver', names),
    authority.issue('kubelet-client', '/O=system:masters/CN=kube-apiserver-kubelet-client'),
    authority.issue('front-proxy', '/CN=front-proxy-client'),
    authority.issue('admin', '/O=system:masters/CN=admin'),
    authority.issue('controller-manager', '/CN=system:kube-controller-manager'),
    authority.issue('scheduler', '/CN=system:kube-scheduler'),
    authority.issue('proxy', '/CN=system:kube-proxy'),
  ]);
}

const isReady = (port: number, { dir, caFile }: CertificateAuthority): Promise<boolean> =>
  new Promise((resolve) => {
    const [ca, cert, key] = [caFile, join(dir, 'admin.crt'), join(dir, 'admin.key')].map((file) => readFileSync(file));
    const asked = request(
      { host: '127.0.0.1', port, path: '/readyz', ca, cert, key, agent: false, timeout: 2000 },
      (response) => {
        response.resume();
        resolve(response.statusCode === 200);
      },
    );
    asked.on('timeout', () => asked.destroy());
    asked.on('error', () => resolve(false));
    asked.end();
  });
