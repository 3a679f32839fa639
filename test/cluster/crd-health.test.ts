// T9 on a real API server: every row of the situation table is written as the operator would, and a real kubectl waits for
// it; kstatus's port and the health check for Argo CD judge what the server gives back.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { join } from 'node:path';
import { argoHealth, isWaitOver, kstatus, luaMissing, type Judged } from '../crds/health.ts';
import { JUDGED } from '../crds/judged.ts';
import { clusterMissing } from './binaries.ts';
import { startControlPlane, type ControlPlane } from './control-plane.ts';
import { installCrds, openRequests, pathOf, type Requests } from './crd-requests.ts';
import { KubectlError } from './kubectl.ts';

const describeCluster = clusterMissing === undefined ? describe : describe.skip;
const PATCH = 'application/merge-patch+json';

describeCluster('T9 on a real API server', () => {
  let plane: ControlPlane;
  let ask: Requests;
  let close = (): void => {};
  beforeAll(async () => {
    plane = await startControlPlane({ name: 'crd-health', controllerManager: false });
    ({ ask, close } = openRequests(plane));
    await installCrds(plane);
  }, 600_000);
  afterAll(async () => {
    close();
    await plane?.stop();
  });

  const isMet = async (kind: string, name: string): Promise<boolean> => {
    try {
      await plane.kubectl(['wait', '--for=condition=Ready', `${kind.toLowerCase()}/${name}`, '--timeout=0']);
      return true;
    } catch (error) {
      if (error instanceof KubectlError && error.stderr.includes('condition not met')) return false;
      throw error;
    }
  };

  test.each(JUDGED.map((row, i) => ({ ...row, name: `row-${i}` })))(
    'tools agree on: $title',
    async ({ kind, spec, object, name, verdict, isDegraded }) => {
      const manifest = { apiVersion: 'sluice.dev/v1alpha1', kind, metadata: { name }, spec };
      expect((await ask('POST', pathOf(kind), manifest)).status).toBe(201);
      // a status is only written by somebody who saw the object
      if (object.status?.conditions !== undefined) {
        const written = await ask('PATCH', pathOf(kind, name, 'status'), { status: object.status }, PATCH);
        expect([written.status, written.message]).toEqual([200, '']);
      }
      if (object.metadata.generation > 1) {
        const change = kind === 'OtelPlugin' ? { resourceAttributes: { a: 'b' } } : { maxRows: 7 };
        expect((await ask('PATCH', pathOf(kind, name), { spec: change }, PATCH)).status).toBe(200);
      }
      const stored = (await ask('GET', pathOf(kind, name))).body as Judged;
      expect(stored.metadata.generation).toBe(object.metadata.generation);
      const seen = await isMet(kind, name);
      expect(seen).toBe(verdict === 'ready');
      expect(isWaitOver(stored)).toBe(seen);
      expect(kstatus(stored)).toBe({ ready: 'Current', waiting: 'InProgress', failed: 'Failed' }[verdict]);
      if (luaMissing !== undefined) return;
      const [health] = argoHealth([stored]);
      const worse = verdict === 'failed' || isDegraded ? 'Degraded' : 'Progressing';
      expect(health?.status).toBe(verdict === 'ready' ? 'Healthy' : worse);
    },
  );

  test('G3 argocd-cm takes the patch as the comment in it says', async () => {
    await plane.kubectl(['create', 'namespace', 'argocd']);
    await plane.kubectl([
      '-n',
      'argocd',
      'create',
      'configmap',
      'argocd-cm',
      '--from-literal=url=https://argocd.example',
    ]);
    const file = join(import.meta.dirname, '../../config/argocd/argocd-cm-patch.yaml');
    await plane.kubectl(['-n', 'argocd', 'patch', 'configmap', 'argocd-cm', '--patch-file', file]);
    const { data } = JSON.parse(
      await plane.kubectl(['-n', 'argocd', 'get', 'configmap', 'argocd-cm', '-o', 'json']),
    ) as {
      data: Record<string, string>;
    };
    expect(Object.keys(data).sort()).toEqual([
      'resource.customizations.health.sluice.dev_ExportScript',
      'resource.customizations.health.sluice.dev_OtelPlugin',
      'resource.customizations.ignoreResourceUpdates.sluice.dev_ExportScript',
      'resource.customizations.ignoreResourceUpdates.sluice.dev_OtelPlugin',
      'url',
    ]);
  });
});
