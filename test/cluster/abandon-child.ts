// Starts what its argument says (`control-plane`, or `nodes`: one with a pod), prints its folder, and waits to be killed.
import { startCluster } from './cluster.ts';
import { startControlPlane } from './control-plane.ts';

async function start(): Promise<string> {
  if (process.argv[2] !== 'nodes')
    return (await startControlPlane({ name: 'abandoned', controllerManager: false })).dir;
  const cluster = await startCluster({ name: 'abandoned', nodes: 1 });
  const container = {
    name: 'it',
    image: 'localhost/busybox:1',
    imagePullPolicy: 'Never',
    command: ['sleep', '3600'],
  };
  await cluster.kubectl(['create', '-f', '-'], {
    input: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'left' }, spec: { containers: [container] } },
  });
  await cluster.kubectl(['wait', '--for=condition=Ready', 'pod/left', '--timeout=60s'], { timeoutMs: 90_000 });
  return cluster.dir;
}

process.stdout.write(`${await start()}\n`);
setInterval(() => {}, 1000);
