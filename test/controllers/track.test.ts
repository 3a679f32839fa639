import { describe, expect, test } from '@jest/globals';
import {
  NEW_RECORD,
  incompleteOf,
  onCommitted,
  onDelivery,
  onFailed,
  refusedInARow,
} from '../../src/controllers/exportscript/track.ts';
import { NO_LOSS } from '../../src/model/loss.ts';
import type { Delivery, RunOutcome } from '../../src/model/outcome.ts';
import { timeNs } from '../../src/model/time.ts';

const window = (n: number) => ({
  start: timeNs(BigInt(n) * 10_000_000_000n),
  end: timeNs(BigInt(n + 1) * 10_000_000_000n),
});

const outcome = (n: number, more: Partial<RunOutcome> = {}): RunOutcome => ({
  uid: 'u',
  ...window(n),
  outcome: 'Complete',
  rowsRead: 100,
  rowsTruncated: 0,
  metricPoints: 8,
  spans: 3,
  logs: 0,
  bytes: 500,
  durationMs: 12,
  nodes: { expected: 1, answered: 1, missing: [] },
  loss: NO_LOSS,
  ...more,
});

const delivery = (n: number, more: Partial<Delivery> = {}): Delivery => ({
  uid: 'u',
  ...window(n),
  batch: 1,
  outcome: 'acknowledged',
  metricPoints: 8,
  spans: 0,
  logs: 0,
  rejected: 0,
  bytes: 500,
  attempts: 1,
  windowDelivered: true,
  windowRepeated: false,
  ...more,
});

describe("a script's record", () => {
  test('shows a window once its destination has acknowledged all of it, with what was acknowledged', () => {
    const committed = onCommitted(NEW_RECORD, outcome(1), false, 0);
    expect(committed.lastWindow).toBeUndefined();
    const half = onDelivery(committed, delivery(1, { windowDelivered: false }));
    expect(half.lastWindow).toBeUndefined();
    const whole = onDelivery(half, delivery(1, { metricPoints: 0, spans: 3 }));
    expect(whole.lastWindow).toMatchObject({ metrics: 8, spans: 3, outcome: 'Complete' });
    expect(whole.lastRun).toMatchObject({ rows: 100, metrics: 8, spans: 3 });
    expect(whole.history).toHaveLength(1);
  });

  test('shows a window without anything to send at once', () => {
    expect(onCommitted(NEW_RECORD, outcome(1), true, 0).lastWindow).toMatchObject({ metrics: 0, spans: 0 });
  });

  test('counts a window that the destination may have twice as repeated', () => {
    const committed = onCommitted(NEW_RECORD, outcome(1), false, 0);
    const half = onDelivery(committed, delivery(1, { windowDelivered: false, windowRepeated: true }));
    expect(onDelivery(half, delivery(1)).totals).toMatchObject({ windows: 1, repeated: 1 });
  });

  test('does not count what was refused, and says so', () => {
    const record = onDelivery(
      onCommitted(NEW_RECORD, outcome(1), false, 0),
      delivery(1, { outcome: 'refused', message: 'INVALID_ARGUMENT: no' }),
    );
    expect(record.lastWindow).toMatchObject({ metrics: 0, refused: 8 });
    expect(record.delivery).toMatchObject({ ok: false, permanent: false, fault: { reason: 'Refused' } });
    expect(record.lastError).toMatchObject({ stage: 'Export', message: 'INVALID_ARGUMENT: no' });
  });

  test.each([
    ['UNAUTHENTICATED', 'Unauthorized', true],
    ['PERMISSION_DENIED', 'Forbidden', true],
    ['404', 'NotFound', true],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'TLSFailed', true],
    ['INVALID_ENDPOINT', 'InvalidEndpoint', true],
    ['INVALID_ARGUMENT', 'Refused', false],
    ['400', 'Refused', false],
  ])('C20: a refusal by %s is %s, needs a change: %j', (code, reason, permanent) => {
    const record = onDelivery(NEW_RECORD, delivery(1, { outcome: 'refused', code, message: 'no' }));
    expect(record.delivery).toEqual({ ok: false, permanent, fault: { reason, message: `${code}: no` } });
    expect(record.lastError).toEqual({ stage: 'Export', code, message: 'no' });
  });

  test('a refusal stays the last error while the next answer is awaited, until a whole window is taken', () => {
    const refused = { outcome: 'refused', code: 'UNAUTHENTICATED', message: 'no' } as const;
    const first = onDelivery(onCommitted(NEW_RECORD, outcome(1), false, 0), delivery(1, refused));
    const waits = onCommitted(first, outcome(2), false, 0);
    expect([waits.delivery?.ok, waits.lastError?.code]).toEqual([false, 'UNAUTHENTICATED']);
    const half = onDelivery(waits, delivery(2, { windowDelivered: false }));
    expect(onDelivery(half, delivery(2)).lastError).toBeUndefined();
    const partly = onDelivery(onDelivery(waits, delivery(2, { ...refused, windowDelivered: false })), delivery(2));
    expect(partly.lastError?.code).toBe('UNAUTHENTICATED');
    expect(onCommitted(partly, outcome(3), false, 0).lastError).toBeUndefined();
    const full = onFailed(first, { stage: 'Export', code: 'SPOOL_FULL', message: 'no room' }, false);
    expect(onCommitted(full, outcome(2), false, 0).lastError).toBeUndefined();
  });

  test('counts windows that were refused as a whole, until one is taken', () => {
    const refused = { outcome: 'refused', code: '400', message: 'no' } as const;
    let record = NEW_RECORD;
    for (let n = 0; n < 4; n++) {
      record = onDelivery(onCommitted(record, outcome(n), false, 0), delivery(n, refused));
      expect(refusedInARow(record)).toBe(n + 1);
    }
    expect(refusedInARow(onDelivery(onCommitted(record, outcome(4), false, 0), delivery(4)))).toBe(0);
  });

  test('takes what a partial success rejected off what it acknowledged', () => {
    const record = onDelivery(
      onCommitted(NEW_RECORD, outcome(1), false, 0),
      delivery(1, { rejected: 3, message: 'old' }),
    );
    expect(record.lastWindow).toMatchObject({ metrics: 5, refused: 3 });
    expect(record.totals).toMatchObject({ metrics: 5, refused: 3 });
  });

  test('shows each window by its own destination’s word, in whatever order the words come', () => {
    // the script was given another plugin while the first one's backend was down
    const both = onCommitted(onCommitted(NEW_RECORD, outcome(1), false, 0), outcome(2), false, 0);
    const second = onDelivery(both, delivery(2));
    expect(second.history.map(({ start, metrics }) => [start, metrics])).toEqual([['1970-01-01T00:00:20.000Z', 8]]);
    const first = onDelivery(second, delivery(1, { outcome: 'dropped', message: 'the plugin was deleted' }));
    expect(first.lastWindow).toMatchObject({ start: '1970-01-01T00:00:20.000Z', metrics: 8, refused: 0 });
    expect(first.lastRun).toMatchObject({ metrics: 8 });
    expect(first.history.map(({ metrics, refused }) => [metrics, refused])).toEqual([
      [8, 0],
      [0, 8],
    ]);
    expect(first.pending).toEqual([]);
  });

  test('keeps the newest ten windows', () => {
    let record = NEW_RECORD;
    for (let n = 0; n < 15; n++) record = onCommitted(record, outcome(n), true, 0);
    expect(record.history).toHaveLength(10);
    expect(record.history[0]?.start).toBe('1970-01-01T00:02:20.000Z');
  });

  test.each([
    [
      'a node that did not answer',
      outcome(1, { outcome: 'Partial', nodes: { expected: 2, answered: 1, missing: ['n2'] } }),
      'NodesMissing',
    ],
    ['rows that were cut', outcome(1, { outcome: 'Partial', rowsTruncated: 5 }), 'RowsTruncated'],
    ['points that could not be exported', outcome(1, { outcome: 'Partial', itemsDropped: 2 }), 'ItemsDropped'],
    ['rows of an earlier window', outcome(1, { loss: { ...NO_LOSS, rowsLate: 2 } }), 'RowsLate'],
    ['events that were dropped', outcome(1, { loss: { ...NO_LOSS, eventsDropped: 3 } }), 'SourcesBlind'],
    [
      'a blind source',
      outcome(1, { loss: { ...NO_LOSS, blind: [{ source: 'probe', start: timeNs(1n), reason: 'Killed' }] } }),
      'SourcesBlind',
    ],
    ['expired rows', outcome(1, { loss: { ...NO_LOSS, rowsExpired: 3 } }), 'DataExpired'],
    ['a skipped window', outcome(1, { outcome: 'Skipped', reason: 'Suspended' }), 'Suspended'],
  ])('is incomplete for a day after %s', (_, result, reason) => {
    const record = onCommitted(NEW_RECORD, result, true, 1000);
    expect(incompleteOf(record, 1000 + 86_399_000)).toMatchObject({ reason });
    expect(incompleteOf(record, 1000 + 86_400_001)).toBeUndefined();
  });

  test('counts failures in a row until a run succeeds', () => {
    const error = { stage: 'Query', code: 'TIMEOUT', message: 'late' } as const;
    const failed = onFailed(onFailed(NEW_RECORD, error, false), error, false);
    expect(failed).toMatchObject({ consecutiveFailures: 2, lastError: error });
    expect(onCommitted(failed, outcome(1), true, 0)).toMatchObject({
      consecutiveFailures: 0,
      lastError: undefined,
      totals: { failures: 2 },
    });
  });

  test('S4 d: counts every window of a skipped stretch, with its reason', () => {
    const record = onCommitted(NEW_RECORD, outcome(1, { outcome: 'Skipped', reason: 'Suspended' }), true, 0, {
      windows: 40,
    });
    expect(record.totals).toMatchObject({ windows: 40, missed: 40 });
    expect(record.history[0]).toMatchObject({ outcome: 'Skipped', reason: 'Suspended' });
  });

  test('counts windows that may have been sent before', () => {
    const once = onCommitted(NEW_RECORD, outcome(1), true, 0, { isRepeated: true });
    expect(onCommitted(once, outcome(2), true, 0, { isRepeated: false }).totals).toMatchObject({
      windows: 2,
      repeated: 1,
    });
  });

  test('of a manual run that failed is no failing script', () => {
    const error = { stage: 'Query', code: 'TIMEOUT', message: 'late' } as const;
    const record = onFailed(NEW_RECORD, error, true);
    expect(record).toMatchObject({ consecutiveFailures: 0, lastError: error, totals: { failures: 1 } });
  });

  test('S16: stays small while the destination is away, and its totals miss nothing', () => {
    let record = NEW_RECORD;
    for (let n = 0; n < 1000; n++) record = onCommitted(record, outcome(n), false, 0);
    expect(record.pending.length).toBeLessThanOrEqual(16);
    for (let n = 0; n < 1000; n++) record = onDelivery(record, delivery(n));
    expect(record.totals).toMatchObject({ windows: 1000, metrics: 8000 });
    expect(record.pending).toEqual([]);
    expect(record.lastWindow?.end).toBe('1970-01-01T02:46:40.000Z');
    expect(record.history).toHaveLength(10);
  });

  test('a window found in the ledger is counted once, and says that its verdicts are not known until they are', () => {
    const found = onCommitted(NEW_RECORD, outcome(1), true, 0);
    expect(found.totals).toMatchObject({ windows: 1, rows: 100, metrics: 0 });
    expect(found.lastWindow).toMatchObject({ outcome: 'Complete', reason: 'VerdictsUnknown', metrics: 0 });
    expect(onCommitted(found, outcome(1), true, 0)).toBe(found);
    const half = onDelivery(found, delivery(1, { windowDelivered: false }));
    expect(half.history).toEqual([expect.objectContaining({ reason: 'VerdictsUnknown', metrics: 8 })]);
    const heard = onDelivery(half, delivery(1, { metricPoints: 0, spans: 3 }));
    expect(heard.history).toEqual([expect.objectContaining({ metrics: 8, spans: 3 })]);
    expect(heard.history[0]).not.toHaveProperty('reason');
    expect(heard.lastWindow).toBe(heard.history[0]);
    expect(heard.lastRun).toMatchObject({ rows: 100, metrics: 8, spans: 3 });
    // and one without anything to send is what it always was
    const nothing = onCommitted(NEW_RECORD, outcome(1, { metricPoints: 0, spans: 0 }), true, 0);
    expect(nothing.lastWindow).not.toHaveProperty('reason');
  });

  test('a window that is run again after its disk was lost is counted again', () => {
    const once = onDelivery(onCommitted(NEW_RECORD, outcome(1), false, 0), delivery(1));
    expect(onCommitted(once, outcome(1), false, 0, { isRepeated: true }).totals).toMatchObject({
      windows: 2,
      repeated: 1,
    });
  });
});
