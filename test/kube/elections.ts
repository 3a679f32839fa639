// Elections for tests that mostly wait, so that they can wait side by side: one API server for all, and to each its own lease,
// candidates (leader-child.ts) and way to the server.
import { join } from 'node:path';
import { openKubeClient, type OpenKubeClient } from '../../src/kube/client.ts';
import { loadKubeAccess } from '../../src/kube/config.ts';
import { CONFIG_MAPS, LEASES, type Lease } from '../../src/kube/resources.ts';
import { startControlPlane, type ControlPlane } from '../cluster/control-plane.ts';
import { startFaultProxy, type FaultProxy } from './fault-proxy.ts';
import { startCandidate, type Candidate, type CandidateSettings } from './leader-process.ts';

/** Short, and twice as long as a busy machine keeps a process waiting. */
export const TIMES = { leaseDurationMs: 3000, renewDeadlineMs: 2000, retryPeriodMs: 250 };

export interface Election {
  readonly name: string;
  readonly proxy: FaultProxy;
  readonly candidate: (identity: string, settings?: Partial<CandidateSettings>) => Candidate;
  /** A kubeconfig for the way that can be cut. */
  readonly throughProxy: () => string;
  readonly lease: () => Promise<Lease>;
  /** What candidates wrote, by identity. */
  readonly wrote: () => Promise<Readonly<Record<string, string>> | undefined>;
}

interface Shared {
  readonly plane: ControlPlane;
  readonly client: OpenKubeClient;
}

let started: Promise<Shared> | undefined;
/** Started by who asks first. */
export const shared = (): Promise<Shared> => (started ??= startShared());
async function startShared(): Promise<Shared> {
  const plane = await startControlPlane({ name: 'leader', controllerManager: false });
  const access = await loadKubeAccess({ kubeconfig: plane.kubeconfig });
  return { plane, client: openKubeClient(access, { purpose: 'main', userAgent: 'test' }) };
}

export async function stopShared(): Promise<void> {
  const there = await started;
  await there?.client.close();
  await there?.plane.stop();
}

let elections = 0;
/** Runs `steps` with an election of their own. */
export async function withElection(steps: (election: Election) => Promise<void>): Promise<void> {
  const { plane, client } = await shared();
  const name = `candidates-${elections++}`;
  const proxy = await startFaultProxy(plane.kubeconfig);
  const candidates: Candidate[] = [];
  try {
    await steps({
      name,
      proxy,
      candidate(identity, settings = {}) {
        const one = startCandidate({ ...TIMES, lease: name, identity, kubeconfig: plane.kubeconfig, ...settings });
        candidates.push(one);
        return one;
      },
      throughProxy: () => proxy.kubeconfig(join(plane.dir, `${name}.conf`)),
      lease: () => client.get(LEASES, 'default', name),
      wrote: async () => (await client.get(CONFIG_MAPS, 'default', name)).data,
    });
  } finally {
    await Promise.all(candidates.map((candidate) => candidate.kill()));
    await proxy.stop();
  }
}
