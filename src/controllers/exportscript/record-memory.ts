// A script's record as it is held between two changes: one short text. Ten thousand records of ten windows each, as objects,
// would take four times the memory. Pure.
import { NO_TOTALS, type RunStatus, type Totals } from '../../crds/status.ts';
import { timeNs } from '../../model/time.ts';
import type { ScriptRecord, WindowRecord } from './track.ts';

/** Milliseconds since 1970 where `formatTime(…, 3)` wrote it; else the text itself. */
type PackedTime = number | string;
type PackedWindow = readonly [
  start: PackedTime,
  end: PackedTime,
  outcome: WindowRecord['outcome'] | 0,
  metrics: number,
  spans: number,
  refused: number,
  lost: number,
  reason?: string,
];
type PackedRun = readonly [
  rows: number,
  metrics: number,
  spans: number,
  bytes: number,
  durationMs: number,
  expected: number,
  answered: number,
  ...missing: string[],
];
interface Packed {
  /** History. */
  readonly h: readonly PackedWindow[];
  /** Last window: its place in the history, or itself. */
  readonly w?: number | PackedWindow | undefined;
  readonly r?: PackedRun | undefined;
  readonly p?: readonly (readonly [PackedWindow, PackedRun])[] | undefined;
  /** Totals, in the order of `NO_TOTALS`. */
  readonly t: readonly number[];
  /** Nanoseconds in decimal digits. */
  readonly u?: string | undefined;
  readonly f?: number | undefined;
  readonly e?: ScriptRecord['lastError'];
  readonly i?: ScriptRecord['incomplete'];
  /** 1: what nearly all have, taken without a fault. */
  readonly d?: 1 | ScriptRecord['delivery'];
}

const COMPLETE = 'Complete';
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- keys of a constant
const TOTALS = Object.keys(NO_TOTALS) as (keyof Totals)[];

function packTime(text: string): PackedTime {
  const ms = Date.parse(text);
  return Number.isNaN(ms) || new Date(ms).toISOString() !== text ? text : ms;
}

const unpackTime = (packed: PackedTime): string =>
  typeof packed === 'string' ? packed : new Date(packed).toISOString();

function packWindow({ start, end, outcome, reason, metrics, spans, refused, lost }: WindowRecord): PackedWindow {
  const what = outcome === COMPLETE ? 0 : outcome;
  const fields = [packTime(start), packTime(end), what, metrics, spans, refused, lost] as const;
  return reason === undefined ? fields : [...fields, reason];
}

function unpackWindow([start, end, what, metrics, spans, refused, lost, reason]: PackedWindow): WindowRecord {
  const [from, to] = [unpackTime(start), unpackTime(end)];
  const outcome = what === 0 ? COMPLETE : what;
  const more = reason === undefined ? {} : { reason };
  return { start: from, end: to, outcome, ...more, metrics, spans, refused, lost };
}

const packRun = ({ rows, metrics, spans, bytes, durationMs, nodes }: RunStatus): PackedRun => [
  rows,
  metrics,
  spans,
  bytes,
  durationMs,
  nodes.expected,
  nodes.answered,
  ...nodes.missing,
];

const unpackRun = ([
  rows,
  metrics,
  spans,
  bytes,
  durationMs,
  expected,
  answered,
  ...missing
]: PackedRun): RunStatus => ({
  rows,
  metrics,
  spans,
  bytes,
  durationMs,
  nodes: { expected, answered, missing },
});

function packLast({ lastWindow, history }: ScriptRecord): number | PackedWindow | undefined {
  if (lastWindow === undefined) return undefined;
  const place = history.indexOf(lastWindow);
  return place < 0 ? packWindow(lastWindow) : place;
}

/** The text of which `unpackRecord` makes the same record again. */
export function packRecord(record: ScriptRecord): string {
  const { history, lastRun, pending, totals, countedUntil, consecutiveFailures, delivery } = record;
  const isTaken = delivery?.ok === true && delivery.fault === undefined && !delivery.permanent;
  const packed: Packed = {
    h: history.map(packWindow),
    w: packLast(record),
    r: lastRun && packRun(lastRun),
    p: pending.length === 0 ? undefined : pending.map(({ window, run }) => [packWindow(window), packRun(run)]),
    t: TOTALS.map((key) => totals[key]),
    u: countedUntil?.toString(),
    f: consecutiveFailures === 0 ? undefined : consecutiveFailures,
    e: record.lastError,
    i: record.incomplete,
    d: isTaken ? 1 : delivery,
  };
  return JSON.stringify(packed);
}

/** @param text of `packRecord`. */
export function unpackRecord(text: string): ScriptRecord {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- nobody else writes it
  const packed = JSON.parse(text) as Packed;
  const history = packed.h.map(unpackWindow);
  const { w: last, d: delivery } = packed;
  return {
    lastWindow: typeof last === 'number' ? history[last] : last && unpackWindow(last),
    lastRun: packed.r && unpackRun(packed.r),
    pending: (packed.p ?? []).map(([window, run]) => ({ window: unpackWindow(window), run: unpackRun(run) })),
    history,
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- all its keys, each with a number
    totals: Object.fromEntries(TOTALS.map((key, i) => [key, packed.t[i] ?? 0])) as unknown as Totals,
    countedUntil: packed.u === undefined ? undefined : timeNs(BigInt(packed.u)),
    consecutiveFailures: packed.f ?? 0,
    lastError: packed.e,
    incomplete: packed.i,
    delivery:
      delivery === undefined
        ? undefined
        : delivery === 1
          ? { ok: true, fault: undefined, permanent: false }
          : { ok: delivery.ok, fault: delivery.fault, permanent: delivery.permanent },
  };
}
