// Windows and batches with defaults, so that a case names only what matters to it.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NO_LOSS } from '../../src/model/loss.ts';
import type { RunOutcome } from '../../src/model/outcome.ts';
import { timeNs } from '../../src/model/time.ts';
import type { NewBatch, WindowCommit } from '../../src/ledger/record.ts';

/** A time past 2^53 ns, where a double would lose digits. */
export const BASE = 1_764_000_000_000_000_001n;

export const at = (tick: number) => timeNs(BASE + BigInt(tick));

export const outcome = (uid: string, start: number, end: number, more: Partial<RunOutcome> = {}): RunOutcome => ({
  uid,
  start: at(start),
  end: at(end),
  outcome: 'Complete',
  rowsRead: 10,
  rowsTruncated: 0,
  metricPoints: 3,
  spans: 0,
  logs: 0,
  bytes: 30,
  durationMs: 5,
  nodes: { expected: 1, answered: 1, missing: [] },
  loss: NO_LOSS,
  ...more,
});

export const batch = (bytes: Uint8Array | number = 10, more: Partial<NewBatch> = {}): NewBatch => ({
  destination: 'plugin',
  signal: 'metrics',
  bytes: typeof bytes === 'number' ? new Uint8Array(bytes).fill(7) : bytes,
  metricPoints: 3,
  spans: 0,
  logs: 0,
  ...more,
});

export const window = (
  uid: string,
  start: number,
  end: number,
  batches: readonly NewBatch[] = [batch()],
  more: Partial<WindowCommit> = {},
): WindowCommit => ({
  epoch: 1,
  pluginUid: 'plugin',
  outcome: outcome(uid, start, end),
  batches,
  committedAt: at(end),
  ...more,
});

/** An empty folder, and its removal. */
export function temporaryFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'sluice-ledger-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}
