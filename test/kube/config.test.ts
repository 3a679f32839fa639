// Who we are at the API server: a pod's files, a kubeconfig, and what happens when they change while we run.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { openKubeClient, type OpenKubeClient } from '../../src/kube/client.ts';
import { loadKubeAccess, type KubeAccess } from '../../src/kube/config.ts';
import { CONFIG_MAPS } from '../../src/kube/resources.ts';
import { startScriptedServer, type ScriptedServer } from './scripted-server.ts';
import { createVirtualClock, type VirtualClock } from './virtual-clock.ts';

const one = { metadata: { namespace: 'a', name: 'one', resourceVersion: '1' } };

let dir: string;
let server: ScriptedServer;
let clock: VirtualClock;
let clients: OpenKubeClient[];

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'sluice-kube-'));
  server = await startScriptedServer();
  clock = createVirtualClock();
  clients = [];
});
afterEach(async () => {
  for (const client of clients) await client.close();
  await server.stop();
  rmSync(dir, { recursive: true });
});

function open(access: KubeAccess): OpenKubeClient {
  const client = openKubeClient(access, { purpose: 'lease', userAgent: 'test', clock });
  clients.push(client);
  return client;
}

describe('credentials', () => {
  const inPod = (nowMs: () => number): Promise<KubeAccess> =>
    loadKubeAccess({
      serviceAccountDir: dir,
      env: { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: new URL(server.url).port },
      nowMs,
    });
  const put = (name: string, content: string): void => {
    writeFileSync(join(dir, `${name}.new`), content);
    renameSync(join(dir, `${name}.new`), join(dir, name));
  };

  test('a token that the kubelet has exchanged is used after a minute at most, and at once after a 401', async () => {
    put('token', 'first\n');
    put('ca.crt', 'CA');
    put('namespace', 'here\n');
    const pod = await inPod(() => clock.now());
    expect([pod.namespace, pod.server]).toEqual(['here', `https://127.0.0.1:${new URL(server.url).port}`]);
    const client = open({ ...pod, server: server.url });
    const tokenOf = async (status = 200): Promise<string | undefined> => {
      const request = await server.next();
      request.answer(status, status === 200 ? one : { kind: 'Status', reason: 'Unauthorized' });
      return request.headers.authorization;
    };
    const get = (): Promise<unknown> => client.get(CONFIG_MAPS, 'a', 'one');
    const [, first] = await Promise.all([get(), tokenOf()]);
    put('token', 'second\n');
    await clock.settle(59_000);
    const [, second] = await Promise.all([get(), tokenOf()]);
    await clock.settle(1000);
    const [, third] = await Promise.all([get(), tokenOf()]);
    expect([first, second, third]).toEqual(['Bearer first', 'Bearer first', 'Bearer second']);
    put('token', 'third\n');
    const got = get();
    expect([await tokenOf(401), await tokenOf()]).toEqual(['Bearer second', 'Bearer third']);
    await got;
    const refused = get();
    refused.catch(() => {});
    expect([await tokenOf(401), await tokenOf(401)]).toEqual(['Bearer third', 'Bearer third']);
    await expect(refused).rejects.toMatchObject({ status: 401 });
    // a moment without the file is no moment without a token
    rmSync(join(dir, 'token'));
    await clock.settle(60_000);
    const [, still] = await Promise.all([get(), tokenOf()]);
    expect(still).toBe('Bearer third');
  });

  test('a new authority is trusted without a restart, an unknown one never', async () => {
    const [old, next] = [authority('old'), authority('next')];
    put('token', 'x');
    put('ca.crt', old.ca);
    const secure = await startScriptedServer(old.leaf);
    try {
      const pod = await inPod(() => clock.now());
      const client = open({ ...pod, server: secure.url });
      const get = (): Promise<unknown> => client.get(CONFIG_MAPS, 'a', 'one');
      const first = get();
      (await secure.next()).answer(200, one, { connection: 'close' });
      await first;
      secure.setTls(next.leaf);
      await expect(get()).rejects.toThrow(/certificate|signature/i);
      put('ca.crt', next.ca);
      await clock.settle(60_000);
      const second = get();
      (await secure.next()).answer(200, one);
      await second;
    } finally {
      await secure.stop();
    }
  });

  const kubeconfig = (cluster: object, user: object): string => {
    const file = join(dir, 'config');
    const config = {
      clusters: [{ name: 'c', cluster }],
      users: [{ name: 'u', user }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u', namespace: 'mine' } }],
      'current-context': 'x',
    };
    writeFileSync(file, JSON.stringify(config));
    return file;
  };

  test('a kubeconfig: token, token file, basic, impersonation, plugin, certificate', async () => {
    const of = async (user: object, cluster: object = {}): Promise<unknown> => {
      const access = await loadKubeAccess({ kubeconfig: kubeconfig({ server: 'https://h:1/', ...cluster }, user) });
      expect([access.server, access.namespace]).toEqual(['https://h:1', 'mine']);
      const { headers, tls } = await access.credentials();
      return { ...headers, ...tls };
    };
    const checked = { rejectUnauthorized: true };
    expect(await of({})).toEqual(checked);
    expect(await of({ token: 't' })).toEqual({ ...checked, authorization: 'Bearer t' });
    put('tok', 'from file\n');
    expect(await of({ tokenFile: 'tok' })).toEqual({ ...checked, authorization: 'Bearer from file' });
    expect(await of({ username: 'u', password: 'p' })).toEqual({ ...checked, authorization: 'Basic dTpw' });
    expect(await of({ token: 't', as: 'other' })).toMatchObject({ 'impersonate-user': 'other' });
    put('key', 'KEY');
    expect(
      await of(
        { 'client-certificate-data': Buffer.from('CERT').toString('base64'), 'client-key': 'key' },
        { 'insecure-skip-tls-verify': true, 'tls-server-name': 'api' },
      ),
    ).toEqual({ rejectUnauthorized: false, servername: 'api', cert: 'CERT', key: 'KEY' });
    const said = { kind: 'ExecCredential', status: { token: 'plugin' } };
    const exec = { command: 'echo', args: [JSON.stringify(said)], interactiveMode: 'Never' };
    expect(await of({ exec })).toEqual({ ...checked, authorization: 'Bearer plugin' });
  });

  test('a proxy of the kubeconfig is gone through, with TLS inside, and its refusal is told', async () => {
    const [ours, asked] = [authority('tunnel'), [] as (string | undefined)[]];
    const secure = await startScriptedServer(ours.leaf);
    const proxy = createServer().on('connect', (request, socket, head) => {
      asked.push(request.url, request.headers['proxy-authorization']);
      if (asked.length > 2) {
        socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
        return;
      }
      const target = connect(Number(new URL(secure.url).port), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
        target.write(head);
        target.pipe(socket).pipe(target);
      });
      for (const end of [target, socket]) end.on('error', () => target.destroy());
    });
    await once(proxy.listen(0, '127.0.0.1'), 'listening');
    const { port } = proxy.address() as AddressInfo;
    const through = (proxyUrl: string): Promise<KubeAccess> => {
      const ca = Buffer.from(ours.ca).toString('base64');
      const cluster = {
        server: 'https://api.invalid',

        'certificate-authority-data': ca,
      };
      return loadKubeAccess({ kubeconfig: kubeconfig({ ...cluster, 'proxy-url': proxyUrl }, { token: 't' }) });
    };
    try {
      const access = await through(`http://user:p%40ss@127.0.0.1:${port}`);
      const got = open(access).get(CONFIG_MAPS, 'a', 'one');
      (await secure.next()).answer(200, one);
      expect([await got, asked]).toEqual([one, ['api.invalid:443', 'Basic dXNlcjpwQHNz']]);
      await expect(open(access).get(CONFIG_MAPS, 'a', 'one')).rejects.toThrow(
        `127.0.0.1:${port} refuses a tunnel: HTTP 407`,
      );
      const socks = open(await through('socks5://h:1'));
      await expect(socks.get(CONFIG_MAPS, 'a', 'one')).rejects.toThrow('proxy-url must be http:// or https://');
    } finally {
      proxy.close();
      proxy.closeAllConnections();
      await secure.stop();
    }
  });

  test('after a 401 the kubeconfig itself is read again', async () => {
    const access = await loadKubeAccess({ kubeconfig: kubeconfig({ server: 'https://h' }, { token: 'old' }) });
    kubeconfig({ server: 'https://h' }, { token: 'new' });
    const tokens = [await access.credentials(), await access.credentials(true), await access.credentials()];
    expect(tokens.map(({ headers }) => headers['authorization'])).toEqual(['Bearer old', 'Bearer new', 'Bearer new']);
  });

  test('what is missing or wrong is said', async () => {
    const load = (file: string, context?: string): Promise<unknown> =>
      loadKubeAccess({ kubeconfig: file, ...(context === undefined ? {} : { context }) });
    await expect(load(join(dir, 'none'))).rejects.toThrow(/^kubeconfig \S+none: .*ENOENT/);
    await expect(load(kubeconfig({ server: 'https://h' }, {}), 'other')).rejects.toThrow(
      'context "other": names no cluster',
    );
    writeFileSync(join(dir, 'bad'), 'clusters: [{name: 5');
    await expect(load(join(dir, 'bad'))).rejects.toThrow(`kubeconfig ${dir}/bad: `);
    await expect(loadKubeAccess({ env: { HOME: dir }, serviceAccountDir: dir })).rejects.toThrow(
      'no Kubernetes cluster',
    );
  });

  function authority(name: string): { ca: string; leaf: { cert: Buffer; key: Buffer } } {
    const path = (file: string): string => join(dir, `${name}-${file}`);
    const openssl = (...args: string[]): void => void execFileSync('openssl', args, { stdio: 'ignore' });
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    openssl(
      'req',
      '-x509',
      ...key,
      '-subj',
      `/CN=${name}`,
      '-days',
      '2',
      '-keyout',
      path('ca.key'),
      '-out',
      path('ca'),
    );
    const leaf = [
      'req',
      '-x509',
      ...key,
      '-subj',
      '/CN=server',
      '-days',
      '2',
      '-addext',
      'subjectAltName=IP:127.0.0.1,DNS:api.invalid',
    ];
    leaf.push('-addext', 'basicConstraints=CA:FALSE', '-CA', path('ca'), '-CAkey', path('ca.key'));
    openssl(...leaf, '-keyout', path('key'), '-out', path('crt'));
    return {
      ca: readFileSync(path('ca'), 'utf8'),
      leaf: { cert: readFileSync(path('crt')), key: readFileSync(path('key')) },
    };
  }
});
