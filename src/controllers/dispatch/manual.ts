// Manual runs: asked for by a token, answered once (design.md section 5, Manual run).
import type { ScriptState } from '../../schedule/script-state.ts';
import { overlapsAny, type Interval } from '../../schedule/window.ts';
import type { ManualRun } from './contract.ts';
import type { Entry } from './entry.ts';

/** The answer to `token`: the one that is there or under way, or a new run. A newer token replaces one that still waits. */
export function askManual(entry: Entry, token: string): Promise<ManualRun> {
  if (entry.manual?.token === token) return entry.manual.answer;
  answerManual(entry, 'Failed/REPLACED');
  const { promise, resolve } = Promise.withResolvers<ManualRun>();
  entry.manual = { token, answer: promise, resolve, isPending: true };
  return promise;
}

export function answerManual({ manual }: Entry, outcome: string): void {
  if (manual?.isPending !== true) return;
  manual.isPending = false;
  manual.resolve({ token: manual.token, outcome });
}

/**
 * Whether the window is finished: then it must not be asked of the script's runtime, whose ledger may not be the one that
 * has it. The window before a script's first counts as finished, and was never run: until it is, it is not answered.
 */
export function isAnswered(entry: Entry, { finishedUntil, ahead }: ScriptState, window: Interval): boolean {
  if (entry.firstStart !== undefined && window.end <= entry.firstStart) return false;
  return window.end <= finishedUntil || (window.start >= finishedUntil && overlapsAny(ahead, window));
}
