// The processes of a cluster's pods as this machine sees them: containers share its pids.
import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { identify, isAlive, type Identity } from '../cluster/instance.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { NAMESPACE, until } from './product.ts';

export type Part = 'operator' | 'runtime' | 'agent' | 'probe';

const isPart: Readonly<Record<Part, (args: readonly string[]) => boolean>> = {
  operator: (args) => args.includes('operator') && args.includes('--settings'),
  runtime: (args) => args.at(-1) === 'runtime',
  agent: (args) => args.at(-1) === 'collector',
  probe: ([program = '']) => program.endsWith('/sluice-probe'),
};

const read = (path: string): string => {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
};

export interface Found extends Identity {
  /** Capabilities in force and those that can ever be had, as hexadecimal masks. */
  readonly effective: string;
  readonly bounding: string;
}

/** The first process of each container of this part on a node, or of one pod only. */
export function processesOf({ dir }: Cluster, node: string, part: Part, podUid = ''): Found[] {
  const cgroup = `${basename(dir)}-${node}/kubepods`;
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      const place = read(`/proc/${pid}/cgroup`);
      if (!place.includes(cgroup) || !place.includes(podUid)) return [];
      if (!isPart[part](read(`/proc/${pid}/cmdline`).split('\0').slice(0, -1))) return [];
      const status = read(`/proc/${pid}/status`);
      const field = (name: string): string => new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(status)?.[1] ?? '';
      const identity = identify(Number(pid));
      return identity === undefined ? [] : [{ ...identity, effective: field('CapEff'), bounding: field('CapBnd') }];
    });
}

/** SIGKILL to all of them, as the kernel's killer would; resolves when they are gone. */
export async function killAll(processes: readonly Identity[]): Promise<void> {
  if (processes.length === 0) throw new Error('there is nothing to kill');
  for (const { pid } of processes) process.kill(pid, 'SIGKILL');
  await until('their end', () => !processes.some(isAlive), 10_000);
}

/** Name of the operator's pod that leads, from the Lease. */
export async function leaderPod({ kubectl }: Pick<Cluster, 'kubectl'>): Promise<string> {
  const path = 'jsonpath={.spec.holderIdentity}';
  const holder = await kubectl(['get', 'lease', 'sluice-operator', '--namespace', NAMESPACE, '-o', path]);
  return holder.replace(/_[^_]*$/, '');
}
