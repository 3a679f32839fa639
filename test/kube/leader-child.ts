// A candidate as a process of its own, so that it can be killed and stopped. It does what it is told on standard input and says
// what happens on standard output, a line of JSON each. Not a test.
import { createInterface } from 'node:readline';
import { openKubeClient, userAgent } from '../../src/kube/client.ts';
import { loadKubeAccess } from '../../src/kube/config.ts';
import { fencedClient } from '../../src/kube/fenced-client.ts';
import { processMs } from '../../src/kube/leader-memory.ts';
import { startLeader } from '../../src/kube/leader.ts';
import { CONFIG_MAPS } from '../../src/kube/resources.ts';
import type { CandidateSettings, Said } from './leader-process.ts';

const settings = JSON.parse(process.argv[2] ?? '{}') as CandidateSettings;
const { identity, kubeconfig, lease } = settings;
const say = (said: Said): void => void process.stdout.write(`${JSON.stringify({ ...said, atMs: processMs() })}\n`);

const access = await loadKubeAccess({ kubeconfig });
const agent = userAgent(identity, '1');
const client = openKubeClient(access, { purpose: 'main', userAgent: agent });
let isEndingHeld = false;

const leader = startLeader({
  ...settings,
  namespace: 'default',
  name: lease,
  access: { kubeconfig },
  userAgent: agent,
  onAcquired: ({ transitions, number }) => say({ kind: 'acquired', transitions, number }),
  onLost: async (reason) => {
    say({ kind: 'lost', reason });
    // work that does not end
    if (isEndingHeld) await new Promise(() => undefined);
  },
  onStuck: (reason) => {
    say({ kind: 'stuck', reason });
    process.exit(1);
  },
});
const fenced = fencedClient(
  client,
  () => leader.mayWrite(),
  () => leader.term,
);

/** Says when it led, so that somebody can check that nobody else did. */
if (settings.sampleMs !== undefined)
  setInterval(() => {
    const atMs = processMs();
    if (leader.mayWrite()) say({ kind: 'leads', transitions: leader.term?.transitions ?? -1, sampledMs: atMs });
  }, settings.sampleMs);

async function write(value: string): Promise<void> {
  try {
    const object = { metadata: { name: lease, namespace: 'default' }, data: { [identity]: value } };
    await fenced.apply(CONFIG_MAPS, object, { fieldManager: identity });
    say({ kind: 'wrote', value });
  } catch (error) {
    say({ kind: 'refused', value, error: error instanceof Error ? error.name : String(error) });
  }
}

const commands: Record<string, (argument: string) => void> = {
  write: (value) => void write(value),
  // whether it may is asked in the turn in which the block ends: no timer and no message has come by then
  block: (ms) => {
    const { signal } = leader.term ?? {};
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(ms));
    const mayWrite = leader.mayWrite();
    say({ kind: 'unblocked', mayWrite, isAborted: signal?.aborted ?? true });
  },
  'hold ending': () => (isEndingHeld = true),
  stop: () => {
    void leader.stop().then(() => {
      say({ kind: 'stopped' });
      process.exit(0);
    });
  },
};
createInterface({ input: process.stdin }).on('line', (line) => {
  const [command = '', argument = ''] = line.split(':');
  commands[command]?.(argument);
});
say({ kind: 'ready' });
