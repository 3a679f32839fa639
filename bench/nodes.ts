// What a large cluster costs when nothing runs in it: one operator that has deployed its collectors on simulated nodes (kwok), and
// no scripts. Prints every request that it makes of the API server, by its audit log.
//   node bench/nodes.ts [NODES] [SECONDS]
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startControlPlane } from '../test/cluster/control-plane.ts';
import { waitFor } from '../test/cluster/instance.ts';
import { startFakeNodes } from '../test/cluster/kwok.ts';
import { startOperator, type Operator } from '../test/operator/operator-process.ts';

const [nodes = 300, seconds = 120] = process.argv.slice(2).map(Number);
const NAMESPACE = 'sluice-system';
const ACCOUNT = `system:serviceaccount:${NAMESPACE}:sluice-operator`;

const say = (text: string): void => void process.stdout.write(`${text}\n`);
const cpuOf = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
};
const rssOf = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
const plane = await startControlPlane({ name: 'bench-nodes', scheduler: true, lifeMs: 1_800_000 });
let operator: Operator | undefined;
try {
  await startFakeNodes(plane, nodes);
  await plane.kubectl(['apply', '-k', 'config/default']);
  const settingsFile = join(folder, 'sluice.yaml');
  writeFileSync(settingsFile, '{}\n');
  operator = await startOperator({
    name: 'bench',
    kubeconfig: await plane.tokenKubeconfig(NAMESPACE, 'sluice-operator'),
    namespace: NAMESPACE,
    settingsFile,
    runtimes: [],
  });
  await operator.leads();
  const ready = ['get', 'daemonset', 'sluice-collector', '-n', NAMESPACE, '-o', 'jsonpath={.status.numberReady}'];
  await waitFor(
    `${nodes} collectors Ready`,
    async () => (await plane.kubectl(ready).catch(() => '')).trim() === String(nodes),
    300_000,
  );
  // what the roll-out led to has been seen
  await sleep(20_000);
  const from = plane.auditEvents().length;
  const cpuBefore = cpuOf(operator.pid);
  await sleep(seconds * 1000);
  const own = plane
    .auditEvents()
    .slice(from)
    .filter(({ user }) => user.username === ACCOUNT);
  const counts = new Map<string, number>();
  for (const { verb, objectRef } of own) {
    const what = `${verb} ${objectRef?.resource ?? ''}`;
    counts.set(what, (counts.get(what) ?? 0) + 1);
  }
  const cpu = (cpuOf(operator.pid) - cpuBefore) / seconds;
  say(
    `${nodes} nodes with a collector each, no scripts, ${seconds} s: ${own.length} requests, CPU ${cpu.toFixed(3)} cores, RSS ${rssOf(operator.pid).toFixed(0)} MB (unbuilt sources)`,
  );
  for (const [what, count] of [...counts].sort((a, b) => b[1] - a[1])) {
    say(`  ${what}: ${count} (${(count / seconds).toFixed(2)}/s)`);
  }
} finally {
  await operator?.terminate();
  await plane.stop();
  rmSync(folder, { recursive: true, force: true });
}
