// What an export needs to know of its run, and what it counts instead of dropping in silence.
import type { TimeNs } from '../../model/time.ts';
import type { Scope } from '../../telemetry/batches.ts';

export interface ExportRun {
  readonly scriptUid: string;
  /** The window [start, end). */
  readonly start: TimeNs;
  readonly end: TimeNs;
  /** Start of cumulative streams whose rows do not say which collector counts them. */
  readonly collectorStart: TimeNs;
  readonly scope: Scope;
  /** Of the destination; they win over the script's own attributes of the same name. */
  readonly resourceAttributes: Readonly<Record<string, string>>;
}

export interface ExportCounters {
  /** Points and spans left out because their time is 0 or before 1970. */
  timeRejected: number;
  /** Histogram rows left out because their bucket counts are not `bounds + 1` counts. */
  bucketsRejected: number;
  /** Histogram rows whose count was not the sum of its buckets; the sum was taken. */
  countsCorrected: number;
  /** Rows whose list of services is empty; exported once, with an empty name. */
  emptyServiceLists: number;
  /** Services beyond the limit of one row, left out. */
  servicesRejected: number;
  /** Points whose start was after their time, and spans that ended before they began: cut to length 0. */
  timesClamped: number;
  /** Ids that were given but are no ids; others were made in their place (for parents: none). */
  idsReplaced: number;
  /** Parents left out because the trace id that they belong to is not known. */
  parentsDropped: number;
  /** Status codes outside 0 to 2, exported as unset. */
  statusesReset: number;
}

export const newExportCounters = (): ExportCounters => ({
  timeRejected: 0,
  bucketsRejected: 0,
  countsCorrected: 0,
  emptyServiceLists: 0,
  servicesRejected: 0,
  timesClamped: 0,
  idsReplaced: 0,
  parentsDropped: 0,
  statusesReset: 0,
});

/** Points and spans that a script meant to export and that were not. */
export const droppedOf = (counters: ExportCounters): number =>
  counters.timeRejected + counters.bucketsRejected + counters.servicesRejected;
