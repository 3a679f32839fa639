// The election's thread, with connections of its own (R28): the main thread's work neither delays a renewal nor uses up its
// request slots. It watches the main thread in turn: a leader whose loop stands still leads nothing and steps down.
import { parentPort, workerData } from 'node:worker_threads';
import { openKubeClient } from './client.ts';
import { loadKubeAccess } from './config.ts';
import { startElection } from './leader-election.ts';
import { openLeaderMemory, processMs } from './leader-memory.ts';
import type { FromElection, LeaderWorkerData, ToElection } from './leader-messages.ts';
import { SYSTEM_CLOCK } from './timers.ts';

const port = parentPort;
if (port === null) throw new Error('the election runs as a worker thread');

const data: LeaderWorkerData = workerData;
const memory = openLeaderMemory(data.buffer);
const tell = (message: FromElection): void => port.postMessage(message);

const access = await loadKubeAccess(data.access);
const client = openKubeClient(access, { purpose: 'lease', userAgent: data.userAgent });
let leading: number | undefined;

const election = startElection({
  ...data,
  client,
  clock: { now: processMs, after: (delayMs, call) => SYSTEM_CLOCK.after(delayMs, call) },
  date: () => new Date(),
  random: Math.random,
  listener: {
    acquired(term, transitions, deadlineMs) {
      leading = term;
      memory.grant(term, deadlineMs);
      tell({ kind: 'acquired', term, transitions });
    },
    renewed(term, deadlineMs) {
      if (leading === term) memory.grant(term, deadlineMs);
    },
    lost(term, reason) {
      leading = undefined;
      memory.revoke();
      tell({ kind: 'lost', term, reason });
    },
    observed: (holder) => tell({ kind: 'observed', holder }),
    failed: (error) => tell({ kind: 'failed', message: error instanceof Error ? error.message : String(error) }),
  },
});

/** At once in the memory that both threads see, then in the lease. */
function stepDown(term: number, reason: string): void {
  if (leading === term) {
    leading = undefined;
    memory.revoke();
  }
  election.stepDown(term, reason);
}

const watching = setInterval(() => {
  const lagMs = processMs() - memory.beatMs;
  if (leading !== undefined && lagMs > data.loopLagMaxMs)
    stepDown(leading, `the main thread's event loop has stood still for ${(lagMs / 1000).toFixed(1)} s`);
}, data.loopLagMaxMs / 10);

async function stop(): Promise<void> {
  clearInterval(watching);
  if (leading !== undefined) stepDown(leading, 'stopping');
  await election.stop();
  await client.close();
  tell({ kind: 'stopped' });
  port?.close();
}

port.on('message', (message: ToElection) => {
  if (message.kind === 'step-down') stepDown(message.term, message.reason);
  else if (message.kind === 'rejoin') election.rejoin(message.term);
  else void stop();
});
