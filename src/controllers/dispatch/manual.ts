// Manual runs: asked for by a token, answered once (design.md section 5, Manual run).
import type { ManualRun } from './contract.ts';
import type { Entry } from './entry.ts';

/** The answer to `token`: the one that is there or under way, or a new run. A newer token replaces one that still waits. */
export function askManual(entry: Entry, token: string): Promise<ManualRun> {
  if (entry.manual?.token === token) return entry.manual.answer;
  giveUpManual(entry, 'Failed/REPLACED');
  const { promise, resolve } = Promise.withResolvers<ManualRun>();
  entry.manual = { token, answer: promise, resolve, isPending: true };
  return promise;
}

export function giveUpManual({ manual }: Entry, outcome: string): void {
  if (manual?.isPending !== true) return;
  manual.isPending = false;
  manual.resolve({ token: manual.token, outcome });
}
