// What is remembered of one ExportScript between two status writes: immutable records and the three things that change
// them (a run's result, a destination's verdict, a compile). Pure.
import type { Delivery, RunError, RunOutcome } from '../../model/outcome.ts';
import { lostAtMost } from '../../model/loss.ts';
import { formatTime, timeNs, type TimeNs } from '../../model/time.ts';
import { deliveryFault } from '../../crds/delivery-faults.ts';
import type { Fault } from '../../crds/script-conditions.ts';
import { NO_TOTALS, type RunStatus, type Totals, type WindowStatus } from '../../crds/status.ts';

const HISTORY_MAX = 10;
/**
 * Windows that are committed and not yet answered for; the oldest are forgotten here (not in the ledger, nor in `totals`). A
 * destination may be away for days, with ten thousand scripts that send to it: no more than the history can show.
 */
const PENDING_MAX = 16;
const DAY_MS = 86_400_000;
/** Of a window that was counted from the ledger: its destination had answered by then, and the answer was told to nobody or is still on its way. */
const VERDICTS_UNKNOWN = 'VerdictsUnknown';

export interface WindowRecord extends WindowStatus {
  readonly reason?: string;
  /** Acknowledged by the destination. */
  readonly metrics: number;
  readonly spans: number;
  readonly refused: number;
  readonly lost: number;
}

export interface ScriptRecord {
  /** Newest delivered window and what its run saw. */
  readonly lastWindow: WindowRecord | undefined;
  readonly lastRun: RunStatus | undefined;
  /** Committed, still to be answered for: oldest first. */
  readonly pending: readonly { readonly window: WindowRecord; readonly run: RunStatus }[];
  /** Newest first. */
  readonly history: readonly WindowRecord[];
  readonly totals: Totals;
  /** Where an earlier process's totals end: windows from here on are not in them. Undefined where its status does not say. */
  readonly countedUntil: TimeNs | undefined;
  readonly consecutiveFailures: number;
  readonly lastError: RunError | undefined;
  readonly incomplete: { readonly fault: Fault; readonly atMs: number } | undefined;
  readonly delivery:
    { readonly ok: boolean; readonly fault: Fault | undefined; readonly permanent: boolean } | undefined;
}

export const NEW_RECORD: ScriptRecord = {
  lastWindow: undefined,
  lastRun: undefined,
  pending: [],
  history: [],
  totals: NO_TOTALS,
  // without a status nobody has counted anything
  countedUntil: timeNs(0n),
  consecutiveFailures: 0,
  lastError: undefined,
  incomplete: undefined,
  delivery: undefined,
};

const runStatusOf = (outcome: RunOutcome): RunStatus => ({
  rows: outcome.rowsRead,
  metrics: 0,
  spans: 0,
  bytes: outcome.bytes,
  durationMs: outcome.durationMs,
  nodes: {
    expected: outcome.nodes.expected,
    answered: outcome.nodes.answered,
    missing: outcome.nodes.missing.slice(0, 10),
  },
});

/** What was missing of a window, in the words of the Complete condition; undefined where nothing was. */
function missingOf(outcome: RunOutcome): Fault | undefined {
  const { loss, nodes, rowsTruncated } = outcome;
  if (outcome.outcome === 'Skipped') {
    return {
      reason: outcome.reason ?? 'Skipped',
      message: 'windows were finished without being run; see status.history',
    };
  }
  if (nodes.answered < nodes.expected) {
    return {
      reason: 'NodesMissing',
      message: `no answer from ${nodes.missing.slice(0, 10).join(', ') || 'some nodes'}`,
    };
  }
  if (rowsTruncated > 0) return { reason: 'RowsTruncated', message: 'raise spec.maxRows or aggregate in the script' };
  if ((outcome.itemsDropped ?? 0) > 0) {
    const message =
      'some points or spans have no valid time, are too large, or are a second point of one stream and time: give rows ' +
      'that are apart attributes that are';
    return { reason: 'ItemsDropped', message };
  }
  if (loss.rowsExpired > 0) {
    return {
      reason: 'DataExpired',
      message: 'rows were expired before they were read; shorten the window or raise the table budget',
    };
  }
  if (loss.blind.length > 0 || lostAtMost(loss) > 0) {
    const [first] = loss.blind;
    const what = first === undefined ? 'events were lost' : `${first.source}: ${first.reason}`;
    return { reason: 'SourcesBlind', message: `${what}; status.history has the upper bound of each window` };
  }
  if (loss.rowsLate > 0)
    return { reason: 'RowsLate', message: 'rows that came too late for an earlier window are in a later one' };
  return outcome.reason === undefined ? undefined : { reason: outcome.reason, message: '' };
}

const add = (totals: Totals, more: Partial<Totals>): Totals => ({
  windows: totals.windows + (more.windows ?? 0),
  failures: totals.failures + (more.failures ?? 0),
  missed: totals.missed + (more.missed ?? 0),
  repeated: totals.repeated + (more.repeated ?? 0),
  rows: totals.rows + (more.rows ?? 0),
  metrics: totals.metrics + (more.metrics ?? 0),
  spans: totals.spans + (more.spans ?? 0),
  bytes: totals.bytes + (more.bytes ?? 0),
  lost: totals.lost + (more.lost ?? 0),
  refused: totals.refused + (more.refused ?? 0),
});

/**
 * Moves a window that is answered for into the history. Windows of one destination come in order; others may be waiting
 * for an earlier destination of the script that is slower.
 */
function settle(record: ScriptRecord, { start, end }: Pick<WindowRecord, 'start' | 'end'>): ScriptRecord {
  const done = record.pending.find(({ window }) => window.start === start && window.end === end);
  if (done === undefined) return record;
  const { window, run } = done;
  const isNewest = record.lastWindow === undefined || record.lastWindow.end <= end;
  const newer = record.history.filter((one) => one.end > end);
  return {
    ...record,
    pending: record.pending.filter((one) => one !== done),
    ...(isNewest ? { lastWindow: window, lastRun: { ...run, metrics: window.metrics, spans: window.spans } } : {}),
    history: [...newer, window, ...record.history.slice(newer.length)].slice(0, HISTORY_MAX),
  };
}

/**
 * A window was committed. `delivered`: nothing of it is left to send. `windows`: how many it spans, of the script's present
 * length. `isRepeated`: it may have been sent before. One that is in the history already is not counted again.
 */
export function onCommitted(
  record: ScriptRecord,
  outcome: RunOutcome,
  delivered: boolean,
  nowMs: number,
  { windows = 1, isRepeated = false }: { readonly windows?: number; readonly isRepeated?: boolean } = {},
): ScriptRecord {
  const lost = lostAtMost(outcome.loss);
  const start = formatTime(outcome.start, 3);
  const end = formatTime(outcome.end, 3);
  if (!isRepeated && record.history.some((one) => one.start === start && one.end === end)) return record;
  const isUnheard = delivered && outcome.metricPoints + outcome.spans + outcome.logs > 0;
  const reason = outcome.reason ?? (isUnheard ? VERDICTS_UNKNOWN : undefined);
  const window: WindowRecord = {
    start,
    end,
    outcome: outcome.outcome,
    ...(reason === undefined ? {} : { reason }),
    metrics: 0,
    spans: 0,
    refused: 0,
    lost,
  };
  const missing = missingOf(outcome);
  const skipped = outcome.outcome === 'Skipped';
  // what a destination said stays until it takes something: a run whose answer is still to come says nothing of it
  const isRefused = record.delivery?.ok === false && isRefusal(record.lastError);
  const next: ScriptRecord = {
    ...record,
    pending: [...record.pending, { window, run: runStatusOf(outcome) }].slice(-PENDING_MAX),
    totals: add(record.totals, {
      windows,
      missed: skipped ? windows : 0,
      repeated: isRepeated ? 1 : 0,
      rows: outcome.rowsRead,
      lost,
    }),
    consecutiveFailures: skipped ? record.consecutiveFailures : 0,
    lastError: skipped || isRefused ? record.lastError : undefined,
    incomplete: missing === undefined ? record.incomplete : { fault: missing, atMs: nowMs },
  };
  return delivered ? settle(next, window) : next;
}

/** A run failed and its window is still to be done. One that a user asked for says nothing of the schedule's. */
export function onFailed(record: ScriptRecord, error: RunError | undefined, isManual: boolean): ScriptRecord {
  return {
    ...record,
    totals: add(record.totals, { failures: 1 }),
    consecutiveFailures: record.consecutiveFailures + (isManual ? 0 : 1),
    lastError: error ?? record.lastError,
  };
}

/** Such an error of stage Export is the run's own: the state folder could not take what it made. */
export const isOfState = ({ code }: RunError): boolean => code === 'SPOOL_FULL' || code.startsWith('State');

const isRefusal = (error: RunError | undefined): boolean => error?.stage === 'Export' && !isOfState(error);

const ACCEPTED = { fault: undefined, permanent: false };

/** Only a refusal that the next window would meet, too, is permanent: credentials, rights, address, TLS. */
function faultOf({ outcome, code }: Delivery, message: string): { readonly fault: Fault; readonly permanent: boolean } {
  if (outcome === 'acknowledged') return { fault: { reason: 'PartialSuccess', message }, permanent: false };
  if (outcome === 'refused' && code !== undefined) return deliveryFault(code, message, true);
  return { fault: { reason: 'Refused', message }, permanent: false };
}

type Answered = Pick<WindowRecord, 'metrics' | 'spans' | 'refused'>;

const addAnswer = (window: WindowRecord, { metrics, spans, refused }: Answered): WindowRecord => ({
  ...window,
  metrics: window.metrics + metrics,
  spans: window.spans + spans,
  refused: window.refused + refused,
});

/** What came of a window that was counted from the ledger before its verdicts were heard. */
function hearLate(record: ScriptRecord, { start, end, windowDelivered }: Late, answered: Answered): ScriptRecord {
  const found = record.history.find((one) => one.start === start && one.end === end);
  if (found?.reason !== VERDICTS_UNKNOWN) return record;
  const added = addAnswer(found, answered);
  const { reason: _, ...heard } = added;
  const window: WindowRecord = windowDelivered ? heard : added;
  const isLast = record.lastWindow === found;
  const { metrics, spans } = window;
  return {
    ...record,
    history: record.history.map((one) => (one === found ? window : one)),
    ...(isLast ? { lastWindow: window, lastRun: record.lastRun && { ...record.lastRun, metrics, spans } } : {}),
  };
}

type Late = Pick<WindowRecord, 'start' | 'end'> & Pick<Delivery, 'windowDelivered'>;

/** A destination's last word on a batch. */
export function onDelivery(record: ScriptRecord, delivery: Delivery): ScriptRecord {
  const start = formatTime(delivery.start, 3);
  const end = formatTime(delivery.end, 3);
  const taken = delivery.outcome === 'acknowledged';
  const items = delivery.metricPoints + delivery.spans + delivery.logs;
  const refused = taken ? delivery.rejected : items;
  // what a partial success rejected is not told by kind: metrics and spans never share a batch, so it is of the one there
  const metrics = taken && delivery.metricPoints > 0 ? delivery.metricPoints - delivery.rejected : 0;
  const spans = taken && delivery.spans > 0 ? delivery.spans - delivery.rejected : 0;
  const message = delivery.message ?? 'the destination gave no reason';
  const { fault, permanent } = refused === 0 ? ACCEPTED : faultOf(delivery, message);
  const next: ScriptRecord = {
    ...record,
    pending: record.pending.map((entry) =>
      entry.window.start === start && entry.window.end === end
        ? { ...entry, window: addAnswer(entry.window, { metrics, spans, refused }) }
        : entry,
    ),
    totals: add(record.totals, {
      metrics,
      spans,
      bytes: taken ? delivery.bytes : 0,
      refused,
      repeated: delivery.windowRepeated ? 1 : 0,
    }),
    delivery: { ok: fault === undefined, fault, permanent },
    lastError: taken ? record.lastError : { stage: 'Export', code: delivery.code ?? delivery.outcome, message },
  };
  const heard = hearLate(next, { start, end, windowDelivered: delivery.windowDelivered }, { metrics, spans, refused });
  if (!delivery.windowDelivered) return heard;
  const settled = settle(heard, { start, end });
  if (!isRefusal(settled.lastError)) return settled;
  const isWholeTaken = settled.history.find((one) => one.start === start)?.refused === 0;
  return isWholeTaken ? { ...settled, lastError: undefined } : settled;
}

/** The Complete condition's fault, for a day after the newest loss. */
export const incompleteOf = (record: ScriptRecord, nowMs: number): Fault | undefined =>
  record.incomplete !== undefined && nowMs - record.incomplete.atMs < DAY_MS ? record.incomplete.fault : undefined;

/** Windows in a row, up to the newest, of which the destination refused all. */
export function refusedInARow({ history, delivery }: ScriptRecord): number {
  if (delivery?.ok !== false) return 0;
  const first = history.findIndex(({ metrics, spans, refused }) => refused === 0 || metrics + spans > 0);
  return first < 0 ? history.length : first;
}
