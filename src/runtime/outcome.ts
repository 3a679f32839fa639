// From what a run saw to its outcome. Pure.
import { lostAtMost, NO_LOSS, type WindowLoss } from '../model/loss.ts';
import type { RunError, RunOutcome, RunStage, WindowOutcome } from '../model/outcome.ts';
import type { RunRequest } from '../model/run.ts';

/** What was counted of a run, as far as it came. */
export interface RunTally {
  rowsRead: number;
  rowsTruncated: number;
  metricPoints: number;
  spans: number;
  logs: number;
  bytes: number;
  /** Items that could not be exported: broken, larger than a request may be, or a second point of one stream and time. */
  itemsDropped: number;
  expected: number;
  answered: number;
  missing: readonly string[];
  loss: WindowLoss;
}

export const newTally = (): RunTally => ({
  rowsRead: 0,
  rowsTruncated: 0,
  metricPoints: 0,
  spans: 0,
  logs: 0,
  bytes: 0,
  itemsDropped: 0,
  expected: 0,
  answered: 0,
  missing: [],
  loss: NO_LOSS,
});

/** A run that cannot go on, and where it stopped. */
export class RunFailure extends Error {
  readonly stage: RunStage;
  readonly code: string;
  readonly line: number | undefined;
  readonly column: number | undefined;

  constructor(
    stage: RunStage,
    code: string,
    message: string,
    more: { readonly line?: number; readonly column?: number; readonly cause?: unknown } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.name = 'RunFailure';
    this.stage = stage;
    this.code = code;
    this.line = more.line;
    this.column = more.column;
  }
}

const MESSAGE_BYTES_MAX = 512;

/** `text` in at most 512 bytes, whole characters only. */
export function shortened(text: string): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= MESSAGE_BYTES_MAX) return text;
  let end = MESSAGE_BYTES_MAX - 3;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return `${bytes.toString('utf8', 0, end)}…`;
}

export const runErrorOf = (failure: RunFailure): RunError => ({
  stage: failure.stage,
  code: failure.code,
  message: shortened(failure.message),
  ...(failure.line === undefined ? {} : { line: failure.line }),
  ...(failure.column === undefined ? {} : { column: failure.column }),
});

type Part = Pick<RunRequest, 'uid' | 'start' | 'end'>;

/** `Complete`, or `Partial` with the gravest reason. A window whose rows all expired is `Skipped`. */
export function verdictOf(tally: RunTally): { readonly outcome: WindowOutcome; readonly reason?: string } {
  const { loss } = tally;
  if (tally.answered < tally.expected) return { outcome: 'Partial', reason: 'NodesMissing' };
  if (loss.rowsExpired > 0) return { outcome: tally.rowsRead === 0 ? 'Skipped' : 'Partial', reason: 'DataExpired' };
  if (loss.blind.length > 0) return { outcome: 'Partial', reason: 'SourcesBlind' };
  if (tally.rowsTruncated > 0) return { outcome: 'Partial', reason: 'RowsTruncated' };
  if (tally.itemsDropped > 0) return { outcome: 'Partial', reason: 'ItemsDropped' };
  if (lostAtMost(loss) > 0) return { outcome: 'Partial', reason: 'EventsLost' };
  // Nothing is missing here, but rows of an earlier window are in it.
  if (loss.rowsLate > 0) return { outcome: 'Partial', reason: 'RowsLate' };
  return { outcome: 'Complete' };
}

export const outcomeOf = (
  part: Part,
  tally: RunTally,
  durationMs: number,
  verdict: { readonly outcome: WindowOutcome; readonly reason?: string; readonly error?: RunError },
): RunOutcome => ({
  uid: part.uid,
  start: part.start,
  end: part.end,
  ...verdict,
  rowsRead: tally.rowsRead,
  rowsTruncated: tally.rowsTruncated,
  ...(tally.itemsDropped === 0 ? {} : { itemsDropped: tally.itemsDropped }),
  metricPoints: tally.metricPoints,
  spans: tally.spans,
  logs: tally.logs,
  bytes: tally.bytes,
  durationMs: Math.round(durationMs),
  nodes: { expected: tally.expected, answered: tally.answered, missing: tally.missing },
  loss: tally.loss,
});
