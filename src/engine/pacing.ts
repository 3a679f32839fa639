// Long work gives the event loop a turn: heartbeats, deadlines and other runs must not wait for one query.
import { setImmediate } from 'node:timers/promises';
import type { ExecutionContext } from './context.ts';

const TURN_MS = 10;

/** Call it between pieces of work: it throws where the run was aborted, and waits a turn once 10 ms have gone by. */
export function createPacer({
  clock,
  signal,
}: Pick<ExecutionContext, 'clock' | 'signal'>): () => Promise<void> | undefined {
  let turnStarted = clock();
  const turn = async (): Promise<void> => {
    await setImmediate();
    turnStarted = clock();
    signal.throwIfAborted();
  };
  return () => {
    signal.throwIfAborted();
    return clock() - turnStarted < TURN_MS ? undefined : turn();
  };
}
