// A status that an earlier process wrote -> the record to go on from, so that totals go on and a loss of today stays
// shown. In a cluster the status comes from the API server, in `sluice local` from the state folder. Pure.
import type { ExportScriptStatus } from '../../crds/status.ts';
import { NO_TOTALS, type Totals } from '../../crds/status.ts';
import { timeNs, type TimeNs } from '../../model/time.ts';
import { PERMANENT_REASONS } from '../../crds/delivery-faults.ts';
import { FAILURE_THRESHOLD } from '../../crds/script-conditions.ts';
import { NEW_RECORD, type ScriptRecord, type WindowRecord } from './track.ts';

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
const isCount = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value) && value >= 0;

const isWindow = (value: unknown): value is Omit<WindowRecord, 'refused'> =>
  isRecord(value) &&
  ['start', 'end', 'outcome'].every((key) => typeof value[key] === 'string') &&
  ['metrics', 'spans', 'lost'].every((key) => isCount(value[key]));

/** Whether a value read from outside has what `resumeRecord` needs; anything else is better forgotten than believed. */
export function isScriptStatus(value: unknown): value is ExportScriptStatus {
  if (!isRecord(value) || !isRecord(value['totals'])) return false;
  const totals = value['totals'];
  // an older version may not have had them all (T14)
  const isTotal = (key: string): boolean => isCount(totals[key]) || (key !== 'windows' && totals[key] === undefined);
  if (!Object.keys(NO_TOTALS).every(isTotal)) return false;
  const { history, conditions } = value;
  return Array.isArray(history) && history.every(isWindow) && Array.isArray(conditions) && conditions.every(isRecord);
}

/** What Delivered said, so that nothing is taken back until there is news. */
function deliveryOf({ conditions }: ExportScriptStatus): Pick<ScriptRecord, 'delivery' | 'consecutiveFailures'> {
  const said = conditions.find(({ type }) => type === 'Delivered');
  if (said === undefined || said.status === 'Unknown') return { delivery: undefined, consecutiveFailures: 0 };
  if (said.status === 'True')
    return { delivery: { ok: true, fault: undefined, permanent: false }, consecutiveFailures: 0 };
  const { reason, message } = said;
  if (reason === 'RunFailing') return { delivery: undefined, consecutiveFailures: FAILURE_THRESHOLD };
  const isFailing = reason === 'ExportFailing';
  const fault = isFailing ? { reason: 'Retrying', message } : { reason, message };
  return {
    delivery: { ok: false, fault, permanent: PERMANENT_REASONS.has(reason) },
    consecutiveFailures: isFailing ? FAILURE_THRESHOLD : 0,
  };
}

/** Where the status's totals end. A suspended script has no next window: nothing is committed meanwhile but by hand. */
function countedUntilOf({ nextWindow, totals }: ExportScriptStatus): TimeNs | undefined {
  if (totals.windows === 0) return timeNs(0n);
  const ms = typeof nextWindow?.start === 'string' ? Date.parse(nextWindow.start) : NaN;
  return Number.isNaN(ms) ? undefined : timeNs(BigInt(ms) * 1_000_000n);
}

/** What a new process goes on from. Windows that were pending are answered for in `totals` only, as they are delivered. */
export function resumeRecord(status: ExportScriptStatus): ScriptRecord {
  const history = status.history.map((window): WindowRecord => ({ refused: 0, ...window }));
  const complete = status.conditions.find(({ type, status: is }) => type === 'Complete' && is === 'False');
  const totals: Totals = { ...NO_TOTALS, ...status.totals };
  const { lastError } = status;
  return {
    ...NEW_RECORD,
    ...deliveryOf(status),
    // a compile's is found again by compiling
    lastError: lastError?.stage === 'Compile' ? undefined : lastError,
    totals,
    countedUntil: countedUntilOf(status),
    history,
    lastWindow: history[0],
    lastRun: status.lastRun,
    incomplete:
      complete === undefined
        ? undefined
        : {
            fault: { reason: complete.reason, message: complete.message },
            // when it began; a later loss of the same day is forgotten a little earlier
            atMs: Date.parse(complete.lastTransitionTime) || 0,
          },
  };
}
