// A support bundle of a real API server: everything that a report needs and no secret.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { dump } from '../../src/cli/dump.ts';
import { call } from '../cli/io.ts';
import { clusterMissing } from './binaries.ts';
import { startControlPlane, type ControlPlane } from './control-plane.ts';

const scratch = mkdtempSync(join(tmpdir(), 'sluice-dump-'));
afterAll(() => rmSync(scratch, { recursive: true }));

/** All files of a folder, with their texts. */
function filesIn(folder: string): Map<string, string> {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) =>
    statSync(join(folder, path)).isFile(),
  );
  return new Map(paths.map((path) => [path, readFileSync(join(folder, path), 'utf8')]));
}

const describeCluster = clusterMissing === undefined ? describe : describe.skip;

describeCluster('sluice dump of a cluster', () => {
  const CANARY = 'canary-0f3b9a';
  let plane: ControlPlane;
  beforeAll(async () => {
    plane = await startControlPlane({ name: 'dump' });
    await plane.kubectl(['apply', '-k', 'config/default']);
    const namespace = 'sluice-system';
    const apiVersion = 'sluice.dev/v1alpha1';
    const input = (object: object) => plane.kubectl(['apply', '-f', '-'], { input: object });
    await input({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'backend', namespace, labels: { 'app.kubernetes.io/name': 'sluice' } },
      stringData: { token: `${CANARY}-secret` },
    });
    await input({
      apiVersion,
      kind: 'OtelPlugin',
      metadata: { name: 'p', namespace },
      spec: {
        destination: {
          type: 'OTLPGRPC',
          endpoint: 'x:4317',
          headers: [{ name: 'api-key', value: `${CANARY}-header` }],
        },
      },
    });
    await input({
      apiVersion,
      kind: 'ExportScript',
      metadata: { name: 's', namespace: 'default' },
      spec: { pluginRef: { name: 'p' }, script: { inline: 'import px' }, args: { key: `${CANARY}-argument` } },
    });
  }, 600_000);
  afterAll(() => plane?.stop());

  test('X9: has the objects and no secret', async () => {
    const target = join(scratch, 'whole');
    expect(await call(dump, target, '--kubeconfig', plane.kubeconfig)).toMatchObject({ status: 0, stdout: '' });
    const files = filesIn(target);
    for (const [path, text] of files) expect([path, text.includes(CANARY)]).toEqual([path, false]);
    expect(files.get('otelplugins.yaml')).toContain('name: api-key');
    expect(files.get('exportscripts.yaml')).toContain('import px');
    expect(files.get('sluice-system/deployments.yaml')).toContain('sluice-operator');
    expect(files.get('sluice-system/configmaps.yaml')).toContain('tableBudget');
    expect(files.get('sluice-system/secrets-without-values.yaml')).toContain('backend');
    const { notRead } = parse(files.get('dump.yaml') ?? '') as { notRead: { what: string }[] };
    // pods without a node have neither
    for (const { what } of notRead) expect(what).toMatch(/^(metrics|readyz|log) of /);
    // the values did not even cross the network: only lists, which are asked for without them
    const reads = plane
      .auditEvents()
      .filter(({ objectRef, userAgent }) => objectRef?.resource === 'secrets' && userAgent?.startsWith('sluice-dump/'));
    expect(reads.map(({ verb }) => verb)).toEqual(['list']);
  });

  test('with few rights it has what may be read and names the rest', async () => {
    await plane.kubectl(['create', 'serviceaccount', 'looker', '-n', 'default']);
    await plane.kubectl([
      'create',
      'clusterrolebinding',
      'looker',
      '--clusterrole',
      'sluice-viewer',
      '--serviceaccount',
      'default:looker',
    ]);
    const target = join(scratch, 'few.tar');
    const { status, stderr } = await call(
      dump,
      target,
      '--kubeconfig',
      await plane.tokenKubeconfig('default', 'looker'),
    );
    expect(status).toBe(0);
    expect(stderr).toMatch(/few\.tar: \d+ files; \d+ could not be read, see dump\.yaml/);
    execFileSync('tar', ['--extract', '--file', target, '--strip-components=1', '--one-top-level=few'], {
      cwd: scratch,
    });
    const files = filesIn(join(scratch, 'few'));
    expect([...files.keys()].sort()).toEqual(['dump.yaml', 'exportscripts.yaml', 'otelplugins.yaml', 'server.yaml']);
    const { notRead } = parse(files.get('dump.yaml') ?? '') as { notRead: { what: string; why: string }[] };
    expect(notRead).toContainEqual({ what: 'pods', why: expect.stringContaining('forbidden') });
  });

  test('where nobody answers there is an error and no bundle', async () => {
    const target = join(scratch, 'none.tar');
    const kubeconfig = join(scratch, 'nobody.conf');
    execFileSync('sh', [
      '-c',
      `sed 's#https://127.0.0.1:[0-9]*#https://127.0.0.1:1#' '${plane.kubeconfig}' > '${kubeconfig}'`,
    ]);
    await expect(call(dump, target, '--kubeconfig', kubeconfig)).rejects.toThrow(/ECONNREFUSED|connect/);
    expect(readdirSync(scratch)).not.toContain('none.tar');
  });
});
