// What a person would look at first when something is wrong in a cluster.
import type { Kubectl } from '../cluster/kubectl.ts';

const LOG_LINES = 100;

/** Events, pods, what is not ready, our logs, statuses: as text. Never rejects: what cannot be had is said. */
export async function diagnose(kubectl: Kubectl, namespace = 'sluice-system'): Promise<string> {
  const parts: string[] = [];
  const ask = async (args: readonly string[]): Promise<string> => {
    const said = await kubectl(args, { timeoutMs: 20_000 }).catch(String);
    parts.push(`--- kubectl ${args.join(' ')}\n${said.trimEnd()}`);
    return said;
  };
  await ask(['get', 'events', '-A', '--sort-by=.metadata.creationTimestamp']);
  // the newest are what matters
  const events = parts.pop()?.split('\n') ?? [];
  parts.push([events[0], ...events.slice(1).slice(-60)].join('\n'));
  await ask(['get', 'pods', '-A', '-o', 'wide']);
  await ask(['get', 'exportscripts,otelplugins', '-A', '-o', 'wide']);
  const every =
    'jsonpath={range .items[*]}{.metadata.namespace} {.metadata.name} {.status.conditions[?(@.type=="Ready")].status}{"\\n"}{end}';
  const pods = (await kubectl(['get', 'pods', '-A', '-o', every]).catch(() => ''))
    .split('\n')
    .filter((line) => line !== '');
  for (const line of pods) {
    const [space = '', pod = '', ready] = line.split(' ');
    if (ready !== 'True' && !pod.startsWith('load')) await ask(['describe', 'pod', pod, '--namespace', space]);
    if (space !== namespace) continue;
    await ask(['logs', pod, '--namespace', space, '--all-containers', '--prefix', `--tail=${LOG_LINES}`]);
    await ask(['logs', pod, '--namespace', space, '--all-containers', '--prefix', '--previous', '--tail=30']);
    if (parts.at(-1)?.includes('not found') === true) parts.pop();
  }
  await ask(['get', 'exportscripts,otelplugins', '-A', '-o', 'yaml']);
  return `\n=== what the cluster says ===\n${parts.join('\n')}\n=== end ===\n`;
}
