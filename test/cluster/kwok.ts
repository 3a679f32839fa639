// Fake nodes by kwok: they are Ready, and pods on them are Running, without anything that runs. For counts, not for behaviour.
import { join } from 'node:path';
import { binary } from './binaries.ts';
import type { ControlPlane } from './control-plane.ts';
import { waitFor } from './instance.ts';

/**
 * Adds nodes f1 … fN; real nodes are left alone. Resolves when all are Ready (200 take about five seconds). They carry the taint
 * `kwok.x-k8s.io/node=fake:NoSchedule` and the label `type=kwok`. Once per cluster; needs its scheduler for pods to land on them.
 */
export async function startFakeNodes(plane: ControlPlane, count: number): Promise<void> {
  const kwok = binary('kwok');
  plane.instance.start('kwok', [
    ...plane.enter,
    kwok,
    `--kubeconfig=${plane.insideKubeconfig}`,
    `--config=${join(kwok, '..', 'kwok-stages.yaml')}`,
    '--manage-all-nodes=false',
    '--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake',
    '--node-ip=10.200.1.1',
    '--cidr=10.201.0.0/16',
    '--node-lease-duration-seconds=40',
  ]);
  const resources = { cpu: '32', memory: '256Gi', pods: '110' };
  const items = Array.from({ length: count }, (_, index) => ({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: `f${index + 1}`,
      annotations: { 'kwok.x-k8s.io/node': 'fake' },
      labels: {
        type: 'kwok',
        'kubernetes.io/hostname': `f${index + 1}`,
        'kubernetes.io/os': 'linux',
        'kubernetes.io/arch': 'amd64',
      },
    },
    spec: { taints: [{ key: 'kwok.x-k8s.io/node', value: 'fake', effect: 'NoSchedule' }] },
    status: { allocatable: resources, capacity: resources },
  }));
  await plane.kubectl(['create', '-f', '-'], { input: { apiVersion: 'v1', kind: 'List', items } });
  // one question for all: `kubectl wait` would watch each by itself
  const question = [
    'get',
    'nodes',
    '-l',
    'type=kwok',
    '-o',
    'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}',
  ];
  await waitFor(
    `${count} fake nodes Ready`,
    async () => (await plane.kubectl(question)).split(' ').filter((status) => status === 'True').length === count,
    120_000,
  );
}
