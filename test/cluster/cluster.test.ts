import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { startCluster, nodesMissing, type Cluster } from './cluster.ts';
import { SLUICE_IMAGE, sluiceImage } from './image.ts';
import { waitFor } from './instance.ts';
import { startFakeNodes } from './kwok.ts';
import { leftovers } from './leftovers.ts';
import { programImage } from './test-images.ts';

const describeNodes = nodesMissing === undefined ? describe : describe.skip;

const RESTRICTED = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  readOnlyRootFilesystem: true,
  runAsNonRoot: true,
  seccompProfile: { type: 'RuntimeDefault' },
};

const busybox = (command: readonly string[], more: object = {}): object => ({
  name: 'it',
  image: 'localhost/busybox:1',
  imagePullPolicy: 'Never',
  command,
  ...more,
});

/** A test run that will be killed; `dir` is its cluster's. */
function abandon(): { child: ChildProcess; dir: Promise<string> } {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'abandon-child.ts'), 'nodes'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return { child, dir: once(createInterface({ input: child.stdout }), 'line').then(([line]) => String(line)) };
}

/** Begun while other tests wait. */
let abandoned: ReturnType<typeof abandon> | undefined;
afterAll(() => void abandoned?.child.kill('SIGKILL'));

describeNodes('a cluster with two real nodes', () => {
  let cluster: Cluster;
  const pod = async (name: string, node: string, container: object, more: object = {}): Promise<void> => {
    const spec = {
      nodeName: node,
      restartPolicy: 'Always',
      terminationGracePeriodSeconds: 0,
      containers: [container],
      ...more,
    };
    await cluster.kubectl(['create', '-f', '-'], {
      input: { apiVersion: 'v1', kind: 'Pod', metadata: { name, labels: { app: name } }, spec },
    });
  };
  const ready = (name: string): Promise<string> =>
    cluster.kubectl(['wait', '--for=condition=Ready', `pod/${name}`, '--timeout=60s'], { timeoutMs: 90_000 });
  beforeAll(async () => {
    cluster = await startCluster({ name: 'self', nodes: 2, nodeGraceSeconds: 12, images: [sluiceImage()] });
  }, 600_000);
  afterAll(async () => {
    await cluster?.stop();
    const left = cluster === undefined ? [] : leftovers(cluster.dir);
    if (left.length > 0) throw new Error(`left behind: ${left.join('\n')}`);
  }, 120_000);

  test('a pod reaches a pod of the other node by the name of its Service, and so does a test', async () => {
    await pod(
      'web',
      'n1',
      busybox(['httpd', '-f', '-p', '8080', '-h', '/www'], { securityContext: { runAsUser: 1000, ...RESTRICTED } }),
    );
    await cluster.kubectl(['expose', 'pod', 'web', '--port', '80', '--target-port', '8080']);
    await ready('web');
    await pod('client', 'n2', busybox(['sleep', '3600']));
    await ready('client');
    const got = await cluster.kubectl([
      'exec',
      'client',
      '--',
      'timeout',
      '5',
      'wget',
      '-q',
      '-O',
      '-',
      'http://web.default.svc/index.html',
    ]);
    expect(got).toBe('hello\n');
    const address = await cluster.podAddress('default', 'web');
    expect(await cluster.fetch(`http://${address}:8080/index.html`)).toEqual({ status: 200, body: 'hello\n' });
    expect(await cluster.fetch(`http://${address}:9/`)).toEqual({ status: 0, body: '' });
    expect((await cluster.run(['ip', '-br', 'link'])).split('\n').some((line) => line.startsWith('br0'))).toBe(true);
    expect(await cluster.runOnNode('n2', ['hostname'])).toBe('n2\n');
    expect(await cluster.kubectl(['logs', 'web'])).toBe('');
  });

  // its end is judged below: it counts as alive for a while
  test('a node that crashes leaves nothing behind', async () => {
    await pod('stays', 'n2', busybox(['sleep', '3600']));
    await ready('stays');
    await cluster.crashNode('n2');
    expect(leftovers(cluster.dir).filter((line) => line.includes('-n2'))).toEqual([]);
    abandoned = abandon();
  }, 100_000);

  test.each([
    ['--version', 'sluice '],
    ['tables', 'http_events'],
  ])('our image runs with nothing: sluice %s', async (argument, expected) => {
    const name = `sluice-${argument.replace('--', '')}`;
    const container = { name: 'sluice', image: SLUICE_IMAGE, imagePullPolicy: 'Never', args: [argument] };
    await pod(name, 'n1', { ...container, securityContext: RESTRICTED }, { restartPolicy: 'Never' });
    const phase = ['get', 'pod', name, '-o', 'jsonpath={.status.phase}'];
    await waitFor(`the end of ${name}`, async () => /Succeeded|Failed/.test(await cluster.kubectl(phase)), 60_000);
    expect(await cluster.kubectl(['logs', name])).toContain(expected);
    expect(await cluster.kubectl(phase)).toBe('Succeeded');
  });

  test('programs of this machine run in an image of their own', async () => {
    await cluster.importImage(await programImage('tools', ['/usr/bin/openssl'], { '/etc/said.txt': 'said' }));
    const container = { name: 'it', image: 'localhost/tools:1', imagePullPolicy: 'Never', command: ['sleep', '3600'] };
    await pod('tools', 'n1', container);
    await ready('tools');
    expect(await cluster.kubectl(['exec', 'tools', '--', 'openssl', 'version'])).toContain('OpenSSL');
    expect(await cluster.kubectl(['exec', 'tools', '--', 'cat', '/etc/said.txt'])).toBe('said');
  });

  test('fake nodes beside the real ones', async () => {
    await startFakeNodes(cluster, 20);
    const names = await cluster.kubectl(['get', 'nodes', '-o', 'jsonpath={.items[*].metadata.name}']);
    expect(names.split(' ')).toHaveLength(22);
  }, 120_000);

  test('a crashed node is found out, and comes back with its pods', async () => {
    const status = ['get', 'node', 'n2', '-o', 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'];
    await waitFor('n2 to be given up', async () => (await cluster.kubectl(status)) === 'Unknown', 60_000);
    await cluster.startNode('n2');
    const restarts = ['get', 'pod', 'stays', '-o', 'jsonpath={.status.containerStatuses[0].restartCount}'];
    await waitFor('the pod in its second life', async () => (await cluster.kubectl(restarts)) === '1', 60_000);
    await ready('stays');
  }, 240_000);
});

describeNodes('a killed test run', () => {
  test('leaves nothing on its machine: not even its containers', async () => {
    const { child, dir: announced } = abandoned ?? abandon();
    const dir = await announced;
    expect(leftovers(dir).some((line) => line.includes('sleep 3600'))).toBe(true);
    child.kill('SIGKILL');
    await waitFor('the end of everything', () => leftovers(dir).length === 0, 60_000);
  }, 180_000);
});
