// Where the API server is and who we are there: a kubeconfig, or what the kubelet mounts into a pod. In a pod nothing of
// client-node is loaded: it takes 0.5 s and 85 MB to import, and a pod needs three files and two variables.
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, isAbsolute, join } from 'node:path';
import { isIPv6 } from 'node:net';
import type { Cluster, KubeConfig, User } from '@kubernetes/client-node';
import { followFile, type FollowedFile } from './file-follow.ts';

/** What a request needs to be let in. Two with the same `tlsId` can share connections. */
export interface Credentials {
  /** `authorization`, impersonation. */
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: TlsMaterial;
  readonly tlsId: string;
}

export interface TlsMaterial {
  /** PEM; the system's authorities where absent. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
  /** False only where a kubeconfig says `insecure-skip-tls-verify`. */
  readonly rejectUnauthorized: boolean;
}

export interface KubeAccess {
  /** URL without a slash at its end. */
  readonly server: string;
  /** Of the pod, or of the kubeconfig's context. */
  readonly namespace: string | undefined;
  readonly proxyUrl: string | undefined;
  /**
   * Reads again what has changed on disk, looking at most every 60 s; `fresh` (after a 401) reads all now. Rejects where a file
   * is missing or a credential plugin fails, and there is nothing older to go on with.
   */
  credentials(fresh?: boolean): Promise<Credentials>;
}

export interface KubeAccessOptions {
  /** Path; wins over the environment. */
  readonly kubeconfig?: string;
  /** Of the kubeconfig; its current one where absent. */
  readonly context?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Where the kubelet mounts the service account. */
  readonly serviceAccountDir?: string;
  /** Monotonic, ms. */
  readonly nowMs?: () => number;
}

const SERVICE_ACCOUNT_DIR = '/var/run/secrets/kubernetes.io/serviceaccount';

/**
 * In the order of controller-runtime: the path given, `KUBECONFIG`, the pod's service account, `~/.kube/config`.
 * @throws where none of them is there, or the one that is there does not make sense.
 */
export async function loadKubeAccess(options: KubeAccessOptions = {}): Promise<KubeAccess> {
  const env = options.env ?? process.env;
  const nowMs = options.nowMs ?? (() => performance.now());
  const paths = options.kubeconfig === undefined ? (env['KUBECONFIG'] ?? '').split(delimiter) : [options.kubeconfig];
  const given = paths.filter((path) => path !== '');
  if (given.length > 0) return fromKubeconfig(given, options.context, nowMs);
  const dir = options.serviceAccountDir ?? SERVICE_ACCOUNT_DIR;
  const host = env['KUBERNETES_SERVICE_HOST'];
  if (host !== undefined && host !== '' && existsSync(join(dir, 'token'))) {
    return fromServiceAccount(host, env['KUBERNETES_SERVICE_PORT'] ?? '443', dir, nowMs);
  }
  const home = join(env['HOME'] ?? homedir(), '.kube', 'config');
  if (existsSync(home)) return fromKubeconfig([home], options.context, nowMs);
  throw new Error(
    `no Kubernetes cluster: KUBECONFIG is not set, ${dir}/token is not there (not in a pod), and neither is ${home}`,
  );
}

function fromServiceAccount(host: string, port: string, dir: string, nowMs: () => number): KubeAccess {
  const namespaceFile = join(dir, 'namespace');
  const token = followFile(join(dir, 'token'), nowMs);
  const ca = followFile(join(dir, 'ca.crt'), nowMs);
  return {
    server: `https://${isIPv6(host) ? `[${host}]` : host}:${port}`,
    namespace: existsSync(namespaceFile) ? readFileSync(namespaceFile, 'utf8').trim() : undefined,
    proxyUrl: undefined,
    credentials: async (fresh = false) =>
      credentials(
        { authorization: `Bearer ${(await token.read(fresh)).trim()}` },
        { ca: await ca.read(fresh), rejectUnauthorized: true },
      ),
  };
}

const credentials = (headers: Record<string, string>, tls: TlsMaterial): Credentials => ({
  headers,
  tls,
  tlsId: JSON.stringify(tls),
});

/** The parts of a kubeconfig user that client-node runs for us: credential plugins and OIDC. */
type Authenticate = () => Promise<{ headers: Record<string, string>; cert?: string; key?: string }>;

async function fromKubeconfig(
  paths: readonly string[],
  context: string | undefined,
  nowMs: () => number,
): Promise<KubeAccess> {
  const [{ KubeConfig }, { parse }] = await Promise.all([import('@kubernetes/client-node'), import('yaml')]);
  const open = (): OpenedContext =>
    openContext(readKubeconfig(KubeConfig, paths), KubeConfig, context, paths, parse, nowMs);
  let opened = open();
  return {
    server: opened.cluster.server,
    namespace: opened.namespace,
    proxyUrl: text(opened.cluster.proxyUrl),
    credentials: async (fresh = false) => {
      // the file itself may have got a new token, and a new KubeConfig forgets what a plugin said before
      if (fresh) opened = open();
      return opened.credentials(fresh);
    },
  };
}

function readKubeconfig(Config: typeof KubeConfig, paths: readonly string[]): KubeConfig {
  const [first = '', ...rest] = paths;
  const config = new Config();
  try {
    config.loadFromFile(first);
    for (const path of rest) {
      if (!existsSync(path)) continue;
      const more = new Config();
      more.loadFromFile(path);
      config.mergeConfig(more, true);
    }
  } catch (error) {
    throw new Error(`kubeconfig ${paths.join(delimiter)}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
  return config;
}

/** Of the package `yaml`, which a pod needs as little as client-node. */
type ParseYaml = (text: string) => unknown;

interface OpenedContext {
  readonly cluster: Cluster;
  readonly namespace: string | undefined;
  credentials(fresh: boolean): Promise<Credentials>;
}

function openContext(
  config: KubeConfig,
  Config: typeof KubeConfig,
  context: string | undefined,
  paths: readonly string[],
  parse: ParseYaml,
  nowMs: () => number,
): OpenedContext {
  if (context !== undefined) config.setCurrentContext(context);
  const where = `kubeconfig ${paths.join(delimiter)}, context ${JSON.stringify(config.getCurrentContext() ?? '')}`;
  const cluster = config.getCurrentCluster();
  const user = config.getCurrentUser();
  if (cluster === null) throw new Error(`${where}: names no cluster that is there`);
  if (user === null) throw new Error(`${where}: names no user that is there`);
  const pem = (file: string | undefined, data: string | undefined): FollowedFile | undefined => {
    if (text(file) !== undefined) return followFile(file ?? '', nowMs);
    if (text(data) === undefined) return undefined;
    const content = Buffer.from(data ?? '', 'base64').toString('utf8');
    return { read: () => Promise.resolve(content) };
  };
  const ca = pem(cluster.caFile, cluster.caData);
  const cert = pem(user.certFile, user.certData);
  const key = pem(user.keyFile, user.keyData);
  const tokenFile = tokenFileOf(paths, user.name, parse);
  const token = tokenFile === undefined ? undefined : followFile(tokenFile, nowMs);
  const authenticate = authenticator(Config, user);
  const impersonated = text(user.impersonateUser);
  return {
    cluster,
    namespace: config.getContextObject(config.getCurrentContext())?.namespace,
    credentials: async (fresh) => {
      const plugin = await authenticate?.();
      const [caPem, certPem, keyPem] = await Promise.all([ca?.read(fresh), cert?.read(fresh), key?.read(fresh)]);
      const bearer = token === undefined ? text(user.token) : (await token.read(fresh)).trim();
      return credentials(
        {
          ...basic(user),
          ...plugin?.headers,
          ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
          ...(impersonated === undefined ? {} : { 'impersonate-user': impersonated }),
        },
        {
          ...defined('ca', caPem),
          ...defined('cert', plugin?.cert ?? certPem),
          ...defined('key', plugin?.key ?? keyPem),
          ...defined('servername', text(cluster.tlsServerName)),
          rejectUnauthorized: !cluster.skipTLSVerify,
        },
      );
    },
  };
}

const defined = <K extends string>(key: K, value: string | undefined): Partial<Record<K, string>> =>
  // eslint-disable-next-line typescript/no-unsafe-type-assertion -- a computed key loses its type
  value === undefined ? {} : ({ [key]: value } as Partial<Record<K, string>>);

const basic = (user: User): Record<string, string> =>
  text(user.username) === undefined
    ? {}
    : { authorization: `Basic ${Buffer.from(`${user.username}:${user.password ?? ''}`).toString('base64')}` };

/** Absolute path of a kubeconfig user's `tokenFile`, which client-node 2.0.1 does not know (it looks for `token-file`). */
function tokenFileOf(paths: readonly string[], userName: string, parse: ParseYaml): string | undefined {
  for (const path of paths) {
    if (!existsSync(path)) continue;
    const users: unknown = field(parse(readFileSync(path, 'utf8')), 'users');
    const entry: unknown = Array.isArray(users) ? users.find((user) => field(user, 'name') === userName) : undefined;
    const file = field(field(entry, 'user'), 'tokenFile');
    if (typeof file === 'string') return isAbsolute(file) ? file : join(dirname(path), file);
  }
  return undefined;
}

const field = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;

/** client-node says null for what a kubeconfig does not have, whatever its types say. */
const text = (value: string | null | undefined): string | undefined =>
  value === null || value === '' ? undefined : value;

/** Undefined for a user with neither plugin nor provider. */
function authenticator(Config: typeof KubeConfig, user: User): Authenticate | undefined {
  if (!isObject(user.exec) && !isObject(user.authProvider)) return undefined;
  const alone = new Config();
  // only the authenticator is wanted: no files that are read for every request, no check of the server's scheme
  alone.loadFromClusterAndUser(
    { name: 'cluster', server: 'https://localhost', skipTLSVerify: true },
    { name: user.name, exec: user.exec, authProvider: user.authProvider },
  );
  return async () => {
    const options: Parameters<KubeConfig['applyToHTTPSOptions']>[0] = {};
    await alone.applyToHTTPSOptions(options);
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(options.headers ?? {})) headers[name.toLowerCase()] = String(value);
    return { headers, ...defined('cert', pemText(options.cert)), ...defined('key', pemText(options.key)) };
  };
}

const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null;

const pemText = (value: unknown): string | undefined =>
  typeof value === 'string' ? value : Buffer.isBuffer(value) ? value.toString('utf8') : undefined;
