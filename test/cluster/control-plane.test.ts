import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { clusterMissing } from './binaries.ts';
import { startControlPlane, type ControlPlane } from './control-plane.ts';
import { createInstance, waitFor } from './instance.ts';

const describeCluster = clusterMissing === undefined ? describe : describe.skip;

describeCluster('a control plane', () => {
  let plane: ControlPlane;
  beforeAll(async () => {
    plane = await startControlPlane({ name: 'self' });
  }, 600_000);
  afterAll(() => plane?.stop());

  test('takes objects, and its controller manager works', async () => {
    await plane.kubectl(['create', 'namespace', 'one']);
    await plane.kubectl(['apply', '-f', '-'], {
      input: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'it', namespace: 'one' }, data: { a: 'b' } },
    });
    expect(await plane.kubectl(['get', 'configmap', 'it', '-n', 'one', '-o', 'jsonpath={.data.a}'])).toBe('b');
    // a namespace ends only where somebody empties it
    await plane.kubectl(['delete', 'namespace', 'one', '--wait']);
  });

  test('knows a service account by its token, and what it may', async () => {
    await plane.kubectl(['create', 'namespace', 'two']);
    await plane.kubectl(['create', 'serviceaccount', 'reader', '-n', 'two']);
    const mine = plane.kubectlAs(await plane.tokenKubeconfig('two', 'reader'));
    expect(await mine(['auth', 'whoami', '-o', 'jsonpath={.status.userInfo.username}'])).toBe(
      'system:serviceaccount:two:reader',
    );
    await expect(mine(['get', 'secrets'])).rejects.toThrow('Forbidden');
    const refused = await plane.auditEvent(
      ({ objectRef, user }) =>
        objectRef?.resource === 'secrets' && user.username === 'system:serviceaccount:two:reader',
    );
    expect(refused).toMatchObject({ verb: 'list', responseStatus: { code: 403 }, objectRef: { namespace: 'two' } });
  });

  test('writes leases to the audit log', async () => {
    const lease = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name: 'mine', namespace: 'default' },
    };
    await plane.kubectl(['create', '-f', '-'], { input: lease });
    await plane.auditEvent(({ objectRef, verb }) => verb === 'create' && objectRef?.resource === 'leases');
  });

  test('comes back at its place with its data after its API server and etcd were killed', async () => {
    await plane.kubectl(['create', 'configmap', 'kept', '-n', 'default']);
    await plane.kill('apiserver');
    await expect(plane.kubectl(['get', '--raw', '/readyz'])).rejects.toThrow(plane.url.slice('https://'.length));
    await plane.kill('etcd');
    const etcd = plane.restart('etcd').catch(() => {}); // not ready without the API server
    await plane.restart('apiserver');
    await etcd;
    await plane.kubectl(['get', 'configmap', 'kept', '-n', 'default']);
  });

  test('dies with a killed test process, and the next start removes its folder', async () => {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'abandon-child.ts'), 'control-plane'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [dir] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
    expect(processesBelow(dir)).toHaveLength(2);
    child.kill('SIGKILL');
    await waitFor('the end of its servers', () => processesBelow(dir).length === 0, 20_000);
    // a suite beside this one may be the next to start
    await createInstance('next').remove();
    expect(existsSync(dir)).toBe(false);
  });

  test('two side by side do not meet; stop leaves neither process nor folder', async () => {
    const options = { controllerManager: false } as const;
    const [a, b] = await Promise.all([
      startControlPlane({ name: 'left', ...options }),
      startControlPlane({ name: 'right', ...options }),
    ]);
    expect(a.url).not.toBe(b.url);
    const pids = processesBelow(a.dir);
    expect(pids).toHaveLength(2);
    await Promise.all([a.stop(), b.stop()]);
    expect([existsSync(a.dir), existsSync(b.dir)]).toEqual([false, false]);
    expect(pids.filter((pid) => existsSync(`/proc/${pid}/exe`))).toEqual([]);
  });
});

/** Pids whose working directory is this folder: all servers start there. */
function processesBelow(dir: string): string[] {
  return readdirSync('/proc').filter(
    (pid) =>
      /^\d+$/.test(pid) && spawnSync('readlink', [`/proc/${pid}/cwd`], { encoding: 'utf8' }).stdout.trim() === dir,
  );
}
